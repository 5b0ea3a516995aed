"""What a scene may reach: the cage that Blender runs in, and taking files out of it.

A scene comes from anywhere, and so may its Python and whatever a crafted file makes of
Blender's code. `Cage` says what such a Blender needs; `burst.worker.inside.cage` makes the
kernel refuse the rest. `lent` and `ordinary_files` are the way of files in and out, for what
Blender says it wrote may be anything. ``docs/security.md`` has the whole picture.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import platform
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from burst.domain.workers import BlenderFacts
from burst.errors import ToolError
from burst.scene.checkout import must_copy
from burst.worker.inside import cage
from burst.worker.process import ask
from burst.worker.surroundings import command_line, prepare

_LAUNCHER = Path(cage.__file__)
_PACKAGE = Path(__file__).parents[1]
_TRIAL_SECONDS = 60.0

_PROGRAMS = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"),
    *("/nix/store", "/gnu/store", "/run/opengl-driver", "/run/current-system", "/snap"),
    "/home/linuxbrew/.linuxbrew",
    *("/opt/rocm*", "/opt/amdgpu*", "/opt/intel*", "/opt/nvidia*"),
)
"""Where systems and the makers of graphics drivers keep programs and their libraries."""
_FACTS = ("/proc", "/sys", "/run/udev", "/var/cache/fontconfig")
"""What a program may know of the machine. The kernel keeps a caged process from the memory,
the environment and the files of others in /proc by itself."""
_DEVICES = (
    *("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"),
    *("/dev/dri", "/dev/kfd", "/dev/nvidia*"),
)
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - named to be let in, not to be written by us
_NAMES_FILES = (
    "LD_LIBRARY_PATH",
    "OCIO",
    "CUDA_",
    "HIP_",
    "ROCR_",
    "ZE_",
    "SYCL_",
    "VK_",
    "__EGL_",
)
"""Variables that the artist's machine uses to say where libraries and graphics are."""
_USD = (".usd", ".usda", ".usdc", ".usdz")


@dataclass(frozen=True, slots=True)
class Inmate:
    """One Blender about to be started."""

    program: Path
    """A ``blender``, or the ``python`` that has bpy."""
    facts: BlenderFacts
    blend: Path
    scratch: Path
    """Its home and its temporary files; all of it may be written."""
    env: Mapping[str, str]
    graphics: bool = False
    """Needs an X server, if there is one."""
    simulates: bool = False
    """As it renders, so that it fills and clears the caches beside the scene."""


@dataclass(frozen=True, slots=True)
class Cage:
    """What every Blender of one worker may reach beside its own things."""

    scenes: Path
    """Folder of the checkouts, of which a Blender sees the one of its scene."""
    blobs: Path | None = None
    """Folder that the links in a checkout point into; read by those who know a name."""
    version: int = field(default_factory=cage.landlock_version)
    """Of Landlock; an older one than the kernel's holds less."""

    def command_line(self, command: Sequence[str], inmate: Inmate) -> list[str]:
        """Return the command that runs ``command``, a Blender, in the cage."""
        paths = {
            "run": [*_existing(_PROGRAMS), *map(str, _own_files(inmate))],
            "read": [*_FACTS, *_public_settings(), *_named(inmate.env), str(_PACKAGE)],
            "list": [str(_PACKAGE.parent)],
            "by_name": [str(self.blobs)] if self.blobs else [],
            "device": _existing(_DEVICES),
            "shared": [_SHARED_MEMORY],
            **self._of_the_scene(inmate),
        }
        return self._start(paths, command, inmate.graphics)

    def program_line(
        self, command: Sequence[str], readable: Iterable[Path], writable: Iterable[Path]
    ) -> list[str]:
        """Return the command that runs a program that only turns files into others.

        Args:
            command: with an absolute path first.
            readable: files and folders that it reads.
            writable: those that it writes, too.
        """
        paths = {
            "run": [*_existing(_PROGRAMS), *map(str, _with_libraries(Path(command[0])))],
            "read": [*_FACTS, *_public_settings(), *map(str, readable)],
            "device": _existing(_DEVICES),
            "write": [*map(str, writable)],
        }
        return self._start(paths, command, graphics=False)

    def _start(
        self, paths: Mapping[str, Sequence[str]], command: Sequence[str], graphics: bool
    ) -> list[str]:
        policy = {"version": self.version, "graphics": graphics, "paths": paths}
        # Isolated and without site-packages: nothing but Python itself runs before it is shut.
        return [sys.executable, "-I", "-S", str(_LAUNCHER), json.dumps(policy), *command]

    def lacks(self) -> str:
        """Say what this kernel can't hold, or nothing."""
        if sys.platform != "linux":
            return "only Linux can hold a program in one"
        if self.version == 0:
            return "this kernel has no Landlock: every file of this user is in sight"
        if platform.machine() not in cage.MACHINES:
            return f"burst has no system call filter for {platform.machine()}"
        return ""

    def _of_the_scene(self, inmate: Inmate) -> dict[str, list[str]]:
        if not inmate.blend.is_relative_to(self.scenes):
            return {"grow": [str(inmate.blend.parent)], "write": [str(inmate.scratch)]}
        checkout = self.scenes / inmate.blend.relative_to(self.scenes).parts[0]
        caches = [checkout] if inmate.simulates else [*_cache_folders(checkout)]
        return {
            "grow": [str(checkout)],
            "write": [str(inmate.scratch), *(str(folder) for folder in caches)],
        }


def start_line(
    made: Cage | None, inmate: Inmate, script: Path, pipes: tuple[int, int]
) -> list[str]:
    """Return the command that starts a Blender with ``script`` in it, in its cage if any.

    Raises:
        OSError: there is no such program; what starts in its place would not say so.
    """
    command = command_line(inmate.program, inmate.facts.kind, script, pipes)
    if made is None:
        return command
    inmate.program.stat()
    return made.command_line(command, inmate)


def open_cage(
    scenes: Path, blobs: Path | None, installed: Sequence[tuple[Path, BlenderFacts]]
) -> tuple[Cage, str]:
    """Make the cage of a worker and see that its Blenders start in it. Blocks for a second.

    Args:
        scenes: folder of the checkouts.
        blobs: folder that they link into.
        installed: every Blender that may be started.

    Returns:
        The cage, and what it can't hold here, in a sentence, or an empty text.

    Raises:
        ToolError: a Blender does not start in it.
    """
    made = Cage(scenes, blobs)
    with ThreadPoolExecutor(max(1, len(installed)), thread_name_prefix="cage") as threads:
        for trial in [threads.submit(_try, made, program, facts) for program, facts in installed]:
            trial.result()
    return made, made.lacks()


@contextlib.contextmanager
def lent(folder: Path, room: Path | None) -> Iterator[Path]:
    """Have a folder inside the cage for as long as Blender works on it; yield where it is then.

    Outside of that time no caged process reaches it: what is done to it later is done to
    nothing, but for what a file that was kept open can.

    Args:
        folder: to be lent; is there.
        room: a path in the cage; None if there is no cage.

    Raises:
        OSError: it can't be moved.
    """
    if room is None:
        yield folder
        return
    shutil.rmtree(room, ignore_errors=True)
    folder.rename(room)
    try:
        yield room
    finally:
        # Where a script has taken the folder away, none of the files is there.
        with contextlib.suppress(OSError):
            room.rename(folder)


def ordinary_files(named: Sequence[Path], place: Path, folder: Path) -> tuple[Path, ...]:
    """Return the files that Blender names, after their folder was moved back from ``place``.

    Whoever reads a file does it with all rights of the worker, and publishes it.

    Raises:
        StrayFileError: one of them is not an ordinary file in ``folder``, without any link.
    """
    files = []
    for path in named:
        if ".." in path.parts or not path.is_relative_to(place):
            raise StrayFileError(path)
        files.append(folder / path.relative_to(place))
        if not _is_ordinary(files[-1], folder):
            raise StrayFileError(path)
    return tuple(files)


class StrayFileError(Exception):
    """Blender named a file that is not one of those it was to write."""

    def __init__(self, path: Path) -> None:
        """Keep the path."""
        super().__init__(str(path))
        self.path = path


def _is_ordinary(path: Path, folder: Path) -> bool:
    """Say whether a path is a file without any link on the way: it would be read as us."""
    *above, name = path.relative_to(folder).parts or ("",)
    for part in above:
        folder /= part
        if not stat.S_ISDIR(_mode(folder)):
            return False
    return stat.S_ISREG(_mode(folder / name))


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except OSError:
        return 0


def _try(made: Cage, program: Path, facts: BlenderFacts) -> None:
    with tempfile.TemporaryDirectory(prefix="burst-cage-") as folder:
        scratch = Path(folder)
        env = prepare(scratch)
        inmate = Inmate(program, facts, scratch / "none.blend", scratch, env)
        command = made.command_line([str(program), "--version"], inmate)
        said = ask(command, env=env, timeout_seconds=_TRIAL_SECONDS)
    wanted = r"(?m)^Python 3" if facts.kind == "bpy" else r"(?m)^Blender \d"
    if not re.search(wanted, said):
        last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")
        raise ToolError(
            f"{program} does not start in its cage: {last or 'it gave no answer'}",
            hint="name the blender program itself with BURST_BLENDER, not a script that starts "
            "it; BURST_CAGE=off renders without the cage, see docs/security.md",
        )


def _own_files(inmate: Inmate) -> Iterator[Path]:
    """Yield what belongs to the program, wherever the artist has put it.

    Never the whole folder of it: that could be the artist's home.
    """
    if inmate.facts.kind == "bpy":
        yield from _with_libraries(inmate.program)
        return
    version = ".".join(map(str, inmate.facts.version[:2]))
    for program in (inmate.program, inmate.program.resolve()):
        yield from (program, program.parent / "lib", program.parent / version)


def _with_libraries(program: Path) -> Iterator[Path]:
    """Yield a program and the libraries that are installed beside its folder."""
    for place in (program, program.resolve()):
        prefix = place.parent.parent
        yield from (place, *(prefix / name for name in ("lib", "lib64", "pyvenv.cfg")))


def _public_settings() -> Iterator[str]:
    """Yield what everybody may read in /etc; a superuser's secrets lie there, too."""
    with os.scandir("/etc") as entries:
        for entry in entries:
            # Of a dangling link nothing can be read.
            with contextlib.suppress(OSError):
                if entry.stat().st_mode & stat.S_IROTH:
                    yield entry.path


def _named(env: Mapping[str, str]) -> Iterator[str]:
    """Yield the files and folders that variables of libraries and graphics name."""
    for key, value in env.items():
        if key.startswith(_NAMES_FILES):
            for place in value.split(os.pathsep):
                if Path(place).is_absolute():
                    yield str(Path(place).parent) if key == "OCIO" else place


def _cache_folders(checkout: Path) -> Iterator[Path]:
    """Yield the folders of a checkout with caches that Blender clears when it opens a scene.

    What links lead to is not looked at: a mount may take its time for each, or for ever.
    """
    left = [checkout]
    while left:
        parent = left.pop()
        try:
            with os.scandir(parent) as entries:
                inner = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except OSError:
            continue
        here = parent.relative_to(checkout)
        if any(_is_cache(here / name) for name, is_folder in inner if not is_folder):
            yield parent
        else:
            left += [parent / name for name, is_folder in inner if is_folder]


def _is_cache(place: Path) -> bool:
    return must_copy(str(place)) and not place.name.lower().endswith(_USD)


def _existing(patterns: Sequence[str]) -> list[str]:
    return [place for pattern in patterns for place in sorted(glob.glob(pattern))]  # noqa: PTH207 - absolute
