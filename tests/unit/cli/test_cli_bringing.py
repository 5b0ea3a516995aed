"""How far it is with bringing files, and what came of them, in words."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from rich.console import Console

from burst.cli import console, live
from burst.cli.bringing import folder_notes, transfer
from burst.operations.frames import Bringing, FrameFolder
from burst.operations.progress import WatchState
from burst.protocol.messages import OutputFile
from burst.storage.directory import DirectoryStorage
from tests.fakes.manager import job_view


def test_progress_says_files_bytes_speed_and_time_left() -> None:
    done = Bringing(12, 48, 1_200_000_000, 3_600_000_000, 4.0)
    assert transfer(done) == "12 of 48 files, 1.2 GB of 3.6 GB, 300.0 MB/s, 8.0 s left"
    assert transfer(Bringing(0, 1, 0, 5, 0.0)) == "0 of 1 file, 0 B of 5 B"


def test_the_live_view_shows_files_that_take_long_until_they_are_there() -> None:
    def drawn() -> str:
        with screen.capture() as capture:
            screen.print(view.draw())
        return capture.get()

    screen = Console(file=io.StringIO(), width=120, color_system=None)
    view = live.LiveView(screen)
    view.show(WatchState(job_view()))
    view.bring(Bringing(1, 2, 5, 10, 0.5))
    assert "bringing" not in drawn()
    view.bring(Bringing(1, 2, 5, 10, 5.0))
    assert "bringing 1 of 2 files" in drawn()
    view.bring(Bringing(2, 2, 10, 10, 6.0))
    assert "bringing" not in drawn()


def test_notes_name_what_was_left_alone_and_where_the_others_are(tmp_path: Path) -> None:
    storage, out = DirectoryStorage(tmp_path / "storage"), tmp_path / "out"

    def file(name: str, content: bytes) -> OutputFile:
        storage.put_bytes(content, f"renders/shot/{name}")
        digest = hashlib.sha256(content).hexdigest()
        return OutputFile(name=name, size=len(content), sha256=digest)

    def folder() -> FrameFolder:
        return FrameFolder(out, storage, "shot", tmp_path / "state")

    files = [file(f"{number}.png", b"%d" % number) for number in range(9)]
    (brought := folder()).bring(files)
    assert folder_notes(brought) == []
    for one in files[:7]:
        (out / one.name).write_bytes(b"painted over")
    (again := folder()).bring([file("8.png", b"new"), file("0.png", b"new"), *files[1:8]])
    changed, beside = folder_notes(again)
    assert changed == (
        "6 files that you have changed are left alone: 1.png, 2.png, 3.png, 4.png, 5.png and 1 more"
    )
    assert beside.startswith(f"1 file of the job went to {out / 'burst-new'}, since")
    assert beside.endswith(": 0.png")


def test_names_of_strangers_do_not_move_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    console.tell("brought\tGröße 1.png,\n  \x1b]0;mine\x07.png, \x9b2J.png")
    assert capsys.readouterr().err == (
        "brought\tGröße 1.png,\n  \\x1b]0;mine\\x07.png, \\x9b2J.png\n"
    )
