"""While nobody renders a watched job: which workers come, and what keeps them.

On a cluster a first worker takes from seconds to minutes, by its node, its image and its mounts.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from burst.cli import pool_words, words
from burst.domain.transitions import JOB_ENDED
from burst.errors import BurstError
from burst.operations.progress import Note
from burst.operations.watch import Touch, View
from burst.protocol.artist_messages import JobView, PoolView

EVERY_SECONDS = 3.0
_NUMBER = re.compile(r"\d+")


@contextmanager
def telling_who_comes(job: JobView, touch: Touch, view: View) -> Iterator[None]:
    """Tell for as long as the block runs, each thing once; asks in a thread of its own."""
    is_over = threading.Event()

    def ask() -> None:
        told: set[str] = set()
        while not is_over.wait(EVERY_SECONDS):
            # Whoever watches says so if nobody answers.
            with suppress(BurstError):
                for note in _ask(job.id, touch):
                    key = _NUMBER.sub("", note.text)
                    if key not in told and not is_over.is_set():
                        view.note(note)
                    told.add(key)

    thread = threading.Thread(target=ask, name="who-comes", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(timeout=1.0)


def _ask(job_id: str, touch: Touch) -> list[Note]:
    with touch.client() as client:
        job = client.job(job_id)
        if job.status in JOB_ENDED or job.tasks.active or not job.tasks.queued:
            return []
        return list(coming(client.pools()))


def coming(pools: Iterable[PoolView]) -> Iterator[Note]:
    """Yield what is to be told of pools while a job waits for a worker."""
    for pool in pools:
        if pool.starting:
            starting = words.count(pool.starting, "worker")
            yield Note(f"pool {pool.name}: {starting} on the way", "change")
        for text in pool_words.waits(pool):
            yield Note(f"pool {pool.name}: {text}", "trouble")
        if pool.failure and not pool.running:
            yield Note(f"pool {pool.name}: {pool_words.gist(pool.failure)}", "trouble")
