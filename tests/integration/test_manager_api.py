"""Both listeners of a real manager process, with the real client. No worker, no Blender.

The worker's part is spoken by the test.
"""

from __future__ import annotations

import http.client
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from burst.domain.commands import CommandTask, Echo
from burst.domain.transitions import JobStatus
from burst.errors import Forbidden, NotAllowed, NotFound, Unauthorized, WorkerGone
from burst.protocol.artist_messages import MakeVideo, SubmitJob
from burst.protocol.client import ManagerClient
from burst.protocol.messages import API
from burst.protocol.worker_messages import AskInputs, Assignment, Beat, Claim
from tests.fakes.real_manager import SCENE, TOKEN, RealManager, SpokenWorker

ECHO = CommandTask(name="tell", commands=(Echo(text="hello"),))


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[RealManager]:
    made = RealManager(tmp_path)
    made.start()
    yield made
    made.stop()


def test_a_job_goes_through_both_listeners(manager: RealManager) -> None:
    worker = SpokenWorker(manager)
    submitted = manager.artist.submit(SubmitJob(name="shot", scene=SCENE, frames="1-2"))
    again = manager.artist.submit(SubmitJob(name="shot", scene=SCENE, frames="1-2"))
    assert again.resumed
    assert again.job.id == submitted.job.id
    for _ in range(2):
        worker.render()
    job = manager.artist.job(submitted.job.id[:8])
    assert (job.status, job.frames_published) == (JobStatus.COMPLETED, 2)
    assert [f.frame for f in manager.artist.frames(job.id)] == [1, 2]
    assert [f.frame for f in manager.artist.frames(job.id, after=1)] == [2]
    assert "job completed" in [line.text for line in manager.artist.job_log(job.id, follow=True)]
    assert [task.status for task in manager.artist.tasks(job.id)] == ["completed"] * 2
    assert [worker.name for worker in manager.artist.workers()] == ["w"]
    assert manager.artist.status().jobs == {JobStatus.COMPLETED: 1}
    worker.sign_off()
    assert manager.artist.workers() == ()
    manager.artist.delete_job(job.id)
    with pytest.raises(NotFound):
        manager.artist.job(job.id)


def test_a_long_poll_is_answered_when_work_comes(manager: RealManager) -> None:
    session = SpokenWorker(manager).session
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
    worker = SpokenWorker(manager)
    url = urlsplit(manager.address.worker_url)
    claim = http.client.HTTPConnection(str(url.hostname), url.port)
    claim.request(
        "POST",
        f"{API}/worker/w/claim",
        Claim(session=worker.session, wait_seconds=60).model_dump_json(),
        {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
    )
    # Whoever waits is not silent for as much as a moment.
    _wait_until(lambda: manager.artist.workers()[0].silent_seconds == 0)
    claim.close()
    _wait_until(lambda: manager.artist.workers()[0].silent_seconds > 0)
    # What was opened there hands nothing to nobody.
    job = manager.artist.submit(SubmitJob(name="shot", scene=SCENE, frames="1")).job
    assert manager.artist.job(job.id).tasks.queued == 1
    worker.claims = 1
    assert worker.claim().job_id == job.id


def _wait_until(is_so: Callable[[], bool]) -> None:
    """Wait for what is to be so long before a claim's time is over."""
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_was_acknowledged_outlives_a_killed_manager(manager: RealManager) -> None:
    worker = SpokenWorker(manager)
    job = manager.artist.submit(SubmitJob(name="shot", scene=SCENE, frames="1-3")).job
    task = worker.claim()
    report = worker.upload(task, task.frames[0])
    first = worker.beat(report)
    former = manager.address
    assert manager.stop(signal.SIGKILL) == -signal.SIGKILL
    manager.start()
    assert manager.address.worker_url == former.worker_url
    again = worker.beat(report)
    assert again.verdicts == first.verdicts
    view = manager.artist.job(job.id)
    assert (view.tasks.completed, view.tasks.queued) == (1, 2)


def test_a_video_has_its_turn_however_often_the_manager_is_killed(manager: RealManager) -> None:
    def kill() -> None:
        manager.stop(signal.SIGKILL)
        manager.start()

    worker = SpokenWorker(manager)
    job = manager.artist.submit(SubmitJob(name="shot", scene=SCENE, frames="1")).job
    assert manager.artist.make_video(job.id, MakeVideo()).tasks.waiting == 1
    kill()
    for name in ["", "video"]:
        task = worker.claim()
        assert task.task_name == name
        if name:
            asked = AskInputs(job_id=job.id, attempt_id=task.attempt_id, token=task.token)
            (picture,) = manager.worker.inputs(asked).frames
            assert (picture.frame, picture.files[0].name) == (1, "shot_0001.png")
        kill()
        reports = worker.commit(task)
        kill()
        worker.publish(task, reports)
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
