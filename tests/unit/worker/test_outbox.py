"""Reports on disk: in order, once, over crashes."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from burst.protocol.worker_messages import FramePublished
from burst.worker.outbox import Outbox


def _report(frame: int) -> FramePublished:
    return FramePublished(job_id="j", attempt_id="a", token="t", frame=frame)


def _frames(outbox: Outbox) -> list[int]:
    taken = outbox.take()
    outbox.give_back([*taken])
    return [report.frame for report in taken.values() if isinstance(report, FramePublished)]


def test_reports_outlive_the_process_in_their_order(tmp_path: Path) -> None:
    first = Outbox(tmp_path)
    for frame in range(12):
        first.add(_report(frame))
    first.take()  # being sent when it was killed
    second = Outbox(tmp_path)
    assert _frames(second) == list(range(12))
    second.add(_report(99))
    assert _frames(Outbox(tmp_path)) == [*range(12), 99]


def test_what_was_answered_is_forgotten_on_disk_too(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    for frame in (1, 2, 3):
        outbox.add(_report(frame))
    taken = outbox.take()
    outbox.settle([*taken][:2])
    outbox.settle([*taken][:2])
    assert len(outbox) == 1
    assert _frames(Outbox(tmp_path)) == [3]


def test_what_is_being_sent_is_not_taken_twice(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    outbox.add(_report(1))
    first = outbox.take()
    outbox.add(_report(2))
    assert [r.frame for r in outbox.take().values() if isinstance(r, FramePublished)] == [2]
    assert outbox.take() == {}
    outbox.give_back([*first])
    assert len(outbox.take()) == 1


@pytest.mark.parametrize("torn", [b"", b'{"kind": "publ', b"\xff", b'{"kind": "unknown"}'])
def test_a_torn_file_costs_only_itself(tmp_path: Path, torn: bytes) -> None:
    outbox = Outbox(tmp_path)
    outbox.add(_report(1))
    outbox.add(_report(2))
    (tmp_path / "1.json").write_bytes(torn)
    (tmp_path / "3.new").write_bytes(b"half")
    again = Outbox(tmp_path)
    assert _frames(again) == [2]
    again.add(_report(3))
    assert _frames(Outbox(tmp_path)) == [2, 3]


def test_reports_of_many_threads_are_all_kept_and_sent_once(tmp_path: Path) -> None:
    outbox, sent, lock = Outbox(tmp_path), [], threading.Lock()

    def add(start: int) -> None:
        for frame in range(start, start + 10):
            outbox.add(_report(frame))
            taken = outbox.take()
            with lock:
                sent.extend(r.frame for r in taken.values() if isinstance(r, FramePublished))
            outbox.settle([*taken])

    threads = [threading.Thread(target=add, args=(start,)) for start in (0, 100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sent) == sorted({*sent})
    assert len(sent) == 40
    assert len(outbox) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_nothing_any_more_loses_no_report_and_raises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Outbox(tmp_path)
    outbox.add(_report(1))

    def refuse(*arguments: object, **more: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    outbox.add(_report(2))
    assert _frames(outbox) == [1, 2]
    outbox.settle([*outbox.take()])
    assert len(outbox) == 0
