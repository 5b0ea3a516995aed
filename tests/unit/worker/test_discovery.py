"""Which Blenders are taken, and what a probe that goes wrong means.

Against stand-ins for ``blender`` written on the spot; real ones are probed in
``tests/integration/test_blender_results.py``.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from pathlib import Path

import pytest

from burst.errors import BlenderNotFound
from burst.worker import probing
from burst.worker.discovery import (
    find_blenders,
    forget_blender,
    probe_blender,
    probe_blenders,
)
from burst.worker.probing import Probe, parse_version

PROBE = """
import json, os, sys
reads, writes = map(int, sys.argv[-2:])
def say(**body):
    os.write(writes, json.dumps(body).encode() + b"\\n")
def asked():
    for line in os.fdopen(reads, closefd=False):
        yield json.loads(line)
"""

GOOD = (
    PROBE
    + """
version, engines = [4, 2, 3], ["CYCLES", "BLENDER_WORKBENCH", "BLENDER_EEVEE"]
answers, deadly = {}, {}
# MORE
log = open(__file__ + ".log", "a")
say(event="version", version=version, engines=engines, features={"usd": "", "osl": "no"})
for question in asked():
    what = question.get("kind") or question["engine"]
    if question.get("denoise"):
        what = "oidn"
    if question.get("device", "cpu") != "cpu":
        what = "on " + question["device"]
    print(what, question.get("device", ""), file=log, flush=True)
    if what in deadly:
        os.kill(os.getpid(), deadly[what])
    found = answers.get(what, [])
    reason = found if isinstance(found, str) else ""
    say(event="tried", reason=reason, found=[] if reason else found)
"""
)


def program(path: Path, version: str, probe: str = GOOD, more: str = "") -> Path:
    """Write a ``blender`` that has a version, and runs Python when it is probed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    script = path.with_suffix(".py")
    script.write_text(probe.replace("# MORE", more))
    path.write_text(
        f'#!/bin/sh\nif [ "$1" = --version ]; then echo "{version}"; exit; fi\n'
        f'exec "{sys.executable}" "{script}" "$@"\n'
    )
    path.chmod(0o755)
    return path


def questions(path: Path) -> list[str]:
    """Return what a stand-in was asked, over all its lives."""
    return path.with_suffix(".py.log").read_text().split("\n")[:-1]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any Blender: an empty PATH folder and an empty cache."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


# ── Finding ──────────────────────────────────────────────────────────────────────────


def test_without_a_blender_the_hint_is_what_to_type(machine: Path) -> None:
    with pytest.raises(BlenderNotFound) as caught:
        find_blenders(None)
    assert "apt-get install blender" in (caught.value.hint or "")
    assert "python3.11 -m venv ~/.cache/burst/bpy-5.0.1" in (caught.value.hint or "")
    assert "pip install bpy==5.0.1" in (caught.value.hint or "")


def test_the_blender_in_path_and_every_environment_in_the_cache_are_taken(machine: Path) -> None:
    in_path = program(machine / "bin" / "blender", "Blender 3.4.1")
    for version in ("4.10.0", "4.9.0", "latest"):
        program(machine / "cache" / "burst" / f"bpy-{version}" / "bin" / "python", "Python 3.11.7")
    found = find_blenders(None)
    assert found[0] == in_path
    assert [path.parts[-3] for path in found[1:]] == ["bpy-4.9.0", "bpy-4.10.0"]


def test_what_is_wanted_is_taken_or_refused_but_never_replaced(machine: Path) -> None:
    program(machine / "bin" / "blender", "Blender 4.2.0")
    wanted = program(machine / "opt" / "blender", "Blender 5.0.1")
    assert find_blenders(str(wanted)) == (wanted,)
    with pytest.raises(BlenderNotFound, match="is not a program"):
        find_blenders(str(machine / "opt" / "none"))


def test_several_are_named_as_in_path_each_counts_once_and_one_that_is_missing_is_left_out(
    machine: Path, caplog: pytest.LogCaptureFixture
) -> None:
    in_path = program(machine / "bin" / "blender", "Blender 3.4.1")
    other = program(machine / "opt" / "blender", "Blender 5.0.1")
    names = ["blender", str(machine / "gone"), "", str(other), str(in_path)]
    assert find_blenders(os.pathsep.join(names)) == (in_path, other)
    assert f"left out: {machine / 'gone'} is not a program" in caplog.text


def test_a_worker_may_be_told_to_do_without_blender(machine: Path) -> None:
    program(machine / "bin" / "blender", "Blender 3.4.1")
    assert find_blenders("none") == ()
    assert probe_blenders(()) == ()


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("Blender 4.2.3 LTS\n\tbuild date: …", (4, 2, 3)),
        ("warning\nBlender 5.0", (5, 0, 0)),
        ("Python 3.11.7", ()),
    ],
)
def test_versions_are_read(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


# ── Probing ──────────────────────────────────────────────────────────────────────────


def test_engines_features_and_devices_are_tried_each_once(machine: Path) -> None:
    gpus = "answers = {'cuda': ['RTX', 'GTX'], 'oidn': 'no denoiser', 'BLENDER_EEVEE': 'no GPU'}"
    blender = program(machine / "blender", "Blender 4.2.3", more=gpus)
    facts = probe_blender(blender)
    assert (facts.version, facts.kind) == ((4, 2, 3), "binary")
    assert facts.engines == {"CYCLES": "", "BLENDER_WORKBENCH": "", "BLENDER_EEVEE": "no GPU"}
    assert facts.features == {"usd": "", "osl": "no", "oidn": "no denoiser"}
    assert facts.devices == {"cuda": ("RTX", "GTX")}
    assert facts.device_troubles == {}
    assert questions(blender) == [
        "CYCLES cpu", "oidn cpu", "cuda ", "optix ", "hip ", "oneapi ", "metal ",
        "BLENDER_WORKBENCH cpu", "BLENDER_EEVEE cpu",
    ]  # fmt: skip


def test_an_engine_that_dies_is_a_reason_for_those_that_need_the_same_graphics(
    machine: Path,
) -> None:
    blender = program(
        machine / "blender", "Blender 4.2.3", more="deadly = {'BLENDER_WORKBENCH': 6}"
    )
    facts = probe_blender(blender)
    assert facts.engines["CYCLES"] == ""
    assert "libEGL is missing" in facts.engines["BLENDER_WORKBENCH"]
    assert facts.engines["BLENDER_EEVEE"] == facts.engines["BLENDER_WORKBENCH"]
    assert "BLENDER_EEVEE cpu" not in questions(blender)


def test_a_driver_that_crashes_is_named_and_everything_else_is_still_tried(
    machine: Path, caplog: pytest.LogCaptureFixture
) -> None:
    more = "answers = {'cuda': ['RTX'], 'oneapi': 'no such library'}\ndeadly = {'hip': 11}"
    facts = probe_blender(program(machine / "blender", "Blender 4.2.3", more=more))
    assert facts.devices == {"cuda": ("RTX",)}
    assert facts.device_troubles == {
        "hip": "Blender crashed (SIGSEGV)",
        "oneapi": "no such library",
    }
    assert "can't use hip: Blender crashed (SIGSEGV)" in caplog.text
    assert facts.engines == {"CYCLES": "", "BLENDER_WORKBENCH": "", "BLENDER_EEVEE": ""}


def test_where_cycles_cannot_render_there_is_no_denoising_either(machine: Path) -> None:
    facts = probe_blender(
        program(machine / "blender", "Blender 4.2.3", more="answers = {'CYCLES': 'no kernels'}")
    )
    assert facts.engines["CYCLES"] == facts.features["oidn"] == "no kernels"


def test_a_question_without_an_answer_is_an_answer(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "_ANSWER_SECONDS", 0.3)
    # SIGSTOP: it hangs, and does not even die of it.
    blender = program(machine / "blender", "Blender 4.2.3", more="deadly = {'CYCLES': 19}")
    assert "no answer within" in probe_blender(blender).engines["CYCLES"]


def test_a_blender_that_does_not_start_again_fails_what_is_left(machine: Path) -> None:
    once = "if os.path.exists(__file__ + '.log'): sys.exit(3)\ndeadly = {'cuda': 11}"
    facts = probe_blender(program(machine / "blender", "Blender 4.2.3", more=once))
    assert facts.engines["CYCLES"] == ""
    assert "does not start: Blender left with exit status 3" in facts.engines["BLENDER_EEVEE"]


def test_a_probe_that_nobody_waits_for_ends_at_once(machine: Path) -> None:
    blender = program(machine / "blender", "Blender 4.2.3", more="deadly = {'CYCLES': 19}")
    stopped = threading.Event()
    with Probe(blender, machine / "scratch", "binary", stopped.is_set) as probe:
        threading.Timer(0.1, stopped.set).start()
        assert probe.render("CYCLES").reason == "it was stopped"


# ── Remembering ──────────────────────────────────────────────────────────────────────


def test_the_answer_is_remembered_until_the_program_changes(machine: Path) -> None:
    cache = machine / "facts"
    blender = program(machine / "blender", "Blender 4.2.3")
    facts = probe_blender(blender, cache)
    blender.with_suffix(".py").write_text("raise SystemExit(1)")
    assert probe_blender(blender, cache) == facts
    program(blender, "Blender 4.2.30", more="answers = {'CYCLES': 'no'}")
    assert probe_blender(blender, cache).engines["CYCLES"] == "no"


def test_what_is_forgotten_is_found_out_anew(machine: Path) -> None:
    cache = machine / "facts"
    blender = program(machine / "blender", "Blender 4.2.3")
    probe_blender(blender, cache)
    blender.with_suffix(".py").write_text("raise SystemExit(1)")
    forget_blender(blender, "cpu", cache)
    with pytest.raises(BlenderNotFound, match="does not start"):
        probe_blender(blender, cache)
    forget_blender(blender, "cpu", cache)
    forget_blender(machine / "none", "cpu", cache)


def test_a_gpu_that_failed_is_tried_at_every_start_until_it_renders(machine: Path) -> None:
    cache = machine / "facts"
    broken = "answers = {'cuda': ['RTX'], 'hip': ['RX'], 'on cuda': 'no kernels'}"
    blender = program(machine / "blender", "Blender 4.2.3", more=broken)
    assert probe_blender(blender, cache).devices == {"cuda": ("RTX",), "hip": ("RX",)}
    assert "on cuda cuda" not in questions(blender)
    forget_blender(blender, "cuda", cache)
    for _ in range(2):
        facts = probe_blender(blender, cache)
        assert facts.devices == {"hip": ("RX",)}
        assert facts.device_troubles == {"cuda": "no kernels"}
    assert questions(blender).count("on cuda cuda") == 2
    script = blender.with_suffix(".py")
    script.write_text(script.read_text().replace(", 'on cuda': 'no kernels'", ""))
    for _ in range(2):
        assert probe_blender(blender, cache).devices == {"cuda": ("RTX",), "hip": ("RX",)}
    # The last time it was remembered.
    assert questions(blender).count("on cuda cuda") == 3


def test_it_can_be_asked_anew_whatever_is_remembered(machine: Path) -> None:
    cache = machine / "facts"
    blender = program(machine / "blender", "Blender 4.2.3")
    facts = probe_blender(blender, cache)
    script = blender.with_suffix(".py")
    found = "answers, deadly = {'cuda': ['RTX']}"
    script.write_text(script.read_text().replace("answers, deadly = {}", found))
    assert probe_blender(blender, cache) == facts
    (anew,) = probe_blenders((blender,), cache, fresh=True)
    assert anew.facts.devices == {"cuda": ("RTX",)}
    assert probe_blender(blender, cache) == anew.facts


def test_what_was_remembered_by_another_version_is_asked_for_again(machine: Path) -> None:
    cache = machine / "facts"
    blender = program(machine / "blender", "Blender 4.2.3")
    facts = probe_blender(blender, cache)
    (remembered,) = cache.iterdir()
    remembered.write_text(json.dumps({**json.loads(remembered.read_text()), "unknown": 1}))
    assert probe_blender(blender, cache) == facts
    assert len(questions(blender)) == 2 * 9


# ── What is no Blender ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("version", "probe", "words"),
    [
        ("Blender 3.3.21", "", r"is Blender 3\.3\.21, burst needs 3\.4"),
        ("hello", "", "is not a Blender"),
        ("Python 3.11.7", "print(\"No module named 'bpy'\")", "is a Python without bpy"),
        ("Blender 4.2.3", "import sys; print('libX11 is missing'); sys.exit(1)", "libX11"),
    ],
)
def test_what_is_no_usable_blender_is_refused_with_the_reason(
    machine: Path, version: str, probe: str, words: str
) -> None:
    with pytest.raises(BlenderNotFound, match=words):
        probe_blender(program(machine / "blender", version, probe))


def test_a_wheel_that_is_too_old_says_so_itself(machine: Path) -> None:
    wheel = program(machine / "python", "Python 3.10.1", more="version = [3, 3, 0]")
    with pytest.raises(BlenderNotFound, match=r"is Blender 3\.3\.0, burst needs 3\.4"):
        probe_blender(wheel)


def test_a_program_that_is_not_there_is_no_blender(machine: Path) -> None:
    with pytest.raises(BlenderNotFound):
        probe_blender(machine / "none")
    with pytest.raises(BlenderNotFound, match="can't be read"):
        probe_blender(machine / "none", machine / "facts")


def test_unusable_blenders_are_left_out_with_a_line_in_the_log(
    machine: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    old = program(machine / "old", "Blender 2.93.0")
    good = program(machine / "good", "Blender 4.2.3")
    wheel = program(machine / "python", "Python 3.11.7", more="version = [5, 0, 1]")
    installed = probe_blenders((old, good, wheel))
    assert [(one.program, one.facts.label) for one in installed] == [
        (good, "4.2.3"),
        (wheel, "5.0.1 (bpy)"),
    ]
    assert f"left out: {old} is Blender 2.93.0, burst needs 3.4 or newer" in caplog.text


def test_where_none_is_usable_the_first_ones_reason_is_said(machine: Path) -> None:
    old, other = program(machine / "old", "Blender 2.93.0"), program(machine / "other", "hello")
    with pytest.raises(BlenderNotFound, match=r"is Blender 2\.93\.0"):
        probe_blenders((old, other))
