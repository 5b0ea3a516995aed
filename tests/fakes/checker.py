"""Says what is wrong with a farm that has left: its disk, its database, its processes.

Reads everything by its own code and imports nothing of burst, so that a mistake there is
not repeated here. Each check returns sentences; none is good. Reads PNG only.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import struct
import urllib.request
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
LEFTOVER_ENDINGS = (".part", ".new", ".tmp", ".arriving", "~")
REPORT_ON_ITS_WAY_SECONDS = 1.0
"""A report that a worker sent before it was killed may be taken this much later."""


@dataclass(frozen=True)
class ExpectedJob:
    """A job that should be completed, and what of it should be there."""

    id: str
    frames: Sequence[int]
    width: int
    height: int
    output: Path | None = None
    """Folder that the command line brought the frames to."""


@dataclass(frozen=True)
class KilledWorker:
    """A worker that was killed, and when."""

    name: str
    at: float


@dataclass(frozen=True)
class Left:
    """Where a farm was."""

    state_dir: Path
    storage: Path
    temporary: Path | None = None
    """The folder that its processes were given for temporary files."""
    killed: Sequence[KilledWorker] = field(default=())


def check(left: Left, jobs: Sequence[ExpectedJob]) -> list[str]:
    """Return everything that is wrong."""
    wrong = [*check_processes(left.state_dir), *check_leftovers(left, jobs)]
    with closing(open_database(left.state_dir)) as database:
        wrong += check_database(database, [job.id for job in jobs])
        wrong += check_killed(database, left.killed)
        for job in jobs:
            wrong += check_job(database, left.storage, job)
    return wrong


# ── A bucket ─────────────────────────────────────────────────────────────────────────


def bring_bucket(endpoint: str, bucket: str, folder: Path) -> None:
    """Lay a bucket's objects out as files, so that they are looked at as those of a directory."""
    for one in objects_of(endpoint, bucket, ""):
        path = folder / one["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content_of(endpoint, bucket, one["name"]))
        assert path.stat().st_size == int(one["size"]), one


def objects_of(endpoint: str, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    """Yield what a bucket says of each object whose name starts with ``prefix``."""
    token = ""
    while True:
        query = urlencode({"prefix": prefix, "pageToken": token, "maxResults": 500})
        with urllib.request.urlopen(f"{endpoint}/storage/v1/b/{bucket}/o?{query}") as answer:
            page = json.load(answer)
        yield from page.get("items", ())
        token = page.get("nextPageToken", "")
        if not token:
            return


def content_of(endpoint: str, bucket: str, name: str) -> bytes:
    """Return the content of an object."""
    url = f"{endpoint}/storage/v1/b/{bucket}/o/{quote(name, safe='')}?alt=media"
    with urllib.request.urlopen(url) as answer:
        return bytes(answer.read())


# ── Processes and files ──────────────────────────────────────────────────────────────


def check_processes(state_dir: Path) -> Iterator[str]:
    """No process may have the state directory in its environment or command line."""
    for pid, words in processes_of(state_dir):
        yield f"process {pid} is left: {words}"


def processes_of(state_dir: Path) -> Iterator[tuple[int, str]]:
    """Yield pid and command line of every process that names a folder, but us."""
    needle = os.fsencode(state_dir)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes()
            surroundings = (entry / "environ").read_bytes()
        except OSError:
            continue
        if needle in words or needle in surroundings:
            yield int(entry.name), words.replace(b"\0", b" ").decode(errors="replace").strip()


def check_leftovers(left: Left, jobs: Iterable[ExpectedJob]) -> Iterator[str]:
    """Nothing may be left of what was under way."""
    empty = [left.storage / "attempts", left.storage / "incoming", left.state_dir / "workers"]
    if left.temporary:
        empty.append(left.temporary)
    for folder in empty:
        for path in walk(folder):
            yield f"{path} is left"
    outputs = [job.output for job in jobs if job.output]
    for folder in (left.state_dir, left.storage, *outputs):
        for path in walk(folder):
            if path.name.endswith(LEFTOVER_ENDINGS):
                yield f"{path} is left"


def walk(folder: Path) -> Iterator[Path]:
    """Yield every file and folder below a folder."""
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield Path(parent, name)


# ── The database ─────────────────────────────────────────────────────────────────────


def open_database(state_dir: Path) -> sqlite3.Connection:
    """Open a farm's database for reading."""
    connection = sqlite3.connect(f"file:{state_dir / 'burst.db'}?mode=rw", uri=True, timeout=10)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA query_only=ON")
    return connection


def instant(text: str) -> float:
    """Return seconds since the epoch of an instant in the database, which is in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def check_database(database: sqlite3.Connection, job_ids: Collection[str]) -> Iterator[str]:
    """The database is sound, has these jobs and no more, and nobody is there."""
    for row in database.execute("PRAGMA integrity_check"):
        if row[0] != "ok":
            yield f"integrity check: {row[0]}"
    for row in database.execute("PRAGMA foreign_key_check"):
        yield f"a row of {row[0]} refers to nothing"
    known = {row["id"] for row in database.execute("SELECT id FROM jobs")}
    for job_id in known.symmetric_difference(job_ids):
        yield f"job {job_id} is {'unexpected' if job_id in known else 'missing'}"
    for table in ("workers", "worker_starts"):
        for row in database.execute(f"SELECT name FROM {table}"):
            yield f"{table} still has {row['name']}"
    for row in database.execute("SELECT id FROM attempts WHERE status = 'active'"):
        yield f"attempt {row['id']} is active for ever"


def check_killed(database: sqlite3.Connection, killed: Iterable[KilledWorker]) -> Iterator[str]:
    """What a killed worker held is interrupted or lost, unless its report was on its way."""
    for kill in killed:
        rows = database.execute("SELECT * FROM attempts WHERE worker = ?", (kill.name,))
        for row in rows:
            if row["ended_at"] is None or instant(row["ended_at"]) <= kill.at:
                continue
            late = instant(row["ended_at"]) - kill.at
            on_its_way = row["status"] == "completed" and late < REPORT_ON_ITS_WAY_SECONDS
            if row["status"] not in ("interrupted", "lost") and not on_its_way:
                yield f"attempt {row['id']} of killed {kill.name} is {row['status']}"


def attempts_active_at(database: sqlite3.Connection, at: float) -> list[str]:
    """Return the attempts that were active at a moment."""
    rows = database.execute("SELECT id, started_at, ended_at FROM attempts")
    return [
        row["id"]
        for row in rows
        if instant(row["started_at"]) <= at
        and (row["ended_at"] is None or instant(row["ended_at"]) >= at)
    ]


# ── One job ──────────────────────────────────────────────────────────────────────────


def check_job(database: sqlite3.Connection, storage: Path, job: ExpectedJob) -> list[str]:
    """Every frame is there once and whole, by one completed attempt each."""
    wrong = [*_check_tasks(database, job), *_check_frame_rows(database, job)]
    rows = {
        row["frame"]: row
        for row in database.execute("SELECT * FROM frames WHERE job_id = ?", (job.id,))
    }
    renders = storage / "renders" / job.id
    wrong += _check_index(renders / "index.json", rows)
    names = {file["name"] for row in rows.values() for file in json.loads(row["files"])}
    wrong += _check_names(renders, names | {"index.json"})
    wrong += _check_frames(renders, rows, job)
    if job.output:
        wrong += _check_names(job.output, names)
        wrong += _check_frames(job.output, rows, job)
    return wrong


def _check_tasks(database: sqlite3.Connection, job: ExpectedJob) -> Iterator[str]:
    row = database.execute("SELECT * FROM jobs WHERE id = ?", (job.id,)).fetchone()
    if row and (row["status"] != "completed" or not row["ended_at"]):
        yield f"job {job.id} is {row['status']}"
    rows = database.execute("SELECT * FROM tasks WHERE job_id = ?", (job.id,))
    tasks = {row["task_index"]: row["status"] for row in rows}
    for task, status in tasks.items():
        if status != "completed":
            yield f"task {task} of {job.id} is {status}"
    query = "SELECT task_index FROM attempts WHERE job_id = ? AND status = 'completed'"
    completed = Counter(row["task_index"] for row in database.execute(query, (job.id,)))
    for task in tasks.keys() | completed.keys():
        if completed[task] != 1:
            yield f"task {task} of {job.id} has {completed[task]} completed attempts"


def _check_frame_rows(database: sqlite3.Connection, job: ExpectedJob) -> Iterator[str]:
    query = (
        "SELECT frames.*, attempts.status AS attempt_status FROM frames "
        "LEFT JOIN attempts ON attempts.id = attempt_id WHERE frames.job_id = ?"
    )
    frames = list(database.execute(query, (job.id,)))
    if sorted(row["frame"] for row in frames) != sorted(job.frames):
        yield f"job {job.id} has not the frames that it should have"
    for row in frames:
        if row["status"] != "published":
            yield f"frame {row['frame']} of {job.id} is {row['status']}"
        if row["attempt_status"] != "completed":
            yield f"frame {row['frame']} of {job.id} is of no completed attempt"
    published = sorted(row["published_seq"] or 0 for row in frames)
    if len({*published}) != len(frames) or 0 in published:
        yield f"frames of {job.id} were published under {published}"


def _check_index(path: Path, rows: dict[int, sqlite3.Row]) -> Iterator[str]:
    try:
        listed = {
            entry["frame"]: entry for entry in json.loads(path.read_text("utf-8"))["published"]
        }
    except (OSError, ValueError, KeyError) as error:
        yield f"{path} is no index: {error}"
        return
    if listed.keys() != rows.keys():
        yield f"{path} does not list the frames of the database"
    for frame in listed.keys() & rows.keys():
        same = listed[frame]["files"] == json.loads(rows[frame]["files"])
        if not same or listed[frame]["attempt"] != rows[frame]["attempt_id"]:
            yield f"{path} says something else of frame {frame} than the database"


def _check_names(folder: Path, names: Collection[str]) -> Iterator[str]:
    found = {path.relative_to(folder).as_posix() for path in walk(folder) if path.is_file()}
    for name in sorted(found ^ set(names)):
        yield f"{folder / name} is {'a stranger' if name in found else 'missing'}"


def _check_frames(folder: Path, rows: dict[int, sqlite3.Row], job: ExpectedJob) -> Iterator[str]:
    before: bytes | None = None
    for frame in sorted(rows):
        for file in json.loads(rows[frame]["files"]):
            path = folder / file["name"]
            try:
                content = path.read_bytes()
                width, height, pixels = decode_png(content)
            except (OSError, NotPng) as error:
                yield f"{path} is not whole: {error}"
                continue
            if (width, height) != (job.width, job.height):
                yield f"{path} is {width}x{height}"
            if hashlib.sha256(content).hexdigest() != file["sha256"]:
                yield f"{path} is not what the database says"
            if len(content) != file["size"]:
                yield f"{path} has not the size that the database says"
            if pixels == pixels[: len(pixels) // (width * height)] * (width * height):
                yield f"{path} is uniform"
            if pixels == before:
                yield f"{path} is the same picture as the frame before"
            before = pixels


# ── PNG ──────────────────────────────────────────────────────────────────────────────


class NotPng(Exception):
    """The file is no whole PNG."""


def decode_png(content: bytes) -> tuple[int, int, bytes]:
    """Return width, height and pixels of a PNG that is not interlaced.

    Raises:
        NotPng: it is none, or not whole.
    """
    chunks = list(_chunks(content))
    names = [name for name, _ in chunks]
    if not names or names[0] != b"IHDR" or names[-1] != b"IEND" or names.count(b"IEND") != 1:
        raise NotPng("its chunks are not in order")
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    if color not in CHANNELS or depth not in (8, 16) or interlaced:
        raise NotPng("it is of a kind that no test renders")
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(b"".join(body for name, body in chunks if name == b"IDAT"))
    except zlib.error as error:
        raise NotPng(str(error)) from error
    step = CHANNELS[color] * depth // 8
    if not unpacker.eof or len(raw) != height * (1 + width * step):
        raise NotPng("its pixels are not complete")
    return width, height, _unfilter(raw, width * step, step)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not content.startswith(SIGNATURE):
        raise NotPng("it has no signature")
    at = len(SIGNATURE)
    while at < len(content):
        if len(content) < at + 12:
            raise NotPng("it ends in the middle of a chunk")
        (size,) = struct.unpack_from(">I", content, at)
        body = content[at + 4 : at + 8 + size]
        check_sum = content[at + 8 + size : at + 12 + size]
        if len(check_sum) < 4 or zlib.crc32(body) != int.from_bytes(check_sum, "big"):
            raise NotPng("a checksum is wrong")
        yield body[:4], body[4:]
        at += 12 + size


def _unfilter(raw: bytes, length: int, step: int) -> bytes:
    pixels = bytearray()
    above = bytearray(length)
    for start in range(0, len(raw), length + 1):
        kind, line = raw[start], bytearray(raw[start + 1 : start + 1 + length])
        if kind > 4:
            raise NotPng("a line is filtered in no known way")
        for x in range(length) if kind else ():
            left = line[x - step] if x >= step else 0
            corner = above[x - step] if x >= step else 0
            line[x] = (line[x] + _predict(kind, left, above[x], corner)) & 255
        pixels += line
        above = line
    return bytes(pixels)


def _predict(kind: int, left: int, up: int, corner: int) -> int:
    if kind == 1:
        return left
    if kind == 2:
        return up
    if kind == 3:
        return (left + up) // 2
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))
