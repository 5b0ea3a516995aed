"""How the program speaks: data on stdout, the rest on stderr, errors as exits."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer

from burst.errors import (
    EXIT_BUG,
    EXIT_DONE,
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    BurstError,
    MissingFiles,
    UsageError,
)

_MOVING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What a terminal does not show but does."""

_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
"""Base of what Typer raises for a wrong command line; Typer gives it no public name."""


def say(text: str = "") -> None:
    """Write a line of data to stdout."""
    sys.stdout.write(text + "\n")


def tell(text: str = "") -> None:
    """Write lines for people to stderr; names in them may be strangers', and move no terminal."""
    sys.stderr.write(_MOVING.sub(lambda found: ascii(found[0])[1:-1], text) + "\n")
    sys.stderr.flush()


def emit(value: Any) -> None:
    """Write one JSON value to stdout."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write aligned columns to stdout; numbers are the caller's to format."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    for row in (header, *rows):
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that can't be undone.

    Raises:
        UsageError: there is no terminal to ask on, and ``--yes`` was not given.
        BurstError: the answer was no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            f"{question} There is no terminal to ask on", hint="give --yes to do it unasked"
        )
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise BurstError("nothing was done")


def ways_back(job_id: str, where: str = "") -> None:
    """Say how to come back to a job that goes on by itself.

    Args:
        job_id: the job.
        where: options by which its farm is found again, see `burst.cli.settings.where_typed`.
    """
    tell(f"  see it:         burst watch {job_id}{where}")
    tell(f"  get its frames: burst download {job_id}{where}")
    tell(f"  stop it:        burst jobs cancel {job_id}{where}")


def exit_status(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run a command line and return the status to exit with; every error ends here."""
    as_json = "--json" in arguments
    try:
        status = _run(app, arguments, as_json)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe has had enough. Python would complain again at exit.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILURE
    return status


def _run(app: typer.Typer, arguments: Sequence[str], as_json: bool) -> int:
    command = typer.main.get_command(app)
    try:
        result = command.main(list(arguments), prog_name="burst", standalone_mode=False)
    except _USAGE_ERROR as error:
        return _report_usage(error, as_json)
    except (KeyboardInterrupt, typer.Abort):
        tell("interrupted")
        return EXIT_INTERRUPTED
    except BurstError as error:
        _report(error, as_json)
        return error.exit_status
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the edge of the program
        _report_bug(error, as_json)
        return EXIT_BUG
    if result == EXIT_INTERRUPTED:
        # Typer has taken the Ctrl-C for itself.
        tell("interrupted")
    return result if isinstance(result, int) else EXIT_DONE


def _report(error: BurstError, as_json: bool) -> None:
    if as_json:
        _tell_json(type(error).__name__, error.message, error.hint, error.exit_status, error)
        return
    tell(f"error: {error.message}")
    for cause in _causes(error):
        tell(f"  because: {cause}")
    if error.hint:
        tell()
        tell(f"hint: {error.hint}")


def _causes(error: BurstError) -> list[str]:
    """Return what led to the error, as far as its message does not say so already."""
    causes: list[str] = []
    told = error.message
    cause = error.__cause__
    while cause is not None:
        text = cause.message if isinstance(cause, BurstError) else ""
        if text and text not in told:
            causes.append(text)
            told += text
        cause = cause.__cause__
    return causes


def _report_usage(error: Exception, as_json: bool) -> int:
    status = int(getattr(error, "exit_code", UsageError.exit_status))
    # Typer reads choices by pydantic, which says whose error it is.
    error.message = str(getattr(error, "message", error)).removeprefix("Value error, ")  # type: ignore[attr-defined]
    if as_json:
        message = getattr(error, "format_message", lambda: str(error))()
        _tell_json("UsageError", message, None, status)
    else:
        error.show()  # type: ignore[attr-defined]
    return status


def _report_bug(error: Exception, as_json: bool) -> None:
    if as_json:
        _tell_json("Bug", f"{type(error).__name__}: {error}", None, EXIT_BUG)
        return
    tell("".join(traceback.format_exception(error)).rstrip())
    tell()
    tell("error: this is a bug in burst")
    tell()
    tell("hint: report it with the lines above and what you typed")


def _tell_json(
    kind: str, message: str, hint: str | None, status: int, error: BurstError | None = None
) -> None:
    body: dict[str, Any] = {
        "error": kind,
        "message": message,
        "hint": hint,
        "exit_status": status,
    }
    if isinstance(error, MissingFiles):
        body["files"] = list(error.files)
    tell(json.dumps(body, ensure_ascii=False))
