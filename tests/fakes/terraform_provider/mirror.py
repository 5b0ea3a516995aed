"""A folder that Terraform installs the provider from, in place of a registry.

    python -m tests.fakes.terraform_provider.mirror FOLDER

makes one and prints the file to name in ``TF_CLI_CONFIG_FILE``. ``BURST_TEST_TERRAFORM`` names the
terraform of tests, `scripts/test` sets it.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import sys
from pathlib import Path

import pytest

VERSION = "7.45.0"
ADDRESS = "registry.terraform.io/hashicorp/google"
REAL_MIRROR = "BURST_TEST_TERRAFORM_MIRROR"
"""Names the folder of a mirror with a real provider, which every test then runs with."""

_CHECKOUT = Path(__file__).parents[3]
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64", "amd64": "amd64"}


def make_mirror(folder: Path) -> Path:
    """Make a mirror and Terraform's settings that name it; return the file of the settings."""
    real = os.environ.get(REAL_MIRROR)
    mirror = Path(real) if real else folder / "mirror"
    if not real:
        _write_provider(mirror / ADDRESS / VERSION / _platform())
    settings = folder / "terraform.rc"
    settings.write_text(
        "disable_checkpoint = true\n"
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n',
        encoding="utf-8",
    )
    return settings


def terraform() -> str:
    """Return the program; the test is skipped, with the reason, where there is none."""
    named = os.environ.get("BURST_TEST_TERRAFORM") or shutil.which("terraform")
    if not named:
        pytest.skip("no terraform: scripts/setup --terraform finds or makes one")
    return named


def is_real() -> bool:
    """Tell whether tests run with a real provider."""
    return bool(os.environ.get(REAL_MIRROR))


def _platform() -> str:
    return f"{sys.platform}_{_MACHINES[platform.machine().lower()]}"


def _write_provider(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / f"terraform-provider-google_v{VERSION}_x5"
    # -P: the folder that Terraform works in is no place of modules.
    program.write_text(
        f"#!/bin/sh\nexport PYTHONPATH={shlex.quote(str(_CHECKOUT))}\n"
        f"exec {shlex.quote(sys.executable)} -P -m tests.fakes.terraform_provider\n",
        encoding="utf-8",
    )
    program.chmod(0o755)


if __name__ == "__main__":
    _folder = Path(sys.argv[1]).resolve()
    _folder.mkdir(parents=True, exist_ok=True)
    print(make_mirror(_folder))
