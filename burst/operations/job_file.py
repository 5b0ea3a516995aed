"""Job files: a job as JSON, for what no option of the command line says.

What may stand in one is `burst.protocol.artist_messages.SubmitJob`; `docs/reference/job-files.md`
explains it to people.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from burst.config.farm import FarmSettings
from burst.errors import ManagerUnreachable, UsageError
from burst.operations.connect import open_client
from burst.operations.reach import reach_farm
from burst.protocol.artist_messages import SubmitJob, Submitted

_EXAMPLE = 'at least {"name": "…", "commands": [{"name": "…", "commands": [{"kind": "echo", …}]}]}'
_TROUBLES_MAX = 5
_TRIES = 3
"""A farm that is just leaving may be found and not answer."""


def read_job_file(path: Path) -> SubmitJob:
    """Read a job from a file.

    Raises:
        UsageError: it can't be read, or is no job; every trouble is named with its place.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"can't read {path}: {error.strerror}") from error
    try:
        job = SubmitJob.model_validate_json(content)
    except ValidationError as error:
        troubles = [
            f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}"
            for one in error.errors()
        ]
        more = len(troubles) - _TROUBLES_MAX
        shown = troubles[:_TROUBLES_MAX] + ([f"and {more} more"] if more > 0 else [])
        raise UsageError(
            f"{path} is no job file: {'; '.join(shown)}", hint=f"a job file has {_EXAMPLE}"
        ) from error
    if not job.frames and not job.commands:
        raise UsageError(f"{path} has neither frames nor commands: there is nothing to do")
    return job


def submit_job_file(
    job: SubmitJob, settings: FarmSettings, tell: Callable[[str], None]
) -> Submitted:
    """See to it that a farm runs, and submit a job to it.

    Raises:
        StateError: the farm can't be started.
        ManagerError: the manager refused the job.
    """
    for _ in range(_TRIES):
        farm = reach_farm(settings, tell=tell)
        try:
            with open_client(farm.console_url) as client:
                return client.submit(job)
        except ManagerUnreachable:
            continue
    raise ManagerUnreachable("the farm leaves as soon as it has started")
