"""terraform, helm and kubectl: what is here, and what `burst doctor --fix` fetches.

What is fetched is of one version with one SHA-256 for each platform, both in ``programs.json``. It
lies in the user's cache, a folder for each version, and appears there whole or not at all. A mirror
has the same files under their host: ``MIRROR/get.helm.sh/helm-v3…``.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from burst.cloud.fetching import Hear, fetch, nobody_hears
from burst.errors import ToolError

NAMES = ("terraform", "helm", "kubectl")
FOLDER = "programs"
"""In the user's cache."""

_FILE = Path(__file__).with_name("programs.json")
_VERSION_SECONDS = 20
_ASKING = {
    "gcloud": ("version", '--format=value("Google Cloud SDK")'),
    "helm": ("version", "--template={{.Version}}"),
    "kubectl": ("version", "--client", "--output=json"),
    "terraform": ("version", "-json"),
}
"""How each is asked for its version."""
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_LARGEST_BYTES = 500_000_000


@dataclass(frozen=True, slots=True)
class Pinned:
    """One program as it is fetched."""

    name: str
    version: str
    address: str
    member: str
    """Its path in the archive; nothing if it comes as it is."""
    sha256: str

    @property
    def folder(self) -> str:
        """The folder that it lies in."""
        return f"{self.name}-{self.version}"

    def at(self, mirror: str) -> str:
        """Return its address, at a mirror if there is one."""
        if not mirror:
            return self.address
        parts = urlsplit(self.address)
        return f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}"


@dataclass(frozen=True, slots=True)
class Found:
    """A program that is here."""

    path: Path
    version: tuple[int, ...]
    """Empty if it does not say."""

    @property
    def said(self) -> str:
        """The version, for people."""
        return ".".join(map(str, self.version)) or "unknown"


def this_platform() -> str:
    """Return the name of this machine's platform, as downloads have it: ``linux_amd64``."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}_{_MACHINES.get(machine, machine)}"


def pinned(name: str, where: str) -> Pinned:
    """Return what is fetched of a program for a platform.

    Raises:
        ToolError: there is none for that platform.
    """
    told = json.loads(_FILE.read_text("utf-8"))[name]
    sha256 = told["sha256"].get(where)
    if sha256 is None:
        raise ToolError(
            f"burst knows no {name} for {where.replace('_', ' ')}",
            hint=f"install {name} {told['version']} by yourself",
        )
    system, _, machine = where.partition("_")
    names = {"version": told["version"], "system": system, "machine": machine}
    address, member = told["address"].format(**names), told["member"].format(**names)
    return Pinned(name, told["version"], address, member, sha256)


def find_program(name: str, environ: Mapping[str, str] = os.environ) -> Found | None:
    """Return a program that is here, and its version; None if there is none. Runs it."""
    path = shutil.which(name, path=environ.get("PATH"))
    if path is None:
        return None
    try:
        ended = subprocess.run(
            [path, *_ASKING[name]],
            capture_output=True,
            text=True,
            timeout=_VERSION_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**environ, "CHECKPOINT_DISABLE": "1"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return Found(Path(path), ())
    return Found(Path(path), read_version(ended.stdout))


def read_version(said: str) -> tuple[int, ...]:
    """Return the first version in what a program says."""
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else ()


def use_fetched(cache: Path, environ: MutableMapping[str, str] = os.environ) -> None:
    """Have the fetched programs found before others: whoever fetched them wants them."""
    there = []
    for name in NAMES:
        with contextlib.suppress(ToolError):
            folder = cache / FOLDER / pinned(name, this_platform()).folder
            if (folder / name).is_file():
                there.append(str(folder))
    path = environ.get("PATH", "").split(os.pathsep)
    there = [folder for folder in there if folder not in path]
    if there:
        environ["PATH"] = os.pathsep.join([*there, *path])


def fetch_program(
    program: Pinned, cache: Path, *, mirror: str = "", hear: Hear = nobody_hears
) -> Path:
    """Fetch a program unless it is there, and return its path. Blocks.

    Args:
        program: which.
        cache: the user's.
        mirror: where to fetch it, in place of where it comes from.
        hear: is told how far it is.

    Raises:
        ToolError: it can't be fetched, or is not what was expected.
    """
    folder = cache / FOLDER
    target = folder / program.folder / program.name
    if target.is_file():
        return target
    address = program.at(mirror)
    archive = fetch(address, program.sha256, folder, hear=hear, largest=_LARGEST_BYTES)
    try:
        _install(archive, program, target)
    except (OSError, tarfile.TarError, zipfile.BadZipFile, KeyError) as error:
        raise ToolError(f"can't unpack {program.name}: {error}") from error
    archive.unlink(missing_ok=True)
    return target


def _install(archive: Path, program: Pinned, target: Path) -> None:
    """Put the program where it belongs, by a rename of what is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{program.name}-")
    try:
        with os.fdopen(handle, "wb") as sink, _opened(archive, program) as source:
            shutil.copyfileobj(source, sink)
            sink.flush()
            os.fsync(sink.fileno())
        Path(name).chmod(0o755)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _opened(archive: Path, program: Pinned) -> Any:
    """Open the one file of an archive that is wanted: nothing else is unpacked."""
    if program.address.endswith(".zip"):
        with zipfile.ZipFile(archive) as zipped, zipped.open(program.member) as file:
            yield file
    elif program.member:
        with tarfile.open(archive) as tar:
            member: IO[bytes] | None = tar.extractfile(program.member)
            if member is None:
                raise KeyError(program.member)
            with member:
                yield member
    else:
        with archive.open("rb") as file:
            yield file
