"""What starting the program costs, by what it imports; and that its manual is up to date."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import burst
from burst.cli import options, render_options
from burst.domain.commands import Codec
from burst.domain.jobs import PRIORITY_DEFAULT, RETRY_LIMIT_DEFAULT, RenderSettings
from burst.domain.workers import DeviceChoice
from burst.operations.request import RenderRequest

ROOT = Path(__file__).resolve().parents[3]

_RUN = """
import sys
from burst.cli import console
from burst.cli.main import app
status = console.exit_status(app, {arguments!r})
sys.stderr.write("\\n".join(sys.modules))
sys.exit(status)
"""

HEAVY = {
    "PIL",
    "alembic",
    "blender_asset_tracer",
    "fastapi",
    "numpy",
    "prometheus_client",
    "psutil",
    "sqlalchemy",
    "starlette",
    "uvicorn",
    "zstandard",
}


def modules_after(state_dir: Path, *arguments: str) -> set[str]:
    """Return the top packages that a command line has imported when it is done."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN.format(arguments=list(arguments))],
        env={**os.environ, "PYTHONPATH": str(ROOT), "BURST_STATE_DIR": str(state_dir)},
        capture_output=True,
        text=True,
        check=True,
    )
    return {line.partition(".")[0] for line in done.stderr.splitlines()}


def test_help_imports_nothing_but_typer(tmp_path: Path) -> None:
    imported = modules_after(tmp_path, "--help")
    assert not imported & (HEAVY | {"rich", "pydantic", "httpx", "asyncio"})


@pytest.mark.parametrize("command", [["render"], ["jobs"], ["jobs", "requeue"], ["manager"]])
def test_a_commands_help_imports_no_client_and_no_rich(tmp_path: Path, command: list[str]) -> None:
    # Typer itself takes pydantic where it finds it, to read options.
    assert not modules_after(tmp_path, *command, "--help") & (HEAVY | {"rich", "httpx"})


def test_the_version_imports_nothing_but_typer(tmp_path: Path) -> None:
    assert not modules_after(tmp_path, "--version") & (HEAVY | {"rich", "pydantic", "httpx"})


def test_status_imports_no_server_no_database_and_no_picture_library(tmp_path: Path) -> None:
    imported = modules_after(tmp_path, "status", "--local")
    assert "burst" in imported
    assert not imported & HEAVY


def test_the_program_says_its_version() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "burst", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"burst {burst.__version__}\n"


def test_defaults_that_are_repeated_to_save_an_import_are_the_domains() -> None:
    assert render_options.PRIORITY == PRIORITY_DEFAULT
    assert render_options.RETRIES == RETRY_LIMIT_DEFAULT
    assert options.DeviceName == DeviceChoice
    assert options.DenoiserName | None == RenderSettings.model_fields["denoiser"].annotation
    assert set(get_args(options.VideoName)) == {*get_args(Codec), "none"}


def test_the_options_of_a_render_are_the_fields_of_a_request() -> None:
    asked = render_options.RenderOptions()
    assert asked.request(Path("a.blend")) == RenderRequest(Path("a.blend"))


def test_the_manual_is_what_the_program_says() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "docs"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
