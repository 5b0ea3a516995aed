"""Both listeners of a real manager process, with the real client. No worker, no Blender.

The worker's part is spoken by the test.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from burst.domain.commands import CommandTask, Echo
from burst.domain.jobs import SceneRef
from burst.domain.transitions import JobStatus
from burst.domain.workers import BlenderFacts, Capabilities
from burst.errors import Forbidden, NotAllowed, NotFound, Unauthorized, WorkerGone
from burst.manager import state_dir
from burst.protocol.artist_messages import MakeVideo, SubmitJob
from burst.protocol.client import ManagerClient
from burst.protocol.messages import API, OutputFile
from burst.protocol.worker_messages import (
    AskInputs,
    Assignment,
    Beat,
    Claim,
    FrameFinished,
    FramePublished,
    RegisterWorker,
    SignOff,
)
from burst.storage import layout
from burst.storage.directory import DirectoryStorage

ROOT = Path(__file__).resolve().parents[2]
SCENE = SceneRef(name="shot", version="v1")
TOKEN = "t0ken"
ECHO = CommandTask(name="tell", commands=(Echo(text="hello"),))


class RealManager:
    """A manager process on a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.storage = DirectoryStorage(folder / "storage")
        self.storage.put_bytes(b"{}", layout.manifest(SCENE.name, SCENE.version))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("BURST_")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", STARTER],
            cwd=self.folder,
            env={
                **environment,
                "PYTHONPATH": str(ROOT),
                "HOME": str(self.folder),
                "BURST_STATE_DIR": str(self.folder),
                "BURST_CONSOLE_LISTEN": "127.0.0.1:0",
                "BURST_WORKER_LISTEN": "127.0.0.1:0",
                "BURST_WORKER_TOKEN": TOKEN,
                "BURST_WORKERS": "0",
            },
            stderr=subprocess.PIPE,
        )
        assert self._process.stderr
        for line in self._process.stderr:
            if b"manager ready" in line:
                break
        else:
            raise AssertionError("the manager ended before it was ready")
        # What it says from here on is not of interest, but must not block it.
        self._reader = threading.Thread(target=self._process.stderr.read)
        self._reader.start()
        address = state_dir.find_manager(self.folder)
        assert address is not None
        self.artist = ManagerClient(address.console_url)
        self.worker = ManagerClient(address.worker_url, TOKEN)
        self.address = address

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self._process
        assert self._process.stderr
        self.artist.close()
        self.worker.close()
        self._process.send_signal(number)
        try:
            return self._process.wait(30)
        finally:
            self._process.kill()
            self._reader.join()
            self._process.stderr.close()


STARTER = """
import logging
from burst.config.load import load
from burst.manager.app import run_manager
from burst.manager.settings import ManagerSettings
logging.basicConfig(level=logging.INFO)
run_manager(load(ManagerSettings).settings)
"""


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[RealManager]:
    made = RealManager(tmp_path)
    made.start()
    yield made
    made.stop()


def _register(manager: RealManager) -> str:
    facts = BlenderFacts(version=(5, 0, 1), kind="binary", engines={"CYCLES": ""})
    able = Capabilities(blenders=(facts,), memory_bytes=1, ffmpeg="5.1")
    message = RegisterWorker(name="w", pool="p", host="h", pid=1, capabilities=able, threads=1)
    return manager.worker.register(message).session


def _finish(manager: RealManager, task: Assignment, frame: int) -> FrameFinished:
    content = f"{task.attempt_id} {frame}".encode()
    name = f"shot_{frame:04}.png"
    manager.storage.put_bytes(content, layout.attempt(task.job_id, task.attempt_id, name))
    sha256 = hashlib.sha256(content).hexdigest()
    return FrameFinished(
        job_id=task.job_id,
        attempt_id=task.attempt_id,
        token=task.token,
        frame=frame,
        files=(OutputFile(name=name, size=len(content), sha256=sha256),),
        render_seconds=0.5,
        peak_memory_bytes=1,
    )


def _claim(manager: RealManager, session: str, claims: int) -> Assignment:
    task = manager.worker.claim("w", Claim(session=session, claims=claims)).assignment
    assert task is not None
    return task


def _commit(manager: RealManager, session: str, claims: int, task: Assignment) -> FrameFinished:
    (frame,) = task.frames
    report = _finish(manager, task, frame)
    answer = manager.worker.beat("w", Beat(session=session, claims=claims, reports=(report,)))
    assert answer.verdicts[0].answer == "publish"
    return report


def _publish(
    manager: RealManager, session: str, claims: int, task: Assignment, report: FrameFinished
) -> None:
    name = report.files[0].name
    manager.storage.publish(
        layout.attempt(task.job_id, task.attempt_id, name),
        layout.render(task.job_id, name),
        report.files[0].sha256,
    )
    done = FramePublished(
        job_id=task.job_id, attempt_id=task.attempt_id, token=task.token, frame=report.frame
    )
    beat = Beat(session=session, claims=claims, reports=(done,))
    assert manager.worker.beat("w", beat).verdicts[0].answer == "done"


def test_a_job_goes_through_both_listeners(manager: RealManager) -> None:
    session = _register(manager)
    submitted = manager.artist.submit(SubmitJob(name="shot", scene=SCENE, frames="1-2"))
    again = manager.artist.submit(SubmitJob(name="shot", scene=SCENE, frames="1-2"))
    assert again.resumed
    assert again.job.id == submitted.job.id
    for number in (0, 1):
        task = _claim(manager, session, number)
        _publish(manager, session, number + 1, task, _commit(manager, session, number + 1, task))
    job = manager.artist.job(submitted.job.id[:8])
    assert (job.status, job.frames_published) == (JobStatus.COMPLETED, 2)
    assert [f.frame for f in manager.artist.frames(job.id)] == [1, 2]
    assert [f.frame for f in manager.artist.frames(job.id, after=1)] == [2]
    assert "job completed" in [line.text for line in manager.artist.job_log(job.id, follow=True)]
    assert [task.status for task in manager.artist.tasks(job.id)] == ["completed"] * 2
    assert [worker.name for worker in manager.artist.workers()] == ["w"]
    assert manager.artist.status().jobs == {JobStatus.COMPLETED: 1}
    manager.worker.sign_off("w", SignOff(session=session, reason="done"))
    assert manager.artist.workers() == ()
    manager.artist.delete_job(job.id)
    with pytest.raises(NotFound):
        manager.artist.job(job.id)


def test_a_long_poll_is_answered_when_work_comes(manager: RealManager) -> None:
    session = _register(manager)
    events = manager.artist.events()
    assert next(events).kind in ("worker", "tick")
    answers: list[Assignment | None] = []

    def claim() -> None:
        answer = manager.worker.claim("w", Claim(session=session, wait_seconds=60))
        answers.append(answer.assignment)

    thread = threading.Thread(target=claim)
    thread.start()
    job = manager.artist.submit(SubmitJob(name="shot", scene=SCENE, frames="7")).job
    thread.join(30)
    (task,) = answers
    assert task is not None
    assert (task.job_id, task.frames) == (job.id, (7,))
    heard = next(event for event in events if event.kind == "job" and event.job)
    assert heard.job_id == job.id


def test_a_worker_that_hangs_up_while_it_waits_is_silent_at_once(manager: RealManager) -> None:
    session = _register(manager)
    url = urlsplit(manager.address.worker_url)
    claim = http.client.HTTPConnection(str(url.hostname), url.port)
    claim.request(
        "POST",
        f"{API}/worker/w/claim",
        Claim(session=session, wait_seconds=60).model_dump_json(),
        {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
    )
    # Whoever waits is not silent for as much as a moment.
    _wait_until(lambda: manager.artist.workers()[0].silent_seconds == 0)
    claim.close()
    _wait_until(lambda: manager.artist.workers()[0].silent_seconds > 0)
    # What was opened there hands nothing to nobody.
    job = manager.artist.submit(SubmitJob(name="shot", scene=SCENE, frames="1")).job
    assert manager.artist.job(job.id).tasks.queued == 1
    assert _claim(manager, session, 1).job_id == job.id


def _wait_until(is_so: Callable[[], bool]) -> None:
    """Wait for what is to be so long before a claim's time is over."""
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_was_acknowledged_outlives_a_killed_manager(manager: RealManager) -> None:
    session = _register(manager)
    job = manager.artist.submit(SubmitJob(name="shot", scene=SCENE, frames="1-3")).job
    task = manager.worker.claim("w", Claim(session=session)).assignment
    assert task is not None
    report = _finish(manager, task, task.frames[0])
    first = manager.worker.beat("w", Beat(session=session, claims=1, reports=(report,)))
    former = manager.address
    assert manager.stop(signal.SIGKILL) == -signal.SIGKILL
    manager.start()
    assert manager.address.worker_url == former.worker_url
    again = manager.worker.beat("w", Beat(session=session, claims=1, reports=(report,)))
    assert again.verdicts == first.verdicts
    view = manager.artist.job(job.id)
    assert (view.tasks.completed, view.tasks.queued) == (1, 2)


def test_a_video_has_its_turn_however_often_the_manager_is_killed(manager: RealManager) -> None:
    def kill() -> None:
        manager.stop(signal.SIGKILL)
        manager.start()

    session = _register(manager)
    job = manager.artist.submit(SubmitJob(name="shot", scene=SCENE, frames="1")).job
    assert manager.artist.make_video(job.id, MakeVideo()).tasks.waiting == 1
    kill()
    for number, name in enumerate(["", "video"]):
        task = _claim(manager, session, number)
        assert task.task_name == name
        if name:
            asked = AskInputs(job_id=job.id, attempt_id=task.attempt_id, token=task.token)
            (picture,) = manager.worker.inputs(asked).frames
            assert (picture.frame, picture.files[0].name) == (1, "shot_0001.png")
        kill()
        report = _commit(manager, session, number + 1, task)
        kill()
        _publish(manager, session, number + 1, task, report)
        kill()
    assert manager.artist.job(job.id).status is JobStatus.COMPLETED
    assert [task.name for task in manager.artist.tasks(job.id)] == ["", "video"]
    assert [frame.task for frame in manager.artist.frames(job.id)] == ["", "video"]
    asked = AskInputs(job_id=job.id, attempt_id=task.attempt_id, token=task.token)
    with pytest.raises(NotAllowed):
        manager.worker.inputs(asked)


def test_a_job_is_explained_over_http(manager: RealManager) -> None:
    job = manager.artist.submit(SubmitJob(name="chores", commands=(ECHO,))).job
    reasons = manager.artist.explain(job.id).reasons
    assert [reason.subject for reason in reasons] == ["job", "local"]
    assert reasons[0].text == "no worker is here; 1 task is queued"


def test_errors_come_back_as_their_classes(manager: RealManager) -> None:
    with pytest.raises(WorkerGone):
        manager.worker.beat("nobody", Beat(session="x"))
    job = manager.artist.submit(SubmitJob(name="shot", scene=SCENE, frames="1")).job
    with pytest.raises(NotAllowed) as caught:
        manager.artist.act(job.id, "resume")
    assert "only a paused job" in caught.value.message
    stranger = ManagerClient(manager.address.worker_url, "wrong")
    with pytest.raises(Unauthorized):
        stranger.beat("w", Beat(session="x"))
    stranger.close()
    foreign = ManagerClient(manager.address.console_url)
    foreign._http.headers["Host"] = "evil.example"
    with pytest.raises(Forbidden):
        foreign.jobs()
    foreign.close()


def test_each_listener_serves_its_own_half_only(manager: RealManager) -> None:
    crossed = ManagerClient(manager.address.worker_url, TOKEN)
    with pytest.raises(NotFound):
        crossed.jobs()
    crossed.close()
