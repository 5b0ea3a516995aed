"""An installed burst needs no checkout: a wheel in an environment that can't be written.

What burst runs on comes from the environment of the tests: nothing is fetched. Left out here: a
farm on a cluster, whose charts and images are found the same way.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.fakes.google_artist import an_artist

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 300

WHERE = """
import json, sys
import burst
from burst.cloud.bundled import bundled
print(json.dumps([burst.__file__, *(str(bundled(name)) for name in sys.argv[1:])]))
"""
BUNDLED = (
    "charts/manager/Chart.yaml",
    "charts/worker/Chart.yaml",
    "images/manager/Containerfile",
    "images/worker/Containerfile",
    "requirements.lock",
    "scripts/fetch-blender",
    "terraform/farm/main.tf",
    "terraform/modules/cluster/main.tf",
    "terraform/storage/main.tf",
)


def build(source: Path, kind: str, folder: Path) -> Path:
    """Build a wheel or a source archive, without a network, and return it."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)],
        cwd=source, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (made,) = folder.iterdir()
    return made


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment with the wheel, that nobody may write."""
    home = tmp_path_factory.mktemp("installed") / "environment"
    venv.create(home, with_pip=False)
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install",
            "--no-deps", "--no-index", "--quiet", "--disable-pip-version-check", str(wheel),
        ],
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (packages,) = home.glob("lib/python*/site-packages")
    # By its path alone: what .pth files there lead to, the checkout among it, stays unknown.
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    for path in [*(home / "share").rglob("*"), home / "share"]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    return home / "bin"


def test_all_that_is_no_python_comes_along_and_is_found(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(installed / "python"), "-c", WHERE, *BUNDLED],
        cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [Path(path) for path in json.loads(done.stdout)]
    assert all(path.is_relative_to(installed.parent) for path in found), found


def test_an_installed_burst_plans_makes_and_removes_a_farm(installed: Path, tmp_path: Path) -> None:
    share = installed.parent / "share"
    before = {path: path.stat().st_mtime_ns for path in share.rglob("*")}
    with an_artist(tmp_path, os.environ) as artist:
        artist.environ.pop("PYTHONPATH", None)

        def burst(*arguments: str) -> str:
            done = subprocess.run(
                [str(installed / "burst"), *arguments],
                cwd=tmp_path, env=artist.environ, stdin=subprocess.DEVNULL, capture_output=True,
                text=True, timeout=PATIENCE_SECONDS, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            return done.stdout

        planned = json.loads(burst("up", "--plan", "--json"))["changes"]
        assert any("google_container_cluster" in str(change) for change in planned)
        assert artist.cloud.writes() == []
        burst("up", "--yes", "--cluster-only")
        assert artist.cloud.everything()["clusters"] == ["film"]
        assert burst("down", "--yes", "--all", "--farm", "film") == "0 left\n"
    assert {path: path.stat().st_mtime_ns for path in share.rglob("*")} == before


def test_a_wheel_of_the_source_archive_is_the_same(wheel: Path, tmp_path: Path) -> None:
    archive = build(ROOT, "sdist", tmp_path / "sdist")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    (source,) = tmp_path.glob("burst-*")
    assert names(build(source, "wheel", tmp_path / "wheel")) == names(wheel)


def test_nothing_that_is_made_while_working_comes_along(wheel: Path) -> None:
    strange = {".terraform", ".terraform.lock.hcl", ".burst", "__pycache__", ".git"}
    assert not [name for name in names(wheel) if strange & set(name.split("/"))]
