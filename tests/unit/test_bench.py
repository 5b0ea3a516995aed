"""The arithmetic of the benchmarks, and their list.

Left out: running one, which takes minutes and needs a Blender.
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))

from benchmarks.render.arithmetic import (  # noqa: E402
    NotMeasured,
    Run,
    Stamps,
    measure,
    median_idle_ms,
    parse_stamps,
    ratios,
    spread,
    the_renderer,
)
from benchmarks.render.sides import clean_environment, wrapper  # noqa: E402
from benchmarks.soak.figures import Sample, growth, switches  # noqa: E402

THREE_FRAMES = Stamps(started=9.0, pre=(10.0, 13.5, 16.25), written=(13.0, 16.0, 19.0))


def run(frames: int, seconds: float, idles: tuple[float, ...] = ()) -> Run:
    return Run(frames, start_seconds=0.0, steady_seconds=seconds, idles=idles)


def test_idle_is_from_a_frames_file_to_the_start_of_the_next_frame():
    assert THREE_FRAMES.idles == (0.5, 0.25)


def test_the_start_ends_where_the_first_frame_begins():
    measured = measure(THREE_FRAMES, begun=4.0, finished=None)
    assert measured.start_seconds == 6.0
    assert measured.steady_seconds == 9.0
    assert measured.frame_seconds == 3.0


def test_a_farms_frames_are_done_when_the_last_is_published():
    measured = measure(THREE_FRAMES, begun=4.0, finished=22.0)
    assert measured.steady_seconds == 12.0
    assert measured.start_seconds == 6.0


def test_stamps_are_read_in_the_order_they_were_written():
    lines = [("started", 1.0), ("pre", 2.0), ("written", 3.0), ("pre", 4.0), ("written", 5.0)]
    text = "".join(json.dumps({"event": event, "at": at}) + "\n" for event, at in lines)
    assert parse_stamps(text) == Stamps(1.0, (2.0, 4.0), (3.0, 5.0))


@pytest.mark.parametrize("text", ["", '{"event": "pre", "at": 1}\n', '{"event": "sta', "[]\n"])
def test_stamps_that_were_torn_are_refused(text):
    with pytest.raises(NotMeasured):
        parse_stamps(text)


def test_the_renderer_is_found_beside_a_process_that_only_probed():
    probe = Stamps(1.0, (2.0,), (3.0,))
    assert the_renderer([probe, THREE_FRAMES], 3) is THREE_FRAMES


def test_frames_that_were_rendered_by_two_processes_are_no_measurement():
    with pytest.raises(NotMeasured, match="3 of 3"):
        the_renderer([THREE_FRAMES, THREE_FRAMES], 3)
    with pytest.raises(NotMeasured, match="just 4 frames"):
        the_renderer([THREE_FRAMES], 4)


def test_a_ratio_is_the_median_over_neighbours():
    farm = [run(10, 11.0), run(10, 30.0), run(10, 12.0)]
    plain = [run(10, 10.0), run(10, 20.0), run(10, 12.0)]
    assert ratios(farm, plain) == spread([1.1, 1.5, 1.0])
    assert ratios(farm, plain).median == pytest.approx(1.1)


def test_runs_of_different_length_are_compared_by_the_frame():
    assert ratios([run(10, 20.0)], [run(2, 8.0)]).median == 0.5


def test_a_run_without_a_neighbour_is_refused():
    with pytest.raises(ValueError, match="shorter"):
        ratios([run(10, 11.0), run(10, 11.0)], [run(10, 10.0)])


def test_the_median_pause_is_over_all_runs_and_in_milliseconds():
    assert median_idle_ms([run(3, 1.0, (0.01, 0.02)), run(2, 1.0, (0.5,))]) == 20.0


def test_a_spread_says_median_and_range():
    assert str(spread([3.0, 1.0, 2.0])) == "2.000 (1.000 to 3.000)"


@pytest.mark.parametrize("kind", ["binary", "bpy"])
def test_the_wrapper_passes_arguments_on_and_leaves_the_version_alone(tmp_path, kind):
    inner = tmp_path / "a blender"
    inner.write_text('#!/bin/sh\nfor a in "$@"; do printf "%s\\n" "$a"; done\n', encoding="utf-8")
    inner.chmod(0o755)
    outer = tmp_path / "measured"
    outer.write_text(wrapper(inner, kind, tmp_path), encoding="utf-8")
    outer.chmod(0o755)

    def say(*arguments: str) -> list[str]:
        return subprocess.check_output([outer, *arguments], text=True).splitlines()

    assert say("--version") == ["--version"]
    first, stamps, *rest = say("-I", "a script", "5")
    assert first == {"binary": "--python", "bpy": "-I"}[kind]
    assert stamps.endswith("inside_stamps.py")
    assert rest == {"binary": ["-I", "a script", "5"], "bpy": ["a script", "5"]}[kind]


def test_settings_of_burst_do_not_reach_what_is_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("BURST_WORKERS", "7")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    environment = clean_environment(tmp_path)
    assert "BURST_WORKERS" not in environment
    assert environment["XDG_CACHE_HOME"] == str(tmp_path / "cache")


def sample(frames: int, agent_bytes: int) -> Sample:
    return Sample(frames, agent_bytes, 9, 7, 100, 0, 0, 1, 0, 0)


def test_growth_leaves_the_warming_up_out_and_is_of_medians():
    held = [9000, 9000, 100, 100, 5000, 100, 100, 100, 160, 150]
    grown = growth([sample(n, b) for n, b in enumerate(held)], lambda s: s.agent_bytes)
    assert (grown.early, grown.late, grown.difference) == (100, 155, 55)


def test_a_few_samples_say_nothing_about_growth():
    with pytest.raises(ValueError, match="9 samples"):
        growth([sample(n, 1) for n in range(9)], lambda s: s.agent_bytes)


def test_a_scene_that_comes_twice_in_a_row_is_no_change():
    assert switches(["a", "b", "b", "a"]) == 2
    assert switches([]) == 0


def test_without_a_name_every_benchmark_is_listed_with_its_first_line():
    listed = subprocess.check_output([sys.executable, ROOT / "scripts" / "bench"], text=True)
    names = [line.split()[0] for line in listed.splitlines()]
    assert "render" in names
    assert all(importlib.util.find_spec(f"benchmarks.{name}") for name in names)
    assert all(len(line.split()) > 3 for line in listed.splitlines())


def test_a_benchmark_that_does_not_exist_is_a_usage_error():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "bench", "nothing"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "render" in done.stderr
