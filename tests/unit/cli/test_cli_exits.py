"""How errors leave the program: words, JSON and exit status. What commands do is elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from burst.cli import console
from burst.errors import (
    BurstError,
    JobCanceled,
    JobFailed,
    MissingFiles,
    StorageError,
    UsageError,
)

ROOT = Path(__file__).resolve().parents[3]


def exit_of(error: Exception, *arguments: str) -> int:
    """Run a program whose only command raises ``error``."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.command()
    def command(json: bool = typer.Option(False, "--json")) -> None:
        raise error

    return console.exit_status(app, arguments)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BurstError("no"), 1),
        (UsageError("no"), 2),
        (JobFailed("no"), 3),
        (JobCanceled("no"), 4),
        (ValueError("no"), 70),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_kind_of_error_has_its_exit_status(error: Exception, status: int) -> None:
    assert exit_of(error) == status


def test_an_error_says_what_and_after_a_blank_line_what_to_type(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exit_of(BurstError("the disk is full", hint="free some"))
    captured = capsys.readouterr()
    assert captured.err == "error: the disk is full\n\nhint: free some\n"
    assert captured.out == ""


def test_the_chain_of_our_own_causes_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    error = BurstError("the upload failed")
    error.__cause__ = StorageError("the disk is full")
    error.__cause__.__cause__ = OSError(28, "No space")
    exit_of(error)
    assert "because: the disk is full" in capsys.readouterr().err


def test_a_cause_that_the_message_repeats_is_not_told_twice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = BurstError("the upload failed: the disk is full")
    error.__cause__ = StorageError("the disk is full")
    exit_of(error)
    assert "because" not in capsys.readouterr().err


def test_with_json_an_error_is_one_object_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    exit_of(MissingFiles("2 files are missing", files=("a.png", "b.png"), hint="h"), "--json")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err) == {
        "error": "MissingFiles",
        "message": "2 files are missing",
        "hint": "h",
        "exit_status": 1,
        "files": ["a.png", "b.png"],
    }


def test_with_json_a_wrong_option_is_an_object_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_of(BurstError("never"), "--json", "--wrong") == 2
    assert json.loads(capsys.readouterr().err)["error"] == "UsageError"


def test_a_bug_shows_where_and_asks_for_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    exit_of(ValueError("unthinkable"))
    text = capsys.readouterr().err
    assert "Traceback" in text
    assert "unthinkable" in text
    assert "this is a bug in burst" in text


def test_with_json_a_bug_is_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_of(ValueError("unthinkable"), "--json") == 70
    body = json.loads(capsys.readouterr().err)
    assert body["error"] == "Bug"
    assert "unthinkable" in body["message"]


def test_a_reader_that_has_had_enough_gets_no_traceback() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    program = "from burst.cli.main import run; import sys; sys.argv=['burst','--help']; run()"
    with os.fdopen(writes, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=closed, stderr=subprocess.PIPE, check=False
        )
    assert done.stderr == b""
    assert done.returncode == 1


def test_without_a_terminal_a_question_is_not_asked_but_names_the_option(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Path(os.devnull).open() as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        with pytest.raises(UsageError) as caught:
            console.confirm("Delete all?", yes=False)
    assert "--yes" in (caught.value.hint or "")


class _Terminal:
    def __init__(self, answer: str) -> None:
        self._answer = answer

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self._answer


@pytest.mark.parametrize("answer", ["", "\n", "n\n", "no\n", "yep\n"])
def test_anything_but_yes_means_no(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr("sys.stdin", _Terminal(answer))
    with pytest.raises(BurstError, match="nothing was done"):
        console.confirm("Delete all?", yes=False)


@pytest.mark.parametrize("answer", ["y\n", "YES\n"])
def test_yes_is_yes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    monkeypatch.setattr("sys.stdin", _Terminal(answer))
    console.confirm("Delete all?", yes=False)
    assert capsys.readouterr().err == "Delete all? [y/N] "


def test_the_yes_option_asks_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", _Terminal("n\n"))
    console.confirm("Delete all?", yes=True)
    assert capsys.readouterr().err == ""


def test_columns_are_aligned_and_lines_end_without_spaces(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console.table(("JOB", "STATUS"), [("a-long-name", "done"), ("b", "x")])
    assert capsys.readouterr().out == "JOB          STATUS\na-long-name  done\nb            x\n"


def test_usage_errors_of_typer_are_known_by_their_base() -> None:
    raised: Callable[[str], Exception] = typer.BadParameter
    assert isinstance(raised("x"), console._USAGE_ERROR)


def test_ctrl_c_while_the_program_loads_gives_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Impatient:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'burst.cli.console':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Impatient())\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", "burst", "--version"],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
