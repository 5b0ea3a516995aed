"""What pods and Jobs say about a worker, in the words that Kubernetes uses."""

from __future__ import annotations

from typing import Any

import pytest

from burst.domain.transitions import AttemptStatus
from burst.manager.autoscaler.pods import TEXT_MAX, error_of, needs_log, worker_of
from burst.manager.autoscaler.provider import StartedWorker

JOB: dict[str, Any] = {"metadata": {"labels": {"burst/pool": "cpu"}}, "status": {}}
UNSCHEDULABLE = "0/3 nodes are available: 3 Insufficient cpu."
SHUTDOWN = "Pod was terminated in response to imminent node shutdown."


def _pod(**values: Any) -> dict[str, Any]:
    metadata = {"name": "w-x", "labels": {"burst/pool": "cpu"}, **values.pop("metadata", {})}
    return {"metadata": metadata, "spec": {"nodeName": values.pop("node", "n")}, "status": values}


def _state(**state: Any) -> list[dict[str, Any]]:
    return [
        {"name": "gke-gcsfuse-sidecar", "state": {"running": {}}},
        {"name": "worker", "state": state},
    ]


def _condition(kind: str, status: str = "True", **values: str) -> dict[str, str]:
    return {"type": kind, "status": status, **values}


def _terminated(code: int, **values: Any) -> list[dict[str, Any]]:
    return _state(terminated={"exitCode": code, **values})


def _look(pod: dict[str, Any] | None, **job_status: Any) -> StartedWorker:
    return worker_of("w", {**JOB, "status": job_status}, pod, {})


def test_one_that_runs_waits_for_nothing() -> None:
    found = _look(_pod(phase="Running", containerStatuses=_state(running={})))
    assert found == StartedWorker("w", True, pool="cpu")


def test_one_that_left_by_itself_did_not_fail_even_while_its_sidecar_goes_on() -> None:
    found = _look(_pod(phase="Running", containerStatuses=_terminated(0, reason="Completed")))
    assert found == StartedWorker("w", False, pool="cpu")
    # A program of it was killed for its memory, it told that itself, and left.
    found = _look(_pod(phase="Succeeded", containerStatuses=_terminated(0, reason="OOMKilled")))
    assert (found.failure, found.outcome) == ("", AttemptStatus.LOST)


def test_one_that_gave_up_says_why() -> None:
    message = "probing Blender\nerror: no GPU was found\n\nhint: install the driver"
    found = _look(_pod(phase="Failed", containerStatuses=_terminated(1, message=message)))
    assert (found.failure, found.gave_up) == ("no GPU was found", True)
    assert not needs_log(found)
    silent = _look(_pod(phase="Failed", containerStatuses=_terminated(1)))
    assert needs_log(silent)


@pytest.mark.parametrize(
    ("code", "values", "failure"),
    [
        (137, {"reason": "Error"}, "killed by SIGKILL"),
        (139, {}, "killed by SIGSEGV"),
        (70, {"message": "error: this is a bug in burst"}, "this is a bug in burst"),
        (70, {}, "exit status 70"),
        (255, {}, "exit status 255"),
        (128, {"reason": "StartError", "message": "no such file"}, "StartError: no such file"),
    ],
)
def test_one_that_was_killed_or_broke_says_how(
    code: int, values: dict[str, str], failure: str
) -> None:
    found = _look(_pod(phase="Failed", containerStatuses=_terminated(code, **values)))
    assert (found.running, found.failure, found.gave_up) == (False, failure, False)
    assert found.outcome is AttemptStatus.LOST


def test_memory_that_ran_out_is_told_from_a_kill() -> None:
    found = _look(_pod(phase="Failed", containerStatuses=_terminated(137, reason="OOMKilled")))
    assert (found.running, found.outcome) == (False, AttemptStatus.OUT_OF_MEMORY)
    assert "memory" in found.failure


@pytest.mark.parametrize(
    ("pod", "says"),
    [
        (_pod(phase="Failed", conditions=[_condition("DisruptionTarget", message=SHUTDOWN)],
              containerStatuses=_terminated(137)), "imminent node shutdown"),
        (_pod(phase="Failed", reason="Terminated", message=SHUTDOWN,
              containerStatuses=_terminated(143)), "imminent node shutdown"),
        (_pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."),
         "low on resource"),
        (_pod(phase="Failed", conditions=[_condition("DisruptionTarget", reason="PodGC")]),
         "its pod ended"),
        (_pod(phase="Failed", metadata={"deletionTimestamp": "2030-01-01T00:00:00Z"},
              containerStatuses=_terminated(143)), "its pod was deleted"),
    ],
)  # fmt: skip
def test_what_was_taken_is_interrupted(pod: dict[str, Any], says: str) -> None:
    found = _look(pod)
    assert (found.running, found.outcome) == (False, AttemptStatus.INTERRUPTED)
    assert says in found.failure


def test_a_pod_that_a_node_turned_away_says_so() -> None:
    pod = _pod(phase="Failed", reason="UnexpectedAdmissionError", message="no devices left")
    found = _look(pod)
    assert (found.running, found.outcome) == (False, AttemptStatus.LOST)
    assert found.failure == "UnexpectedAdmissionError: no devices left"


def test_a_job_says_it_where_there_is_no_pod_any_more() -> None:
    done = _look(None, conditions=[_condition("Complete")])
    assert (done.running, done.failure) == (False, "")
    gone = _look(None, conditions=[_condition("Failed", reason="BackoffLimitExceeded")])
    assert (gone.running, gone.outcome) == (False, AttemptStatus.INTERRUPTED)
    assert gone.failure == "its pod is gone"
    late = _look(None, conditions=[_condition("Failed", reason="DeadlineExceeded")])
    assert "deadline" in late.failure


def test_a_pod_without_a_node_waits_for_one() -> None:
    scheduled = _condition("PodScheduled", "False", reason="Unschedulable", message=UNSCHEDULABLE)
    found = _look(_pod(phase="Pending", node=None, conditions=[scheduled]))
    assert (found.running, found.holdup) == (True, "node")
    assert found.waits == f"no node for it: {UNSCHEDULABLE}"
    assert _look(_pod(phase="Pending", node=None)).holdup == "node"


@pytest.mark.parametrize("kind", ["containerStatuses", "initContainerStatuses"])
@pytest.mark.parametrize(
    "reason", ["ImagePullBackOff", "ErrImagePull", "CreateContainerConfigError", "InvalidImageName"]
)
def test_what_no_time_mends_is_told_from_what_it_does(kind: str, reason: str) -> None:
    waiting = {"waiting": {"reason": reason, "message": "no such image"}}
    found = _look(_pod(phase="Pending", **{kind: [{"name": "worker", "state": waiting}]}))
    assert (found.running, found.holdup, found.waits) == (
        True,
        "broken",
        f"{reason}: no such image",
    )
    creating = {"waiting": {"reason": "ContainerCreating"}}
    found = _look(_pod(phase="Pending", **{kind: [{"name": "worker", "state": creating}]}))
    assert (found.holdup, found.waits) == ("start", "")


def test_what_kubernetes_tells_of_every_node_is_cut() -> None:
    scheduled = _condition("PodScheduled", "False", message="node\n" * 1000)
    found = _look(_pod(phase="Pending", node=None, conditions=[scheduled]))
    assert len(found.waits) == TEXT_MAX
    assert "\n" not in found.waits


def test_the_last_error_of_a_program_counts() -> None:
    assert error_of("error: one\nerror: two\n\nhint: three") == "two"
    assert error_of("no word of it") == ""


def test_one_whose_pod_is_being_deleted_will_not_begin_whatever_its_node_said_last() -> None:
    deleted = {"deletionTimestamp": "2030-01-01T00:00:00Z"}
    for status in ({}, {"containerStatuses": _state(running={})}):
        found = _look(_pod(metadata=deleted, phase="Pending", **status))
        assert (found.running, found.holdup) == (True, "broken")
        assert (found.outcome, found.waits) == (
            AttemptStatus.INTERRUPTED,
            "its pod is being deleted",
        )
