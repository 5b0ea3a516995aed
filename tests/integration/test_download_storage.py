"""`burst download` from a storage alone: a directory, and a bucket of the real emulator.

With a farm: test_download_farm.py. How a folder treats what it finds: the unit tests of frames.
"""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem

from burst.errors import StorageAway, StorageError
from burst.operations.frames import FrameFolder, Outcome
from burst.operations.published import find_index
from burst.storage.access import Access
from burst.storage.storage import Storage, open_storage
from tests.fakes.emulator import Emulator
from tests.fakes.proxy import running_proxy
from tests.fakes.published import files_in, publish_job

JOB = "shot-abc234"
PATIENCE_SECONDS = 120
MIB = 1024 * 1024


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Wait for the end of a program, and return what it said and told; kill one that hangs."""
    try:
        return process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        raise


@dataclass
class Place:
    """A storage, and a folder to stand in."""

    folder: Path
    url: str
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        """Start burst with these words."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("BURST_")}
        state = {"BURST_STATE_DIR": str(self.folder / "state")}
        return subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", "burst", *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**clean, **self.environment, **state, **more}, cwd=self.folder,
        )  # fmt: skip

    def run(self, *words: str, status: int = 0, **more: str) -> tuple[str, str]:
        """Run burst; return what it said and told."""
        with self.start(*words, **more) as process:
            said, told = ended(process)
        assert process.returncode == status, told
        return said, told

    def download(self, *words: str) -> dict[str, Any]:
        said, _ = self.run("download", *words, "--storage", self.url, "--json")
        return dict(json.loads(said))


def emptied(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Storage:
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    storage = open_storage(emulator.url)
    storage.delete("renders/")
    return storage


@pytest.fixture(params=["directory", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if request.param == "directory":
        (tmp_path / "storage").mkdir()
        return Place(tmp_path, str(tmp_path / "storage"))
    emulator: Emulator = request.getfixturevalue("emulator")
    emptied(emulator, monkeypatch)
    return Place(tmp_path, emulator.url, emulator.environment)


@pytest.fixture
def bucket(tmp_path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Place:
    emptied(emulator, monkeypatch)
    return Place(tmp_path, emulator.url, emulator.environment)


def some(count: int, size: int = 100) -> dict[str, bytes]:
    chance = random.Random(count)
    return {f"shot_{number:04}.exr": chance.randbytes(size) for number in range(1, count + 1)}


def test_everything_is_brought_with_no_farm_anywhere(place: Place) -> None:
    frames, video = some(30), {"video/shot.mp4": b"film"}
    publish_job(open_storage(place.url), JOB, frames, video)
    said = place.download(JOB)
    assert files_in(place.folder / "shot-frames") == {**frames, **video}
    assert said["output"] == str(place.folder / "shot-frames")
    assert (said["status"], said["frames_published"]) == ("completed", 30)
    assert (said["files_brought"], said["files_kept"]) == (31, 0)
    assert said["results"] == [{"task": "video/shot.mp4", "files": ["video/shot.mp4"]}]
    again = place.download(JOB)
    assert (again["files_brought"], again["files_kept"]) == (0, 31)
    # No farm was made for it.
    assert {path.name for path in (place.folder / "state").iterdir()} == {"brought"}


def test_the_setting_is_as_good_as_the_option(place: Place) -> None:
    publish_job(open_storage(place.url), JOB, some(2))
    _, told = place.run("download", JOB, "-o", "out", BURST_STORAGE_URL=place.url)
    assert f"2 of 2 frames are done: 2 files brought to {place.folder / 'out'}" in told
    assert len(files_in(place.folder / "out")) == 2


def test_a_job_is_found_by_its_beginning_and_the_last_by_when_it_was_submitted(
    place: Place,
) -> None:
    storage = open_storage(place.url)
    publish_job(storage, "late-2", some(1), created_at="2026-03-01T00:00:00+00:00")
    publish_job(storage, "early-1", some(1), created_at="2026-01-01T00:00:00+00:00")
    publish_job(storage, "early-2", some(1), created_at="2026-02-01T00:00:00+00:00")
    storage.put_bytes(b"of a job that has no list", "renders/lost-1/a.png")
    assert place.download("last", "-o", "o")["job"] == "late-2"
    assert place.download("la", "-o", "o")["job"] == "late-2"
    _, told = place.run("download", "early", "--storage", place.url, status=1)
    assert "may be several jobs" in told
    assert "early-1, early-2" in told
    for named in ("lost", "nothing", "../renders/late-2", ".", "late-2/"):
        _, told = place.run("download", named, "--storage", place.url, status=1)
        assert "nothing is published" in told, named


def test_a_storage_without_jobs_says_so_and_a_folder_that_is_not_there_is_not_made(
    place: Place,
) -> None:
    for named in ("last", JOB):
        assert find_index(place.url, named) is None
    _, told = place.run("download", "last", "--storage", "nowhere", status=1)
    assert "nothing is published of any job" in told
    assert not (place.folder / "nowhere").exists()


def test_a_list_that_is_damaged_is_an_error_and_no_bug(place: Place) -> None:
    open_storage(place.url).put_bytes(b'{"job": ', f"renders/{JOB}/index.json")
    _, told = place.run("download", JOB, "--storage", place.url, status=1)
    assert "is no list of files" in told


def test_a_list_that_leads_out_of_the_folder_brings_nothing(place: Place) -> None:
    file = {"name": "../../stolen.png", "size": 1, "sha256": "0" * 64}
    publish_job(open_storage(place.url), JOB, {}, published=[{"frame": 1, "files": [file]}])
    _, told = place.run("download", JOB, "--storage", place.url, status=1)
    assert "is no name for a frame" in told
    assert not (place.folder / "shot-frames").exists()


def test_a_list_does_not_say_which_folder_of_this_machine_is_written_to(place: Place) -> None:
    elsewhere = place.folder / "elsewhere"
    publish_job(open_storage(place.url), JOB, some(1), output=str(elsewhere))
    assert place.download(JOB)["output"] == str(place.folder / "shot-frames")
    assert not elsewhere.exists()


@pytest.mark.parametrize(
    "about",
    [
        {"created_at": "2026-01-02T03:04:05"},
        {"job": "other-abc234"},
        {"status": "done\x1b[2J"},
    ],
)
def test_a_list_that_burst_did_not_write_is_an_error_and_no_bug(
    place: Place, about: dict[str, str]
) -> None:
    storage = open_storage(place.url)
    publish_job(storage, "other-abc234", some(1))
    name = f"renders/{JOB}/index.json"
    publish_job(storage, JOB, some(1))
    storage.put_bytes(json.dumps({**json.loads(storage.get_bytes(name)), **about}).encode(), name)
    for named in (JOB, "last"):
        _, told = place.run("download", named, "--storage", place.url, status=1)
        assert "is no list of files" in told


def test_a_storage_whose_jobs_may_not_be_listed_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "renders")

    monkeypatch.setattr(LocalFileSystem, "ls", refuse)
    with pytest.raises(StorageError, match=r"can't list the jobs in .*: Permission denied"):
        find_index(str(tmp_path), "last")


def test_a_name_that_is_none_for_a_folder_becomes_one(place: Place) -> None:
    publish_job(open_storage(place.url), JOB, some(1), name="a\0/\x1b")
    place.download(JOB)
    assert len(files_in(place.folder / "a\\x00-\\x1b-frames")) == 1


def test_to_follow_takes_the_farm_unless_the_job_has_ended(place: Place) -> None:
    storage = open_storage(place.url)
    publish_job(storage, JOB, some(2), status="active")
    _, told = place.run("download", JOB, "--follow", "--storage", place.url, status=2)
    assert f"job {JOB} is active" in told
    assert "without --follow" in told
    assert place.download(JOB)["files_brought"] == 2
    publish_job(storage, JOB, some(3), status="failed")
    assert place.download(JOB, "--follow")["files_brought"] == 3


def test_a_damaged_frame_is_named_and_the_others_come(place: Place) -> None:
    storage = open_storage(place.url)
    publish_job(storage, JOB, some(12))
    storage.put_bytes(b"damaged", f"renders/{JOB}/shot_0005.exr")
    _, told = place.run("download", JOB, "--storage", place.url, status=1)
    assert "1 file is in the storage and not what was published" in told
    assert "shot_0005.exr" in told
    assert set(files_in(place.folder / "shot-frames")) == set(some(12)) - {"shot_0005.exr"}


def test_a_bucket_that_is_not_there_says_so(bucket: Place) -> None:
    _, told = bucket.run("download", JOB, "--storage", "gs://nobodys-bucket", status=1)
    assert "nobodys-bucket" in told
    assert "hint:" in told


def test_a_run_that_is_killed_at_any_moment_goes_on_and_brings_nothing_twice(
    bucket: Place, emulator: Emulator
) -> None:
    frames = some(60, MIB // 2)
    publish_job(open_storage(bucket.url), JOB, frames)
    out = bucket.folder / "shot-frames"
    chance = random.Random(5)
    seen: dict[str, int] = {}
    kills = 0
    with running_proxy(emulator.endpoint, delay_seconds=0.002) as proxy:
        for _ in range(12):
            words = ("download", JOB, "--storage", bucket.url, "--json")
            with bucket.start(*words, STORAGE_EMULATOR_HOST=proxy.endpoint) as process:
                before, more = proxy.passed, chance.randrange(4 * MIB)
                deadline = time.monotonic() + PATIENCE_SECONDS
                while process.poll() is None and proxy.passed < before + more:
                    assert time.monotonic() < deadline
                    time.sleep(0.002)
                process.kill()
                kills += process.wait(PATIENCE_SECONDS) == -signal.SIGKILL
            for name in frames:
                if (out / name).exists():
                    # Whole from the moment that it has its name, and never brought again.
                    assert (out / name).read_bytes() == frames[name]
                    inode = (out / name).stat().st_ino
                    assert seen.setdefault(name, inode) == inode
        before = proxy.passed
        said, _ = bucket.run(*words, STORAGE_EMULATOR_HOST=proxy.endpoint)
        last = proxy.passed - before
    assert kills >= 6
    assert files_in(out) == frames
    assert json.loads(said)["files_kept"] >= len(seen)
    assert last < (len(frames) - len(seen)) * MIB // 2 + MIB
    assert all((out / name).stat().st_ino == inode for name, inode in seen.items())


def test_ctrl_c_leaves_whole_files_and_says_how_to_go_on(bucket: Place, emulator: Emulator) -> None:
    frames = some(40, MIB // 2)
    publish_job(open_storage(bucket.url), JOB, frames)
    with running_proxy(emulator.endpoint, delay_seconds=0.01) as proxy:
        words = ("download", JOB, "--storage", bucket.url)
        with bucket.start(*words, STORAGE_EMULATOR_HOST=proxy.endpoint) as process:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while proxy.passed < 2 * MIB:
                assert time.monotonic() < deadline
                time.sleep(0.005)
            process.send_signal(signal.SIGINT)
            _, told = ended(process)
    assert process.returncode == 130
    assert f"go on with: burst download {JOB} --storage {bucket.url}" in told
    there = files_in(bucket.folder / "shot-frames")
    assert there.items() <= frames.items()
    assert bucket.download(JOB)["files_kept"] == len(there)
    assert files_in(bucket.folder / "shot-frames") == frames


def test_a_connection_that_is_cut_and_comes_back_changes_nothing(
    bucket: Place, emulator: Emulator
) -> None:
    frames = some(20, MIB // 2)
    publish_job(open_storage(bucket.url), JOB, frames)
    with running_proxy(emulator.endpoint) as proxy:
        cuts = iter((MIB, 4 * MIB, 7 * MIB))
        at = next(cuts)

        def cut(passed: int) -> None:
            nonlocal at
            if passed > at:
                at = next(cuts, 1 << 60)
                proxy.cut()
                threading.Timer(0.3, proxy.heal).start()

        proxy.on_passed = cut
        words = ("download", JOB, "--storage", bucket.url, "--json")
        said, _ = bucket.run(*words, STORAGE_EMULATOR_HOST=proxy.endpoint)
        assert at == 1 << 60
    assert json.loads(said)["files_brought"] == 20
    assert files_in(bucket.folder / "shot-frames") == frames


def test_a_connection_that_stays_cut_is_said_and_the_next_run_goes_on(
    bucket: Place, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Access, "first_pause_seconds", 0.01)
    monkeypatch.setattr(Access, "patience_seconds_at_first", 0.5)
    monkeypatch.setattr(Access, "patience_seconds_once_reached", 0.5)
    frames = some(20, MIB // 2)
    publish_job(open_storage(bucket.url), JOB, frames)
    out = bucket.folder / "out"
    with running_proxy(emulator.endpoint, delay_seconds=0.001) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.endpoint)
        index = find_index(bucket.url, JOB)
        assert index is not None
        proxy.on_passed = lambda passed: proxy.cut() if passed > 4 * MIB else None
        first = FrameFolder(out, open_storage(bucket.url), JOB, bucket.folder / "state")
        with pytest.raises(StorageAway):
            first.bring(index.files)
        there = files_in(out)
        assert 0 < len(there) < 20
        assert there.items() <= frames.items()
        proxy.on_passed = lambda passed: None
        proxy.heal()
        second = FrameFolder(out, open_storage(bucket.url), JOB, bucket.folder / "state")
        second.bring(index.files)
    assert second.count(Outcome.KEPT) == len(there)
    assert files_in(out) == frames


def test_a_storage_that_never_answers_is_said_with_the_way_to_go_on(bucket: Place) -> None:
    words = ("download", JOB, "--storage", bucket.url)
    _, told = bucket.run(*words, status=1, STORAGE_EMULATOR_HOST="http://127.0.0.1:1")
    assert "hint:" in told


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
@pytest.mark.parametrize("options", ["size=1m", "ro"])
def test_a_folder_that_takes_no_more_is_said_and_nothing_half_is_left(
    place: Place, options: str
) -> None:
    frames = some(8, MIB // 4)
    publish_job(open_storage(place.url), JOB, frames)
    out = place.folder / "out"
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(out)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        words = ("download", JOB, "--storage", place.url, "-o", "out")
        _, told = place.run(*words, status=1)
        there = files_in(out)
        assert there.items() <= frames.items()
        assert "no space left in" in told if options != "ro" else "can't write to" in told
        assert "hint:" in told
    finally:
        subprocess.run(["umount", str(out)], check=True)
    assert place.download(JOB, "-o", "out")["files_brought"] == 8
    assert files_in(out) == frames
