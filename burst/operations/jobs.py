"""Reaching the jobs of a farm: start a local one that is not there, find the job meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

from burst.config.farm import FarmSettings
from burst.errors import ManagerUnreachable, NotFound
from burst.manager.state_dir import database_path, is_locked, lock_path
from burst.operations.connect import open_client
from burst.operations.local_farm import has_left
from burst.operations.reach import Reached, find_farm, reach_farm

if TYPE_CHECKING:
    from burst.protocol.artist_messages import JobView
    from burst.protocol.client import ManagerClient
    from burst.protocol.messages import LogLine

_Answer = TypeVar("_Answer")

_TRIES = 3

LAST = "last"
"""The job that was submitted last."""


def has_jobs(settings: FarmSettings) -> bool:
    """Say whether a job was ever submitted to the farm, without starting a local one."""
    if not settings.is_local:
        return True
    return database_path(settings.state_dir).exists() or is_locked(lock_path(settings.state_dir))


@contextmanager
def open_farm(
    settings: FarmSettings, tell: Callable[[str], None]
) -> Iterator[tuple[Reached, ManagerClient]]:
    """Reach the farm; a local one is started if it has a queue and does not run.

    One that was started so goes on with its unfinished jobs, and leaves after them.

    Raises:
        NotFound: nothing was ever submitted to it.
        StateError: it can't be started.
        ClusterError: the one on a cluster can't be reached.
    """
    if not has_jobs(settings):
        raise NotFound(
            f"no job was ever submitted to the local farm in {settings.state_dir}",
            hint="submit one: burst render SCENE.blend --local",
        )
    farm = reach_farm(settings, tell=tell)
    with open_client(farm.console_url) as client:
        yield farm, client


def ask_farm(
    settings: FarmSettings,
    tell: Callable[[str], None],
    ask: Callable[[Reached, ManagerClient], _Answer],
) -> _Answer:
    """Ask the farm something that may be asked twice; see `open_farm`.

    A local one that has no work leaves, and may do so just when it is asked: then another is
    started. It has done nothing of what it was asked then: it leaves when nobody is inside.

    Raises:
        NotFound: nothing was ever submitted to it.
        StateError: it can't be started.
        ManagerUnreachable: it does not answer, again and again.
    """
    for _ in range(_TRIES - 1):
        with suppress(ManagerUnreachable), open_farm(settings, tell) as (farm, client):
            return ask(farm, client)
    with open_farm(settings, tell) as (farm, client):
        return ask(farm, client)


def ask_running(
    settings: FarmSettings,
    tell: Callable[[str], None],
    ask: Callable[[ManagerClient], _Answer],
) -> _Answer | None:
    """Ask the farm something, without starting a local one; None if there is none.

    One that is just leaving is waited for, and is none then.

    Raises:
        ClusterError: the one on a cluster can't be reached.
        ManagerUnreachable: it does not answer, and does not leave.
    """
    for _ in range(_TRIES - 1):
        url = find_farm(settings, tell)
        if url is None:
            return None
        try:
            with open_client(url) as client:
                return ask(client)
        except ManagerUnreachable:
            if not settings.is_local or not has_left(settings.state_dir):
                raise
    url = find_farm(settings, tell)
    if url is None:
        return None
    with open_client(url) as client:
        return ask(client)


@contextmanager
def open_log(
    settings: FarmSettings, tell: Callable[[str], None], named: str, *, follow: bool
) -> Iterator[Iterator[LogLine | str]]:
    """Open a log, see `read_log`; the farm is asked again until its first line is there.

    Raises:
        NotFound: neither a job nor a worker is called so, or nothing was ever submitted.
        StateError: the farm can't be started.
        ManagerUnreachable: it does not answer, again and again.
    """
    for more in reversed(range(_TRIES)):
        with open_farm(settings, tell) as (_, client):
            lines = read_log(client, named, follow=follow)
            try:
                first = list(islice(lines, 1))
            except ManagerUnreachable:
                if not more:
                    raise
                continue
            yield chain(first, lines)
            return


def find_job(client: ManagerClient, named: str) -> JobView:
    """Return the job with this id, with an id that begins so, or the ``last`` one.

    Raises:
        NotFound: there is none, or there are several.
    """
    if named != LAST:
        return client.job(named)
    jobs = client.jobs()
    if not jobs:
        raise NotFound("there are no jobs", hint="submit one, see: burst render --help")
    return jobs[0]


def read_log(client: ManagerClient, named: str, *, follow: bool) -> Iterator[LogLine | str]:
    """Yield the log of a job as lines of its own, or that of a worker as text.

    Args:
        client: of the manager.
        named: a job as for `find_job`, or the name of a worker, which may have left.
        follow: go on until the job has ended, or the worker has gone.

    Raises:
        NotFound: neither a job nor a worker is called so.
    """
    if any(worker.name == named for worker in client.workers()):
        yield from client.worker_log(named, follow=follow)
        return
    try:
        job = find_job(client, named)
    except NotFound as error:
        try:
            yield from client.worker_log(named, follow=follow)
        except NotFound:
            raise error from None
        return
    yield from client.job_log(job.id, follow=follow)
