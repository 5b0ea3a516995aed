"""Reasons of a cluster in short; the texts are those of a real one."""

from __future__ import annotations

import pytest

from burst.cli.pool_words import gist, waits
from burst.protocol.artist_messages import PoolView

PULL = (
    'ErrImagePull: failed to pull and unpack image "docker.io/studio/worker:1": failed to resolve '
    'reference "docker.io/studio/worker:1": '
)
NO_NODE = "0/1 nodes are available: 1 Insufficient cpu."


def pool(waiting: str) -> PoolView:
    return PoolView(
        name="cpu", running=0, starting=2, wanted=2, maximum=2, reason="", failure="",
        waiting=waiting,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("told", "short"),
    [
        (f"{PULL}docker.io/studio/worker:1: not found",
         "can't pull docker.io/studio/worker:1 (not found)"),
        (f"{PULL}unexpected status from HEAD request to https://x/y: 403 Forbidden",
         "can't pull docker.io/studio/worker:1 (403 Forbidden)"),
        (f'ImagePullBackOff: Back-off pulling image "docker.io/studio/worker:1": {PULL}Head "htt…',
         "can't pull docker.io/studio/worker:1"),
        (f"cpu-5 can't start: {PULL}not found",
         "cpu-5 can't start: can't pull docker.io/studio/worker:1 (not found)"),
        (f"no node for it: {NO_NODE} preemption: 0/1 nodes are available: 1 Preemption is not …",
         f"no node for it: {NO_NODE.rstrip('.')}"),
        ('FailedCreate: Error creating: pods "cpu-8-k7gz7" is forbidden: exceeded quota: cpu=2',
         "the cluster refuses its pod: exceeded quota: cpu=2"),
        ('jobs.batch is forbidden: User "system:serviceaccount:studio:studio-manager" cannot '
         'create resource "jobs" in API group "batch" in the namespace "studio"',
         "the manager's account studio:studio-manager may not create jobs"),
        ("the last worker ended at once", "the last worker ended at once"),
    ],
)  # fmt: skip
def test_the_fact_is_told_without_the_way_to_it(told: str, short: str) -> None:
    assert gist(told) == short


def test_a_long_reason_is_cut() -> None:
    assert len(gist("because " * 100)) <= 110
    assert gist("because " * 100).endswith("…")


def test_what_keeps_several_workers_is_told_once() -> None:
    refused = 'FailedCreate: Error creating: pods "cpu-{}" is forbidden: exceeded quota: cpu=2'
    told = f"1 wait: {refused.format(8)}; 1 wait: {refused.format(9)}; 1 wait: {PULL}not found"
    assert waits(pool(told)) == [
        "2 wait: the cluster refuses its pod: exceeded quota: cpu=2",
        "1 waits: can't pull docker.io/studio/worker:1 (not found)",
    ]
    assert waits(pool("")) == []
    assert waits(pool("somehow")) == ["somehow"]
