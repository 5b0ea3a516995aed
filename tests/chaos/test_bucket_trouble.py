"""A bucket that loses answers, is away, or refuses: nothing is lost, no frame fails for it.

What is asked of the emulator goes through a gate (``tests/fakes/gate.py``). Workers are started
by hand where the test wants to know what one says. Leaves out a disk that is full
(`test_disk_full`) and uploads of scenes (`test_upload_kills`).
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.chaos.steps import check_farm, outcomes, stop, submit
from tests.fakes.farm import Farm, Program, poll, running_farm
from tests.fakes.gate import Gate, Rule

pytestmark = pytest.mark.blender

FRAMES = (1, 2, 3, 4)
STAY = {"BURST_IDLE_EXIT_SECONDS": "6", "BURST_EXIT_WHEN_IDLE_SECONDS": "600"}
IMPATIENT = {"CHAOS_PATIENCE_SECONDS": "1"}
"""One request gives a silent bucket up after seconds, and not after minutes."""
REFUSED = (
    "farm@show.iam.gserviceaccount.com does not have storage.objects.create access to the "
    "Google Cloud Storage object. Permission 'storage.objects.create' denied on resource."
)
GRANT = "gcloud storage buckets add-iam-policy-binding gs://farm"


@pytest.fixture
def farm(tmp_path: Path, bucket: Gate) -> Iterator[Farm]:
    """A manager that starts no worker, and stays."""
    with running_farm(tmp_path, bucket, **STAY, **IMPATIENT) as farm:
        farm.start_manager(BURST_WORKERS="0")
        yield farm


def test_each_answer_is_lost_once_and_every_frame_is_there_once(
    farm: Farm, bucket: Gate, scene: Path
) -> None:
    job_id = submit(farm, scene, FRAMES)
    every = {"upload": "^POST /upload/", "name": "rewriteTo", "delete": "^DELETE"}
    rules = {what: bucket.add(Rule(pattern, lose=True, every=2)) for what, pattern in every.items()}
    worker = farm.start_worker("w1")
    wait_completed(farm, job_id, worker)
    assert worker.wait() == 0, worker.words()
    assert {what for what, rule in rules.items() if rule.hits == 0} == set()
    assert outcomes(farm) == ["completed"] * len(FRAMES)
    check_farm(farm, job_id, FRAMES)


@pytest.mark.parametrize("how", ["refused", "silent"])
def test_a_bucket_that_is_away_for_seconds_interrupts_nothing(
    farm: Farm, bucket: Gate, scene: Path, how: Literal["refused", "silent"]
) -> None:
    job_id = submit(farm, scene, FRAMES)
    worker = farm.start_worker("w1")
    poll(lambda: farm.published(job_id), worker.words)
    bucket.cut(how)
    text = poll(lambda: explained(farm, job_id, "w1"), worker.words)
    assert "can't be reached" in text
    # Who asks the manager is answered meanwhile.
    assert ask(farm, "status")["tasks_active"] >= 1
    bucket.mend()
    wait_completed(farm, job_id, worker)
    assert worker.wait() == 0, worker.words()
    assert explained(farm, job_id, "w1") == ""
    assert outcomes(farm) == ["completed"] * len(FRAMES)
    assert "the storage works again" in job_log(farm, job_id)
    check_farm(farm, job_id, FRAMES)


def test_a_bucket_that_is_away_for_too_long_interrupts_and_fails_nothing(
    farm: Farm, bucket: Gate, scene: Path
) -> None:
    job_id = submit(farm, scene, FRAMES)
    worker = farm.start_worker("w1", BURST_STORAGE_AWAY_SECONDS="2")
    poll(lambda: farm.published(job_id), worker.words)
    bucket.cut("refused")
    poll(lambda: "interrupted" in outcomes(farm), worker.words)
    bucket.mend()
    wait_completed(farm, job_id, worker)
    assert worker.wait() == 0, worker.words()
    assert outcomes(farm).count("completed") == len(FRAMES)
    assert "failed" not in outcomes(farm)
    assert "can't be reached" in job_log(farm, job_id)
    check_farm(farm, job_id, FRAMES)


@pytest.mark.parametrize(
    ("status", "message", "told"),
    [
        (403, REFUSED, ("has no storage.objects.create on gs://farm", GRANT)),
        (401, "Invalid Credentials", ("login",)),
    ],
)
def test_a_permission_that_is_taken_away_is_named_and_waited_for(
    farm: Farm, bucket: Gate, scene: Path, status: int, message: str, told: tuple[str, ...]
) -> None:
    job_id = submit(farm, scene, FRAMES)
    worker = farm.start_worker("w1")
    poll(lambda: farm.published(job_id), worker.words)
    rule = bucket.add(Rule("^POST /upload/", status=status, message=message))
    text = poll(lambda: explained(farm, job_id, "w1"), worker.words)
    log = poll(lambda: "trying again" in job_log(farm, job_id) and job_log(farm, job_id), text)
    assert all(words in text and words in log for words in told), (text, log)
    # The manager can't write the job's list of files either, which has a new status to tell.
    ask(farm, "jobs", "pause", job_id)
    trouble = poll(lambda: ask(farm, "status")["storage_trouble"], farm.logs)
    assert all(words in trouble for words in told)
    # Resumed before the bucket works: what is under way could be the whole rest of the job.
    ask(farm, "jobs", "resume", job_id)
    bucket.drop(rule)
    wait_completed(farm, job_id, worker)
    assert worker.wait() == 0, worker.words()
    assert outcomes(farm) == ["completed"] * len(FRAMES)
    poll(lambda: not ask(farm, "status")["storage_trouble"], farm.logs)
    check_farm(farm, job_id, FRAMES)


def test_a_farm_starts_while_its_bucket_is_away_and_works_when_it_is_back(
    tmp_path: Path, bucket: Gate, scene: Path
) -> None:
    with running_farm(tmp_path, bucket, **STAY, **IMPATIENT) as farm:
        farm.start_manager(BURST_WORKERS="0")
        job_id = submit(farm, scene, FRAMES)
        stop(farm)
        bucket.cut("refused")
        farm.start_manager(BURST_WORKERS="0")
        worker = farm.start_worker("w1")
        poll(farm.active_attempts, worker.words)
        poll(lambda: ask(farm, "status")["storage_trouble"], farm.logs)
        poll(lambda: "can't be reached" in job_log(farm, job_id), farm.logs)
        bucket.mend()
        wait_completed(farm, job_id, worker)
        assert worker.wait() == 0, worker.words()
        assert "failed" not in outcomes(farm)
        check_farm(farm, job_id, FRAMES)


@pytest.mark.parametrize("how", ["refused", "silent"])
def test_a_farm_leaves_in_time_though_its_bucket_is_away(
    tmp_path: Path, bucket: Gate, scene: Path, how: Literal["refused", "silent"]
) -> None:
    with running_farm(tmp_path, bucket, **STAY) as farm:
        # As patient as it is for an artist.
        farm.start_manager(BURST_WORKERS="0")
        job_id = submit(farm, scene, FRAMES)
        worker = farm.start_worker("w1")
        poll(lambda: farm.published(job_id), worker.words)
        bucket.cut(how)
        # By then what was rendered is on its way to nowhere.
        poll(lambda: len(outcomes(farm)) > 2, worker.words)
        worker.kill(signal.SIGTERM)
        assert worker.wait(15) in (0, 1), worker.words()
        down = farm.start("down", "--local", "--json")
        assert down.wait(25) == 0, down.words()
        assert down.result() == {"stopped": True, "killed": False}
        bucket.mend()
        farm.start_manager(BURST_WORKERS="0")
        again = farm.start_worker("w2")
        wait_completed(farm, job_id, again)
        assert again.wait() == 0, again.words()
        assert "failed" not in outcomes(farm)
        check_farm(farm, job_id, FRAMES)


def test_a_job_is_deleted_from_a_bucket_with_everything(
    farm: Farm, bucket: Gate, scene: Path
) -> None:
    job_id = submit(farm, scene, FRAMES)
    worker = farm.start_worker("w1")
    wait_completed(farm, job_id, worker)
    deleted = farm.start("jobs", "delete", job_id, "--yes")
    assert deleted.wait() == 0, deleted.words()
    assert worker.wait() == 0, worker.words()
    stop(farm)
    names = [path.relative_to(farm.left().storage) for path in farm.left().storage.rglob("*")]
    assert [name for name in names if job_id in str(name)] == []


def wait_completed(farm: Farm, job_id: str, worker: Program) -> None:
    """Wait for a job's end."""
    poll(
        lambda: farm.job_status(job_id) == "completed",
        lambda: worker.words() + farm.logs() + job_log(farm, job_id),
        120,
    )


def ask(farm: Farm, *words: str) -> dict[str, Any]:
    """Return what a command prints."""
    program = farm.start(*words, "--local", "--json")
    assert program.wait() == 0, program.words()
    return program.result()


def explained(farm: Farm, job_id: str, subject: str) -> str:
    """Return what ``burst explain`` says of a worker that waits."""
    program = farm.start("explain", job_id, "--json")
    assert program.wait() == 0, program.words()
    reasons = [r["text"] for r in program.result()["reasons"] if r["subject"] == subject]
    return "; ".join(text for text in reasons if text.startswith("waits"))


def job_log(farm: Farm, job_id: str) -> str:
    """Return a job's log."""
    path = farm.state_dir / "logs" / "jobs" / f"{job_id}.jsonl"
    return path.read_text("utf-8") if path.exists() else ""
