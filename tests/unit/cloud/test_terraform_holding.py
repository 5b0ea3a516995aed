"""Holding a farm: by whom it can be taken over, and what is said where it can't be.

The bucket is that of the stand-in of Google Cloud. Left out here: runs that are killed
(tests/integration/test_terraform_runs.py), and whose lock it is (test_terraform_locks.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from burst.cloud.state_bucket import StateBucket
from burst.cloud.terraform import Terraform
from burst.cloud.terraform_copies import root_folder
from burst.cloud.terraform_locks import RUN, Run, read_run
from burst.cloud.terraform_process import FOLDER
from burst.cloud.terraform_run import held_farm, wait_for_call
from burst.errors import FarmBusy, StateError
from burst.storage.access import Access
from tests.fakes.google_cloud import GoogleCloud

NAME = "film-dune-state"


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleCloud]:
    monkeypatch.setattr(Access, "first_pause_seconds", 0.001)
    monkeypatch.setattr(StateBucket, "patience_seconds", 0.1)
    with GoogleCloud() as cloud:
        for name, value in cloud.environ.items():
            monkeypatch.setenv(name, value)
        cloud.plant("buckets", {"name": NAME, "versioning": {"enabled": True}})
        yield cloud


@pytest.fixture
def bucket(cloud: GoogleCloud) -> StateBucket:
    return StateBucket(NAME, cloud.environ)


@pytest.fixture
def told() -> list[str]:
    return []


def holder(bucket: StateBucket, place: Path) -> Run:
    """Return the run that this process is, as it stands in the bucket while it holds the farm."""
    with held_farm(bucket, place, "burst up", lambda text: None):
        found = read_run(bucket.read(RUN) or b"")
    assert found
    return found


def ended_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_the_lock_says_who_and_goes_with_the_run(bucket: StateBucket, tmp_path: Path) -> None:
    run = holder(bucket, tmp_path / "places" / NAME)
    process = psutil.Process()
    assert (run.command, run.pid) == ("burst up", os.getpid())
    assert run.started_at == pytest.approx(process.create_time(), abs=1)
    assert run.user == process.username()
    assert bucket.read(RUN) is None
    again = holder(bucket, tmp_path / "places" / NAME)
    assert again.host == run.host
    assert again.id != run.id


def test_it_goes_too_when_the_run_fails(bucket: StateBucket, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), held_farm(bucket, tmp_path, "up", print):
        raise KeyboardInterrupt
    assert bucket.read(RUN) is None


def test_a_dead_process_of_another_state_directory_is_taken_over(
    bucket: StateBucket, tmp_path: Path, told: list[str]
) -> None:
    dead = replace(holder(bucket, tmp_path / "theirs" / NAME), pid=ended_pid())
    bucket.write(RUN, dead.to_json())
    with held_farm(bucket, tmp_path / "ours" / NAME, "burst down", told.append):
        now = read_run(bucket.read(RUN) or b"")
        assert now
        assert now.command == "burst down"
    assert told == [f"freed the farm of the lock of {dead}: that process is gone"]
    assert bucket.read(RUN) is None


def test_a_living_process_of_another_state_directory_is_not(
    bucket: StateBucket, tmp_path: Path, told: list[str]
) -> None:
    living = holder(bucket, tmp_path / "theirs" / NAME)
    bucket.write(RUN, living.to_json())
    with (
        pytest.raises(FarmBusy, match=f"process {os.getpid()}") as busy,
        held_farm(bucket, tmp_path / "ours" / NAME, "burst down", told.append),
    ):
        raise AssertionError("held by two")
    assert f"gcloud storage rm gs://{NAME}/run.json" in str(busy.value.hint)
    assert read_run(bucket.read(RUN) or b"") == living


@pytest.mark.parametrize("content", [b"", b"{}", b"of a newer burst"])
def test_a_lock_that_cant_be_read_is_respected(
    bucket: StateBucket, tmp_path: Path, content: bytes
) -> None:
    bucket.write(RUN, content)
    with pytest.raises(FarmBusy, match="another burst is at work"):
        holder(bucket, tmp_path)
    assert bucket.read(RUN) == content


def test_of_two_who_take_it_over_one_has_it(
    bucket: StateBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    living = holder(bucket, tmp_path / "theirs" / NAME)
    dead = replace(living, pid=ended_pid())
    bucket.write(RUN, dead.to_json())
    plain = bucket.replace

    def be_late(name: str, content: bytes, generation: int = 0) -> int | None:
        bucket.write(RUN, living.to_json())
        return plain(name, content, generation)

    monkeypatch.setattr(bucket, "replace", be_late)
    with pytest.raises(FarmBusy, match=f"process {os.getpid()}"):
        holder(bucket, tmp_path / "ours" / NAME)
    assert read_run(bucket.read(RUN) or b"") == living


def test_a_lock_that_cant_be_given_back_is_told_and_taken_over_next_time(
    cloud: GoogleCloud, bucket: StateBucket, tmp_path: Path, told: list[str]
) -> None:
    with held_farm(bucket, tmp_path / NAME, "burst up", told.append):
        fault = cloud.faults.refuse("DELETE", r"/o/run\.json$", 403, "denied", times=1)
    assert fault
    assert told[0].startswith("the farm stays locked until the next run from here: ")
    with held_farm(bucket, tmp_path / NAME, "burst up", told.append):
        pass
    assert told[1].startswith("freed the farm of the lock of burst up")


def test_a_folder_that_cant_be_used_is_told(bucket: StateBucket, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(StateError, match="can't use") as bad:
        holder(bucket, tmp_path / "file" / NAME)
    assert "BURST_STATE_DIR" in str(bad.value.hint)


def test_nobody_else_may_look_into_the_folder(bucket: StateBucket, tmp_path: Path) -> None:
    holder(bucket, tmp_path / "places" / NAME)
    assert (tmp_path / "places" / NAME).stat().st_mode & 0o077 == 0


def test_a_call_whose_process_burst_did_not_live_to_note_is_waited_for(
    tmp_path: Path, told: list[str]
) -> None:
    terraform = Terraform(root_folder(tmp_path, "farm"), {}, tell=told.append)
    notes = terraform.folder / FOLDER
    notes.mkdir(parents=True)
    (notes / "call.json").write_text(json.dumps({"operation": "apply", "begun_at": 1.0}), "utf-8")
    (notes / "apply.out").write_text("it speaks\n", "utf-8")
    script = (
        "import fcntl, sys, time\n"
        f"lock = open({str(notes / 'call.lock')!r}, 'w')\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\nprint('held', flush=True)\ntime.sleep(0.5)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdout.readline() == b"held\n"
        heard: list[str] = []
        wait_for_call(terraform, told.append, lambda event: heard.append(event.said))
        assert not terraform.is_at_work
    assert told == ["terraform apply of an earlier run is still at work: waiting for it"]
    assert heard == ["it speaks"]
