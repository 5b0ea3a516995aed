"""What the manager keeps at hand of a cluster, against a cluster that says strange things.

How it fares with a whole API is in ``test_kubernetes.py``.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from worlds import wait_for

from burst.errors import ToolError
from burst.manager.autoscaler import mirror
from burst.manager.autoscaler.mirror import Mirror


class Cluster:
    """Says what it is told to."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.answer: dict[str, Any] = _listed("one")
        self.events = [json.dumps(event).encode() for event in events]
        self.watches = 0
        self.goes_on = threading.Event()

    def list(self) -> dict[str, Any]:
        return self.answer

    @contextlib.contextmanager
    def watch(self, version: str) -> Iterator[Iterator[bytes]]:
        self.watches += 1
        yield self._tell()

    def _tell(self) -> Iterator[bytes]:
        while self.events:
            yield self.events.pop(0)
        self.goes_on.wait(20)


def _item(name: str, version: int = 100) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def _listed(*names: str) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": "100"}, "items": [_item(name) for name in names]}


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Cluster], Mirror]]:
    monkeypatch.setattr(mirror, "PAUSE_SECONDS", 0.01)
    begun: list[tuple[Cluster, Mirror]] = []

    def start(cluster: Cluster) -> Mirror:
        made = Mirror("things", cluster.list, cluster.watch, lambda item: item)
        begun.append((cluster, made))
        made.start()
        return made

    yield start
    for cluster, made in begun:
        made.stop()
        cluster.goes_on.set()


def _names(of: Mirror) -> list[str]:
    with contextlib.suppress(ToolError):
        return sorted(of.items())
    return []


@pytest.mark.parametrize(
    "nonsense",
    [{"type": "ADDED", "object": {}}, {}, [], {"type": "BOOKMARK", "object": {"metadata": {}}}],
)
def test_after_a_word_without_sense_it_looks_anew(
    begin: Callable[[Cluster], Mirror], nonsense: Any
) -> None:
    cluster = Cluster(nonsense, {"type": "ADDED", "object": _item("two", 101)})
    found = begin(cluster)
    wait_for(lambda: _names(found) == ["one", "two"])
    assert cluster.watches == 2


@pytest.mark.parametrize("nonsense", [{}, {"metadata": {"resourceVersion": ""}, "items": []}])
def test_a_list_without_sense_is_told_and_asked_for_again(
    begin: Callable[[Cluster], Mirror], nonsense: Any
) -> None:
    cluster = Cluster()
    sense, cluster.answer = cluster.answer, nonsense
    found = begin(cluster)
    with pytest.raises(ToolError, match="word on things makes no sense"):
        found.items()
    with pytest.raises(ToolError, match="makes no sense"):
        found.refresh()
    cluster.answer = sense
    wait_for(lambda: _names(found) == ["one"])


def test_watches_that_end_at_once_are_not_asked_for_without_a_pause(
    begin: Callable[[Cluster], Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "PAUSE_SECONDS", 60.0)
    cluster = Cluster()
    cluster.goes_on.set()
    begin(cluster)
    wait_for(lambda: cluster.watches > 0)
    with pytest.raises(AssertionError):
        _wait_briefly(lambda: cluster.watches > 1)


def _wait_briefly(look: Callable[[], bool]) -> None:
    again = threading.Event()
    for _ in range(20):
        if look():
            return
        again.wait(0.01)
    raise AssertionError
