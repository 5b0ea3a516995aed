"""Which programs are here, and fetching them from a mirror on loopback.

Left out: downloads from where the programs come from, which no test reaches.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from burst.cloud import programs
from burst.cloud.programs import (
    NAMES,
    Pinned,
    fetch_program,
    find_program,
    pinned,
    read_version,
    this_platform,
    use_fetched,
)
from burst.errors import ToolError
from tests.fakes.mirror_of_files import MirrorOfFiles

PLATFORMS = ("darwin_amd64", "darwin_arm64", "linux_amd64", "linux_arm64")
SCRIPT = b"#!/bin/sh\necho 'v9.8.7'\n"


def archived(program: Pinned) -> bytes:
    sink = io.BytesIO()
    if program.address.endswith(".zip"):
        with zipfile.ZipFile(sink, "w") as zipped:
            zipped.writestr("LICENSE.txt", "…")
            zipped.writestr(program.member, SCRIPT)
    elif program.member:
        with tarfile.open(fileobj=sink, mode="w:gz") as tar:
            for name in ("../../evil", program.member):
                member = tarfile.TarInfo(name)
                member.size = len(SCRIPT)
                tar.addfile(member, io.BytesIO(SCRIPT))
    else:
        sink.write(SCRIPT)
    return sink.getvalue()


def served(mirror: MirrorOfFiles, name: str) -> Pinned:
    """Put a program of ours in the mirror, under its real path."""
    program = pinned(name, "linux_amd64")
    content = archived(program)
    mirror.files[program.at(mirror.url).removeprefix(mirror.url)] = content
    return replace(program, sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture
def mirror() -> Iterator[MirrorOfFiles]:
    with MirrorOfFiles() as mirror:
        yield mirror


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", PLATFORMS)
def test_every_program_has_a_sum_for_every_platform(name: str, where: str) -> None:
    program = pinned(name, where)
    assert re.fullmatch(r"[0-9a-f]{64}", program.sha256)
    assert program.version in program.address
    assert program.address.startswith("https://")
    assert "{" not in program.address + program.member


def test_no_two_downloads_have_the_same_sum() -> None:
    sums = [pinned(name, where).sha256 for name in NAMES for where in PLATFORMS]
    assert len(set(sums)) == len(sums)


def test_another_platform_has_to_help_itself() -> None:
    with pytest.raises(ToolError, match="no helm for plan9 mips"):
        pinned("helm", "plan9_mips")


def test_this_machine_is_one_of_them() -> None:
    assert this_platform() in PLATFORMS


@pytest.mark.parametrize("name", NAMES)
def test_a_program_is_fetched_unpacked_and_found(
    name: str, mirror: MirrorOfFiles, tmp_path: Path
) -> None:
    program = served(mirror, name)
    path = fetch_program(program, tmp_path / "cache", mirror=f"{mirror.url}/")
    assert path.read_bytes() == SCRIPT
    assert os.access(path, os.X_OK)
    # Nothing else of the archive, and not the archive.
    assert [one.name for one in path.parent.iterdir()] == [name]
    assert not (tmp_path / "evil").exists()
    assert fetch_program(program, tmp_path / "cache", mirror=mirror.url) == path
    assert len(mirror.asked) == 1
    environ = {"PATH": str(path.parent)}
    found = find_program(name, environ)
    assert found is not None
    assert (found.path, found.said) == (path, "9.8.7")


def test_what_is_fetched_is_found_before_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "this_platform", lambda: "linux_amd64")
    folder = tmp_path / "programs" / pinned("helm", "linux_amd64").folder
    folder.mkdir(parents=True)
    environ = {"PATH": "/usr/bin"}
    # An empty folder is what an interrupted run leaves.
    use_fetched(tmp_path, environ)
    assert environ["PATH"] == "/usr/bin"
    (folder / "helm").write_bytes(SCRIPT)
    use_fetched(tmp_path, environ)
    use_fetched(tmp_path, environ)
    assert environ["PATH"] == f"{folder}:/usr/bin"


def test_an_archive_without_the_program_is_an_error(mirror: MirrorOfFiles, tmp_path: Path) -> None:
    program = replace(served(mirror, "terraform"), member="other")
    with pytest.raises(ToolError, match="can't unpack terraform"):
        fetch_program(program, tmp_path, mirror=mirror.url)
    assert not (tmp_path / "programs" / program.folder / "terraform").exists()


def test_a_program_that_is_not_there_or_says_nothing(tmp_path: Path) -> None:
    assert find_program("terraform", {"PATH": str(tmp_path)}) is None
    silent = tmp_path / "terraform"
    silent.write_text("#!/bin/sh\nexit 1\n")
    silent.chmod(0o755)
    found = find_program("terraform", {"PATH": str(tmp_path)})
    assert found is not None
    assert (found.version, found.said) == ((), "unknown")


@pytest.mark.parametrize(
    ("said", "version"),
    [
        (json.dumps({"terraform_version": "1.11.4"}), (1, 11, 4)),
        ("v3.21.4", (3, 21, 4)),
        (json.dumps({"clientVersion": {"gitVersion": "v1.32.4-dispatcher"}}), (1, 32, 4)),
        ("", ()),
    ],
)
def test_a_version_is_read_of_what_is_said(said: str, version: tuple[int, ...]) -> None:
    assert read_version(said) == version
