"""Nodes that are only said to be there, by kwok: for the numbers, without the machines.

A pod on one of them is Ready at once and stays, until it is deleted, or told to end by its
annotation ``burst/exit`` (scripts/kubernetes/kwok-exit.yaml).
"""

from __future__ import annotations

import json
from pathlib import Path

from testcluster import control
from testcluster.lifecycle import kubectl
from testcluster.machine import Machine, wait_for
from testcluster.places import Place

LABEL = "burst-test/kwok"
TAINT = "kwok.x-k8s.io/node"
READY_SECONDS = 180.0
AT_ONCE = 500
CORES, MEMORY, PODS = "8", "32Gi", "110"


def set_count(place: Place, programs: Path, count: int) -> None:
    """Have that many, and wait until they are ready; what tolerates their taint runs on them."""
    Machine(place, 1, programs).start("kwok", [
        "kwok", f"--kubeconfig={place.kubeconfig}", f"--config={programs}/kwok.yaml",
        f"--manage-nodes-with-annotation-selector={TAINT}=fake",
    ])  # fmt: skip
    wanted = {f"kwok-{number}" for number in range(1, count + 1)}
    there = set(_ready_or_not(place))
    _make(place, programs, sorted(wanted - there))
    _remove(place, programs, sorted(there - wanted))
    wait_for(f"{count} nodes of kwok", READY_SECONDS, lambda: _are_ready(place, wanted))


def _make(place: Place, programs: Path, names: list[str]) -> None:
    for begin in range(0, len(names), AT_ONCE):
        nodes = [_node(name) for name in names[begin : begin + AT_ONCE]]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": nodes})
        kubectl(place, programs, "create", "-f", "-", text=text)


def _remove(place: Place, programs: Path, names: list[str]) -> None:
    for begin in range(0, len(names), AT_ONCE):
        kubectl(place, programs, "delete", "node", "--wait=false", *names[begin : begin + AT_ONCE])


def _node(name: str) -> dict[str, object]:
    resources = {"cpu": CORES, "memory": MEMORY, "pods": PODS, "ephemeral-storage": "100Gi"}
    return {
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {TAINT: "fake"},
            "labels": {
                LABEL: "true", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
            },
        },
        "spec": {"taints": [{"key": TAINT, "value": "fake", "effect": "NoSchedule"}]},
        "status": {"allocatable": resources, "capacity": resources},
    }  # fmt: skip


def _ready_or_not(place: Place) -> dict[str, bool]:
    listed = control.ask(place, f"/api/v1/nodes?labelSelector={LABEL}%3Dtrue") or {"items": ()}
    return {node["metadata"]["name"]: _is_ready(node) for node in listed["items"]}


def _is_ready(node: dict[str, dict[str, list[dict[str, str]]]]) -> bool:
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in node.get("status", {}).get("conditions", ())
    )


def _are_ready(place: Place, wanted: set[str]) -> bool:
    seen = _ready_or_not(place)
    return set(seen) == wanted and all(seen.values())
