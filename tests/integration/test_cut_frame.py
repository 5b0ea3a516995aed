"""A file that is cut between Blender and the storage: never published, rendered again.

On a whole farm, with a real Blender. What else can be wrong with a file is in
`test_proof_sweep.py`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from burst.manager.state_dir import find_manager
from tests.fakes.blenders import MAKE_SCENE, real_blender
from tests.integration.test_cli_farm import Shell

pytestmark = pytest.mark.blender

CUT = '''
import importlib.abc, importlib.machinery, os, sys


class Finder(importlib.abc.MetaPathFinder):
    """Makes the worker's Blender leave a short file, once."""

    def find_spec(self, name, path=None, target=None):
        if name != "burst.worker.blender":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            render = module.Blender.render

            def cutting(blender, frame, folder, *rest):
                rendered = render(blender, frame, folder, *rest)
                try:
                    os.rename(os.environ["CUT"], os.environ["CUT"] + ".done")
                except FileNotFoundError:
                    return rendered
                os.truncate(rendered.files[-1], rendered.files[-1].stat().st_size - 1)
                return rendered

            module.Blender.render = cutting

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder())
'''


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(CUT)
    (tmp_path / "cut").touch()
    started = Shell(tmp_path)
    started.environment["PYTHONPATH"] = f"{hook}:{started.environment['PYTHONPATH']}"
    started.environment["CUT"] = str(tmp_path / "cut")
    yield started
    started.stop()


def test_a_cut_file_is_never_published_and_its_frame_is_rendered_again(shell: Shell) -> None:
    real = real_blender("binary", shell.folder / "facts")
    blend = shell.folder / "shot.blend"
    real.run(MAKE_SCENE.with_name("make_outputs.py"), shell.folder, str(blend), "nodes")
    out = shell.folder / "out"
    assert shell.run("up", "--local", "--workers", "1").returncode == 0
    done = shell.run("render", "shot.blend", "--local", "--frames", "1-3", "--output", str(out))
    assert done.returncode == 0, done.stderr
    assert (shell.folder / "cut.done").exists()
    log = shell.run("logs", "last").stdout
    assert "is not whole: " in log
    assert " is cut" in log or "is damaged" in log
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*"))
    frames = [name for name in names if name.startswith("shot_")]
    assert frames == ["shot_0001.png", "shot_0002.png", "shot_0003.png"]
    # Each frame has its five files, and no other.
    assert len(names) == 7 * 3
    for name in names:
        if name.endswith(".png"):
            with Image.open(out / name) as image:
                image.load()
    # The preview is of the attempt whose file was published.
    (job,) = shell.json("jobs", "list")
    manager = find_manager(shell.state_dir)
    assert manager is not None
    for frame in (1, 2, 3):
        picture = httpx.get(
            f"{manager.console_url}/api/burst/v1/jobs/{job['id']}/frames/{frame}/preview"
        )
        assert picture.headers["content-type"] == "image/jpeg"
        with Image.open(io.BytesIO(picture.content)) as image:
            assert image.size == (33, 19)
    url = f"{manager.console_url}/api/burst/v1/jobs/{job['id']}/frames/4/preview"
    assert httpx.get(url).status_code == 404
