"""What a real Blender finds around it: nothing of the worker's, whatever the worker has."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from burst.worker.proof import prove
from tests.fakes.blenders import RealBlender
from tests.fakes.troubles import TRUSTING, Open, make_trouble

pytestmark = pytest.mark.blender

SECRETS = {
    "BURST_WORKER_TOKEN": "s3cret-burst",
    "BURST_MANAGER_URL": "http://127.0.0.1:1/s3cret",
    "GOOGLE_APPLICATION_CREDENTIALS": "/s3cret/key.json",
    "GOOGLE_API_KEY": "s3cret-google",
    "CLOUDSDK_AUTH_ACCESS_TOKEN": "s3cret-sdk",
    "AWS_SECRET_ACCESS_KEY": "s3cret-aws",
    "AZURE_CLIENT_SECRET": "s3cret-azure",
    "KUBECONFIG": "/s3cret/kube",
    "KUBERNETES_SERVICE_HOST": "s3cret-kube",
    "GITHUB_TOKEN": "s3cret-hub",
    "SSH_AUTH_SOCK": "/s3cret/agent",
    "HTTPS_PROXY": "http://s3cret@proxy",
    "PGPASSWORD": "s3cret-database",
    "PYTHONPATH": "/s3cret/python",
    "PYTHONHOME": "",
    "LD_PRELOAD": "",
    "VIRTUAL_ENV": "/s3cret/venv",
    "BLENDER_USER_SCRIPTS": "/s3cret/scripts",
    "BLENDER_SYSTEM_SCRIPTS": "/s3cret/scripts",
}


def surroundings(blender: object, blend: Path, folder: Path, printed: list[str]) -> dict[str, str]:
    """Render a frame of a scene that tells its environment; return that."""
    loaded = blender.load(blend, TRUSTING, {})  # type: ignore[attr-defined]
    rendered = blender.render(1, folder, lambda progress: None)  # type: ignore[attr-defined]
    prove(rendered.files[0], loaded.file_format, loaded.width, loaded.height)
    line = next(text for text in printed if text.startswith("environment "))
    return dict(json.loads(line.removeprefix("environment ")))


def test_a_scene_finds_no_secret_and_nothing_of_the_workers_python(
    real: RealBlender,
    open_blender: Open,
    tmp_path: Path,
    printed: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blend = make_trouble(real, tmp_path, "environment")
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    venv = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{venv}{os.pathsep}{os.environ['PATH']}")
    found = surroundings(open_blender(), blend, tmp_path / "out", printed)
    assert "s3cret" not in json.dumps(found)
    # Those that Blender is given are its own.
    assert [name for name in SECRETS if name in found] == ["BLENDER_USER_SCRIPTS"]
    assert str(venv) not in found["PATH"].split(os.pathsep)
    own = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "BLENDER_USER_CONFIG")
    assert all(Path(found[name]).is_relative_to(tmp_path / "scratch") for name in own)


@pytest.mark.parametrize(
    "odd",
    [
        {"LANG": "de_DE.UTF-8", "LC_ALL": "de_DE.UTF-8", "LC_NUMERIC": "de_DE.UTF-8"},
        {"LANG": "xx_NOWHERE.nothing", "LC_ALL": "xx_NOWHERE.nothing"},
        {"LANG": "C", "LC_ALL": "POSIX", "LANGUAGE": "tlh:zz"},
        {"TZ": "Nowhere/Nothing", "LANG": ""},
    ],
)
def test_no_language_and_no_clock_keeps_it_from_rendering(
    real: RealBlender,
    open_blender: Open,
    tmp_path: Path,
    printed: list[str],
    monkeypatch: pytest.MonkeyPatch,
    odd: dict[str, str],
) -> None:
    blend = make_trouble(real, tmp_path, "environment")
    umlauts = blend.rename(tmp_path / "Straße 見.blend")
    for name, value in odd.items():
        monkeypatch.setenv(name, value)
    found = surroundings(open_blender(), umlauts, tmp_path / "Größe", printed)
    # 3.4 itself takes another LANG where the one that it is given is not installed.
    told = {name: value for name, value in odd.items() if name != "LANG"}
    assert {name: found.get(name) for name in told} == told


def test_a_worker_without_a_home_has_one_for_blender(
    real: RealBlender,
    open_blender: Open,
    tmp_path: Path,
    printed: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blend = make_trouble(real, tmp_path, "environment")
    for name in ("HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    found = surroundings(open_blender(), blend, tmp_path / "out", printed)
    assert Path(found["HOME"]).is_dir()
