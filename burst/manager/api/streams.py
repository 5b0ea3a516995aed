"""Logs as streams: what is there, and with *follow* what comes, until it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

from burst.manager.farm import Farm

LOOK_SECONDS = 0.3
ALIVE_ROUNDS = 30
"""An empty line after so many looks without news keeps the connection alive."""


async def follow_job_log(farm: Farm, job_id: str, *, follow: bool) -> AsyncIterator[bytes]:
    """Yield a job's log as JSON lines; with ``follow`` until the job has ended."""
    offset, quiet = 0, 0
    while True:
        job = farm.index.jobs.get(job_id)
        over = not follow or job is None or job.ended
        read = partial(farm.logs.read, job_id, offset)
        if farm.logs.is_here(job_id):
            content, offset = await asyncio.to_thread(read)
        else:
            content, offset = await farm.storing.answer(read)
        if content:
            quiet = 0
            yield content
        elif over:
            return
        else:
            quiet += 1
            if quiet % ALIVE_ROUNDS == 0:
                yield b"\n"
            await asyncio.sleep(LOOK_SECONDS)


async def follow_file(path: Path, is_over: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Yield a file's content, and what is added to it until ``is_over``."""
    with path.open("rb") as file:
        while True:
            over = is_over()
            content = await asyncio.to_thread(file.read)
            if content:
                yield content
            elif over:
                return
            else:
                await asyncio.sleep(LOOK_SECONDS)
