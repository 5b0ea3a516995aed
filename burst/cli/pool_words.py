"""What keeps workers of a pool away, in short: what a cluster says runs over many lines.

All of it is told by ``burst explain`` and by ``--json``.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from burst.protocol.artist_messages import PoolView

_LONGEST = 110
"""Characters: a line and a half of a narrow terminal."""

_WAITS = re.compile(r"(?:^|; )(\d+) wait: ")
_PULL = re.compile(
    r'(?:ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull): .*?"(.+?)"'
)
_REPEATED = re.compile(
    r'^FailedCreate: (?:Error creating: )?(?:pods|jobs\.batch) "[^"]*" is forbidden: '
)
_MAY_NOT = re.compile(
    r'is forbidden: User "(?:system:serviceaccount:)?([^"]+)" cannot (\w+) resource "(\w+)"'
)
_PREEMPTION = re.compile(r"\.? preemption: .*$")
"""Which pods would have to go for this one; none of burst's do."""


def waits(pool: PoolView) -> list[str]:
    """Return why workers of a pool that were started have not begun, each reason once."""
    before, *parts = _WAITS.split(pool.waiting)
    if not parts:
        return [gist(before)] if before else []
    counted: Counter[str] = Counter()
    for number, text in zip(parts[::2], parts[1::2], strict=True):
        counted[gist(text)] += int(number)
    return [
        f"{count} {'waits' if count == 1 else 'wait'}: {text}" for text, count in counted.items()
    ]


def gist(text: str) -> str:
    """Return the fact that a reason tells, without the way to it."""
    subject, can_not, reason = text.partition(" can't start: ")
    if not can_not:
        subject, reason = "", text
    return f"{subject}{can_not}{_fact(reason)}"


def _fact(reason: str) -> str:
    if found := _PULL.search(reason):
        return _shortened(f"can't pull {found[1]}{_why(reason)}")
    if found := _MAY_NOT.search(reason):
        return f"the manager's account {found[1]} may not {found[2]} {found[3]}"
    reason = _REPEATED.sub("the cluster refuses its pod: ", reason)
    return _shortened(_PREEMPTION.sub("", reason).rstrip(": "))


def _why(reason: str) -> str:
    """Return the last of a chain of reasons, unless the chain was cut off before it."""
    last = reason.rpartition(": ")[2].strip().rstrip(".")
    is_whole = not last.endswith(("…", '"')) and '"' not in last
    return f" ({last})" if is_whole else ""


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1].rstrip()}…"
