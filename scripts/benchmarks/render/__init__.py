"""Frames on a farm of one worker against one plain Blender that renders the same frames.

docs/benchmarks.md says what is measured and how to read it. The runs of both sides take
turns, because the machine may have other things to do, and a ratio is one of neighbours.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.render.arithmetic import (
    NotMeasured,
    Run,
    Spread,
    median_idle_ms,
    ratios,
    spread,
)
from benchmarks.render.sides import Bench
from burst.config.machine import available_cores
from burst.domain.workers import BlenderFacts
from burst.errors import BurstError
from burst.worker.discovery import find_blenders, probe_blender

FRAMES, PAIRS = 30, 5
QUICK_FRAMES, QUICK_PAIRS = 4, 1
SLOW_SHARE = 5
"""Without persistent data each frame takes as long as the first, so a fifth of them will do."""
COLD_FRAMES = 3
"""A start costs about the same each time, so a few are enough."""


@dataclass(frozen=True, slots=True)
class Measured:
    """All runs with one scene; those of equal index were neighbours."""

    farm: list[Run]
    plain: list[Run]
    slow: list[Run]
    """Plain, but without persistent data."""
    cold_seconds: list[float]
    """For each frame with a Blender of its own."""

    @property
    def ratio(self) -> Spread:
        """Farm to plain, seconds a frame in the steady part."""
        return ratios(self.farm, self.plain)

    @property
    def cold_ratio(self) -> float:
        """A Blender for each frame, to the farm."""
        return statistics.median(self.cold_seconds) / _frame_seconds(self.farm).median


def main(arguments: list[str]) -> int:
    """Measure and print; the exit status says whether it could be measured, not how good it is."""
    options = _parse(arguments)
    try:
        program = find_blenders(options.blender)[0]
        with tempfile.TemporaryDirectory(prefix="burst-bench-") as folder:
            return _measure_all(options, program, Path(folder))
    except (NotMeasured, BurstError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _measure_all(options: argparse.Namespace, program: Path, folder: Path) -> int:
    facts = probe_blender(program)
    bench = Bench(folder, program, facts.kind, available_cores())
    # Remembered for the farms to come, as it is on a machine where burst has rendered before.
    probe_blender(bench.program, cache=folder / "cache" / "burst")
    results = {}
    for name in ("heavy", "light"):
        scene = bench.make_scene(name, options.frames)
        results[name] = _measure(bench, scene, options.frames, options.pairs)
        _print_scene(name, results[name])
    print(json.dumps(_summary(results, options, facts, bench.threads)))
    return 0


def _measure(bench: Bench, scene: Path, frames: int, pairs: int) -> Measured:
    measured = Measured([], [], [], [])
    few, some = min(frames - 1, COLD_FRAMES), max(2, frames // SLOW_SHARE)
    for number in range(1, pairs + 1):
        measured.farm.append(bench.farm(scene, frames))
        measured.plain.append(bench.plain(scene, frames, persistent=True))
        measured.slow.append(bench.plain(scene, some, persistent=False))
        measured.cold_seconds.append(bench.cold(scene, few) / few)
        farm, plain = measured.farm[-1], measured.plain[-1]
        print(
            f"{scene.stem} {number}/{pairs}: farm {farm.frame_seconds:.3f}, "
            f"plain {plain.frame_seconds:.3f} s a frame, "
            f"start {farm.start_seconds:.1f} and {plain.start_seconds:.1f} s",
            file=sys.stderr,
        )
    return measured


def _print_scene(name: str, measured: Measured) -> None:
    rows = {
        "farm, s a frame": _frame_seconds(measured.farm),
        "plain, s a frame": _frame_seconds(measured.plain),
        "plain without persistent data": _frame_seconds(measured.slow),
        "a new Blender for each frame": spread(measured.cold_seconds),
        "farm / plain": measured.ratio,
        "farm / plain without persistent": ratios(measured.farm, measured.slow),
        "farm's start, s": spread([run.start_seconds for run in measured.farm]),
        "plain Blender's start, s": spread([run.start_seconds for run in measured.plain]),
    }
    print(f"{name}: median (range) of {len(measured.farm)}")
    for label, value in rows.items():
        print(f"  {label:<32} {value}")
    farm, plain = median_idle_ms(measured.farm), median_idle_ms(measured.plain)
    print(f"  {'pause between frames, ms':<32} {farm:.1f}, plain {plain:.1f}")


def _frame_seconds(runs: list[Run]) -> Spread:
    return spread([run.frame_seconds for run in runs])


def _range(values: Spread) -> list[float]:
    return [round(values.least, 3), round(values.most, 3)]


def _summary(
    results: dict[str, Measured], options: argparse.Namespace, facts: BlenderFacts, threads: int
) -> dict[str, object]:
    heavy, light = results["heavy"], results["light"]
    farms, plains = [*heavy.farm, *light.farm], [*heavy.plain, *light.plain]
    figures = {
        "overhead_ms": median_idle_ms(farms),
        "heavy_ratio": heavy.ratio.median,
        "light_ratio": light.ratio.median,
        "heavy_vs_plain": ratios(heavy.farm, heavy.slow).median,
        "cold_ratio": heavy.cold_ratio,
        "start_seconds": spread([run.start_seconds for run in farms]).median,
        "plain_overhead_ms": median_idle_ms(plains),
        "plain_start_seconds": spread([run.start_seconds for run in plains]).median,
        "light_cold_ratio": light.cold_ratio,
    }
    return {
        "benchmark": "render",
        **{name: round(value, 3) for name, value in figures.items()},
        "heavy_ratio_range": _range(heavy.ratio),
        "light_ratio_range": _range(light.ratio),
        "cores": available_cores(),
        "threads": threads,
        "frames": options.frames,
        "pairs": options.pairs,
        "blender": ".".join(map(str, facts.version)),
    }


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench render", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few frames, one pair")
    parser.add_argument("--frames", type=int, help="frames a run, at least 2")
    parser.add_argument("--pairs", type=int, help="runs of each side")
    parser.add_argument("--blender", help="a blender, or the python that has bpy")
    options = parser.parse_args(arguments)
    options.frames = options.frames or (QUICK_FRAMES if options.quick else FRAMES)
    options.pairs = options.pairs or (QUICK_PAIRS if options.quick else PAIRS)
    if options.frames < 2 or options.pairs < 1:
        parser.error("a pause lies between two frames, and a ratio needs a pair")
    return options
