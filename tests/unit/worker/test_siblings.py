"""Files that one frame of a job has and another lacks."""

from __future__ import annotations

import pytest

from burst.worker.siblings import Siblings


@pytest.mark.parametrize(
    ("first", "frame", "name", "other"),
    [
        (1, 2, "shot_0001.png", "shot_0002.png"),
        (1, 12, "take10001.png", "take10012.png"),
        (2, 1, "v2_0002.png", "v2_0001.png"),
        (2, 3, "shot_0002_v2.exr", "shot_0003_v2.exr"),
        (9, 10, "a_9_b.png", "a_10_b.png"),
        (1, 2, "aux/0001_L.png", "aux/0002_L.png"),
        (1, 1000000, "shot_0001.png", "shot_1000000.png"),
    ],
)
def test_only_the_frame_number_may_differ(first: int, frame: int, name: str, other: str) -> None:
    siblings = Siblings()
    assert siblings.lacking("job", first, [name]) == ()
    assert siblings.lacking("job", frame, [other]) == ()
    assert siblings.lacking("job", frame, ["x.png"]) == (
        f"there is no {other}, but frame {first} has {name}",
    )


def test_a_file_more_is_no_trouble_and_another_job_starts_anew() -> None:
    siblings = Siblings()
    siblings.lacking("one", 1, ["a0001.png"])
    assert siblings.lacking("one", 2, ["a0002.png", "b0002.png"]) == ()
    assert siblings.lacking("two", 2, ["c0002.png"]) == ()
    assert siblings.lacking("two", 3, ["c0003.png"]) == ()
