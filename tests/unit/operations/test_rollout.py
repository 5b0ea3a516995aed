"""What is told while a pod does not come up; how it is put there is in test_deploy.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from burst.cloud.kubectl import Kubectl
from burst.operations import rollout
from burst.operations.rollout import wait_for_pod
from tests.fakes.cluster_tools import FakeTools

READY = {"conditions": [{"type": "Ready", "status": "True"}]}
UNSCHEDULABLE = {
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are …",
        }
    ]
}


def test_who_waits_long_is_told_for_what_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = FakeTools(tmp_path / "tools")
    monkeypatch.setenv("PATH", str(tools.bin))
    monkeypatch.setattr(rollout, "_POLL_SECONDS", 0.0)
    tools.put("pod", "look", status={})
    told: list[str] = []
    looks = iter(range(1000))

    def clock() -> float:
        # A second a look, and what the cluster does in the meantime.
        now = next(looks)
        if now == 10:
            tools.put("pod", "look", status=UNSCHEDULABLE)
        if now == 20:
            tools.put("pod", "look", status=READY)
        return float(now)

    wait_for_pod(Kubectl(tools.kubeconfig, None, "studio"), "look", told.append, clock=clock)
    assert told == [
        "waiting for the pod look …",
        "waiting for the pod look: no node for it: 0/3 nodes are available: 3 Insufficient cpu. …",
    ]
