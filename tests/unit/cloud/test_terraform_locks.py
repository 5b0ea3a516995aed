"""Whose lock it is, and whether its holder is gone."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from burst.cloud.terraform_locks import (
    Host,
    Run,
    StateLock,
    is_gone,
    is_left_by,
    read_run,
    read_state_lock,
)
from burst.cloud.terraform_process import Call

HERE = Host("studio", "5ca1ab1e", "boot-1 pid:[4026531836]")
RUN = Run("id", "burst up", "ann", HERE, 4711, 1000.0, "2026-11-22 20:00:00 UTC")


def never(pid: int) -> float | None:
    raise AssertionError("nobody has to look at processes")


def test_a_run_is_read_as_it_was_written_and_names_itself() -> None:
    assert read_run(RUN.to_json()) == RUN
    assert str(RUN) == "burst up of ann at studio (process 4711, since 2026-11-22 20:00:00 UTC)"


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"host": {}}', b'{"host": 1}', b"\xff"])
def test_a_lock_that_cant_be_read_is_nobodys(content: bytes) -> None:
    assert read_run(content) is None
    assert read_state_lock(content) is None


def test_a_run_of_this_state_directory_is_gone_since_its_file_is_free() -> None:
    rebooted = replace(HERE, boot_id="boot-2 pid:[4026531836]")
    assert is_gone(RUN, HERE, never)
    assert is_gone(RUN, rebooted, never)


def test_a_run_of_another_state_directory_here_is_gone_with_its_process() -> None:
    here = replace(HERE, state_id="0ther")
    assert is_gone(RUN, here, lambda pid: None)
    assert is_gone(RUN, here, {4711: 5000.0}.get)
    assert not is_gone(RUN, here, {4711: 1000.5}.get)


@pytest.mark.parametrize(
    "here",
    [
        replace(HERE, name="laptop"),
        replace(HERE, state_id="0ther", boot_id="boot-2 pid:[4026531836]"),
        replace(HERE, state_id="0ther", boot_id="boot-1 pid:[4026539999]"),
    ],
    ids=["another host", "another machine of that name, or started anew", "another container"],
)
def test_whoever_may_be_elsewhere_is_taken_to_be_alive(here: Host) -> None:
    assert not is_gone(RUN, here, lambda pid: None)


CREATED = datetime(2026, 11, 22, 23, 8, 31, tzinfo=UTC)
LOCK = StateLock("ann@studio", "apply", CREATED)


def test_terraforms_lock_is_read() -> None:
    told = {
        "ID": "b625084d", "Operation": "OperationTypeApply", "Info": "", "Who": "ann@studio",
        "Version": "1.11.4", "Created": "2026-11-22T23:08:31.150147439Z", "Path": "gs://b/x.tflock",
    }  # fmt: skip
    assert read_state_lock(json.dumps(told).encode()) == LOCK
    assert str(LOCK) == "terraform apply of ann@studio, since 2026-11-22 23:08:31 UTC"


@pytest.mark.parametrize(
    ("seconds", "who", "is_its"),
    [
        (-3.0, "ann@studio", True),
        (-0.2, "ann@studio", True),
        (-299.0, "ann@studio", True),
        (-301.0, "ann@studio", False),
        (+2.0, "ann@studio", False),
        (-3.0, "ann@laptop", False),
        (-3.0, "bob@studio", False),
    ],
)
def test_a_lock_is_a_dead_calls_if_it_is_as_old(seconds: float, who: str, is_its: bool) -> None:
    call = Call("apply", CREATED.timestamp() + seconds, 99, 0.0)
    assert is_left_by(LOCK, call, who) is is_its
