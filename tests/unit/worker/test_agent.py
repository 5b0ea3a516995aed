"""What a worker checks before it starts, and how it leaves when it is told to.

The manager answers by a script and nothing is rendered. A whole worker runs in the
integration tests.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from PIL import Image
from scripted_manager import ScriptedManager, assignment

from burst.domain.workers import BlenderFacts
from burst.errors import StateError
from burst.protocol.client import ManagerClient
from burst.protocol.worker_messages import Assignment, Registered
from burst.storage.directory import DirectoryStorage
from burst.worker import agent
from burst.worker.blender import LoadedScene, RenderedFrame
from burst.worker.finisher import Rendered
from burst.worker.held import Held
from burst.worker.settings import WorkerSettings


class Worker:
    """All of an agent, registered, but for its main loop."""

    def __init__(self, manager: ScriptedManager, folder: Path) -> None:
        self.client = ManagerClient(manager.url)
        settings = WorkerSettings(worker_name="w", work_dir=folder / "w")
        facts = BlenderFacts.model_validate({"version": [5, 0, 1], "kind": "binary"})
        self.storage = DirectoryStorage(folder / "storage")
        self.agent = agent._Agent(settings, self.storage, self.client, Path("blender"), facts)
        self.agent._finisher.start(self.agent._courier)

    def register(self) -> Registered:
        return self.agent._courier.register(self.agent._introduction())

    def hold(self, attempt_id: str, *frames: int) -> Held:
        task = assignment(attempt_id, frames)
        return self.agent._held.add(Assignment.model_validate(task))

    def close(self) -> None:
        self.agent._finisher.stop()
        self.agent._courier.sign_off("the test is over")
        self.client.close()


@pytest.fixture
def manager() -> Iterator[ScriptedManager]:
    made = ScriptedManager()
    yield made
    made.close()


@pytest.fixture
def worker(manager: ScriptedManager, tmp_path: Path) -> Iterator[Worker]:
    made = Worker(manager, tmp_path)
    yield made
    made.close()


def test_a_work_folder_is_for_one_worker_and_its_scratch_is_cleared(tmp_path: Path) -> None:
    home = tmp_path / "w1"
    (home / "scratch" / "left").mkdir(parents=True)
    (home / "outbox").mkdir()
    (home / "outbox" / "1.json").write_text("{}")
    with agent._held_home(home):
        assert not (home / "scratch").exists()
        assert (home / "outbox" / "1.json").exists()
        with (
            pytest.raises(StateError, match="another worker uses") as caught,
            agent._held_home(home),
        ):
            raise AssertionError
        assert "BURST_WORK_DIR" in (caught.value.hint or "")
    with agent._held_home(home):
        assert home.exists()


def test_a_work_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="can't use"), agent._held_home(tmp_path / "file" / "w"):
        raise AssertionError


def test_the_order_to_leave_may_come_between_any_two_lines(
    manager: ScriptedManager, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "LOOK_SECONDS", 0.001)
    terms = worker.register()
    worker.hold("a1", 1)
    reasons: list[str] = []
    while "drained" not in reasons:
        manager.script["claim"] = [{}, {"drain": True}]
        worker.agent._preempted = False
        worker.agent._courier.orders.drain.clear()
        work = _Interrupted(worker.agent, terms, after_lines=len(reasons))
        work.start()
        work.join(30)
        assert not work.is_alive(), "the handler waits for the thread that it interrupts"
        reasons.append(work.reason)
    assert reasons.count("preempted") > 10


def test_leaving_ends_attempts_at_once_but_for_those_with_rendered_frames(
    manager: ScriptedManager, worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "FINISH_SECONDS", 30)
    go_on = threading.Event()
    real = worker.storage.put_file

    def put(source: Path, name: str) -> None:
        assert go_on.wait(30)
        real(source, name)

    monkeypatch.setattr(worker.storage, "put_file", put)
    worker.register()
    begun, rendering = worker.hold("begun", 1, 2), worker.hold("rendering", 3)
    worker.agent._finisher.hand_in(_rendered(begun, tmp_path))
    worker.agent._on_signal(signal.SIGTERM, None)
    leaving = threading.Thread(target=worker.agent._evacuate, daemon=True)
    leaving.start()
    manager.wait_for("beat", lambda body: _ended(body) == ["rendering"])
    assert begun.over.is_set()
    assert rendering.over.is_set()
    go_on.set()
    leaving.join(60)
    assert not leaving.is_alive()
    sent = [(r["kind"], r["attempt_id"]) for _, b in manager.asked for r in b.get("reports", ())]
    assert sent == [("ended", "rendering"), ("finished", "begun"), ("ended", "begun")]
    assert manager.asked[-1][0] == "sign-off"


def _rendered(held: Held, folder: Path) -> Rendered:
    path = folder / "rendered" / "0001.png"
    path.parent.mkdir()
    Image.new("RGB", (8, 4)).save(path)
    scene = LoadedScene("Scene", "CYCLES", 8, 4, "PNG", "RGB", 8, (), 0.1)
    return Rendered(held, scene, RenderedFrame(1, (path,), 1, 1.0, 10, ()), path.parent)


def _ended(body: dict[str, Any]) -> list[str]:
    return [r["attempt_id"] for r in body["reports"] if r["kind"] == "ended"]


class _Interrupted(threading.Thread):
    """The agent's main loop, where the signal comes after so many lines of it.

    Python runs a handler on the main thread, between two lines of what it does there.
    """

    def __init__(self, worker: agent._Agent, terms: Registered, after_lines: int) -> None:
        super().__init__(daemon=True)
        self._agent, self._terms, self._lines_left = worker, terms, after_lines
        self.reason = ""

    def run(self) -> None:
        sys.settrace(self._trace)
        self.reason = self._agent._work(self._terms)
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code.co_filename not in (agent.__file__, threading.__file__):
            return None
        if event == "line":
            self._lines_left -= 1
            if self._lines_left == -1:
                self._agent._on_signal(signal.SIGTERM, frame)
        return self._trace
