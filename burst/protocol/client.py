"""The one client of the manager's API: typed calls, and errors of ours in place of httpx's.

Blocking, for the CLI and for the worker; safe to use from several threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from burst.errors import WIRE_ERRORS, ManagerFailed, ManagerUnreachable
from burst.protocol import artist_messages, messages, worker_messages
from burst.protocol.messages import API

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
"""A commit on a slow disk may take seconds; more means that nobody is there."""

MANY_FILES_SECONDS = 3600.0
"""What a call may take for which the manager looks at, or deletes, every file of a job: a bucket
may hold a million."""

_Answer = TypeVar("_Answer", bound=BaseModel)


class ManagerClient:
    """Calls on one manager.

    Every method raises `ManagerUnreachable` if nobody answers, and the `ManagerError` that
    the manager answered with.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        """Talk to the listener at ``url``, e.g. ``http://127.0.0.1:8080``."""
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            trust_env=False,
            verify=self.url.startswith("https"),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # ── Workers ──────────────────────────────────────────────────────────────────────

    def register(self, message: worker_messages.RegisterWorker) -> worker_messages.Registered:
        """Join the farm."""
        return self._post("/worker/register", message, worker_messages.Registered)

    def beat(self, worker: str, message: worker_messages.Beat) -> worker_messages.BeatAnswer:
        """Give a sign of life and whatever there is to report."""
        return self._post(f"/worker/{worker}/beat", message, worker_messages.BeatAnswer)

    def claim(self, worker: str, message: worker_messages.Claim) -> worker_messages.ClaimAnswer:
        """Report and ask for a task; stays open for up to ``wait_seconds``."""
        wait = message.wait_seconds + ANSWER_SECONDS
        return self._post(f"/worker/{worker}/claim", message, worker_messages.ClaimAnswer, wait)

    def report(self, message: worker_messages.Reports) -> worker_messages.BeatAnswer:
        """Deliver what an earlier life of a worker could not."""
        return self._post("/worker/reports", message, worker_messages.BeatAnswer)

    def inputs(self, message: worker_messages.AskInputs) -> worker_messages.Inputs:
        """Return the published frames of the job that an attempt belongs to."""
        return self._post("/worker/inputs", message, worker_messages.Inputs)

    def sign_off(self, worker: str, message: worker_messages.SignOff) -> worker_messages.BeatAnswer:
        """Leave the farm."""
        return self._post(f"/worker/{worker}/sign-off", message, worker_messages.BeatAnswer)

    # ── Artists ──────────────────────────────────────────────────────────────────────

    def status(self) -> artist_messages.FarmStatus:
        """Return how the farm stands."""
        return self._get("/status", artist_messages.FarmStatus)

    def submit(self, message: artist_messages.SubmitJob) -> artist_messages.Submitted:
        """Submit a job, or find the unfinished one that does the same work."""
        return self._post("/jobs", message, artist_messages.Submitted)

    def jobs(self) -> tuple[artist_messages.JobView, ...]:
        """Return all jobs, newest first."""
        return self._get("/jobs", artist_messages.Jobs).jobs

    def job(self, job_id: str) -> artist_messages.JobView:
        """Return one job; an unambiguous beginning of its id will do."""
        return self._get(f"/jobs/{job_id}", artist_messages.JobView)

    def act(
        self, job_id: str, action: Literal["cancel", "pause", "resume"]
    ) -> artist_messages.JobView:
        """Cancel, pause or resume a job."""
        return self._post(f"/jobs/{job_id}/{action}", None, artist_messages.JobView)

    def requeue(self, job_id: str, message: artist_messages.Requeue) -> artist_messages.JobView:
        """Render frames of a job again."""
        path = f"/jobs/{job_id}/requeue"
        return self._post(path, message, artist_messages.JobView, MANY_FILES_SECONDS)

    def make_video(
        self, job_id: str, message: artist_messages.MakeVideo
    ) -> artist_messages.JobView:
        """Add a task to a job that makes a video of its frames."""
        return self._post(f"/jobs/{job_id}/video", message, artist_messages.JobView)

    def explain(self, job_id: str) -> artist_messages.Explanation:
        """Return why a job is where it is."""
        return self._get(f"/jobs/{job_id}/explain", artist_messages.Explanation)

    def set_priority(self, job_id: str, priority: int) -> artist_messages.JobView:
        """Change the priority of a job."""
        message = artist_messages.ChangePriority(priority=priority)
        return self._post(f"/jobs/{job_id}/priority", message, artist_messages.JobView)

    def delete_job(self, job_id: str) -> None:
        """Delete an ended job with its frames and logs in the storage."""
        self._request("DELETE", f"/jobs/{job_id}", timeout_seconds=MANY_FILES_SECONDS)

    def frames(self, job_id: str, after: int = 0) -> tuple[artist_messages.FrameView, ...]:
        """Return the frames published after the one with sequence number ``after``."""
        found: list[artist_messages.FrameView] = []
        while True:
            query = {"after": after}
            page = self._get(f"/jobs/{job_id}/frames", artist_messages.Frames, query).frames
            found += page
            if len(page) < artist_messages.FRAMES_MAX:
                return tuple(found)
            after = page[-1].published_seq or after

    def tasks(self, job_id: str) -> tuple[artist_messages.TaskView, ...]:
        """Return the tasks of a job that were attempted, with their attempts."""
        return self._get(f"/jobs/{job_id}/tasks", artist_messages.Tasks).tasks

    def workers(self) -> tuple[artist_messages.WorkerView, ...]:
        """Return the workers that are here."""
        return self._get("/workers", artist_messages.Workers).workers

    def pools(self) -> tuple[artist_messages.PoolView, ...]:
        """Return the worker pools, those to be used first at the front."""
        return self._get("/pools", artist_messages.Pools).pools

    def change_pool(
        self, name: str, message: artist_messages.ChangePool
    ) -> artist_messages.PoolView:
        """Set how many workers a pool has; what ``message`` was not given stays as it is."""
        body = message.model_dump_json(exclude_unset=True).encode()
        return _parse(self._request("PUT", f"/pools/{name}", body), artist_messages.PoolView)

    def drain(self, worker: str) -> artist_messages.WorkerView:
        """Let a worker finish what it holds and leave."""
        return self._post(f"/workers/{worker}/drain", None, artist_messages.WorkerView)

    def job_log(self, job_id: str, *, follow: bool = False) -> Iterator[messages.LogLine]:
        """Yield the log of a job; with ``follow`` until the job has ended."""
        for line in self._stream(f"/jobs/{job_id}/log", {"follow": follow}):
            if line:  # an empty one keeps the connection alive
                yield _parse_line(line, messages.LogLine)

    def worker_log(self, worker: str, *, follow: bool = False) -> Iterator[str]:
        """Yield what a worker's program printed; with ``follow`` until it has gone."""
        yield from self._stream(f"/workers/{worker}/log", {"follow": follow})

    def events(
        self, job_id: str | None = None, after: int | None = None
    ) -> Iterator[artist_messages.Event]:
        """Yield events as they happen, with a tick about once a second, for ever.

        Args:
            job_id: only what concerns this job.
            after: sequence number of the last event that was seen.
        """
        query: dict[str, Any] = {"job": job_id} if job_id else {}
        headers = {"Last-Event-ID": str(after)} if after is not None else {}
        for line in self._stream("/events", query, headers):
            if line.startswith("data:"):
                yield _parse_line(line.removeprefix("data:"), artist_messages.Event)

    # ── Plumbing ─────────────────────────────────────────────────────────────────────

    def _get(
        self, path: str, answer: type[_Answer], query: Mapping[str, Any] | None = None
    ) -> _Answer:
        return _parse(self._request("GET", path, query=query), answer)

    def _post(
        self,
        path: str,
        message: BaseModel | None,
        answer: type[_Answer],
        timeout_seconds: float = ANSWER_SECONDS,
    ) -> _Answer:
        body = message.model_dump_json().encode() if message is not None else b""
        return _parse(self._request("POST", path, body, timeout_seconds=timeout_seconds), answer)

    def _request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        query: Mapping[str, Any] | None = None,
        timeout_seconds: float = ANSWER_SECONDS,
    ) -> httpx.Response:
        try:
            response = self._http.request(
                method,
                API + path,
                content=body,
                params=query,
                headers={"Content-Type": "application/json"} if body else {},
                timeout=httpx.Timeout(timeout_seconds, connect=CONNECT_SECONDS),
            )
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        _raise_for_error(response)
        return response

    def _stream(
        self, path: str, query: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> Iterator[str]:
        try:
            with self._http.stream(
                "GET", API + path, params=query, headers=dict(headers or {})
            ) as response:
                if response.is_error:
                    response.read()
                    _raise_for_error(response)
                yield from _lines(response.iter_bytes())
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx.TransportError) -> ManagerUnreachable:
        reason = str(error) or type(error).__name__
        return ManagerUnreachable(f"the manager at {self.url} does not answer: {reason}")


def _parse(response: httpx.Response, answer: type[_Answer]) -> _Answer:
    try:
        return answer.model_validate_json(response.content)
    except ValidationError as error:
        raise _not_understood(response.request.url.path, error) from error


def _parse_line(line: str, kind: type[_Answer]) -> _Answer:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        raise _not_understood("a stream", error) from error


def _not_understood(what: str, error: ValidationError) -> ManagerFailed:
    return ManagerFailed(
        f"the manager's answer to {what} is not understood: {error}",
        hint="manager and client may be of different versions of burst",
    )


def _lines(pieces: Iterator[bytes]) -> Iterator[str]:
    """Yield lines that end in a newline only: a name may hold one of Unicode's other ends."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace")
    if rest:
        yield rest.decode("utf-8", "replace")


def _raise_for_error(response: httpx.Response) -> None:
    if not response.is_error:
        return
    try:
        body = messages.ErrorBody.model_validate_json(response.content)
    except ValidationError as error:
        raise ManagerFailed(
            f"{response.request.url} answered {response.status_code}",
            hint="is that burst's manager?",
        ) from error
    kind = WIRE_ERRORS.get(body.code, ManagerFailed)
    raise kind(body.message, hint=body.hint, details=body.details)
