"""Bringing published files from the storage to a folder: whole, proven, once.

A file of the folder that an artist has changed, or that never was burst's, stays what it is;
see `burst.operations.brought`. How files are fetched is the storage's business; they arrive
in a folder of their own and get their names here, each as soon as it is whole.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from burst.domain.text import printable
from burst.errors import BlobMissing, BurstError, StorageError, StorageFull, storage_error
from burst.operations.arrivals import PREFIX, Arrivals, clear_leftovers, give_name, open_arrivals
from burst.operations.brought import BroughtFiles
from burst.protocol.messages import OutputFile
from burst.storage import layout
from burst.storage.items import Transferred, Wanted
from burst.storage.storage import Storage

BESIDE = "burst-new"
"""Folder for what comes where an artist's own file has the name: under the same names, so that
a sequence stays one, and whatever reads the folder's own sequence sees nothing new."""

_BESIDE_MOST = 9
"""So many of these folders."""

_PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each try to bring what is not as it was listed."""

_NAMED = 20
"""Files that a message names. With so many damaged ones it is no matter of single files."""

_IMPOSSIBLE = (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.EXDEV)
"""What a file system answers to a name that it can't have."""


@dataclass(frozen=True, slots=True)
class Bringing:
    """How far it is with bringing files."""

    files: int
    files_total: int
    bytes: int
    bytes_total: int
    seconds: float
    """Since it began."""


class Outcome(enum.Enum):
    """What came of a file."""

    BROUGHT = enum.auto()
    KEPT = enum.auto()
    """It was there, as published."""
    CHANGED = enum.auto()
    """It was there, and the artist has changed it since."""


class _Look(enum.Enum):
    """What a folder has under a name."""

    FREE = enum.auto()
    """Nothing."""
    OURS = enum.auto()
    """What burst brought, of another content, and nobody has changed it."""
    SAME = enum.auto()
    """What is published."""
    CHANGED = enum.auto()
    """What the artist made of what is published."""
    FOREIGN = enum.auto()
    """Anything else."""


_CAN_BE_GIVEN = (_Look.FREE, _Look.OURS)


class FrameFolder:
    """The folder that a job's files are brought to."""

    def __init__(
        self,
        folder: Path,
        storage: Storage,
        job_id: str,
        state_dir: Path,
        tell: Callable[[Bringing], None] = lambda bringing: None,
    ) -> None:
        """Bring files of ``job_id`` to ``folder``, which is made when needed.

        Args:
            folder: absolute path.
            storage: where they are published.
            job_id: whose they are.
            state_dir: remembers what was brought.
            tell: takes how far it is, often.
        """
        self.folder = folder
        self.job_id = job_id
        self.outcomes: dict[str, Outcome] = {}
        """What came of each file, by its published name."""
        self.damaged: dict[str, str] = {}
        """Files that the storage had otherwise than listed when they were brought last, and
        what it said."""
        self.refused: dict[str, str] = {}
        """Files that can't be in this folder, and why."""
        self._storage = storage
        self._tell = tell
        self._ours = BroughtFiles(state_dir, folder)
        self._paths: dict[str, str] = {}
        self._is_clear = False

    @property
    def beside(self) -> dict[str, str]:
        """Files whose names others have, and where they lie, below the folder."""
        return {name: path for name, path in sorted(self._paths.items()) if path != name}

    @property
    def changed(self) -> list[str]:
        """Files that the artist has changed since they were brought."""
        came = self.outcomes.items()
        return sorted(self._paths[name] for name, outcome in came if outcome is Outcome.CHANGED)

    def count(self, outcome: Outcome) -> int:
        """Return how many files that came of."""
        return sum(1 for came in self.outcomes.values() if came is outcome)

    def path_of(self, name: str) -> Path:
        """Return where a published file lies."""
        return self.folder / self._paths.get(name, name)

    def bring(self, files: Iterable[OutputFile]) -> None:
        """Bring the files in parallel; each appears whole, in one step.

        One that is there already is kept. Those that are `damaged` or `refused` do not keep
        the others from coming.

        Raises:
            StorageAway: the storage does not answer; what was brought stays.
            StorageError: the storage can't be read, or the folder can't be written.
        """
        there = next(path for path in (self.folder, *self.folder.parents) if path.exists())
        if not there.is_dir():
            raise StorageError(f"{there} is a file, not a folder for frames")
        lacking = {file.name: file for file in files if self._lacks(file)}
        if lacking:
            with open_arrivals(self.folder) as arrivals:
                _Transfer(self, self._storage, arrivals, self._tell).run(list(lacking.values()))
        if not self._is_clear:
            clear_leftovers(self.folder)
            self._is_clear = True

    def check(self) -> None:
        """Complain of files that could not be brought.

        Raises:
            BlobMissing: the storage has some otherwise than they were published.
            StorageError: some can't be in this folder.
        """
        if self.damaged:
            raise BlobMissing(
                _listing("in the storage and not what was published", self.damaged.values()),
                hint="render the frames again: burst jobs requeue "
                f"{self.job_id} --frames N, then burst download {self.job_id}",
            )
        if self.refused:
            raise StorageError(
                _listing(f"not to be had in {self.folder}", self.refused.values()),
                hint=f"bring them to another folder: burst download {self.job_id} --output DIR",
            )

    def take(self, file: OutputFile, arrived: Path) -> None:
        """Give a file that has arrived its name.

        Raises:
            StorageError: the folder can't be written.
        """
        with self._refusing(file):
            path, look = self._find(file)
            while look in _CAN_BE_GIVEN and not self._give(file, path, look, arrived):
                path, look = self._find(file)
            came = Outcome.BROUGHT if look in _CAN_BE_GIVEN else _CAME_OF[look]
            self._note(file, path, came)
        with contextlib.suppress(OSError):
            arrived.unlink()

    def _lacks(self, file: OutputFile) -> bool:
        """Say whether a file is to be brought; if not, note what is there."""
        _check_name(file.name)
        self.damaged.pop(file.name, None)
        with self._refusing(file):
            path, look = self._find(file)
            if look in _CAN_BE_GIVEN:
                return True
            self._note(file, path, _CAME_OF[look])
        return False

    def _note(self, file: OutputFile, path: str, came: Outcome) -> None:
        self._paths[file.name] = path
        if self.outcomes.get(file.name) is not Outcome.BROUGHT:
            self.outcomes[file.name] = came

    def _find(self, file: OutputFile) -> tuple[str, _Look]:
        """Return where the file lies, or is to lie, and what is there."""
        folders = (BESIDE, *(f"{BESIDE}-{number}" for number in range(2, _BESIDE_MOST + 1)))
        for path in (file.name, *(f"{folder}/{file.name}" for folder in folders)):
            look = self._look(path, file)
            if look is not _Look.FOREIGN:
                return path, look
        raise StorageError(
            f"{self.folder / path} and all before it are files that burst did not bring",
            hint="move them away, or name another folder with --output",
        )

    def _look(self, path: str, file: OutputFile) -> _Look:
        target = self.folder / path
        try:
            status = target.lstat()
        except FileNotFoundError:
            return _Look.FREE
        except NotADirectoryError:
            return _Look.FOREIGN
        if self._ours.is_it(path, status, file):
            return _Look.SAME
        if self._ours.is_untouched(path, status):
            return _Look.OURS
        return _Look.CHANGED if self._ours.was_brought(path, file.sha256) else _Look.FOREIGN

    def _give(self, file: OutputFile, path: str, look: _Look, arrived: Path) -> bool:
        """Give an arrived file its name; False if something else came there just now."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        self._ours.add(path, file.sha256, arrived.stat())
        if look is _Look.FREE:
            return give_name(arrived, target)
        arrived.replace(target)
        return True

    @contextlib.contextmanager
    def _refusing(self, file: OutputFile) -> Iterator[None]:
        """Refuse a file whose name is none here; what else goes wrong ends it all."""
        try:
            yield
        except OSError as error:
            if error.errno not in _IMPOSSIBLE:
                raise storage_error(error, f"can't write {self.folder / file.name}") from error
            self.refused[file.name] = f"{file.name}: {error.strerror}"


_CAME_OF = {_Look.SAME: Outcome.KEPT, _Look.CHANGED: Outcome.CHANGED}


class _Transfer:
    """Brings what a folder lacks."""

    def __init__(
        self,
        folder: FrameFolder,
        storage: Storage,
        arrivals: Arrivals,
        tell: Callable[[Bringing], None],
    ) -> None:
        self._folder = folder
        self._storage = storage
        self._arrivals = arrivals
        self._tell = tell
        self._began = time.monotonic()
        self._expected: dict[str, OutputFile] = {}
        self._files = self._bytes = self._files_total = self._bytes_total = 0

    def run(self, files: Sequence[OutputFile]) -> None:
        self._files_total = len(files)
        self._bytes_total = sum(file.size for file in files)
        self._expected = {layout.render(self._folder.job_id, file.name): file for file in files}
        try:
            self._fetch(files)
        except StorageFull as error:
            raise StorageFull(
                f"no space left in {self._folder.folder}: {self._files} of {self._files_total} "
                "files were brought",
                hint=f"make room there, then go on: burst download {self._folder.job_id}",
            ) from error

    def _fetch(self, files: Sequence[OutputFile]) -> None:
        """Fetch files; those that are damaged are found by halves, and the others brought."""
        for file in files:
            if self._arrivals.has(file):
                self._bytes += file.size
                self._place(file)
        left = self._left(files)
        try:
            self._storage.fetch_all(map(self._wanted, left), self._take)
        except BlobMissing as error:
            if len(left) == 1:
                self._give_up(left[0], error)
                return
            left = self._left(left)
            middle = (len(left) + 1) // 2
            for half in (left[:middle], left[middle:]):
                if half:
                    self._fetch(half)

    def _give_up(self, file: OutputFile, error: BlobMissing) -> None:
        self._folder.damaged[file.name] = error.message
        if len(self._folder.damaged) >= _NAMED:
            self._folder.check()

    def _left(self, files: Sequence[OutputFile]) -> list[OutputFile]:
        names = (layout.render(self._folder.job_id, file.name) for file in files)
        return [file for name, file in zip(names, files, strict=True) if name in self._expected]

    def _wanted(self, file: OutputFile) -> Wanted:
        name = layout.render(self._folder.job_id, file.name)
        return Wanted(name, self._arrivals.place(file), file.size, file.sha256)

    def _take(self, news: Transferred) -> None:
        self._bytes += news.bytes
        if news.whole and news.name in self._expected:
            self._place(self._expected[news.name])
        self._tell_progress()

    def _place(self, file: OutputFile) -> None:
        self._folder.take(file, self._arrivals.place(file))
        del self._expected[layout.render(self._folder.job_id, file.name)]
        self._files += 1

    def _tell_progress(self) -> None:
        seconds = time.monotonic() - self._began
        # What was fetched in vain counts once.
        done = min(self._bytes, self._bytes_total)
        self._tell(Bringing(self._files, self._files_total, done, self._bytes_total, seconds))


def bring_all(
    folder: FrameFolder,
    list_files: Callable[[], Iterable[OutputFile]],
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Bring all files of a job; blocks.

    A frame that is rendered again may be replaced between being listed and being fetched:
    then it is listed and brought once more.

    Raises:
        BlobMissing: the storage has some otherwise than they were published.
        StorageError: it can't be read, or the folder can't be written.
    """
    for pause in _PAUSES:
        wait(pause)
        folder.bring(list_files())
        if not folder.damaged:
            break
    folder.check()


def output_of(job_output: str, job_name: str, typed: Path | None) -> Path:
    """Return where frames go: what was typed, what the job says, or a folder of its name."""
    if typed is not None:
        return typed.expanduser().absolute()
    if job_output:
        return Path(job_output)
    safe = printable(job_name).replace("/", "-")
    return Path(f"{safe}-frames").absolute()


def with_way_back(error: StorageError, hint: str) -> BurstError:
    """Return the error with the way to the frames that the folder did not take."""
    return type(error)(error.message, hint=error.hint or hint)


def _check_name(name: str) -> None:
    path = PurePosixPath(name)
    is_one = path.parts and not path.is_absolute() and ".." not in path.parts and "\0" not in name
    if not is_one or path.parts[0].startswith(PREFIX):
        raise StorageError(f"{name!r} is no name for a frame")


def _listing(what: str, texts: Iterable[str]) -> str:
    lines = list(texts)
    many = len(lines) > 1
    shown = [f"{len(lines)} file{'s' * many} {'are' if many else 'is'} {what}"]
    shown += [f"  {line}" for line in lines[:_NAMED]]
    if len(lines) > _NAMED:
        shown.append(f"  and {len(lines) - _NAMED} more")
    return "\n".join(shown)
