"""The checker of the chaos tests sees every violation that it is there for.

A whole farm is made by hand, without burst; then one thing at a time is spoilt. Leaves
out that the tables are burst's: the tests that check a real farm fail if they are not.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.fakes import checker
from tests.fakes.checker import ExpectedJob, KilledWorker, Left

WIDTH, HEIGHT = 4, 3
STARTED = 1_700_000_000
TABLES = """
CREATE TABLE jobs (id TEXT PRIMARY KEY, status TEXT, ended_at TEXT);
CREATE TABLE tasks (job_id TEXT REFERENCES jobs (id), task_index INTEGER, status TEXT);
CREATE TABLE attempts (id TEXT PRIMARY KEY, job_id TEXT, task_index INTEGER, worker TEXT,
    status TEXT, started_at TEXT, ended_at TEXT);
CREATE TABLE frames (job_id TEXT, frame INTEGER, status TEXT, attempt_id TEXT, files TEXT,
    published_seq INTEGER);
CREATE TABLE workers (name TEXT);
CREATE TABLE worker_starts (name TEXT);
INSERT INTO jobs VALUES ('job', 'completed', '2023-11-14 22:13:30.000000');
"""


class SmallFarm:
    """A farm of one job with two frames that has left as it should."""

    def __init__(self, root: Path) -> None:
        self.state_dir, self.output = root / "state", root / "out"
        self.storage = self.state_dir / "storage"
        self.renders = self.storage / "renders" / "job"
        self.left = Left(self.state_dir, self.storage, root / "temporary")
        self.job = ExpectedJob("job", (1, 2), WIDTH, HEIGHT, self.output)
        for folder in (self.renders, self.output, self.storage / "attempts", root / "temporary"):
            folder.mkdir(parents=True)
        self.sql(TABLES)
        for frame in (1, 2):
            self.add_frame(frame)
        self.write_index()

    def sql(self, script: str) -> None:
        with closing(sqlite3.connect(self.state_dir / "burst.db")) as database:
            database.executescript(script)

    def add_frame(self, frame: int) -> None:
        """A completed task after an interrupted attempt, and its picture."""
        self.sql(f"""
            INSERT INTO tasks VALUES ('job', {frame - 1}, 'completed');
            INSERT INTO attempts VALUES ('a{frame}', 'job', {frame - 1}, 'local-1',
                'interrupted', '2023-11-14 22:13:20.000000', '2023-11-14 22:13:24.000000');
            INSERT INTO attempts VALUES ('b{frame}', 'job', {frame - 1}, 'local-2',
                'completed', '2023-11-14 22:13:24.000000', '2023-11-14 22:13:30.000000');
            INSERT INTO frames VALUES ('job', {frame}, 'published', 'b{frame}', '[]', {frame});
        """)
        self.picture(frame, png(picture(frame)))

    def picture(self, frame: int, content: bytes) -> None:
        """Put a picture wherever it belongs, and its hash into the database."""
        name = f"shot_{frame:04}.png"
        for folder in (self.renders, self.output):
            (folder / name).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        files = json.dumps([{"name": name, "size": len(content), "sha256": sha256}])
        self.sql(f"UPDATE frames SET files = '{files}' WHERE frame = {frame}")

    def write_index(self) -> None:
        with closing(sqlite3.connect(self.state_dir / "burst.db")) as database:
            rows = list(database.execute("SELECT frame, attempt_id, files FROM frames"))
        published = [{"frame": f, "attempt": a, "files": json.loads(n)} for f, a, n in rows]
        (self.renders / "index.json").write_text(json.dumps({"published": published}))

    def check(self) -> list[str]:
        return checker.check(self.left, [self.job])


def picture(frame: int) -> list[bytes]:
    """Lines of a picture that is not uniform."""
    return [bytes((x * 40 + frame * 3 + y) & 255 for x in range(WIDTH * 3)) for y in range(HEIGHT)]


def png(lines: list[bytes], kinds: bytes = b"\0\0\0", width: int = WIDTH) -> bytes:
    """Return a PNG of 8-bit RGB lines that are filtered already."""
    raw = b"".join(bytes([kind]) + line for kind, line in zip(kinds, lines, strict=True))
    header = struct.pack(">IIBBBBB", width, len(lines), 8, 2, 0, 0, 0)
    return (
        checker.SIGNATURE
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(raw))
        + chunk(b"IEND", b"")
    )


def chunk(name: bytes, body: bytes) -> bytes:
    check_sum = struct.pack(">I", zlib.crc32(name + body))
    return struct.pack(">I", len(body)) + name + body + check_sum


@pytest.fixture
def farm(tmp_path: Path) -> SmallFarm:
    return SmallFarm(tmp_path)


def test_a_farm_that_left_as_it_should_is_fine(farm: SmallFarm) -> None:
    assert farm.check() == []


ROWS = {
    "UPDATE jobs SET status = 'active'": "job job is active",
    "INSERT INTO jobs VALUES ('more', 'completed', '')": "job more is unexpected",
    "UPDATE jobs SET id = 'other'": "job job is missing",
    "UPDATE tasks SET status = 'queued' WHERE task_index = 0": "task 0 of job is queued",
    "UPDATE attempts SET status = 'active' WHERE id = 'a1'": "attempt a1 is active for ever",
    "UPDATE attempts SET status = 'completed' WHERE id = 'a1'": "2 completed attempts",
    "UPDATE attempts SET status = 'lost' WHERE id = 'b1'": "0 completed attempts",
    "UPDATE frames SET attempt_id = 'a1' WHERE frame = 1": "frame 1 of job is of no completed",
    "UPDATE frames SET status = 'committed' WHERE frame = 2": "frame 2 of job is committed",
    "UPDATE frames SET published_seq = 1": "were published under [1, 1]",
    "DELETE FROM frames WHERE frame = 2": "has not the frames",
    "INSERT INTO workers VALUES ('local-1')": "workers still has local-1",
    "INSERT INTO worker_starts VALUES ('local-1')": "worker_starts still has local-1",
    "INSERT INTO tasks VALUES ('nobody', 1, 'completed')": "refers to nothing",
}


@pytest.mark.parametrize("change", ROWS)
def test_a_wrong_row_is_seen(farm: SmallFarm, change: str) -> None:
    farm.sql(f"PRAGMA foreign_keys = OFF; {change};")
    assert any(ROWS[change] in wrong for wrong in farm.check()), farm.check()


def test_a_damaged_database_is_seen(farm: SmallFarm) -> None:
    farm.sql("CREATE INDEX of_status ON attempts (status);")
    with closing(sqlite3.connect(farm.state_dir / "burst.db")) as database:
        page = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'of_status'")
        number = page.fetchone()[0]
        size = database.execute("PRAGMA page_size").fetchone()[0]
    with (farm.state_dir / "burst.db").open("r+b") as file:
        file.seek((number - 1) * size)
        file.write(b"\x0a" + bytes(size - 1))
    assert any("integrity check" in wrong for wrong in farm.check())


def _spoil_pixels(content: bytes) -> bytes:
    return content[:50] + bytes([content[50] ^ 1]) + content[51:]


FILES: dict[str, tuple[Callable[[SmallFarm], object], str]] = {
    "a frame is missing in the storage": (
        lambda farm: (farm.renders / "shot_0001.png").unlink(),
        "storage/renders/job/shot_0001.png is missing",
    ),
    "a frame was not brought": (
        lambda farm: (farm.output / "shot_0002.png").unlink(),
        "out/shot_0002.png is missing",
    ),
    "a frame is there twice": (
        lambda farm: (farm.renders / "shot_0001-1.png").write_bytes(png(picture(1))),
        "shot_0001-1.png is a stranger",
    ),
    "a frame is cut off": (
        lambda farm: farm.picture(1, png(picture(1))[:-20]),
        "not whole",
    ),
    "a bit has changed": (
        lambda farm: farm.picture(1, _spoil_pixels(png(picture(1)))),
        "a checksum is wrong",
    ),
    "lines are lacking": (
        lambda farm: farm.picture(1, png(picture(1), width=WIDTH + 1)),
        "its pixels are not complete",
    ),
    "a frame is of the wrong size": (
        lambda farm: farm.picture(1, png(picture(1)[:2], kinds=b"\0\0")),
        "is 4x2",
    ),
    "a frame is uniform": (
        lambda farm: farm.picture(1, png([b"\7\7\7" * WIDTH] * HEIGHT)),
        "is uniform",
    ),
    "two frames are the same": (
        lambda farm: farm.picture(2, png(picture(1))),
        "same picture as the frame before",
    ),
    "another file has the name": (
        lambda farm: (farm.output / "shot_0001.png").write_bytes(png(picture(9))),
        "out/shot_0001.png is not what the database says",
    ),
    "there is no index": (
        lambda farm: (farm.renders / "index.json").unlink(),
        "is no index",
    ),
    "the index is cut off": (
        lambda farm: (farm.renders / "index.json").write_text('{"published": ['),
        "is no index",
    ),
    "an upload is left": (
        lambda farm: (farm.storage / "attempts" / "job").mkdir(),
        "storage/attempts/job is left",
    ),
    "a half-written file is left": (
        lambda farm: _touch(farm.storage / "incoming" / "0a1b"),
        "incoming/0a1b is left",
    ),
    "a worker's folder is left": (
        lambda farm: _touch(farm.state_dir / "workers" / "local-1" / "lock"),
        "workers/local-1 is left",
    ),
    "a part of a download is left": (
        lambda farm: _touch(farm.output / ".shot_0001.png.arriving"),
        ".arriving is left",
    ),
    "a temporary file of the manager is left": (
        lambda farm: _touch(farm.state_dir / "manager.json.new"),
        "manager.json.new is left",
    ),
    "a temporary folder is left": (
        lambda farm: _touch(farm.state_dir.parent / "temporary" / "burst-probe-1" / "x"),
        "burst-probe-1 is left",
    ),
}


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.mark.parametrize("spoilt", FILES)
def test_a_wrong_file_is_seen(farm: SmallFarm, spoilt: str) -> None:
    spoil, words = FILES[spoilt]
    spoil(farm)
    assert any(words in wrong for wrong in farm.check()), farm.check()


def test_an_index_of_other_content_is_seen(farm: SmallFarm) -> None:
    text = (farm.renders / "index.json").read_text()
    (farm.renders / "index.json").write_text(text.replace("b1", "a1"))
    assert any("something else of frame 1" in wrong for wrong in farm.check())


def test_an_index_without_a_frame_is_seen(farm: SmallFarm) -> None:
    farm.sql("DELETE FROM frames WHERE frame = 2;")
    farm.write_index()
    farm.sql("INSERT INTO frames VALUES ('job', 2, 'published', 'b2', '[]', 2);")
    assert any("does not list the frames" in wrong for wrong in farm.check())


@pytest.mark.parametrize("where", ["its command line", "its environment"])
def test_a_process_that_is_left_is_seen(farm: SmallFarm, where: str) -> None:
    code = "import sys; print(flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", code]
    inside = where == "its command line"
    with subprocess.Popen(
        [*words, str(farm.state_dir)] if inside else words,
        env={} if inside else {"BURST_STATE_DIR": str(farm.state_dir)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        process.stdout.readline()
        assert any(f"process {process.pid} is left" in wrong for wrong in farm.check())
        process.communicate(timeout=10)
    assert farm.check() == []


@pytest.mark.parametrize(
    ("status", "ended_after", "is_wrong"),
    [
        ("interrupted", 8, False),
        ("lost", 8, False),
        ("completed", 0.5, False),
        ("completed", 8, True),
        ("failed", 0.5, True),
        ("canceled", 0.5, True),
    ],
)
def test_what_a_killed_worker_held_is_given_up(
    farm: SmallFarm, status: str, ended_after: float, is_wrong: bool
) -> None:
    at = STARTED + 1.0
    ended = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(int(at + ended_after)))
    fraction = f"{(at + ended_after) % 1:.6f}"[1:]
    farm.sql(f"UPDATE attempts SET status = '{status}', ended_at = '{ended}{fraction}' "
             "WHERE id = 'a1'; UPDATE attempts SET status = 'lost' WHERE id = 'a2'")  # fmt: skip
    with closing(checker.open_database(farm.state_dir)) as database:
        wrong = list(checker.check_killed(database, [KilledWorker("local-1", at)]))
    assert bool(wrong) is is_wrong


def test_attempts_are_active_from_their_start_to_their_end(farm: SmallFarm) -> None:
    with closing(checker.open_database(farm.state_dir)) as database:
        active = [checker.attempts_active_at(database, STARTED + s) for s in (-1, 1, 5, 11)]
    assert active == [[], ["a1", "a2"], ["b1", "b2"], []]


@pytest.mark.parametrize("kind", range(5))
def test_every_filter_of_a_png_is_undone(kind: int) -> None:
    plain = picture(1)
    filtered = [plain[0], *(_filter(kind, plain[y], plain[y - 1]) for y in range(1, HEIGHT))]
    content = png(filtered, kinds=bytes([0, kind, kind]))
    assert checker.decode_png(content) == (WIDTH, HEIGHT, b"".join(plain))


def _filter(kind: int, line: bytes, above: bytes) -> bytes:
    """Filter a line as the PNG specification has it, section 9."""
    done = []
    for x, value in enumerate(line):
        a, b, c = (line[x - 3], above[x], above[x - 3]) if x >= 3 else (0, above[x], 0)
        p = a + b - c
        nearest = sorted((abs(p - v), order, v) for order, v in enumerate((a, b, c)))[0][2]
        done.append((value - (0, a, b, (a + b) // 2, nearest)[kind]) & 255)
    return bytes(done)
