"""Every fault has its sentence and its outcome, and the page for artists has every fault."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from burst.worker.faults import CAUSES, Fault, deepest, how_it_ended
from burst.worker.oomkills import OomKills
from burst.worker.words import Ailment, crash_report

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "faults.md").read_text("utf-8")
FACTS = {
    "blend": "/s/shot.blend",
    "doing": "rendering frame 7",
    "folder": "/scratch",
    "frame": 7,
    "limit": 16.0,
    "path": "/tmp/x.png",
    "program": "/usr/bin/blender",
    "reason": "no camera",
    "seconds": 600.0,
    "setting": "BURST_PROGRESS_SECONDS",
    "signal": "SIGSEGV",
    "status": 3,
    "used": 14.5,
    "words": "Illegal address",
}


def on_page(sentence: str) -> str:
    """Return a sentence as the page writes it: with an ellipsis for each gap."""
    return re.sub(r"\{[^}]*\}", "…", sentence)


@pytest.mark.parametrize("fault", Fault)
def test_every_sentence_is_whole_and_on_the_page(fault: Fault) -> None:
    told = fault.sentence(**FACTS)
    assert "{" not in told
    assert not told.endswith(".")
    assert f"| `{on_page(fault.value)}` |" in PAGE


def test_every_sentence_on_the_page_is_in_the_code() -> None:
    code = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "burst").rglob("*.py")))
    # Sentences are cut over lines and joined again, and have gaps of every kind.
    flat = re.sub(r'"\s*\n\s*f?"', "", code)
    known = {on_page(fault.value) for fault in Fault}
    sentences = re.findall(r"(?m)^\|[^|]*\| `([^`]+)` \|", PAGE)
    assert len(sentences) > len(known)
    for sentence in sentences:
        if sentence not in known:
            for part in sentence.split("…"):
                assert part.strip() in flat, (sentence, part)


def test_only_lack_of_memory_a_mount_and_our_own_stop_are_no_plain_failures() -> None:
    assert {fault.outcome for fault in Fault} == {"failed", "out_of_memory", "interrupted"}
    interrupted = [fault for fault in Fault if fault.outcome == "interrupted"]
    assert interrupted == [Fault.STUCK, Fault.STOPPED]
    assert [fault for fault in Fault if fault.suspect] == [Fault.GPU_LOST]


@pytest.mark.parametrize(
    ("code", "killed_for_memory", "fault", "facts"),
    [
        (-signal.SIGSEGV, False, Fault.CRASHED, {"signal": "SIGSEGV"}),
        (-signal.SIGABRT, None, Fault.CRASHED, {"signal": "SIGABRT"}),
        # A blender that is a shell script says it like this.
        (128 + signal.SIGSEGV, False, Fault.CRASHED, {"signal": "SIGSEGV"}),
        (128 + signal.SIGKILL, True, Fault.KILLED_FOR_MEMORY, {}),
        (-signal.SIGKILL, True, Fault.KILLED_FOR_MEMORY, {}),
        (-signal.SIGKILL, False, Fault.ENDED, {"signal": "SIGKILL"}),
        (-signal.SIGKILL, None, Fault.PROBABLY_MEMORY, {}),
        # A count that has grown is about somebody else then.
        (-signal.SIGSEGV, True, Fault.CRASHED, {"signal": "SIGSEGV"}),
        (-signal.SIGTERM, False, Fault.ENDED, {"signal": "SIGTERM"}),
        (-63, False, Fault.ENDED, {"signal": "signal 63"}),
        (0, False, Fault.LEFT, {"status": 0}),
        (70, False, Fault.LEFT, {"status": 70}),
        (255, False, Fault.LEFT, {"status": 255}),
    ],
)
def test_the_end_of_a_process_has_its_meaning(
    code: int, killed_for_memory: bool | None, fault: Fault, facts: dict[str, object]
) -> None:
    assert how_it_ended(code, killed_for_memory) == (fault, facts)


@pytest.mark.parametrize("ailment", Ailment)
def test_what_blender_said_explains_a_crash_but_not_what_is_certain(ailment: Ailment) -> None:
    said = {ailment: "its words"}
    assert deepest(Fault.CRASHED, said) == (CAUSES[ailment], "its words")
    assert deepest(Fault.KILLED_FOR_MEMORY, said) == (Fault.KILLED_FOR_MEMORY, "")
    assert deepest(Fault.CRASHED, {}) == (Fault.CRASHED, "")


REPORT = """# Blender 4.2.1, Commit date: 2024-08-19 11:21, Hash 396f546c9d82
bpy.ops.mesh.primitive_cube_add(size=2)  # Operator
bpy.context.space_data.shading.type = 'RENDERED'  # Property

# backtrace
blender(BLI_system_backtrace+0x20) [0x1]
blender() [0x2]
/lib/x86_64-linux-gnu/libc.so.6(+0x42520) [0x3]
blender(guilty+0x11) [0x4]
blender(caller+0x12) [0x5]
blender(caller+0x13) [0x6]
blender(main+0x14) [0x7]

# Python backtrace
  File "/s/shot.blend/rig.py", line 6 in bend
"""


def test_a_crash_report_is_cut_to_what_matters() -> None:
    lines = crash_report(REPORT)
    assert lines[0].startswith("# Blender 4.2.1")
    assert "bpy.context.space_data.shading.type = 'RENDERED'  # Property" in lines
    assert "blender(guilty+0x11) [0x4]" in lines
    assert "blender(main+0x14) [0x7]" not in lines
    assert lines[-1] == '  File "/s/shot.blend/rig.py", line 6 in bend'
    assert crash_report("") == ()


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    (tmp_path / "proc/7").mkdir(parents=True)
    write(tmp_path / "proc/vmstat", "pgfault 9\noom_kill 5\n")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


@pytest.mark.parametrize(
    ("cgroup", "counter"),
    [
        ("0::/pod/box", "pod/box/memory.events"),
        # The leaf has no memory controller of its own: the count is with the one above.
        ("0::/pod/box", "pod/memory.events"),
        # The path is the host's; what is mounted here begins with our own group.
        ("0::/host/pod/box", "memory.events"),
        ("4:memory:/docker/1\n0::/", "memory/docker/1/memory.oom_control"),
        ("4:memory:/docker/1\n0::/", "memory/memory.oom_control"),
        ("11:cpu,memory:/x\n", "memory/x/memory.oom_control"),
    ],
)
def test_the_count_of_the_processs_own_cgroup_is_what_counts(
    machine: Path, cgroup: str, counter: str
) -> None:
    write(machine / "proc/7/cgroup", cgroup)
    write(machine / "sys/fs/cgroup" / counter, "low 0\noom 4\noom_kill 2\noom_group_kill 0\n")
    kills = OomKills(7, machine)
    assert kills.grew() is False
    # A kill of strangers, in another group, is not ours.
    write(machine / "proc/vmstat", "oom_kill 99\n")
    assert kills.grew() is False
    write(machine / "sys/fs/cgroup" / counter, "low 0\noom 5\noom_kill 3\noom_group_kill 0\n")
    assert kills.grew() is True


def test_without_a_cgroup_the_machines_count_is_taken_and_without_any_none(
    machine: Path, tmp_path: Path
) -> None:
    kills = OomKills(7, machine)
    write(machine / "proc/vmstat", "oom_kill 6\n")
    assert kills.grew() is True
    assert OomKills(7, tmp_path / "a-mac").grew() is None
