"""Who may call which listener, and how errors look on the wire.

The applications are called without sockets; real listeners are in the integration tests.
"""

from __future__ import annotations

import asyncio

import pytest
from manager_kit import Caller, Manager

from burst import errors
from burst.manager.api import artists
from burst.manager.api.apps import Parts, create_console_app, create_worker_app
from burst.manager.settings import ManagerSettings, is_loopback, split_listen
from burst.protocol.messages import API

HOSTS = ("127.0.0.1", "localhost", "::1", "farm.example")
OWN = "http://127.0.0.1:8080"


@pytest.fixture
def console(parts: Parts) -> Caller:
    return Caller(create_console_app(parts, HOSTS, None), OWN)


@pytest.fixture
def guarded(parts: Parts) -> Caller:
    return Caller(create_console_app(parts, HOSTS, "s3cret"), OWN)


@pytest.fixture
def workers(parts: Parts) -> Caller:
    return Caller(create_worker_app(parts, "t0ken"), "http://10.0.0.1:8081")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("127.0.0.1", 200),
        ("localhost:1234", 200),
        ("LOCALHOST:1234", 200),
        ("[::1]:8080", 200),
        ("farm.example:80", 200),
        ("evil.example", 403),
        ("evil.example:8080", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost@evil.example", 403),
        ("", 403),
    ],
)
@pytest.mark.parametrize("path", [f"{API}/jobs", "/healthz", "/nothing"])
def test_only_own_hosts_are_answered(console: Caller, host: str, status: int, path: str) -> None:
    expected = 404 if status == 200 and path == "/nothing" else status
    assert console.get(path, headers={"Host": host}).status_code == expected


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://127.0.0.1:8080", 200),
        ("https://127.0.0.1:8080", 200),
        ("http://127.0.0.1:9999", 403),
        ("http://localhost:8080", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_only_own_origins_may_call(console: Caller, origin: str | None, status: int) -> None:
    headers = {} if origin is None else {"Origin": origin}
    answer = console.get(f"{API}/jobs", headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "forbidden"


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        ("s3cret", 401),
        ("Basic s3cret", 401),
        ("Bearer ", 401),
        ("Bearer s3cret", 200),
        ("bearer s3cret", 200),
    ],
)
def test_a_console_token_is_asked_for_below_api(
    guarded: Caller, header: str | None, status: int
) -> None:
    headers = {} if header is None else {"Authorization": header}
    assert guarded.get(f"{API}/jobs", headers=headers).status_code == status
    assert guarded.get("/healthz", headers=headers).status_code == 200


def test_a_foreign_host_is_refused_before_its_token_is_looked_at(guarded: Caller) -> None:
    headers = {"Host": "evil.example", "Authorization": "Bearer s3cret"}
    assert guarded.get(f"{API}/jobs", headers=headers).status_code == 403


def test_the_workers_listener_wants_its_token_but_for_health(workers: Caller) -> None:
    assert workers.post(f"{API}/worker/reports", json={"reports": []}).status_code == 401
    headers = {"Authorization": "Bearer t0ken"}
    answer = workers.post(f"{API}/worker/reports", json={"reports": []}, headers=headers)
    assert answer.status_code == 200
    for path in ("/healthz", "/readyz", "/metrics"):
        assert workers.get(path).status_code == 200
    assert workers.get("/%61pi/burst/v1/jobs").status_code == 401


def test_each_listener_serves_its_own_half_only(workers: Caller, console: Caller) -> None:
    headers = {"Authorization": "Bearer t0ken"}
    for path in ("/jobs", "/status", "/workers", "/events", "/openapi.json"):
        assert workers.get(API + path, headers=headers).status_code == 404
    for path in ("/worker/register", "/worker/reports", "/worker/x/claim"):
        assert console.post(API + path, json={}).status_code in (404, 405)


def test_every_error_on_the_wire_has_its_class_and_status(
    console: Caller, monkeypatch: pytest.MonkeyPatch, manager: Manager
) -> None:
    for code, kind in errors.WIRE_ERRORS.items():

        def fail(job_id: str, kind: type[errors.ManagerError] = kind) -> None:
            raise kind("what happened", hint="do this", details={"a": 1})

        with monkeypatch.context() as patch:
            patch.setattr(manager.farm.index, "job", fail)
            answer = console.get(f"{API}/jobs/x")
        assert answer.status_code == kind.http_status
        assert answer.json() == {
            "code": code,
            "message": "what happened",
            "hint": "do this",
            "details": {"a": 1},
        }


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.StorageFull("full"), 503, "database_unavailable"),
        (errors.UsageError("nonsense"), 400, "invalid_request"),
        (ZeroDivisionError(), 500, "internal"),
    ],
)
def test_other_errors_are_translated(
    console: Caller,
    manager: Manager,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    code: str,
) -> None:
    def fail(job_id: str) -> None:
        raise error

    monkeypatch.setattr(manager.farm.index, "job", fail)
    answer = console.get(f"{API}/jobs/x")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_malformed_requests_say_where(console: Caller) -> None:
    answer = console.post(f"{API}/jobs", json={"name": "x", "typo": 1, "fps": 0})
    assert answer.status_code == 400
    message = answer.json()["message"]
    assert "typo" in message
    assert "fps" in message
    assert console.post(f"{API}/jobs", content=b"{").status_code == 400
    assert console.get(f"{API}/jobs/x/frames?after=-1").status_code == 400
    assert console.get(f"{API}/nothing").json()["code"] == "not_found"
    assert console.call("PUT", f"{API}/jobs").status_code == 405


def test_an_answer_has_no_more_frames_than_fit_it(
    console: Caller, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def finish() -> str:
        job = await manager.submit("1-3")
        worker = await manager.worker()
        for _ in range(3):
            await worker.finish(await worker.take())
        return job.id

    monkeypatch.setattr(artists, "FRAMES_MAX", 2)
    path = f"{API}/jobs/{asyncio.run(finish())}/frames"
    found = [console.get(f"{path}?after={after}").json()["frames"] for after in (0, 2)]
    assert [[frame["published_seq"] for frame in part] for part in found] == [[1, 2], [3]]


@pytest.mark.parametrize("listen", ["0.0.0.0:80", "[::]:80", "10.0.0.1:80", "example.com:80"])
def test_a_console_beyond_this_machine_needs_token_and_hosts(listen: str) -> None:
    for missing in ({}, {"console_token": "x"}, {"console_hosts": "farm"}):
        with pytest.raises(ValueError, match="not on the loopback"):
            ManagerSettings.model_validate({"console_listen": listen, **missing})
    made = ManagerSettings.model_validate(
        {"console_listen": listen, "console_token": "x", "console_hosts": "farm"}
    )
    assert "'x'" not in repr(made)


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:80", "[::1]:80", "127.0.0.2:80"])
def test_a_console_on_the_loopback_needs_neither(listen: str) -> None:
    assert ManagerSettings(console_listen=listen).console_listen == listen
    assert is_loopback(split_listen(listen)[0])


@pytest.mark.parametrize("listen", ["", "80", "host:", ":80", "host:x", "host:99999"])
def test_what_is_no_address_is_refused(listen: str) -> None:
    with pytest.raises(ValueError, match="is not host:port"):
        ManagerSettings(worker_listen=listen)
