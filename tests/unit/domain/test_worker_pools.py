"""Which work can go to which worker pool, before a worker is there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from burst.domain.pools import GIB, WorkerPool, by_choice, larger_to_come, why_unfit
from burst.domain.workers import Requirements

SMALL = WorkerPool(
    name="small",
    maximum=4,
    cores=4,
    memory_bytes=8 * GIB,
    boot_seconds=60,
    start_seconds=600,
    preference=1,
    memory_class=1,
    device="cpu",
    blender=((4, 2), (5, 0)),
)
LARGE = replace(SMALL, name="large", memory_bytes=32 * GIB, memory_class=3, preference=0)
MIDDLE = replace(SMALL, name="middle", memory_bytes=16 * GIB, memory_class=2, preference=5)
GPU = replace(SMALL, name="gpu", device="gpu", preference=9)
POOLS = [SMALL, LARGE, MIDDLE, GPU]


def _names(needs: Requirements, outgrown_bytes: int = 0) -> list[str]:
    return [pool.name for pool in by_choice(POOLS, needs, outgrown_bytes)]


def test_pools_are_used_in_the_order_of_preference() -> None:
    assert _names(Requirements()) == ["large", "small", "middle", "gpu"]


@pytest.mark.parametrize(
    ("needs", "names"),
    [
        (Requirements(device="gpu"), ["gpu"]),
        (Requirements(device="optix"), ["gpu"]),
        (Requirements(device="cpu"), ["large", "small", "middle"]),
        (Requirements(memory_bytes=9 * GIB), ["large", "middle"]),
        (Requirements(memory_bytes=8 * GIB, device="cpu"), ["large", "small", "middle"]),
        (Requirements(memory_bytes=99 * GIB), []),
        (Requirements(blender=(5, 0)), ["large", "small", "middle", "gpu"]),
        (Requirements(blender=(5, 1)), []),
    ],
)
def test_only_those_that_can_do_it_are_used(needs: Requirements, names: list[str]) -> None:
    assert _names(needs) == names


def test_what_has_outgrown_a_worker_goes_to_the_next_class() -> None:
    assert _names(Requirements(), 8 * GIB) == ["middle", "large"]
    assert _names(Requirements(), 16 * GIB) == ["large"]
    assert _names(Requirements(), 32 * GIB) == []


def test_a_larger_worker_can_come_only_from_a_pool_that_starts_some() -> None:
    needs = Requirements()
    assert larger_to_come(POOLS, needs, 8 * GIB)
    assert not larger_to_come(POOLS, needs, 32 * GIB)
    assert not larger_to_come([SMALL, replace(LARGE, maximum=0)], needs, 8 * GIB)
    assert not larger_to_come([SMALL, replace(LARGE, trouble="no Job")], needs, 8 * GIB)
    assert not larger_to_come([SMALL, LARGE], Requirements(device="gpu"), 8 * GIB)


def test_a_machine_that_workers_share_finds_out_by_itself() -> None:
    shared = replace(SMALL, is_shared=True, device="auto", blender=())
    assert (
        why_unfit(shared, Requirements(memory_bytes=99 * GIB, device="gpu", blender=(9, 0))) == ""
    )
    assert why_unfit(shared, Requirements(), 99 * GIB) == ""


def test_each_reason_is_a_sentence_with_both_sides() -> None:
    assert why_unfit(SMALL, Requirements(device="cuda")) == (
        "its workers compute on cpu, the job asks for cuda"
    )
    assert why_unfit(SMALL, Requirements(blender=(5, 1))) == (
        "the scene was saved by Blender 5.1, the newest there is 5.0"
    )
    assert why_unfit(SMALL, Requirements(memory_bytes=9 * GIB)) == (
        "the job asks for 9.0 GiB of memory, its workers have 8.0"
    )
    assert why_unfit(SMALL, Requirements(), 8 * GIB) == "8.0 GiB of memory were too little"
