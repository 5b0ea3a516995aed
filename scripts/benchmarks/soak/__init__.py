"""A long run on one worker: does anything grow, and what does a change of the scene cost?

First one job of many frames, then frames of two scenes by turns. Memory, descriptors and
processes of worker, Blender and manager are looked at with every frame. docs/benchmarks.md
says how to read it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.render.arithmetic import NotMeasured
from benchmarks.render.sides import Bench
from benchmarks.soak.figures import MIB, Growth, Sample, growth, switches
from burst.config.machine import available_cores
from burst.domain.transitions import JobStatus
from burst.errors import BurstError
from burst.manager.state_dir import find_manager
from burst.operations.connect import open_client
from burst.protocol.artist_messages import JobView, SubmitJob
from burst.protocol.client import ManagerClient
from burst.worker.discovery import find_blenders, probe_blender

FRAMES, SWITCHES = 500, 50
QUICK_FRAMES, QUICK_SWITCHES = 20, 15
LOOK_SECONDS = 0.1
GIVE_UP_SECONDS = 3600.0

FIGURES = {
    "agent_mib": lambda sample: sample.agent_bytes / MIB,
    "agent_files": lambda sample: sample.agent_files,
    "agent_threads": lambda sample: sample.agent_threads,
    "blender_mib": lambda sample: sample.blender_bytes / MIB,
    "blender_files": lambda sample: sample.blender_files,
    "processes": lambda sample: sample.processes,
    "manager_mib": lambda sample: sample.manager_bytes / MIB,
    "manager_files": lambda sample: sample.manager_files,
}


def main(arguments: list[str]) -> int:
    """Measure and print; the exit status says whether it could be measured, not how good it is."""
    parser = argparse.ArgumentParser(prog="scripts/bench soak")
    parser.add_argument("--quick", action="store_true", help="few frames: does it work at all")
    parser.add_argument("--frames", type=int, default=None)
    parser.add_argument("--switches", type=int, default=None)
    parser.add_argument("--blender", default=None, help="a blender, or a python that has bpy")
    options = parser.parse_args(arguments)
    frames = options.frames or (QUICK_FRAMES if options.quick else FRAMES)
    count = options.switches or (QUICK_SWITCHES if options.quick else SWITCHES)
    try:
        program = find_blenders(options.blender)[0]
        with tempfile.TemporaryDirectory(prefix="burst-soak-") as folder:
            print(
                json.dumps({"benchmark": "soak", **_measure(Path(folder), program, frames, count)})
            )
    except (NotMeasured, BurstError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _measure(folder: Path, program: Path, frames: int, count: int) -> dict[str, Any]:
    bench = Bench(folder, program, probe_blender(program).kind, available_cores())
    # Remembered for the farm to come, as it is on a machine where burst has rendered before.
    probe_blender(bench.program, cache=folder / "cache" / "burst")
    scene = bench.make_scene("light", frames)
    other = folder / "other.blend"
    other.write_bytes(scene.read_bytes())
    bench.burst(["up", "--local", "--workers", "1", "--blender", str(bench.program)])
    try:
        address = find_manager(bench.state)
        if address is None:
            raise NotMeasured("the farm is not there")
        with open_client(address.console_url) as client:
            long_run = _many_frames(bench, client, scene, frames)
            return {**long_run, **_turns(bench, client, (scene, other), count)}
    finally:
        bench.burst(["down", "--local"])


def _many_frames(bench: Bench, client: ManagerClient, scene: Path, frames: int) -> dict[str, Any]:
    """Render one job of many frames, and say what grew."""
    job = _submit(bench, scene, f"1-{frames}")
    samples, (ended,) = _watch(client, [job])
    grown = _growth(samples, FIGURES)
    blenders = len({sample.blender_pid for sample in samples})
    _print(f"{frames} frames, {blenders} Blender", grown)
    return {
        "frames": frames,
        "frame_seconds": round(_seconds(ended) / frames, 3),
        "blenders": blenders,
        "blender_mib": round(grown["blender_mib"].late, 1),
        "agent_mib": round(grown["agent_mib"].late, 1),
        **{f"{name}_growth": round(value.difference, 2) for name, value in grown.items()},
    }


def _turns(
    bench: Bench, client: ManagerClient, scenes: Sequence[Path], count: int
) -> dict[str, Any]:
    """Render frames of two scenes by turns, so that the scene changes ``count`` times."""
    models = [client.job(_submit(bench, scene, "1")) for scene in scenes]
    jobs = [model.id for model in models]
    for number in range(len(scenes), count + 1):
        # Not by the command line: half of the jobs would be done before the last is there.
        job = _the_same(models[number % len(scenes)], str(number + 1))
        jobs.append(client.submit(job).job.id)
    samples, ended = _watch(client, jobs)
    # Each switch is a Blender of its own: what must stay is the worker.
    kept = ("agent_mib", "agent_files", "agent_threads", "processes", "manager_files")
    grown = _growth(samples, {name: FIGURES[name] for name in kept})
    order = sorted(ended, key=lambda job: job.started_at or job.created_at)
    changed = switches([job.scene.name for job in order if job.scene])
    _print(f"{changed} changes of the scene", grown)
    return {
        "switches": changed,
        "switch_seconds": round(statistics.median(map(_seconds, ended)), 2),
        **{f"switch_{name}_growth": round(value.difference, 2) for name, value in grown.items()},
    }


def _submit(bench: Bench, scene: Path, frames: str) -> str:
    options = ["--local", "--frames", frames, "--output", str(bench.folder / "frames"), "--json"]
    return str(bench.burst(["submit", str(scene), *options])["job"])


def _the_same(model: JobView, frames: str) -> SubmitJob:
    return SubmitJob(
        name=model.name,
        scene=model.scene,
        frames=frames,
        settings=model.settings,
        requirements=model.requirements,
        output=model.output,
    )


def _watch(client: ManagerClient, jobs: Sequence[str]) -> tuple[list[Sample], list[JobView]]:
    """Take a sample with every published frame until the jobs end.

    Raises:
        NotMeasured: they do not end well, or not at the first try.
    """
    samples: list[Sample] = []
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while time.monotonic() < deadline:
        views = [job for job in client.jobs() if job.id in jobs]
        frames = sum(job.frames_published for job in views)
        if not samples or frames > samples[-1].frames:
            samples += _sample(client, frames)
        if all(job.ended_at for job in views):
            bad = [job.id for job in views if job.status is not JobStatus.COMPLETED or job.retries]
            if bad:
                raise NotMeasured(f"not every frame came at the first try: {', '.join(bad)}")
            return samples, views
        time.sleep(LOOK_SECONDS)
    raise NotMeasured("the frames did not come")


def _sample(client: ManagerClient, frames: int) -> list[Sample]:
    """Return what there is now: nothing while the worker or its Blender is just not there."""
    try:
        agent = psutil.Process(client.workers()[0].pid)
        manager = psutil.Process(agent.ppid())
        below = agent.children(recursive=True)
        blender = max(below, key=lambda process: process.memory_info().rss)
        return [
            Sample(
                frames=frames,
                agent_bytes=agent.memory_info().rss,
                agent_files=agent.num_fds(),
                agent_threads=agent.num_threads(),
                blender_pid=blender.pid,
                blender_bytes=blender.memory_info().rss,
                blender_files=blender.num_fds(),
                processes=len(below),
                manager_bytes=manager.memory_info().rss,
                manager_files=manager.num_fds(),
            )
        ]
    except (IndexError, ValueError, psutil.Error):
        return []


def _growth(samples: Sequence[Sample], figures: dict[str, Any]) -> dict[str, Growth]:
    try:
        return {name: growth(samples, value) for name, value in figures.items()}
    except ValueError as error:
        raise NotMeasured(str(error)) from error


def _seconds(job: JobView) -> float:
    if job.started_at is None or job.ended_at is None:
        raise NotMeasured(f"job {job.id} has no times")
    return (job.ended_at - job.started_at).total_seconds()


def _print(title: str, grown: dict[str, Growth]) -> None:
    print(f"{title}: early → late")
    for name, value in grown.items():
        print(f"  {name.replace('_', ' '):<16} {value}")
