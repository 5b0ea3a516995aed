"""Every command of a task: what it does, what it leaves, and each way in which it fails.

Real programs and files. Videos are in ``test_encode.py``; that no process is left behind is in
``test_program.py``.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from command_place import Rig

from burst.worker import commands as module
from burst.worker.commands import CommandFailed, Interrupted, run_commands
from burst.worker.talk import Talk


def no_video(*arguments: Any) -> None:
    raise AssertionError("nothing is encoded here")


def run(rig: Rig) -> tuple[Path, ...]:
    return run_commands(rig.place, no_video)


def failure(rig: Rig) -> CommandFailed:
    with pytest.raises(CommandFailed) as caught:
        run(rig)
    return caught.value


def sh(script: str, **more: Any) -> dict[str, Any]:
    return {"kind": "exec", "argv": ["sh", "-c", script], **more}


# ── All of them ──────────────────────────────────────────────────────────────────────


def test_commands_run_in_order_and_what_they_leave_is_their_result(tmp_path: Path) -> None:
    first = sh("mkdir $BURST_OUTPUT_DIR/sub; echo 1 > $BURST_OUTPUT_DIR/sub/a.txt")
    then = sh("cat $BURST_OUTPUT_DIR/sub/a.txt; echo 2 > $BURST_OUTPUT_DIR/b.txt")
    rig = Rig(tmp_path, first, then)
    files = run(rig)
    assert [path.relative_to(rig.place.output).as_posix() for path in files] == [
        "b.txt",
        "sub/a.txt",
    ]
    assert rig.lines == ["1"]
    assert [step for _, step in rig.told] == ["exec (1 of 2)", "exec (2 of 2)"]


def test_nothing_runs_after_a_command_that_failed(tmp_path: Path) -> None:
    rig = Rig(tmp_path, sh("exit 1"), {"kind": "echo", "text": "never"})
    assert str(failure(rig)) == "exec: sh left with exit status 1"
    assert rig.lines == []


def test_an_attempt_that_is_over_runs_nothing(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {"kind": "echo", "text": "never"})
    rig.held.over.set()
    with pytest.raises(Interrupted):
        run(rig)
    assert rig.lines == []


@pytest.mark.parametrize("script", ["ln -s /etc/passwd x", "mkfifo x"])
def test_what_is_no_ordinary_file_is_not_published(tmp_path: Path, script: str) -> None:
    rig = Rig(tmp_path, sh(f"cd $BURST_OUTPUT_DIR && {script}"))
    assert str(failure(rig)) == "x is no ordinary file and can't be published"


def test_a_name_that_burst_uses_itself_is_refused(tmp_path: Path) -> None:
    rig = Rig(tmp_path, sh("echo {} > $BURST_OUTPUT_DIR/index.json"))
    error = failure(rig)
    assert (str(error), error.gives_up) == ("index.json is a name that burst uses itself", "task")


# ── exec ─────────────────────────────────────────────────────────────────────────────


def test_a_program_is_started_without_a_shell(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {"kind": "exec", "argv": ["echo", "$HOME; *", "b c"]})
    run(rig)
    assert rig.lines == ["$HOME; * b c"]


def test_a_program_finds_what_it_is_for_and_nothing_of_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURST_WORKER_TOKEN", "secret")
    monkeypatch.setenv("PYTHONPATH", "/x")
    rig = Rig(tmp_path, sh("env", environment={"COLOUR": "red", "LANG": "xx"}))
    run(rig)
    found = dict(line.split("=", 1) for line in rig.lines)
    assert found["BURST_JOB"] == "job"
    assert found["BURST_OUTPUT_DIR"] == str(rig.place.output)
    assert found["BURST_SCENE_DIR"] == str(rig.checkout / "shots")
    assert (found["COLOUR"], found["LANG"]) == ("red", "xx")
    assert found["HOME"].startswith(str(rig.place.own))
    assert not {"BURST_WORKER_TOKEN", "PYTHONPATH"} & set(found)


@pytest.mark.parametrize(
    ("wanted", "place"), [(None, "checkout/shots"), ("..", "checkout"), ("/", "/")]
)
def test_a_program_runs_where_it_is_to_run(tmp_path: Path, wanted: str | None, place: str) -> None:
    rig = Rig(tmp_path, sh("pwd", working_directory=wanted))
    run(rig)
    assert rig.lines == [str(tmp_path / place)]


def test_a_program_of_the_scene_can_be_run(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {"kind": "exec", "argv": ["./tool"]})
    tool = rig.checkout / "shots" / "tool"
    tool.write_text("#!/bin/sh\necho tool $0\n")
    tool.chmod(0o755)
    run(rig)
    assert rig.lines == [f"tool {tool}"]


def test_a_job_without_a_scene_has_a_folder_of_its_own(tmp_path: Path) -> None:
    rig = Rig(tmp_path, sh("pwd; echo $BURST_SCENE_DIR"), scene=False)
    run(rig)
    assert rig.lines == [str(rig.place.own)]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (
            {"kind": "exec", "argv": ["no-such-program"]},
            "exec: there is no program no-such-program on this worker",
        ),
        (
            {"kind": "exec", "argv": ["./none"]},
            "exec: there is no program ./none on this worker",
        ),
        (sh("exit 42"), "exec: sh left with exit status 42"),
        (sh("kill -SEGV $$"), "exec: sh was ended by signal SIGSEGV"),
        (sh("kill -40 $$"), "exec: sh was ended by signal 40"),
        (
            {"kind": "exec", "argv": ["true", "\0"]},
            "exec: true can't be started: embedded null byte",
        ),
        (
            sh("", environment={"a=b": ""}),
            "exec: sh can't be started: illegal environment variable name",
        ),
        (
            sh("sleep 600", timeout_seconds=0.2),
            "exec: sh took longer than the 0.2 s that it was given",
        ),
        (sh("", working_directory="none"), "exec: there is no folder none"),
        (sh("", working_directory="../.."), "exec: ../.. lies outside of the scene"),
    ],
)
def test_a_program_that_fails_is_named_with_what_was_wrong(
    tmp_path: Path, command: dict[str, Any], reason: str
) -> None:
    error = failure(Rig(tmp_path, command))
    assert (str(error), error.outcome) == (reason, "failed")


def test_a_program_that_can_not_be_started_says_why(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {"kind": "exec", "argv": ["./tool"]})
    tool = rig.checkout / "shots" / "tool"
    tool.write_text("#!/no/such/interpreter\n")
    tool.chmod(0o755)
    assert str(failure(rig)).startswith("exec: ./tool can't be started: No such file")


def test_the_last_lines_of_a_program_that_failed_go_with_it(tmp_path: Path) -> None:
    error = failure(Rig(tmp_path, sh("echo why; exit 1")))
    assert error.log_tail == ("why",)


def test_a_program_that_takes_too_much_memory_ran_out_of_it(tmp_path: Path) -> None:
    script = "x = bytearray(200 << 20); import time; time.sleep(600)"
    rig = Rig(tmp_path, {"kind": "exec", "argv": [os.path.realpath(sys.executable), "-c", script]})
    rig.place.memory_limit_bytes = 100 << 20
    error = failure(rig)
    assert error.outcome == "out_of_memory"
    assert "of 0.1 GiB of memory" in str(error)
    assert error.peak_memory_bytes > 150 << 20


@pytest.mark.parametrize(
    ("pattern", "line", "percent"),
    [
        (r"(\d+) %", "done 25 %", 25),
        (r"(\d+)/(\d+)", "part 3/4", 75),
        (r"(\d+)/(\d+)", "part 3/0", None),
        (r"(\d+) %", "nothing here", None),
        (r"(y)?x", "x", None),
    ],
)
def test_progress_is_read_by_pattern(
    tmp_path: Path, pattern: str, line: str, percent: float | None
) -> None:
    rig = Rig(tmp_path, sh(f"echo '{line}'", progress=pattern))
    run(rig)
    assert [told for told, _ in rig.told if told is not None] == [percent] * (percent is not None)


def test_a_program_ends_with_the_attempt(tmp_path: Path) -> None:
    rig = Rig(tmp_path, sh("echo started; sleep 600"))
    rig.place.talk = Talk(lambda level, text: rig.held.over.set(), lambda percent, step: None)
    with pytest.raises(Interrupted):
        run(rig)


def test_what_a_program_left_running_is_said(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("known on Linux alone")
    rig = Rig(tmp_path, sh("setsid sleep 600 & echo ok"))
    run(rig)
    assert rig.lines == ["ok", "sh left 1 process running, which burst ended"]


# ── sleep, echo ──────────────────────────────────────────────────────────────────────


def test_a_sleep_ends_with_the_attempt(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {"kind": "sleep", "seconds": 600})
    threading.Timer(0.1, rig.held.over.set).start()
    with pytest.raises(Interrupted):
        run(rig)


def test_a_sleep_is_over_some_time(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {"kind": "sleep", "seconds": 0.05})
    assert run(rig) == ()
    assert rig.told[-1][1] == "sleep: sleep 0.05 s"


def test_an_echo_is_a_line_of_the_log(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {"kind": "echo", "text": "one\ntwo"}, {"kind": "echo", "text": ""})
    assert run(rig) == ()
    assert rig.lines == ["one", "two", ""]


# ── copy ─────────────────────────────────────────────────────────────────────────────


def copy(source: str, target: str) -> dict[str, Any]:
    return {"kind": "copy", "source": source, "target": target}


def test_a_file_of_the_scene_is_copied_and_links_are_followed(tmp_path: Path) -> None:
    rig = Rig(tmp_path, copy("a.blend", "back/a.blend"), copy("../tex/wood.png", "wood.png"))
    (tmp_path / "blob").write_bytes(b"wood")
    (rig.checkout / "tex").mkdir()
    (rig.checkout / "tex" / "wood.png").symlink_to(tmp_path / "blob")
    run(rig)
    assert rig.left() == {"back/a.blend": b"blend", "wood.png": b"wood"}
    assert not (rig.place.output / "wood.png").is_symlink()


def test_a_folder_is_copied_with_all_that_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere" / "deep"
    folder.mkdir(parents=True)
    (folder / "x").write_bytes(b"1" * 100_000)
    (folder.parent / "y").write_bytes(b"2")
    rig = Rig(tmp_path, copy(str(folder.parent), "all"))
    run(rig)
    assert rig.left() == {"all/deep/x": b"1" * 100_000, "all/y": b"2"}


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("none.png", "copy: there is no none.png"),
        ("/none/at/all", "copy: there is no /none/at/all"),
        ("../../secret", "copy: ../../secret lies outside of the scene"),
        ("/proc/self/environ", "copy: /proc/self/environ is no file to copy"),
        ("/dev/zero", "copy: /dev/zero is no file to copy"),
    ],
)
def test_a_copy_takes_only_what_it_may(tmp_path: Path, source: str, reason: str) -> None:
    (tmp_path / "secret").write_text("x")
    rig = Rig(tmp_path, copy(source, "a"))
    assert str(failure(rig)) == reason
    assert rig.left() == {}


def test_a_link_to_what_is_no_file_is_none_to_copy(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/proc/self/environ")
    assert "is no file to copy" in str(failure(Rig(tmp_path, copy(str(tmp_path / "link"), "a"))))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    rig = Rig(tmp_path, copy(str(tmp_path / "pipe"), "a"))
    assert str(failure(rig)).endswith("pipe is no ordinary file")


def test_a_long_copy_ends_with_the_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COPY_BYTES", 1)
    (tmp_path / "big").write_bytes(b"12345")
    rig = Rig(tmp_path, copy(str(tmp_path / "big"), "big"))
    seen: list[int] = []
    known = rig.place.check

    def check(place: Any) -> None:
        seen.append(1)
        if len(seen) == 4:
            rig.held.over.set()
        known()

    monkeypatch.setattr(module.Place, "check", check)
    with pytest.raises(Interrupted):
        run(rig)
    assert len(rig.left()["big"]) < 5


def test_a_job_without_a_scene_has_nothing_relative(tmp_path: Path) -> None:
    rig = Rig(tmp_path, copy("a.blend", "a"), scene=False)
    error = failure(rig)
    assert (str(error), error.gives_up) == (
        "copy: a.blend is relative, and the job has no scene",
        "task",
    )
