"""Bringing frames to a folder, over a real storage directory.

A bucket, and runs that are killed in the middle: tests/integration/test_download_*.py.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from burst.errors import BlobMissing, StorageAway, StorageError, StorageFull
from burst.operations import arrivals, frames
from burst.operations.frames import (
    Bringing,
    FrameFolder,
    Outcome,
    bring_all,
    output_of,
    with_way_back,
)
from burst.protocol.messages import OutputFile
from burst.storage import layout
from burst.storage.directory import DirectoryStorage
from burst.storage.items import Tell, Transferred, Wanted, tell_nobody

JOB = "shot-abc234"


class CountingStorage(DirectoryStorage):
    """Notes what is fetched of it, and fails when the test wants."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.fetched: list[str] = []
        self.before_each: Callable[[str], None] = lambda name: None

    def fetch_all(self, wanted: Iterable[Wanted], tell: Tell = tell_nobody) -> None:
        for one in wanted:
            self.before_each(one.name)
            super().fetch_all([one])
            self.fetched.append(one.name.rpartition("/")[2])
            tell(Transferred(one.name, one.size, whole=True))


@pytest.fixture
def storage(tmp_path: Path) -> CountingStorage:
    return CountingStorage(tmp_path / "storage")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def again(tmp_path: Path, out: Path, storage: CountingStorage) -> Callable[[], FrameFolder]:
    """Return what opens the folder anew, as another run would."""
    return lambda: FrameFolder(out, storage, JOB, tmp_path / "state")


@pytest.fixture
def folder(again: Callable[[], FrameFolder]) -> FrameFolder:
    return again()


def publish(storage: DirectoryStorage, name: str, content: bytes) -> OutputFile:
    storage.put_bytes(content, layout.render(JOB, name))
    return OutputFile(name=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())


def there(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, hidden ones too."""
    return {
        (Path(parent) / name).relative_to(folder).as_posix(): (Path(parent) / name).read_bytes()
        for parent, _, names in os.walk(folder)
        for name in names
    }


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_arrive_whole_and_leave_nothing_else(
    folder: FrameFolder, storage: CountingStorage, out: Path
) -> None:
    folder.bring([publish(storage, "left/shot_0001.png", b"pixels")])
    assert there(out) == {"left/shot_0001.png": b"pixels"}
    assert names(out) == ["left"]
    assert folder.count(Outcome.BROUGHT) == 1


def test_what_is_there_is_not_fetched_again(
    again: Callable[[], FrameFolder], storage: CountingStorage, out: Path
) -> None:
    files = [publish(storage, f"{n}.png", b"pixels %d" % n) for n in range(5)]
    again().bring(files[:3])
    second = again()
    second.bring(files)
    assert len(storage.fetched) == 5
    assert (second.count(Outcome.BROUGHT), second.count(Outcome.KEPT)) == (2, 3)
    # Unknown to burst, but as published; and known, with a time of its own.
    shutil.rmtree(out.with_name("state"))
    os.utime(out / "1.png", (1, 1))
    again().bring(files)
    assert len(storage.fetched) == 5


def test_a_frame_that_is_rendered_again_replaces_our_own_former_one(
    again: Callable[[], FrameFolder], storage: CountingStorage, out: Path
) -> None:
    again().bring([publish(storage, "a.png", b"first")])
    again().bring([publish(storage, "a.png", b"second")])
    assert there(out) == {"a.png": b"second"}


def test_a_copied_folder_is_still_known_by_its_content(
    again: Callable[[], FrameFolder], storage: CountingStorage, out: Path
) -> None:
    again().bring([publish(storage, "a.png", b"first")])
    content = (out / "a.png").read_bytes()
    (out / "a.png").unlink()
    (out / "a.png").write_bytes(content)
    os.utime(out / "a.png", (1, 1))
    again().bring([publish(storage, "a.png", b"other")])
    assert there(out) == {"a.png": b"other"}


def test_what_the_artist_made_of_a_frame_stays_and_the_frame_is_not_brought_again(
    again: Callable[[], FrameFolder], storage: CountingStorage, out: Path
) -> None:
    file = publish(storage, "a.png", b"pixels")
    again().bring([file])
    (out / "a.png").write_bytes(b"painted over")
    folder = again()
    folder.bring([file])
    assert there(out) == {"a.png": b"painted over"}
    assert (folder.changed, folder.beside) == (["a.png"], {})
    assert len(storage.fetched) == 1


def test_a_new_frame_goes_beside_what_the_artist_made_of_the_old_one(
    again: Callable[[], FrameFolder], storage: CountingStorage, out: Path
) -> None:
    again().bring([publish(storage, "left/a.png", b"pixels")])
    (out / "left/a.png").write_bytes(b"painted over")
    folder = again()
    folder.bring([publish(storage, "left/a.png", b"rendered again")])
    assert folder.beside == {"left/a.png": "burst-new/left/a.png"}
    assert folder.path_of("left/a.png") == out / "burst-new/left/a.png"
    # What lies beside is ours, and follows what is published.
    again().bring([publish(storage, "left/a.png", b"and again")])
    expected = {"left/a.png": b"painted over", "burst-new/left/a.png": b"and again"}
    assert there(out) == expected
    fetched = len(storage.fetched)
    again().bring([publish(storage, "left/a.png", b"and again")])
    assert (len(storage.fetched), there(out)) == (fetched, expected)


def test_whatever_has_the_name_and_was_never_ours_stays(
    folder: FrameFolder, storage: CountingStorage, out: Path
) -> None:
    taken = ["file.png", "folder.png", "link.png", "dangling.png", "sub/file.png", "taken/a.png"]
    (out / "sub").mkdir(parents=True)
    (out / "file.png").write_bytes(b"my own")
    (out / "folder.png").mkdir()
    (out / "link.png").symlink_to(out / "file.png")
    (out / "dangling.png").symlink_to("nowhere")
    (out / "sub/file.png").write_bytes(b"my own too")
    (out / "taken").write_bytes(b"a file where a folder should be")
    folder.bring([publish(storage, name, b"pixels " + name.encode()) for name in taken])
    for name in taken:
        assert (out / "burst-new" / name).read_bytes() == b"pixels " + name.encode()
    assert (out / "file.png").read_bytes() == b"my own"
    assert (out / "sub/file.png").read_bytes() == b"my own too"
    assert (out / "link.png").is_symlink()
    assert (out / "dangling.png").is_symlink()
    assert (out / "folder.png").is_dir()
    assert (out / "taken").is_file()


def test_even_what_is_taken_beside_is_left_alone_and_where_all_is_taken_it_is_said(
    again: Callable[[], FrameFolder], storage: CountingStorage, out: Path
) -> None:
    for place in ("", "burst-new", *(f"burst-new-{n}" for n in range(2, 10))):
        (out / place).mkdir(parents=True, exist_ok=True)
        (out / place / "a.png").write_bytes(b"mine")
        if place == "burst-new":
            (folder := again()).bring([publish(storage, "a.png", b"pixels")])
            assert folder.beside == {"a.png": "burst-new-2/a.png"}
            shutil.rmtree(out / "burst-new-2")
    with pytest.raises(StorageError, match="did not bring") as caught:
        again().bring([publish(storage, "a.png", b"others")])
    assert "--output" in (caught.value.hint or "")


def test_an_empty_placeholder_is_nobodys_work(
    folder: FrameFolder, storage: CountingStorage, out: Path
) -> None:
    out.mkdir()
    (out / "a.png").touch()
    folder.bring([publish(storage, "a.png", b"pixels")])
    assert there(out) == {"a.png": b"pixels"}


def test_a_file_whose_end_was_lost_with_the_power_is_brought_again(
    again: Callable[[], FrameFolder], storage: CountingStorage, out: Path
) -> None:
    file = publish(storage, "a.png", b"pixels and more pixels")
    again().bring([file])
    written = (out / "a.png").stat()
    os.truncate(out / "a.png", 6)
    os.utime(out / "a.png", ns=(written.st_atime_ns, written.st_mtime_ns))
    again().bring([file])
    assert there(out) == {"a.png": b"pixels and more pixels"}


def test_a_file_that_comes_while_ours_is_fetched_is_not_overwritten(
    folder: FrameFolder, storage: CountingStorage, out: Path
) -> None:
    file = publish(storage, "a.png", b"pixels")
    storage.before_each = lambda name: out.joinpath("a.png").write_bytes(b"just saved") and None
    folder.bring([file])
    assert there(out) == {"a.png": b"just saved", "burst-new/a.png": b"pixels"}


def test_the_same_file_brought_by_another_run_meanwhile_is_kept(
    folder: FrameFolder, storage: CountingStorage, out: Path
) -> None:
    file = publish(storage, "a.png", b"pixels")
    storage.before_each = lambda name: out.joinpath("a.png").write_bytes(b"pixels") and None
    folder.bring([file])
    assert there(out) == {"a.png": b"pixels"}
    assert folder.count(Outcome.KEPT) == 1


def test_a_damaged_file_never_appears_and_keeps_no_other_from_coming(
    folder: FrameFolder, storage: CountingStorage, out: Path
) -> None:
    files = [publish(storage, f"{n}.png", b"right %d" % n) for n in range(9)]
    for n in (2, 7):
        storage.put_bytes(b"wrong %d" % n, layout.render(JOB, f"{n}.png"))
    gone = OutputFile(name="gone.png", size=1, sha256="0" * 64)
    folder.bring([*files, gone])
    assert set(there(out)) == {f"{n}.png" for n in (0, 1, 3, 4, 5, 6, 8)}
    assert set(folder.damaged) == {"2.png", "7.png", "gone.png"}
    with pytest.raises(BlobMissing, match="3 files are in the storage and not what") as caught:
        folder.check()
    assert f"burst jobs requeue {JOB}" in (caught.value.hint or "")


def test_a_storage_that_lost_everything_is_not_asked_for_each_file(
    folder: FrameFolder, storage: CountingStorage
) -> None:
    asked: list[str] = []
    storage.before_each = asked.append
    files = [OutputFile(name=f"{n}.png", size=1, sha256="0" * 64) for n in range(1000)]
    with pytest.raises(BlobMissing):
        folder.bring(files)
    assert len(asked) < 100


def test_a_frame_that_was_replaced_between_listing_and_fetching_is_listed_again(
    folder: FrameFolder, storage: CountingStorage, out: Path
) -> None:
    old = publish(storage, "a.png", b"old")
    new = publish(storage, "a.png", b"new")
    listings, pauses = iter([[old], [old], [new]]), []
    bring_all(folder, lambda: next(listings), pauses.append)
    assert there(out) == {"a.png": b"new"}
    assert pauses == [0, 0.5, 1]


def test_one_that_stays_damaged_is_an_error_in_the_end(
    folder: FrameFolder, storage: CountingStorage
) -> None:
    old = publish(storage, "a.png", b"old")
    publish(storage, "a.png", b"new")
    pauses: list[float] = []
    with pytest.raises(BlobMissing, match=r"a\.png"):
        bring_all(folder, lambda: [old], pauses.append)
    assert len(pauses) == 5


@pytest.mark.parametrize(
    "name", ["../a.png", "/tmp/a.png", "x/../../a.png", "", "a\0b", ".burst-arriving-1/a.png"]
)
def test_a_name_that_leaves_the_folder_is_refused(folder: FrameFolder, name: str) -> None:
    with pytest.raises(StorageError, match="no name for a frame"):
        folder.bring([OutputFile(name=name, size=1, sha256="0" * 64)])


def test_a_name_that_can_not_be_here_is_told_and_the_others_come(
    folder: FrameFolder, storage: CountingStorage, out: Path
) -> None:
    out.mkdir()
    fits = publish(storage, f"{'n' * 251}.png", b"a name that just fits")
    long = OutputFile(name=f"{'l' * 300}.png", size=1, sha256="0" * 64)
    folder.bring([long, fits])
    assert there(out) == {fits.name: b"a name that just fits"}
    with pytest.raises(StorageError, match="not to be had") as caught:
        folder.check()
    assert "lll" in caught.value.message
    assert "--output" in (caught.value.hint or "")


def test_a_name_that_shows_to_be_impossible_when_it_is_given_is_told_too(
    folder: FrameFolder, storage: CountingStorage, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(arrived: Path, target: Path) -> bool:
        if ":" in target.name:
            raise OSError(errno.EINVAL, "Invalid argument")
        return arrivals.give_name(arrived, target)

    monkeypatch.setattr(frames, "give_name", refuse)
    folder.bring([publish(storage, "a:1.png", b"one"), publish(storage, "a.png", b"two")])
    assert there(out) == {"a.png": b"two"}
    with pytest.raises(StorageError, match=r"a:1\.png: Invalid argument"):
        folder.check()


def test_names_that_are_one_here_do_not_overwrite_each_other(
    again: Callable[[], FrameFolder],
    storage: CountingStorage,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What a file system does that takes no notice of case: one file under both names.
    class BlindFolder(FrameFolder):
        def _look(self, path: str, file: OutputFile) -> frames._Look:
            return super()._look(path.lower(), file)

    upper, lower = publish(storage, "A.png", b"upper"), publish(storage, "a.png", b"lower")
    for files in ([upper, lower], [lower, upper]):
        folder = BlindFolder(out, storage, JOB, out.with_name("state"))
        monkeypatch.setattr(
            frames, "give_name", lambda at, to: arrivals.give_name(at, Path(str(to).lower()))
        )
        folder.bring(files)
        assert there(out) == {"a.png": b"upper", "burst-new/a.png": b"lower"}


def test_without_hard_links_files_are_renamed_and_never_over_others(
    again: Callable[[], FrameFolder],
    storage: CountingStorage,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_links(source: object, target: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(arrivals.os, "link", no_links)
    files = [publish(storage, "a.png", b"pixels"), publish(storage, "b.png", b"more")]
    storage.before_each = lambda name: out.joinpath("b.png").write_bytes(b"just saved") and None
    again().bring(files)
    assert there(out) == {"a.png": b"pixels", "b.png": b"just saved", "burst-new/b.png": b"more"}


def test_what_a_killed_run_left_is_used_and_cleared(
    again: Callable[[], FrameFolder], storage: CountingStorage, out: Path
) -> None:
    files = [publish(storage, f"{n}.png", b"pixels %d" % n) for n in range(3)]
    left = out / ".burst-arriving-0000"
    left.mkdir(parents=True)
    place = arrivals.Arrivals(left).place
    place(files[0]).write_bytes(b"pixels 0")
    place(files[1]).write_bytes(b"cut by a dead machine")
    (left / ".x.part").write_bytes(b"half")
    (out / ".burst-arriving-1111").mkdir()
    again().bring(files)
    assert there(out) == {f"{n}.png": b"pixels %d" % n for n in range(3)}
    assert sorted(storage.fetched) == ["1.png", "2.png"]
    assert names(out) == ["0.png", "1.png", "2.png"]


def test_leftovers_go_even_when_nothing_is_to_be_brought_but_not_those_of_a_running_one(
    again: Callable[[], FrameFolder], storage: CountingStorage, out: Path
) -> None:
    file = publish(storage, "a.png", b"pixels")
    again().bring([file])
    (out / ".burst-arriving-1111").mkdir()
    with arrivals.open_arrivals(out) as held:
        (mine,) = (p for p in out.iterdir() if p.name.startswith(".burst"))
        (out / ".burst-arriving-2222").mkdir()
        again().bring([file])
        assert names(out) == sorted([mine.name, "a.png"])
        held.place(file).write_bytes(b"still writable")
    assert names(out) == ["a.png"]


def test_a_storage_that_goes_away_leaves_what_was_brought(
    again: Callable[[], FrameFolder], storage: CountingStorage, out: Path
) -> None:
    files = [publish(storage, f"{n}.png", b"pixels %d" % n) for n in range(4)]

    def go_away(name: str) -> None:
        if len(storage.fetched) == 2:
            raise StorageAway("gs://farm does not answer")

    storage.before_each = go_away
    with pytest.raises(StorageAway):
        again().bring(files)
    assert len(there(out)) == 2
    storage.before_each = lambda name: None
    again().bring(files)
    assert len(storage.fetched) == 4
    assert len(there(out)) == 4


def test_a_full_disk_says_how_far_it_came_and_where_to_make_room(
    folder: FrameFolder, storage: CountingStorage, out: Path
) -> None:
    def fill(name: str) -> None:
        if storage.fetched:
            raise StorageFull("can't bring it: no space left on the disk")

    storage.before_each = fill
    files = [publish(storage, f"{n}.png", b"pixels %d" % n) for n in range(3)]
    with pytest.raises(StorageFull, match=f"no space left in {out}: 1 of 3 files") as caught:
        folder.bring(files)
    assert "burst download" in (caught.value.hint or "")
    assert len(names(out)) == 1


@pytest.mark.parametrize("place", ["out", "out/below"])
def test_a_folder_that_can_not_be_made_is_a_storage_error(
    tmp_path: Path, storage: CountingStorage, place: str
) -> None:
    file = publish(storage, "a.png", b"pixels")
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(StorageError):
        FrameFolder(tmp_path / place, storage, JOB, tmp_path / "state").bring([file])


def test_what_can_not_be_remembered_is_brought_all_the_same(
    tmp_path: Path, storage: CountingStorage, out: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    file = publish(storage, "a.png", b"pixels")
    FrameFolder(out, storage, JOB, tmp_path / "file").bring([file])
    assert there(out) == {"a.png": b"pixels"}


def test_a_memory_that_was_cut_loses_one_line_and_no_other(
    again: Callable[[], FrameFolder], storage: CountingStorage, out: Path
) -> None:
    again().bring([publish(storage, "a.png", b"first a"), publish(storage, "b.png", b"first b")])
    (memory,) = (out.with_name("state") / "brought").iterdir()
    memory.write_bytes(memory.read_bytes()[:-5] + b"\xff")
    again().bring([publish(storage, "c.png", b"first c")])
    for name in ("a.png", "b.png", "c.png"):
        again().bring([publish(storage, name, b"again")])
    # Of which one it was lost is then taken for the artist's.
    assert there(out).pop("burst-new/b.png") == b"again"
    assert (out / "a.png").read_bytes() == (out / "c.png").read_bytes() == b"again"


def test_progress_counts_what_is_brought_now(
    tmp_path: Path, storage: CountingStorage, out: Path
) -> None:
    told: list[Bringing] = []
    files = [publish(storage, f"{n}.png", b"12345") for n in range(3)]
    FrameFolder(out, storage, JOB, tmp_path / "state").bring(files[:1])
    FrameFolder(out, storage, JOB, tmp_path / "state", told.append).bring(files)
    seen = [(one.files, one.files_total, one.bytes, one.bytes_total) for one in told]
    assert seen == [(1, 2, 5, 10), (2, 2, 10, 10)]


def test_frames_go_where_was_typed_else_where_the_job_says() -> None:
    assert output_of("/jobs/own", "shot", Path("/typed")) == Path("/typed")
    assert output_of("/jobs/own", "shot", None) == Path("/jobs/own")
    assert output_of("", "a/b", None) == Path.cwd() / "a-b-frames"


def test_an_error_while_bringing_says_how_to_get_the_frames_later() -> None:
    assert with_way_back(StorageError("no"), "go on").hint == "go on"
    assert with_way_back(StorageError("no", hint="login"), "go on").hint == "login"


def test_a_folder_below_a_file_is_said_to_be_none(
    storage: CountingStorage, out: Path, tmp_path: Path
) -> None:
    out.write_bytes(b"a file")
    below = FrameFolder(out / "frames", storage, JOB, tmp_path / "state")
    with pytest.raises(StorageError, match=rf"{out} is a file, not a folder"):
        below.bring([publish(storage, "a.png", b"one")])


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_link_to_what_never_ends_is_not_read(
    storage: CountingStorage, folder: FrameFolder, out: Path, tmp_path: Path, kind: str
) -> None:
    never = Path("/dev/zero")
    if kind == "pipe":
        never = tmp_path / "pipe"
        os.mkfifo(never)
    out.mkdir()
    (out / "a.png").symlink_to(never)
    folder.bring([publish(storage, "a.png", b"one")])
    assert (out / "a.png").is_symlink()
    assert (out / "burst-new/a.png").read_bytes() == b"one"
