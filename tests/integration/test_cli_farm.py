"""The command line over a real manager in the background, without any worker.

Rendering is in test_cli_render.py; what commands say while no farm runs, in tests/unit/cli.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from burst.domain.jobs import SceneRef
from burst.manager.state_dir import find_manager, is_locked, lock_path
from burst.protocol.artist_messages import SubmitJob
from burst.protocol.client import ManagerClient
from burst.storage import layout
from burst.storage.directory import DirectoryStorage

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 120


class Shell:
    """Runs the program in a folder of its own, with a state directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state_dir = folder / "state"
        mine = {key: value for key, value in os.environ.items() if not key.startswith("BURST_")}
        self.environment = {
            **mine,
            "PYTHONPATH": str(ROOT),
            "BURST_STATE_DIR": str(self.state_dir),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "burst", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "burst", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def pid(self) -> int:
        address = find_manager(self.state_dir)
        assert address is not None
        return address.pid

    def stop(self) -> None:
        self.run("down", "--local")
        if is_locked(lock_path(self.state_dir)):
            os.kill(self.pid(), signal.SIGKILL)


def eventually(true: Callable[[], bool]) -> None:
    """Wait for something, bounded."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    (tmp_path / "burst.toml").write_text("[manager]\nworkers = 0\n", encoding="utf-8")
    started = Shell(tmp_path)
    yield started
    started.stop()


@pytest.fixture
def farm(shell: Shell) -> Shell:
    assert shell.run("up", "--local").returncode == 0
    return shell


def submit(shell: Shell, name: str = "shot") -> str:
    """Submit a job that no worker will ever take, and return its id."""
    scene = SceneRef(name="shot", version="0" * 64)
    storage = DirectoryStorage(shell.state_dir / "storage")
    storage.put_bytes(b"{}", layout.manifest(scene.name, scene.version))
    address = find_manager(shell.state_dir)
    assert address is not None
    with ManagerClient(address.console_url) as client:
        message = SubmitJob(name=name, scene=scene, frames="1-4", output=str(shell.folder / "out"))
        return client.submit(message).job.id


def test_a_farm_stays_until_it_is_stopped_and_keeps_its_queue(farm: Shell) -> None:
    job = submit(farm)
    before = farm.json("status", "--local")
    assert before["running"]
    assert not before["implicit"]
    assert farm.json("up", "--local") == {
        "started": False,
        **{key: before[key] for key in ("console_url", "worker_url", "pid", "implicit")},
    }
    assert farm.json("down", "--local") == {"stopped": True, "killed": False}
    assert farm.json("status", "--local") == {"running": False, "state_dir": str(farm.state_dir)}
    assert not is_locked(lock_path(farm.state_dir))
    assert [view["id"] for view in farm.json("jobs", "list")] == [job]


def test_jobs_are_not_taken_to_a_storage_that_has_not_their_files(farm: Shell) -> None:
    job = submit(farm)
    assert farm.run("down", "--local").returncode == 0
    elsewhere = str(farm.folder / "elsewhere")
    refused = farm.run("up", "--local", "--storage", elsewhere)
    assert refused.returncode == 1
    assert f"in {farm.state_dir / 'storage'}, not in {elsewhere}" in refused.stderr
    assert "--state-dir" in refused.stderr
    # Another folder may be over another storage, and goes on with it unasked.
    other = str(farm.folder / "other")
    assert farm.run("up", "--local", "--storage", elsewhere, "--state-dir", other).returncode == 0
    assert farm.run("down", "--local", "--state-dir", other).returncode == 0
    assert [view["id"] for view in farm.json("jobs", "list")] == [job]


def test_up_says_where_the_farm_is_on_stdout_and_nothing_else(shell: Shell) -> None:
    done = shell.run("up", "--local")
    address = find_manager(shell.state_dir)
    assert address is not None
    assert done.stdout == f"{address.console_url}\n"


def test_two_that_start_at_once_end_up_with_the_same_farm(shell: Shell) -> None:
    with contextlib.ExitStack() as stack:
        both = [stack.enter_context(shell.start("up", "--local")) for _ in range(2)]
        answers = [process.communicate(timeout=PATIENCE_SECONDS) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    assert answers[0][0] == answers[1][0] != ""


def test_a_farm_that_was_only_started_to_answer_leaves_by_itself(farm: Shell) -> None:
    submit(farm)
    farm.json("jobs", "cancel", "last")
    farm.json("down", "--local")
    farm.environment["BURST_EXIT_WHEN_IDLE_SECONDS"] = "0.2"
    assert farm.json("jobs", "show", "last")["status"] == "canceled"
    eventually(lambda: not is_locked(lock_path(farm.state_dir)))


def test_up_goes_on_with_a_farm_that_a_render_started_and_says_so(farm: Shell) -> None:
    submit(farm)
    farm.json("down", "--local")
    farm.json("jobs", "list")
    done = farm.run("up", "--local")
    assert done.returncode == 0
    assert "leaves when its last job has ended" in done.stderr


def test_a_taken_port_is_told_in_the_managers_own_words(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        shell.environment["BURST_CONSOLE_LISTEN"] = f"127.0.0.1:{port}"
        done = shell.run("up", "--local")
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr


def test_state_of_another_version_is_refused(shell: Shell) -> None:
    shell.state_dir.mkdir()
    (shell.state_dir / "version").write_text("999\n", encoding="utf-8")
    done = shell.run("up", "--local")
    assert done.returncode == 1
    assert "format 999" in done.stderr


def test_a_folder_named_burst_beside_the_artist_is_not_mistaken_for_the_program(
    shell: Shell,
) -> None:
    (shell.folder / "burst").mkdir()
    (shell.folder / "burst" / "__init__.py").write_text("raise SystemExit(9)\n")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "burst", "up", "--local"],
        cwd=shell.folder,
        env=shell.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr


def test_a_job_goes_by_its_id_a_beginning_of_it_or_last(farm: Shell) -> None:
    first, second = submit(farm, "alpha"), submit(farm, "beta")
    assert farm.json("jobs", "show", first)["id"] == first
    assert farm.json("jobs", "show", "alp")["id"] == first
    assert farm.json("jobs", "show", "last")["id"] == second
    assert farm.run("jobs", "show", "gamma").returncode == 1


def test_jobs_are_steered_and_deleted(farm: Shell) -> None:
    job = submit(farm)
    assert farm.json("jobs", "pause", job)["status"] == "paused"
    assert farm.json("jobs", "resume", job)["status"] == "queued"
    assert farm.json("jobs", "priority", job, "90")["priority"] == 90
    assert farm.json("jobs", "cancel", job)["status"] == "canceled"
    assert farm.json("jobs", "requeue", job, "--frames", "1-2")["tasks"]["queued"] == 2
    assert farm.json("jobs", "cancel", job)["status"] == "canceled"
    refused = farm.run("jobs", "delete", job)
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert farm.json("jobs", "delete", job, "--yes") == {"job": job, "deleted": True}
    assert farm.json("jobs", "list") == []


def test_listings_for_people_name_what_is_there(farm: Shell) -> None:
    job = submit(farm)
    table = farm.run("jobs").stdout.splitlines()
    assert table[0].split()[:3] == ["JOB", "STATUS", "DONE"]
    assert table[1].split()[:3] == [job, "queued", "0/4"]
    assert "1 queued" in farm.run("status", "--local").stdout
    assert "0 of 4 frames" in farm.run("jobs", "show", job).stdout
    assert "no workers" in farm.run("workers").stderr
    assert "submitted" in farm.run("logs", job).stdout
    assert farm.run("logs", "nobody").returncode == 1


def test_a_job_that_waits_says_why(farm: Shell) -> None:
    job = submit(farm)
    said = farm.json("explain", "last")
    assert said["job_id"] == job
    assert said["reasons"]
    done = farm.run("explain", job)
    assert done.returncode == 0
    for reason in said["reasons"]:
        assert reason["subject"] in done.stdout
        assert reason["text"] in done.stdout
    assert farm.run("explain", "nobody").returncode == 1


def test_tasks_that_nobody_began_are_only_counted(farm: Shell) -> None:
    job = submit(farm)
    assert farm.json("jobs", "tasks", job) == []
    done = farm.run("jobs", "tasks", job)
    assert "4 tasks to be done" in done.stderr
    assert done.stdout == ""


def test_download_says_that_nothing_is_done_yet(farm: Shell) -> None:
    job = submit(farm)
    done = farm.run("download", job)
    assert done.returncode == 0
    assert f"burst watch {job}" in done.stderr
    assert farm.json("download", job)["frames_published"] == 0


def test_a_job_without_frames_counts_its_tasks_wherever_it_is_shown(farm: Shell) -> None:
    echo = {"name": "say", "commands": [{"kind": "echo", "text": "said"}]}
    (farm.folder / "job.json").write_text(json.dumps({"name": "chores", "commands": [echo]}))
    job = farm.json("submit", "job.json", "--local")["job"]
    assert "0/1 tasks" in farm.run("jobs").stdout
    for command in (("jobs", "show"), ("jobs", "pause"), ("jobs", "resume"), ("download",)):
        done = farm.run(*command, job)
        assert "0 of 1 task" in done.stdout + done.stderr, command
    for refused in (["video", job], ["jobs", "requeue", job, "--frames", "1"]):
        done = farm.run(*refused)
        assert done.returncode == 1
        assert "render" in done.stderr
    assert farm.run("explain", job).returncode == 0
    farm.run("jobs", "cancel", job)
    assert "is deleted" in farm.run("jobs", "delete", job, "--yes").stderr


def wait_until_watching(process: subprocess.Popen[str]) -> None:
    """Wait for the note that a paused job is paused: from then on it is watched."""
    assert process.stderr is not None
    assert "paused" in process.stderr.readline()


def paused_job(farm: Shell) -> str:
    job = submit(farm)
    farm.json("jobs", "pause", job)
    return job


def test_ctrl_c_leaves_the_job_and_says_how_to_come_back(farm: Shell) -> None:
    job = paused_job(farm)
    with farm.start("watch", job, "--json") as process:
        wait_until_watching(process)
        eventually(lambda: _follows(process.pid))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, err
    for command in ("watch", "download", "jobs cancel"):
        assert f"burst {command} {job}" in err
    left = json.loads(out)
    assert (left["job"], left["detached"], left["status"]) == (job, True, "paused")
    assert farm.json("jobs", "show", job)["status"] == "paused"


def test_watching_a_job_that_is_canceled_ends_with_4(farm: Shell) -> None:
    job = paused_job(farm)
    with farm.start("watch", job, "--json") as process:
        wait_until_watching(process)
        farm.json("jobs", "cancel", job)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 4, err
    assert json.loads(out)["status"] == "canceled"
    assert json.loads(err.splitlines()[-1])["error"] == "JobCanceled"


def test_watching_ends_when_the_farm_is_stopped_on_purpose(farm: Shell) -> None:
    job = paused_job(farm)
    with farm.start("watch", job) as process:
        wait_until_watching(process)
        farm.json("down", "--local")
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert "stopped" in err
    assert farm.json("status", "--local")["running"] is False


def test_a_manager_that_was_killed_is_started_again_and_watching_goes_on(farm: Shell) -> None:
    job = paused_job(farm)
    old = farm.pid()
    with farm.start("watch", job) as process:
        wait_until_watching(process)
        eventually(lambda: _follows(process.pid))
        os.kill(old, signal.SIGKILL)
        eventually(lambda: (found := find_manager(farm.state_dir)) is not None and found.pid != old)
        farm.json("jobs", "cancel", job)
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 4, err
    assert "starting it again" in err


def _follows(pid: int) -> bool:
    """Say whether the process has a connection open: it watches."""
    import psutil

    connections = psutil.Process(pid).net_connections("tcp")
    return any(connection.status == psutil.CONN_ESTABLISHED for connection in connections)
