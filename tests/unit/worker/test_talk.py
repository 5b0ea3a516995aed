"""What a command says: every line up to a rate and a size, and how far it is. The clock is ours."""

from __future__ import annotations

from burst.worker import talk as module
from burst.worker.talk import Talk


class Heard:
    """A talk with a clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0
        self.said: list[tuple[str, str]] = []
        self.told: list[tuple[float | None, str]] = []
        self.talk = Talk(
            lambda level, text: self.said.append((level, text)),
            lambda percent, step: self.told.append((percent, step)),
            lambda: self.now,
        )

    def lines(self) -> int:
        return sum(level == "info" for level, _ in self.said)


def test_a_flood_is_cut_to_a_rate_and_that_is_said_once() -> None:
    heard = Heard()
    for number in range(module.LINES_AT_ONCE + 200):
        heard.talk.hear(f"line {number}")
    assert heard.lines() == module.LINES_AT_ONCE
    assert [level for level, _ in heard.said].count("warning") == 1
    heard.now += 1
    for number in range(200):
        heard.talk.hear(f"later {number}")
    assert heard.lines() == module.LINES_AT_ONCE + module.LINES_A_SECOND
    heard.talk.finish()
    heard.talk.finish()
    assert heard.said[-1] == ("warning", "300 lines were dropped")
    assert [level for level, _ in heard.said].count("warning") == 2


def test_a_slow_talk_loses_nothing_up_to_its_size() -> None:
    heard = Heard()
    line = "ä" * 5000
    count = module.BYTES_MAX // len(line.encode()) + 2
    for _ in range(count):
        heard.now += 10
        heard.talk.hear(line)
    assert heard.lines() == count - 2
    assert heard.said[0] == ("info", "ä" * module.LINE_CHARACTERS)


def test_what_burst_says_itself_is_never_dropped() -> None:
    heard = Heard()
    for _ in range(module.LINES_AT_ONCE + 1):
        heard.talk.hear("flood")
    heard.talk.say("info", "of our own")
    assert heard.said[-1] == ("info", "of our own")


def test_progress_is_told_now_and_then_and_stays_a_percentage() -> None:
    heard = Heard()
    heard.talk.begin(1, 1, "exec")
    heard.talk.progress(150, "a")
    heard.talk.progress(20, "too soon")
    heard.now += 1
    heard.talk.progress(-3)
    heard.now += 1
    heard.talk.progress(None, "b")
    assert heard.told == [(None, "exec"), (100, "exec: a"), (0, "exec"), (None, "exec: b")]
