"""scripts/fetch-blender against a server that breaks off, refuses, and sends what is wrong."""

from __future__ import annotations

import hashlib
import http.server
import io
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "scripts" / "fetch-blender"
NAME = "blender-4.5.99-linux-x64.tar.xz"


def make_archive() -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:xz") as tar:
        for name, text in (("blender", b"#!/bin/sh\n"), ("4.5/scripts/x.py", b"x = 1\n" * 999)):
            member = tarfile.TarInfo(f"blender-4.5.99-linux-x64/{name}")
            member.size, member.mode = len(text), 0o755
            tar.addfile(member, io.BytesIO(text))
    return raw.getvalue()


class Mirror(http.server.ThreadingHTTPServer):
    """Serves one archive; `breaks` says after how many bytes of each answer it hangs up."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = make_archive()
        self.breaks: list[int] = []
        self.refuses: list[int] = []
        self.ranges: list[str | None] = []
        self.paths: list[str] = []
        self.knows_ranges = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.server.ranges.append(self.headers["Range"])
        if self.server.refuses:
            self.send_error(self.server.refuses.pop(0))
            return
        start = 0
        if self.headers["Range"] and self.server.knows_ranges:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        if start >= len(self.server.content):
            self.send_error(416)
            return
        body = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.breaks.pop(0)] if self.server.breaks else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with Mirror() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetch(mirror: Mirror, folder: Path, *more: str, checksum: str | None = None):
    wanted = checksum or hashlib.sha256(mirror.content).hexdigest()
    return subprocess.run(
        [
            *(sys.executable, str(PROGRAM), "4.5.99", "--folder", str(folder)),
            *("--mirror", mirror.url, "--sha256", wanted, "--pause", "0.001", *more),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_archive_is_fetched_once(mirror: Mirror, tmp_path: Path) -> None:
    for _ in range(2):
        done = fetch(mirror, tmp_path)
        assert (done.returncode, done.stdout) == (0, f"{tmp_path / NAME}\n")
    assert (tmp_path / NAME).read_bytes() == mirror.content
    assert mirror.paths == [f"/Blender4.5/{NAME}"]


def test_what_broke_off_goes_on_where_it_was(mirror: Mirror, tmp_path: Path) -> None:
    mirror.breaks = [100, 50]
    mirror.refuses = [503]
    assert fetch(mirror, tmp_path).returncode == 0
    assert mirror.ranges == [None, None, "bytes=100-", "bytes=150-"]
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_killed_fetch_goes_on_in_the_next_run(mirror: Mirror, tmp_path: Path) -> None:
    checksum = hashlib.sha256(mirror.content).hexdigest()
    (tmp_path / f"{NAME}.{checksum[:8]}.part").write_bytes(mirror.content[:200])
    assert fetch(mirror, tmp_path).returncode == 0
    assert mirror.ranges == ["bytes=200-"]
    assert (tmp_path / NAME).read_bytes() == mirror.content


def test_a_mirror_that_knows_no_ranges_sends_it_all_anew(mirror: Mirror, tmp_path: Path) -> None:
    mirror.knows_ranges = False
    mirror.breaks = [100]
    assert fetch(mirror, tmp_path).returncode == 0
    assert (tmp_path / NAME).read_bytes() == mirror.content


def test_a_wrong_checksum_leaves_nothing_behind(mirror: Mirror, tmp_path: Path) -> None:
    done = fetch(mirror, tmp_path, checksum="0" * 64)
    assert done.returncode == 1
    assert "has the checksum" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_mirror_without_the_version_is_asked_once(mirror: Mirror, tmp_path: Path) -> None:
    mirror.refuses = [404]
    done = fetch(mirror, tmp_path)
    assert done.returncode == 1
    assert "404" in done.stderr
    assert len(mirror.paths) == 1


def test_a_mirror_that_brings_nothing_is_given_up(mirror: Mirror, tmp_path: Path) -> None:
    mirror.refuses = [503] * 99
    assert fetch(mirror, tmp_path).returncode == 1
    assert len(mirror.paths) == 5


def test_it_is_unpacked_without_its_top_folder(mirror: Mirror, tmp_path: Path) -> None:
    place = tmp_path / "opt" / "blender"
    assert fetch(mirror, tmp_path / "archives", "--unpack", str(place)).returncode == 0
    assert sorted(path.name for path in place.iterdir()) == ["4.5", "blender"]
    assert (place / "blender").stat().st_mode & 0o111
    again = fetch(mirror, tmp_path / "archives", "--unpack", str(place))
    assert again.returncode == 1
    assert "is not empty" in again.stderr


def test_a_version_without_a_checksum_says_where_there_is_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "2.99.7", "--folder", str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Blender2.99/blender-2.99.7.sha256" in done.stderr


def test_the_default_blender_has_a_checksum() -> None:
    from burst.config.images import DEFAULT_BLENDER

    listed = (ROOT / "images" / "worker" / "blender" / "SHA256SUMS").read_text("utf-8")
    assert f"  blender-{DEFAULT_BLENDER}-linux-x64.tar.xz\n" in listed
    assert f"ARG BLENDER={DEFAULT_BLENDER}\n" in (
        ROOT / "images" / "worker" / "Containerfile"
    ).read_text("utf-8")
