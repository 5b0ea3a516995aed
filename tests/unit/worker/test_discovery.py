"""Which Blender is taken, and what a probe that goes wrong means.

Against stand-ins for ``blender`` written on the spot; real ones are probed in
``tests/integration/test_blender_results.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from burst.errors import BlenderNotFound
from burst.worker.discovery import find_blender, parse_version, probe_blender

PROBE = """
import json, os, sys
writes = int(sys.argv[-1])
def say(**body):
    os.write(writes, json.dumps(body).encode() + b"\\n")
"""


def program(path: Path, version: str, probe: str = "") -> Path:
    """Write a ``blender`` that has a version, and runs Python when it is probed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    script = path.with_suffix(".py")
    script.write_text(PROBE + probe)
    path.write_text(
        f'#!/bin/sh\nif [ "$1" = --version ]; then echo "{version}"; exit; fi\n'
        f'exec "{sys.executable}" "{script}" "$@"\n'
    )
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any Blender: an empty PATH folder and an empty cache."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_without_a_blender_the_hint_is_what_to_type(machine: Path) -> None:
    with pytest.raises(BlenderNotFound) as caught:
        find_blender(None)
    assert "apt-get install blender" in (caught.value.hint or "")
    assert "python3.11 -m venv ~/.cache/burst/bpy-5.0.1" in (caught.value.hint or "")
    assert "pip install bpy==5.0.1" in (caught.value.hint or "")


def test_a_blender_in_path_is_taken_before_an_environment(machine: Path) -> None:
    found = program(machine / "bin" / "blender", "Blender 3.4.1")
    program(machine / "cache" / "burst" / "bpy-5.0.1" / "bin" / "python", "Python 3.11.7")
    assert find_blender(None) == found


def test_an_old_blender_is_passed_over_for_the_newest_environment(machine: Path) -> None:
    program(machine / "bin" / "blender", "Blender 2.93.0")
    for version in ("4.9.0", "4.10.0", "latest"):
        program(machine / "cache" / "burst" / f"bpy-{version}" / "bin" / "python", "Python 3.11.7")
    assert find_blender(None).parts[-3] == "bpy-4.10.0"


def test_an_old_blender_alone_is_named_with_its_version(machine: Path) -> None:
    program(machine / "bin" / "blender", "Blender 2.93.0")
    with pytest.raises(BlenderNotFound, match=r"is of version 2\.93\.0, burst needs 3\.4"):
        find_blender(None)


def test_what_is_wanted_is_taken_or_refused_but_never_replaced(machine: Path) -> None:
    program(machine / "bin" / "blender", "Blender 4.2.0")
    wanted = program(machine / "opt" / "blender", "Blender 5.0.1")
    assert find_blender(str(wanted)) == wanted
    with pytest.raises(BlenderNotFound, match="is not a program"):
        find_blender(str(machine / "opt" / "none"))


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


GOOD = """
say(event="version", version=[4, 2, 3], engines=["CYCLES", "BLENDER_WORKBENCH", "BLENDER_EEVEE"])
say(event="engine", engine="CYCLES", reason="")
"""


def test_a_probe_that_dies_is_a_reason_for_every_engine_it_did_not_reach(machine: Path) -> None:
    blender = program(machine / "blender", "Blender 4.2.3", GOOD + "os.abort()")
    facts = probe_blender(blender)
    assert (facts.version, facts.kind) == ((4, 2, 3), "binary")
    assert facts.engines["CYCLES"] == ""
    assert "libEGL is missing" in facts.engines["BLENDER_WORKBENCH"]
    assert facts.engines["BLENDER_EEVEE"] == facts.engines["BLENDER_WORKBENCH"]


def test_the_answer_is_remembered_until_the_program_changes(machine: Path) -> None:
    cache = machine / "facts"
    blender = program(machine / "blender", "Blender 4.2.3", GOOD)
    facts = probe_blender(blender, cache)
    blender.with_suffix(".py").write_text("raise SystemExit(1)")
    assert probe_blender(blender, cache) == facts
    program(blender, "Blender 4.2.30", GOOD.replace('reason=""', 'reason="no"'))
    assert probe_blender(blender, cache).engines["CYCLES"] == "no"


@pytest.mark.parametrize(
    ("version", "probe", "words"),
    [
        ("Blender 3.3.21", "", r"is Blender 3\.3\.21, burst needs 3\.4"),
        ("hello", "", "is not a Blender"),
        ("Python 3.11.7", "print(\"No module named 'bpy'\")", "is a Python without bpy"),
        ("Blender 4.2.3", "print('libX11 is missing'); sys.exit(1)", "libX11 is missing"),
    ],
)
def test_what_is_no_usable_blender_is_refused_with_the_reason(
    machine: Path, version: str, probe: str, words: str
) -> None:
    with pytest.raises(BlenderNotFound, match=words):
        probe_blender(program(machine / "blender", version, probe))


def test_a_program_that_is_not_there_is_no_blender(machine: Path) -> None:
    with pytest.raises(BlenderNotFound):
        probe_blender(machine / "none")
    with pytest.raises(BlenderNotFound, match="can't be read"):
        probe_blender(machine / "none", machine / "facts")
