"""The worker's talk with the manager, against one that answers by a script.

Times are not waited for: pauses are cut short, and patience is zero or endless.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_manager import ScriptedManager, assignment

from burst.errors import ManagerUnreachable
from burst.protocol.client import ManagerClient
from burst.protocol.worker_messages import (
    Assignment,
    FramePublished,
    RegisterWorker,
    Report,
    Verdict,
)
from burst.worker import courier as module
from burst.worker.courier import Courier
from burst.worker.held import HeldAttempts
from burst.worker.outbox import Outbox

INTRODUCTION = RegisterWorker.model_validate(
    {
        "name": "w",
        "pool": "p",
        "host": "h",
        "pid": 1,
        "capabilities": {"blenders": [{"version": [5, 0, 1], "kind": "binary"}]},
        "threads": 1,
    }
)


class Worker:
    """A courier with everything it needs."""

    def __init__(self, manager: ScriptedManager, folder: Path, patience: float = 1e9) -> None:
        self.manager = manager
        self.held = HeldAttempts()
        self.outbox = Outbox(folder / "outbox")
        self.verdicts: list[tuple[Report, str]] = []
        self.canceled: list[tuple[str, ...]] = []
        self.client = ManagerClient(manager.url)
        self.courier = Courier(
            self.client, self.outbox, self.held, patience, self._verdict, self.canceled.append
        )

    def _verdict(self, report: Report, verdict: Verdict) -> None:
        self.verdicts.append((report, verdict.answer))

    def close(self) -> None:
        self.courier.sign_off("the test is over")
        self.client.close()


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedManager]:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(module, "RETRY_SECONDS_MAX", 5.0)
    made = ScriptedManager()
    yield made
    made.close()


@pytest.fixture
def worker(manager: ScriptedManager, tmp_path: Path) -> Iterator[Worker]:
    made = Worker(manager, tmp_path)
    yield made
    made.close()


def _report(frame: int = 1) -> FramePublished:
    return FramePublished(job_id="job", attempt_id="a1", token="t", frame=frame)


def test_registering_is_tried_until_the_manager_is_there(
    manager: ScriptedManager, worker: Worker
) -> None:
    manager.script["register"] = [None, 503, None]
    assert worker.courier.register(INTRODUCTION).session == "s"
    assert [call for call, _ in manager.asked[:4]] == ["register"] * 4


def test_a_manager_that_is_away_for_too_long_ends_the_trying(
    manager: ScriptedManager, tmp_path: Path
) -> None:
    impatient = Worker(manager, tmp_path, patience=0)
    manager.script["register"] = [None, None]
    with pytest.raises(ManagerUnreachable):
        impatient.courier.register(INTRODUCTION)
    impatient.close()


def test_a_claimed_task_is_held_and_said_in_the_next_call(
    manager: ScriptedManager, worker: Worker
) -> None:
    worker.courier.register(INTRODUCTION)
    manager.script["claim"] = [{"assignment": assignment("a1", (1, 2))}]
    claimed = worker.courier.claim(0)
    assert claimed is not None
    assert worker.held.ids() == ("a1",)
    body = manager.wait_for("beat", lambda body: body["holding"] == ["a1"] and body["claims"] == 1)
    assert body["session"] == "s"


def test_a_claim_that_is_not_answered_counts_as_given_up(
    manager: ScriptedManager, worker: Worker
) -> None:
    worker.courier.register(INTRODUCTION)
    manager.script["claim"] = [None]
    assert worker.courier.claim(0) is None
    manager.wait_for("beat", lambda body: body["claims"] == 1)
    assert len(worker.held) == 0


@pytest.mark.parametrize("answer", ["publish", "done", "drop"])
def test_a_report_is_delivered_once_and_its_verdict_heard(
    manager: ScriptedManager, worker: Worker, answer: str
) -> None:
    manager.script["beat"] = [{"verdicts": [{"answer": answer}], "beat_seconds": 0.01}]
    worker.courier.report(_report())
    worker.courier.register(INTRODUCTION)
    manager.wait_for("beat", lambda body: bool(body["reports"]))
    worker.courier.sign_off("done")
    assert worker.verdicts == [(_report(), answer)]
    assert len(worker.outbox) == 0
    assert sum(len(body.get("reports", ())) for _, body in manager.asked) == 1


@pytest.mark.parametrize("trouble", [None, 503])
def test_reports_wait_on_disk_while_the_manager_is_away(
    manager: ScriptedManager, worker: Worker, trouble: int | None, tmp_path: Path
) -> None:
    manager.script["beat"] = [trouble, trouble, trouble]
    worker.courier.report(_report())
    worker.courier.register(INTRODUCTION)
    with manager.changed:
        assert manager.changed.wait_for(
            lambda: sum(bool(b.get("reports")) for c, b in manager.asked if c == "beat") >= 4, 30
        )
    worker.courier.sign_off("done")
    assert worker.verdicts == [(_report(), "done")]
    assert list((tmp_path / "outbox").iterdir()) == []
    assert not worker.courier.orders.away.is_set()


def test_beats_go_on_whatever_one_of_them_stumbles_over(
    manager: ScriptedManager, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    stumbled = threading.Event()
    known = worker.client.beat

    def stumble(*arguments: Any) -> Any:
        if worker.outbox and not stumbled.is_set():
            stumbled.set()
            raise RuntimeError("nobody thought of this")
        return known(*arguments)

    monkeypatch.setattr(worker.client, "beat", stumble)
    worker.courier.register(INTRODUCTION)
    worker.courier.report(_report())
    manager.wait_for("beat", lambda body: len(body["reports"]) == 1)
    assert stumbled.is_set()


def test_a_disk_that_can_not_be_looked_at_keeps_nobody_from_beating(
    manager: ScriptedManager, worker: Worker
) -> None:
    worker.outbox.folder.rmdir()
    worker.courier.register(INTRODUCTION)
    manager.wait_for("beat", lambda body: body["statistics"] is None)
    assert worker.courier.claim(0) is None
    assert worker.courier._thread.is_alive()


def test_a_worker_without_patience_notes_that_the_manager_is_away(
    manager: ScriptedManager, tmp_path: Path
) -> None:
    impatient = Worker(manager, tmp_path, patience=0)
    impatient.courier.register(INTRODUCTION)
    manager.script["claim"] = [None]
    assert impatient.courier.claim(0) is None
    assert impatient.courier.orders.away.is_set()
    impatient.close()


def test_a_worker_that_was_given_up_notes_it_and_can_register_again(
    manager: ScriptedManager, worker: Worker
) -> None:
    worker.courier.register(INTRODUCTION)
    manager.script["claim"] = [410]
    assert worker.courier.claim(0) is None
    assert worker.courier.orders.gone.is_set()
    worker.courier.register(INTRODUCTION)
    assert not worker.courier.orders.gone.is_set()
    manager.wait_for("beat", lambda body: body["claims"] == 0)


@pytest.mark.parametrize("call", ["beat", "claim"])
def test_a_worker_that_was_given_up_stops_what_it_holds(
    manager: ScriptedManager, worker: Worker, call: str
) -> None:
    worker.held.add(Assignment.model_validate(assignment("a1", (1, 2))))
    manager.script[call] = [410]
    worker.courier.register(INTRODUCTION)
    if call == "claim":
        assert worker.courier.claim(0) is None
    assert worker.courier.orders.gone.wait(30)
    worker.courier.sign_off("done")
    assert worker.canceled == [("a1",)]


def test_a_late_answer_to_a_former_session_does_not_end_the_new_one(
    manager: ScriptedManager, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on = threading.Event(), threading.Event()
    real = manager.answer

    def late(call: str, body: dict[str, Any]) -> Any:
        answer = real(call, body)
        if call == "beat" and body["session"] == "old":
            asked.set()
            assert go_on.wait(30)
            return 410
        return answer

    monkeypatch.setattr(manager, "answer", late)
    terms = {"lease_seconds": 20, "beat_seconds": 0.01, "idle_exit_seconds": 0}
    manager.script["register"] = [{"session": "old", **terms}, {"session": "new", **terms}]
    worker.courier.register(INTRODUCTION)
    assert asked.wait(30)
    worker.courier.register(INTRODUCTION)
    worker.held.add(Assignment.model_validate(assignment("a1")))
    go_on.set()
    manager.wait_for("beat", lambda body: body["session"] == "new")
    assert not worker.courier.orders.gone.is_set()
    assert worker.canceled == []


def test_orders_are_passed_on(manager: ScriptedManager, worker: Worker) -> None:
    worker.courier.register(INTRODUCTION)
    manager.script["claim"] = [{"cancel": ["a1", "a2"], "drain": True}]
    assert worker.courier.claim(0) is None
    assert worker.canceled == [("a1", "a2")]
    assert worker.courier.orders.drain.is_set()


def test_leftovers_of_an_earlier_life_are_delivered_before_anything_else(
    manager: ScriptedManager, worker: Worker
) -> None:
    worker.courier.report(_report(1))
    worker.courier.report(_report(2))
    manager.script["reports"] = [None]
    worker.courier.deliver_leftovers()
    assert [call for call, _ in manager.asked] == ["reports", "reports"]
    assert [report.frame for report, _ in worker.verdicts if report.kind == "published"] == [1, 2]
    assert len(worker.outbox) == 0


def test_leftovers_that_nobody_understands_do_not_keep_a_worker_from_starting(
    manager: ScriptedManager, worker: Worker
) -> None:
    worker.courier.report(_report())
    manager.script["reports"] = [400]
    worker.courier.deliver_leftovers()
    assert len(worker.outbox) == 0


def test_signing_off_says_what_is_left_and_why(manager: ScriptedManager, worker: Worker) -> None:
    worker.courier.register(INTRODUCTION)
    worker.courier.sign_off("nothing to do")
    body: dict[str, Any] = manager.wait_for("sign-off", lambda body: True)
    assert (body["session"], body["reason"]) == ("s", "nothing to do")
