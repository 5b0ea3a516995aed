"""Several Blenders on one machine: each scene is rendered by the one that fits it.

Debian's program and the bpy wheel stand for any two. Left out: GPUs, which no machine of
ours has, and the order among many versions (tests/unit/domain).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from burst.domain.workers import Capabilities, Requirements, check_fit
from burst.errors import EngineUnavailable
from burst.protocol.artist_messages import SubmitJob
from burst.protocol.client import ManagerClient
from burst.worker.discovery import probe_blenders
from burst.worker.probing import Probe
from tests.fakes.blenders import RealBlender, real_blender
from tests.integration.test_cli_farm import Shell, eventually

pytestmark = pytest.mark.blender


@pytest.fixture(scope="module")
def facts_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "facts"


@pytest.fixture(scope="module")
def program(facts_cache: Path) -> RealBlender:
    return real_blender("binary", facts_cache)


@pytest.fixture(scope="module")
def wheel(facts_cache: Path) -> RealBlender:
    return real_blender("bpy", facts_cache)


@pytest.fixture
def shell(
    program: RealBlender, wheel: RealBlender, facts_cache: Path, tmp_path: Path
) -> Iterator[Shell]:
    started = Shell(tmp_path)
    broken = tmp_path / "no-blender"
    broken.write_text("#!/bin/sh\necho hello\n")
    broken.chmod(0o755)
    programs = (str(broken), str(wheel.program), str(program.program))
    started.environment["BURST_BLENDER"] = os.pathsep.join(programs)
    # So that it is still here when it is looked at; it leaves with its farm.
    started.environment["BURST_IDLE_EXIT_SECONDS"] = "60"
    yield started
    started.stop()


def test_one_worker_renders_each_scene_with_the_blender_of_its_version(
    shell: Shell, program: RealBlender, wheel: RealBlender
) -> None:
    assert shell.run("up", "--local", "--workers", "1").returncode == 0
    jobs = {}
    for real in (wheel, program):
        name = f"by-{real.facts.kind}"
        real.make_scene(shell.folder / f"{name}.blend")
        real.animate(shell.folder / f"{name}.blend", str(shell.folder / name / "plain_####"), 1, 2)
        jobs[name] = shell.run("submit", f"{name}.blend", "--local", "--frames", "1-2").stdout
    for real in (wheel, program):
        name = f"by-{real.facts.kind}"
        job = jobs[name].strip()
        eventually(lambda job=job: shell.json("jobs", "show", job)["frames_published"] == 2)  # type: ignore[misc]
        log = shell.run("logs", job).stdout
        assert f"loading the scene in Blender {real.facts.label}, computing on cpu" in log
        shell.json("download", job)
        for frame in (1, 2):
            plain = shell.folder / name / f"plain_{frame:04d}.png"
            brought = shell.folder / f"{name}-frames" / f"shot_{frame:04d}.png"
            assert _pixels(brought) == _pixels(plain)
    (worker,) = shell.json("workers", "list")
    labels = [(one["version"], one["kind"]) for one in worker["capabilities"]["blenders"]]
    assert labels == [
        (list(wheel.facts.version), "bpy"),
        (list(program.facts.version), "binary"),
    ]
    (said,) = (shell.state_dir / "logs" / "workers").iterdir()
    assert "no-blender is not a Blender" in said.read_text()


def test_what_a_build_lacks_is_found_out_and_another_blender_steps_in(
    program: RealBlender, wheel: RealBlender, facts_cache: Path
) -> None:
    installed = probe_blenders((program.program, wheel.program), facts_cache)
    assert [one.facts for one in installed] == [program.facts, wheel.facts]
    assert set(wheel.facts.features) == {"alembic", "usd", "openvdb", "osl", "oidn"}
    assert not any(wheel.facts.features.values()), "the wheel has everything"
    for real in (program, wheel):
        assert real.facts.engines["CYCLES"] == ""
        assert real.facts.device_troubles == {}
    lacking = [name for name, reason in program.facts.features.items() if reason]
    if not lacking:
        pytest.skip("the program here has every feature too")
    worker = Capabilities(blenders=tuple(one.facts for one in installed))
    needs = Requirements(blender=(3, 4), features=tuple(lacking))
    assert check_fit(needs, worker) == wheel.facts
    with pytest.raises(EngineUnavailable, match="the scene needs"):
        check_fit(needs, Capabilities(blenders=(program.facts,)))


@pytest.mark.parametrize("kind", ["binary", "bpy"])
def test_a_device_that_is_not_there_is_a_reason_and_no_crash(
    kind: str, facts_cache: Path, tmp_path: Path
) -> None:
    real = real_blender(kind, facts_cache)
    absent = [gpu for gpu in ("cuda", "optix", "hip", "oneapi", "metal")
              if gpu not in real.facts.devices]  # fmt: skip
    with Probe(real.program, tmp_path, real.facts.kind) as probe:
        for gpu in absent:
            assert probe.render("CYCLES", gpu).reason == f"Cycles finds no {gpu} device here"
        assert probe.render("CYCLES").reason == ""
        assert probe.render("NO_SUCH_ENGINE").reason != ""
        assert not probe.render("CYCLES").fatal


@pytest.mark.parametrize("device", ["gpu", "cuda"])
def test_a_worker_that_is_told_a_device_that_is_not_there_does_not_start(
    shell: Shell, program: RealBlender, wheel: RealBlender, device: str
) -> None:
    if program.facts.devices or wheel.facts.devices:
        pytest.skip("this machine has a GPU")
    shell.environment["BURST_DEVICE"] = device
    # Nobody listens there: it must not even get so far.
    shell.environment["BURST_MANAGER_URL"] = "http://127.0.0.1:9"
    shell.environment["BURST_STORAGE_URL"] = str(shell.folder / "storage")
    done = shell.run("worker")
    assert done.returncode == 1
    wanted = "a GPU" if device == "gpu" else device
    assert f"error: the worker is to compute on {wanted}, which is not there" in done.stderr
    assert "hint: install the GPU's driver" in done.stderr


def test_a_worker_without_blender_runs_commands_and_leaves_frames_to_others(shell: Shell) -> None:
    shell.environment["BURST_BLENDER"] = "none"
    assert shell.run("up", "--local", "--workers", "1").returncode == 0
    with ManagerClient(shell.json("status", "--local")["console_url"]) as client:
        tasks = [{"name": "hello", "commands": [{"kind": "echo", "text": "no Blender needed"}]}]
        job = client.submit(SubmitJob.model_validate({"name": "words", "commands": tasks})).job
        eventually(lambda: client.job(job.id).status == "completed")
        assert "no Blender needed" in shell.run("logs", job.id).stdout
        (worker,) = client.workers()
        assert worker.capabilities.blenders == ()


def _pixels(path: Path) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()
