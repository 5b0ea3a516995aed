"""What is shown of Terraform at work, and of a plan."""

from __future__ import annotations

from collections.abc import Callable

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
from burst.cloud.terraform_times import Estimate

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
        (CLUSTER.address, "cluster"),
        (POOL.address, "node pool a.b"),
        (API.address, "API dns"),
        ("module.cluster.google_container_node_pool.system", "node pool system"),
        ("module.storage.google_storage_bucket.data", "bucket"),
        (
            "module.identity.google_storage_bucket_iam_member.worker_reads",
            "right on the bucket: worker reads",
        ),
        (
            'module.network.google_dns_record_set.names["gcr.io"]',
            "DNS record names gcr.io",
        ),
        ("google_pubsub_topic.jobs", "pubsub topic jobs"),
    ],
)
def test_resources_are_called_what_people_call_them(address: str, words: str) -> None:
    assert title(address) == words


def test_what_is_done_is_said_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(
        capsys,
        Started("", CLUSTER, "create"),
        Completed("", CLUSTER, "create", 312.4),
        Completed("", POOL, "delete", 61.0),
    )
    assert lines == [
        "made cluster (312 s)",
        "removed node pool a.b (61 s)",
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
        "still making cluster, for 1:00 now",
        "still making cluster, for 2:00 now",
    ]


class Shown:
    """A line of a terminal that keeps what it showed."""

    is_shown = True

    def __init__(self) -> None:
        self.texts: list[str] = []

    def show(self, text: Callable[[], str]) -> None:
        self.texts.append(text())

    def clear(self) -> None:
        pass


def test_a_terminal_shows_what_takes_longest_and_how_much_is_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now, line = [100.0], Shown()
    progress = TerraformProgress(lambda: now[0], line)
    progress.expect(3, Estimate(300.0, ()))
    progress.hear(Completed("", API, "create", 1.0))
    progress.hear(Started("", CLUSTER, "create"))
    now[0] += 90
    progress.hear(Started("", POOL, "create"))
    now[0] += 300
    progress.hear(Progressed("", CLUSTER, "create", 390.0))
    assert line.texts == [
        "1 of 3, making cluster, 0.0 s, about 5:00 left",
        "1 of 3, making cluster and 1 more, 1:30, about 3:30 left",
        "1 of 3, making cluster and 1 more, 6:30",
    ]
    assert capsys.readouterr().err == "made API dns (1 s)\n"


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
        "not as burst left it: node pool a.b (is gone)",
        "not as burst left it: cluster (was changed)",
        "to make: 2 resources",
        "  node pool × 2",
        "to make anew: 1 resource",
        "  cluster",
    ]
    assert change_lines([]) == []
