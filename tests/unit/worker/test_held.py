"""The attempts in a worker's hands."""

from __future__ import annotations

from scripted_manager import assignment

from burst.protocol.worker_messages import Assignment
from burst.worker.held import HeldAttempts


def _assignment(attempt_id: str = "a1", frames: tuple[int, ...] = (1, 2)) -> Assignment:
    return Assignment.model_validate(assignment(attempt_id, frames))


def test_an_attempt_is_held_until_every_frame_has_its_verdict() -> None:
    held = HeldAttempts()
    held.add(_assignment())
    held.settle_frame("a1", 1)
    held.settle_frame("a1", 1)
    assert held.ids() == ("a1",)
    held.settle_frame("a1", 2)
    held.settle_frame("a1", 2)
    held.settle_frame("unknown", 2)
    assert len(held) == 0


def test_an_attempt_that_is_ended_is_still_held_and_rendered_no_more() -> None:
    held = HeldAttempts()
    one, two = held.add(_assignment("a1")), held.add(_assignment("a2"))
    assert held.end(["a1", "unknown"]) == [one]
    assert one.over.is_set()
    assert not two.over.is_set()
    assert held.ids() == ("a1", "a2")
    assert held.all() == [one, two]


def test_an_attempt_that_is_let_go_is_over() -> None:
    held = HeldAttempts()
    one = held.add(_assignment())
    held.drop("a1")
    held.drop("a1")
    assert one.over.is_set()
    assert held.get("a1") is None
