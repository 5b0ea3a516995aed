"""What is told while a job waits for workers; how it looks on a cluster is in tests/kubernetes."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from burst.cli import coming
from burst.cli.coming import telling_who_comes
from burst.config.farm import FarmSettings
from burst.operations.progress import Note, WatchState
from burst.operations.watch import Touch
from burst.protocol.artist_messages import PoolView, TaskCounts
from tests.fakes.manager import FakeManager, job_view

POOL = PoolView(
    name="cpu", running=0, starting=2, wanted=2, maximum=4, reason="", failure="", waiting=""
)
SECONDS = 20.0


class Listener:
    """A view that is done when it heard so many."""

    def __init__(self, many: int) -> None:
        self.texts: list[str] = []
        self.heard = threading.Event()
        self._many = many

    def show(self, state: WatchState) -> None:
        raise AssertionError("nobody watches")

    def note(self, note: Note) -> None:
        self.texts.append(note.text)
        if len(self.texts) == self._many:
            self.heard.set()


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeManager]:
    monkeypatch.setattr(coming, "EVERY_SECONDS", 0.01)
    fake = FakeManager("gs://show")
    yield fake
    fake.stop()


def listen(manager: FakeManager, many: int) -> list[str]:
    listener = Listener(many)
    touch = Touch(FarmSettings(console_url=manager.url), manager.url)
    with telling_who_comes(manager.job, touch, listener):
        assert listener.heard.wait(SECONDS)
    return listener.texts


def test_workers_on_their_way_and_what_keeps_them_are_told_once(manager: FakeManager) -> None:
    waiting = "2 wait: no node for it: 0/3 nodes are available: 3 Insufficient cpu."
    manager.pools = (POOL.model_copy(update={"waiting": waiting}),)
    assert listen(manager, 2) == [
        "pool cpu: 2 workers on the way",
        f"pool cpu: {waiting}",
    ]


def test_nothing_is_told_of_a_job_that_is_rendered(manager: FakeManager) -> None:
    manager.pools = (POOL,)
    counts = TaskCounts(queued=1, waiting=0, active=1, completed=0, failed=0, canceled=0)
    manager.job = job_view(tasks=counts)
    touch = Touch(FarmSettings(console_url=manager.url), manager.url)
    assert coming._ask(manager.job.id, touch) == []
