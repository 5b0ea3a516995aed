"""How long it will take: worked out by hand, and nothing where nothing is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from burst.cloud.terraform_plan import Change, Plan, Took
from burst.cloud.terraform_times import (
    KEPT,
    Estimate,
    Times,
    estimate,
    read_times,
    remaining,
    with_run,
)

CLUSTER, POOL, NETWORK = (
    "google_container_cluster",
    "google_container_node_pool",
    "google_compute_network",
)
FIRST = [
    Took(NETWORK, "create", 20), Took(CLUSTER, "create", 400), Took(POOL, "create", 60),
    Took(POOL, "create", 90),
]  # fmt: skip


def plan(*changes: tuple[str, str]) -> Plan:
    made = tuple(Change(f"a[{i}]", type_, action) for i, (type_, action) in enumerate(changes))
    return Plan(Path("plan"), made, (), is_empty=False)


def test_without_a_run_before_nothing_is_said() -> None:
    assert estimate(plan((CLUSTER, "create")), Times()) is None


def test_the_same_again_takes_as_long_as_it_did_in_the_middle() -> None:
    times = Times()
    for seconds in (500.0, 560.0, 900.0):
        times = with_run(times, FIRST, seconds)
    same = plan((CLUSTER, "create"), (NETWORK, "create"), (POOL, "create"))
    assert estimate(same, times) == Estimate(560.0, ())


def test_another_plan_is_the_sum_of_its_kinds_and_says_what_is_new() -> None:
    times = with_run(Times(), FIRST, 520)
    assert estimate(plan((POOL, "create"), (POOL, "create")), times) == Estimate(90, ())
    assert estimate(plan((CLUSTER, "create"), (POOL, "create")), times) == Estimate(490, ())
    new = plan((POOL, "create"), ("google_storage_bucket", "create"))
    assert estimate(new, times) == Estimate(90, ("google_storage_bucket",))
    assert estimate(plan((CLUSTER, "delete")), times) is None


def test_to_replace_is_to_delete_and_to_create_and_to_import_is_nothing() -> None:
    times = with_run(Times(), [*FIRST, Took(POOL, "delete", 30)], 600)
    replaced = plan((POOL, "replace"), (NETWORK, "import"))
    assert estimate(replaced, times) == Estimate(120, ())


def test_few_figures_are_kept_and_they_survive_the_bucket() -> None:
    times = Times()
    for number in range(KEPT + 5):
        times = with_run(times, [Took(POOL, "create", number)], number + 1)
    assert times.kinds[f"{POOL} create"] == tuple(range(5, KEPT + 5))
    assert read_times(times.to_json()) == times
    assert with_run(times, [], 5) == times


@pytest.mark.parametrize(
    "content", [None, b"", b"[]", b'{"kinds": 3}', b'{"kinds": {"a": ["x"]}}', b"x"]
)
def test_figures_that_cant_be_read_are_none(content: bytes | None) -> None:
    assert read_times(content) == Times()


def test_what_is_left_ends_when_it_takes_longer_than_ever() -> None:
    assert remaining(Estimate(100, ()), 30) == 70
    assert remaining(Estimate(100, ()), 130) is None
