"""Durations, sizes and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from burst.operations.summary import Extent
    from burst.protocol.artist_messages import JobView
    from burst.protocol.messages import RenderProgress

_UNITS = ("B", "kB", "MB", "GB", "TB")


def duration(seconds: float | None, unknown: str = "-") -> str:
    """Return e.g. ``4.2 s``, ``3:07`` or ``1:02:45``; ``unknown`` for None."""
    if seconds is None:
        return unknown
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(count_bytes: float) -> str:
    """Return e.g. ``740 B`` or ``1.3 GB``, in powers of 1000."""
    power = 0
    while count_bytes >= 1000 and power < len(_UNITS) - 1:
        count_bytes /= 1000
        power += 1
    return f"{count_bytes:.{1 if power else 0}f} {_UNITS[power]}"


def transfer(files: tuple[int, int], sizes: tuple[int, int], seconds: float) -> str:
    """Return e.g. ``12 of 48 files, 1.3 GB of 30.0 GB, 350.0 MB/s, 1:12 left``.

    Args:
        files: how many are done, of how many.
        sizes: the same in bytes.
        seconds: how long it took so far.
    """
    done, total = sizes
    text = f"{files[0]} of {count(files[1], 'file')}, {size(done)} of {size(total)}"
    if not done or seconds <= 0:
        return text
    return f"{text}, {size(done / seconds)}/s, {duration((total - done) * seconds / done)} left"


def binary_size(count_bytes: int) -> str:
    """Return e.g. ``8 GiB``, in powers of 1024, as ``--memory`` takes it."""
    for unit, power in (("GiB", 2**30), ("MiB", 2**20)):
        if count_bytes >= power:
            return f"{count_bytes / power:.3g} {unit}"
    return f"{count_bytes / 2**10:.3g} KiB"


def time(seconds: float) -> str:
    """Return a time of day here, such as ``2026-03-01 14:05``, of seconds since 1970."""
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M}"


def iso_time(seconds: float) -> str:
    """Return the same for programs, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def count(number: int, thing: str) -> str:
    """Return e.g. ``1 frame`` or ``3 frames``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def share(extent: Extent) -> str:
    """Return e.g. ``12/48 frames``."""
    return f"{extent.done}/{extent.whole} {extent.thing}s"


def troubles(job: JobView) -> list[str]:
    """Return how many attempts went wrong, e.g. ``1 failed attempt``; nothing if none did."""
    counted = ((job.retries, "failed attempt"), (job.interruptions, "interruption"))
    return [count(number, thing) for number, thing in counted if number]


def done(progress: RenderProgress) -> str:
    """Return e.g. ``sample 12/64``, or for a command ``encoding 48 %``; nothing if unknown."""
    if progress.samples:
        return f"sample {progress.sample}/{progress.samples}"
    if progress.percent is not None:
        return f"{progress.step} {progress.percent:.0f} %".strip()
    return ""
