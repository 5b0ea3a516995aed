"""A full disk: told from other failures, rested on, and never in the way of a report.

Leaves out a disk that is really full: ``tests/chaos/test_disk_full.py`` has one.
"""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from burst.errors import StorageError, StorageFull
from burst.protocol.worker_messages import AttemptEnded
from burst.worker.blender import BlenderFailed
from burst.worker.dialogue import failed
from burst.worker.faults import Fault
from burst.worker.outbox import Outbox
from burst.worker.space import REST_FIRST_SECONDS, REST_LAST_SECONDS, Rest, is_disk_full


@pytest.mark.parametrize(
    ("error", "is_full"),
    [
        (failed(Fault.DISK_FULL, folder=Path("/scratch/1")), True),
        (BlenderFailed("Blender hung while rendering frame 1"), False),
        (failed(Fault.OUT_OF_MEMORY, doing="rendering frame 1"), False),
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (OSError(errno.EIO, "Input/output error"), False),
        (StorageFull("can't store a frame: no space left on the disk"), True),
        (StorageError("can't store a frame"), False),
    ],
)
def test_a_full_disk_is_told_from_other_failures(error: Exception, is_full: bool) -> None:
    assert is_disk_full(error) is is_full


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_worker_rests_longer_each_time_until_a_frame_is_finished() -> None:
    clock = Clock()
    rest = Rest(clock)
    assert rest.seconds_left == 0
    lengths = []
    for _ in range(7):
        rest.begin()
        lengths.append(rest.seconds_left)
        clock.now += rest.seconds_left
        assert rest.seconds_left == 0
    assert lengths == [1, 2, 4, 8, 16, REST_LAST_SECONDS, REST_LAST_SECONDS]
    rest.begin()
    rest.end()
    assert rest.seconds_left == 0
    rest.begin()
    assert rest.seconds_left == REST_FIRST_SECONDS


def test_a_report_that_the_disk_does_not_take_is_sent_all_the_same(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox")
    (tmp_path / "outbox").rmdir()
    report = AttemptEnded(
        job_id="job", attempt_id="attempt", token="token", outcome="interrupted", reason="full"
    )
    outbox.add(report)
    taken = outbox.take()
    assert list(taken.values()) == [report]
    outbox.settle([*taken])
    assert len(outbox) == 0
