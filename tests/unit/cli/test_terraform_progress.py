"""What is shown of Terraform at work, and of a plan."""

from __future__ import annotations

import pytest

from burst.cli.terraform_progress import TerraformProgress, change_lines, title
from burst.cloud.terraform_events import (
    Completed,
    Diagnostic,
    Event,
    Failed,
    Progressed,
    Resource,
    Started,
)
from burst.cloud.terraform_plan import Change

CLUSTER = Resource("module.cluster.google_container_cluster.this", "google_container_cluster")
POOL = Resource('module.pool["a.b"].google_container_node_pool.this', "google_container_node_pool")
API = Resource('google_project_service.this["dns"]', "google_project_service")


def said(capsys: pytest.CaptureFixture[str], *events: Event) -> list[str]:
    progress = TerraformProgress()
    for event in events:
        progress.hear(event)
    progress.clear()
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (CLUSTER.address, "cluster container_cluster"),
        (POOL.address, 'pool["a.b"] container_node_pool'),
        (API.address, 'project_service this["dns"]'),
    ],
)
def test_addresses_are_said_without_what_is_the_same_in_all(address: str, words: str) -> None:
    assert title(address) == words


def test_what_is_done_is_said_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(
        capsys,
        Started("", CLUSTER, "create"),
        Completed("", CLUSTER, "create", 312.4),
        Completed("", POOL, "delete", 61.0),
    )
    assert lines == [
        "made cluster container_cluster (312 s)",
        'removed pool["a.b"] container_node_pool (61 s)',
    ]


def test_an_api_that_stays_on_is_not_said_to_be_removed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert said(capsys, Completed("", API, "delete", 0.0)) == []


def test_what_takes_long_is_said_once_a_minute_where_nothing_can_move(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ticks = [Progressed("", CLUSTER, "create", float(at)) for at in range(10, 180, 10)]
    lines = said(capsys, Started("", CLUSTER, "create"), *ticks, Failed("", CLUSTER, "create", 1))
    assert lines == [
        "still making cluster container_cluster, for 1:00 now",
        "still making cluster container_cluster, for 2:00 now",
    ]


def test_warnings_are_notes_and_errors_are_left_to_who_fails(
    capsys: pytest.CaptureFixture[str],
) -> None:
    warning = Diagnostic("", "warning", "this is old", "", None)
    error = Diagnostic("", "error", "no", "", None)
    assert said(capsys, warning, error) == ["note: this is old"]


def test_a_plan_counts_what_is_new_and_names_what_is_not() -> None:
    changes = [
        Change(f'module.pool["{name}"].google_container_node_pool.this', POOL.type, "create")
        for name in "ab"
    ]
    changes.append(Change(CLUSTER.address, CLUSTER.type, "replace"))
    drift = [Change(POOL.address, POOL.type, "delete"), Change(CLUSTER.address, "", "update")]
    assert change_lines(changes, drift) == [
        'not as burst left it: pool["a.b"] container_node_pool (is gone)',
        "not as burst left it: cluster container_cluster (was changed)",
        "to make: 2 resources",
        "  container_node_pool × 2",
        "to make anew: 1 resource",
        "  cluster container_cluster",
    ]
    assert change_lines([]) == []
