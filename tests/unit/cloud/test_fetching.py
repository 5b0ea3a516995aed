"""Downloads from a server on loopback that cuts, stalls and lies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from burst.cloud.fetching import fetch
from burst.errors import ToolError
from tests.fakes.mirror_of_files import MirrorOfFiles

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()
LARGEST = 10 * len(CONTENT)


@pytest.fixture
def mirror() -> Iterator[MirrorOfFiles]:
    with MirrorOfFiles({"/file": CONTENT}) as mirror:
        yield mirror


def take(mirror: MirrorOfFiles, folder: Path, path: str = "/file") -> Path:
    return fetch(mirror.url + path, SHA256, folder, largest=LARGEST, pause=lambda _: None)


def test_a_file_arrives_and_its_progress_is_told(mirror: MirrorOfFiles, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    found = fetch(
        f"{mirror.url}/file",
        SHA256,
        tmp_path / "new",
        largest=LARGEST,
        hear=lambda done, total: heard.append((done, total)),
    )
    assert found.read_bytes() == CONTENT
    assert heard[-1] == (len(CONTENT), len(CONTENT))
    assert heard == sorted(heard)


def test_what_was_cut_goes_on_where_it_was(mirror: MirrorOfFiles, tmp_path: Path) -> None:
    mirror.cuts += [300_000, 200_000]
    assert take(mirror, tmp_path).read_bytes() == CONTENT
    parts = [wanted for _, wanted in mirror.asked]
    assert parts[0] == ""
    assert all(wanted.startswith("bytes=") for wanted in parts[1:])
    assert len(parts) == 3


def test_another_run_fetches_only_the_rest(mirror: MirrorOfFiles, tmp_path: Path) -> None:
    (tmp_path / f"{SHA256}.part").write_bytes(CONTENT[:500_000])
    assert take(mirror, tmp_path).read_bytes() == CONTENT
    assert mirror.asked == [("/file", "bytes=500000-")]


def test_all_of_it_may_be_there_already(mirror: MirrorOfFiles, tmp_path: Path) -> None:
    (tmp_path / f"{SHA256}.part").write_bytes(CONTENT)
    assert take(mirror, tmp_path).read_bytes() == CONTENT
    take(mirror, tmp_path)
    assert len(mirror.asked) == 1


def test_a_server_that_does_no_parts_is_asked_for_all(
    mirror: MirrorOfFiles, tmp_path: Path
) -> None:
    mirror.does_parts = False
    mirror.cuts.append(300_000)
    assert take(mirror, tmp_path).read_bytes() == CONTENT


def test_a_file_that_is_another_is_not_taken(mirror: MirrorOfFiles, tmp_path: Path) -> None:
    mirror.files["/file"] = b"<html>log in to the hotel's network</html>"
    with pytest.raises(ToolError, match="is not the file that burst knows") as caught:
        take(mirror, tmp_path)
    assert "BURST_TOOLS_MIRROR" in (caught.value.hint or "")
    assert [one for one in tmp_path.iterdir() if one.suffix != ".lock"] == []
    # What was wrong is not gone on with.
    mirror.files["/file"] = CONTENT
    assert take(mirror, tmp_path).read_bytes() == CONTENT


def test_who_is_busy_is_asked_again(mirror: MirrorOfFiles, tmp_path: Path) -> None:
    mirror.statuses += [503, 429]
    assert take(mirror, tmp_path).read_bytes() == CONTENT


def test_what_is_not_there_is_not_asked_for_again(mirror: MirrorOfFiles, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="status 404"):
        take(mirror, tmp_path, "/other")
    assert len(mirror.asked) == 1


def test_a_server_that_is_always_busy_is_left(mirror: MirrorOfFiles, tmp_path: Path) -> None:
    mirror.statuses += [503] * 9
    with pytest.raises(ToolError, match="status 503"):
        take(mirror, tmp_path)


def test_nobody_there_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="refused or was cut") as caught:
        fetch("http://127.0.0.1:1/file", SHA256, tmp_path, largest=1, pause=lambda _: None)
    assert "mirror" in (caught.value.hint or "")


def test_a_file_without_an_end_is_not_kept_taking(mirror: MirrorOfFiles, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="has no end"):
        fetch(f"{mirror.url}/file", SHA256, tmp_path, largest=1000)


def test_a_folder_that_cannot_be_written_is_named(mirror: MirrorOfFiles, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolError, match="can't write to"):
        take(mirror, tmp_path / "file" / "below")


def test_two_at_the_same_time_fetch_once(mirror: MirrorOfFiles, tmp_path: Path) -> None:
    found: list[bytes] = []
    threads = [
        Thread(target=lambda: found.append(take(mirror, tmp_path).read_bytes())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 4
    assert len(mirror.asked) == 1
