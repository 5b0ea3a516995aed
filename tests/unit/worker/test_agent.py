"""What a worker checks before it starts, and how it leaves when it is told to.

The manager answers by a script and nothing is rendered. A whole worker runs in the
integration tests.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from PIL import Image
from scripted_manager import ScriptedManager, assignment

from burst.domain.workers import BlenderFacts
from burst.errors import ConfigError, EngineUnavailable, NoSuchDevice, StateError, StorageAway
from burst.protocol.client import ManagerClient
from burst.protocol.worker_messages import Assignment, Registered
from burst.scene.source import MountedBlobs
from burst.storage.directory import DirectoryStorage
from burst.worker import agent, process
from burst.worker.blender import BlenderFailed, LoadedScene, RenderedFrame
from burst.worker.blenders import Use
from burst.worker.discovery import Installed
from burst.worker.finisher import Rendered
from burst.worker.held import Held
from burst.worker.settings import WorkerSettings

FACTS = BlenderFacts(version=(5, 0, 1), kind="binary", engines={"CYCLES": ""})


class Worker:
    """All of an agent, registered, but for its main loop."""

    def __init__(self, manager: ScriptedManager, folder: Path) -> None:
        self.client = ManagerClient(manager.url)
        settings = WorkerSettings(worker_name="w", work_dir=folder / "w")
        self.storage = DirectoryStorage(folder / "storage")
        installed = (Installed(folder / "blender", FACTS),)
        source = MountedBlobs(self.storage.root, self.storage)
        self.agent = agent._Agent(settings, self.storage, source, self.client, installed, None)
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

    def put(source: Path, name: str, sha256: str) -> None:
        assert go_on.wait(30)
        real(source, name, sha256)

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


def test_a_worker_is_gone_in_time_whatever_hangs(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[int] = []
    monkeypatch.setattr(agent, "LEAVE_SECONDS", 0.1)
    monkeypatch.setattr(os, "_exit", left.append)
    never = threading.Event()
    monkeypatch.setattr(worker.agent, "_evacuate", never.wait)
    worker.agent._on_signal(signal.SIGTERM, None)
    worker.agent._leave_in_time()
    never.set()
    assert left == [1]


def test_what_was_claimed_for_a_session_that_is_gone_is_not_begun(
    manager: ScriptedManager, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Held] = []
    terms = worker.register()
    courier = worker.agent._courier
    known = courier.claim

    def claim(seconds: float) -> Assignment | None:
        claimed = known(seconds)
        courier.orders.gone.set()
        return claimed

    monkeypatch.setattr(courier, "claim", claim)
    monkeypatch.setattr(worker.agent._tasks, "run", begun.append)
    manager.script["claim"] = [_handed_out("a")]
    assert worker.agent._work(terms) == "given up by the manager"
    assert begun == []


def test_a_worker_that_lacks_its_device_does_not_even_ask_for_the_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    afresh: list[bool] = []

    def probe(programs: Sequence[Path], cache: Path, *, fresh: bool) -> tuple[Installed, ...]:
        afresh.append(fresh)
        return (Installed(tmp_path, FACTS),)

    monkeypatch.setattr(agent, "probe_blenders", probe)
    monkeypatch.setattr(agent, "find_blenders", lambda wanted: (tmp_path,))
    told = {"storage_url": str(tmp_path), "manager_url": "http://127.0.0.1:9"}
    with pytest.raises(NoSuchDevice, match=r"to compute on cuda, which is not there: Blender 5"):
        agent.run_worker(WorkerSettings.model_validate({**told, "device": "cuda"}))
    with pytest.raises(ConfigError, match="BURST_STORAGE_URL"):
        agent.run_worker(WorkerSettings(device="auto"))
    # A GPU is looked for each time, the rest is remembered.
    assert afresh == [True, False]


def test_the_manager_hears_what_the_worker_can_do(worker: Worker) -> None:
    said = worker.agent._introduction().capabilities
    assert said.blenders == (FACTS,)
    assert said.device == "auto"
    assert said.memory_bytes > 0


def test_a_worker_that_cannot_render_any_more_signs_off_with_the_reason_and_fails(
    manager: ScriptedManager, worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[tuple[Path, str]] = []
    monkeypatch.setattr(
        agent, "forget_blender", lambda program, device, cache: forgotten.append((program, device))
    )
    monkeypatch.setattr(worker.agent._checkup, "find_fault", lambda use: "no kernels")
    jobs = _fail_at(worker, monkeypatch)
    manager.script["claim"] = [_handed_out(job) for job in "abcd"]
    # It has no main thread here, and is half started by the fixture.
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    monkeypatch.setattr(worker.agent._finisher, "start", lambda courier: None)
    with pytest.raises(EngineUnavailable) as caught:
        worker.agent.run()
    reason = "this worker can't render any more: Blender 5.0.1 on cpu: no kernels"
    assert caught.value.message == reason
    assert jobs == ["a", "b", "c"]
    assert forgotten == [(tmp_path / "blender", "cpu")]
    (left,) = [body for call, body in manager.asked if call == "sign-off"]
    assert left["reason"] == reason


def test_a_worker_that_leaves_a_process_behind_claims_no_more_and_fails(
    manager: ScriptedManager, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_left_behind", {12345})
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    monkeypatch.setattr(worker.agent._finisher, "start", lambda courier: None)
    with pytest.raises(StorageAway, match="a process waits in the kernel"):
        worker.agent.run()
    assert [call for call, _ in manager.asked if call == "claim"] == []
    (left,) = [body for call, body in manager.asked if call == "sign-off"]
    assert "can't render any more" in left["reason"]


def test_a_worker_that_still_renders_goes_on(
    manager: ScriptedManager, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks: list[Use] = []

    def find_fault(use: Use) -> str:
        checks.append(use)
        return ""

    monkeypatch.setattr(worker.agent._checkup, "find_fault", find_fault)
    jobs = _fail_at(worker, monkeypatch)
    terms = worker.register()
    manager.script["claim"] = [_handed_out(job) for job in "abcdefghi"]
    assert worker.agent._work(terms) == "nothing to do"
    assert jobs == [*"abcdefghi"]
    # After three failures, and again after twice as many.
    assert len(checks) == 2


def test_a_check_ends_when_the_machine_is_taken_away_and_says_nothing(
    manager: ScriptedManager, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    checking = threading.Event()
    checkup = worker.agent._checkup

    def find_fault(use: Use) -> str:
        checking.set()
        assert checkup._stopped.wait(30)
        return "it was stopped"

    monkeypatch.setattr(checkup, "find_fault", find_fault)
    _fail_at(worker, monkeypatch)
    terms = worker.register()
    manager.script["claim"] = [_handed_out(job) for job in "abc"]
    reasons: list[str] = []
    work = threading.Thread(target=lambda: reasons.append(worker.agent._work(terms)), daemon=True)
    work.start()
    assert checking.wait(30)
    worker.agent._on_signal(signal.SIGTERM, None)
    worker.agent._evacuate()
    work.join(30)
    assert reasons == ["preempted"]
    assert worker.agent._fault == ""


def _handed_out(job: str) -> dict[str, Any]:
    return {"assignment": {**assignment(f"attempt-{job}"), "job_id": job}}


def _fail_at(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have every render fail as a broken Blender would; return the jobs as they come."""
    tried: list[str] = []
    failure = Use(
        Installed(worker.agent._settings.home.parent / "blender", FACTS),
        "CYCLES",
        "cpu",
        BlenderFailed("Blender left with exit status 11"),
    )

    def render(held: Held) -> None:
        tried.append(held.assignment.job_id)
        worker.agent._held.drop(held.assignment.attempt_id)

    monkeypatch.setattr(worker.agent._tasks, "run", render)
    monkeypatch.setattr(worker.agent._blenders, "take_last_use", lambda: failure)
    return tried


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
