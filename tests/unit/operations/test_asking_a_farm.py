"""Asking a farm that leaves just then: what is asked again, and what is no farm any more."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from burst.config.farm import FarmSettings
from burst.errors import ManagerUnreachable
from burst.manager.state_dir import Address, lock_path, write_address
from burst.operations import jobs, local_farm

_ANSWERS = {
    "jobs": b'{"jobs": []}',
    "workers": b'{"workers": []}',
    "w1": b'{"code": "not_found", "message": "there is no job w1"}',
    "log": b"one line\n",
}


class LeavingFarm:
    """Hangs up on its first callers as `burst.manager.listen.Door` does, then answers."""

    def __init__(self, folder: Path, hangs_up: int) -> None:
        self.asked = 0
        self.hangs_up = hangs_up
        self.state_dir = folder
        lock_path(folder).touch()
        self._lock = os.open(lock_path(folder), os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        write_address(folder, Address(os.getpid(), self.url, self.url, "0.1.0", implicit=True))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def leave(self) -> None:
        """Let the state directory go, as the end of its process does."""
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        os.close(self._lock)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        farm = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                farm.asked += 1
                if farm.asked <= farm.hangs_up:
                    self.send_response(503)
                    self.send_header("Content-Length", "1")
                    self.end_headers()
                    return
                what = self.path.partition("?")[0].rpartition("/")[2]
                self.send_response(404 if what == "w1" else 200)
                self.end_headers()
                self.wfile.write(_ANSWERS[what])

            def log_message(self, format: str, *arguments: object) -> None: ...

        return Handler


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[LeavingFarm]:
    made = LeavingFarm(tmp_path, 2)
    yield made
    made.close()


def tell(text: str) -> None: ...


def test_what_may_be_asked_twice_is_asked_again(farm: LeavingFarm) -> None:
    settings = FarmSettings(state_dir=farm.state_dir, console_url=farm.url)
    assert jobs.ask_farm(settings, tell, lambda _, client: client.jobs()) == ()
    assert farm.asked == 3


def test_who_is_hung_up_on_again_and_again_is_told(farm: LeavingFarm) -> None:
    settings, farm.hangs_up = FarmSettings(state_dir=farm.state_dir, console_url=farm.url), 9
    with pytest.raises(ManagerUnreachable):
        jobs.ask_farm(settings, tell, lambda _, client: client.jobs())
    with (
        pytest.raises(ManagerUnreachable),
        jobs.open_log(settings, tell, "shot-222222", follow=False),
    ):
        pass
    assert farm.asked == 6


def test_a_log_is_opened_again_while_nothing_of_it_is_printed(farm: LeavingFarm) -> None:
    settings = FarmSettings(state_dir=farm.state_dir, console_url=farm.url)
    with jobs.open_log(settings, tell, "w1", follow=False) as log:
        assert list(log) == ["one line"]


def test_one_that_has_left_meanwhile_is_none(
    farm: LeavingFarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(state_dir: Path) -> bool:
        farm.leave()
        return local_farm.has_left(state_dir)

    monkeypatch.setattr(jobs, "has_left", wait)
    settings = FarmSettings(state_dir=farm.state_dir)
    assert jobs.ask_running(settings, tell, lambda client: client.workers()) is None
    assert farm.asked == 1


def test_one_that_does_not_leave_does_not_answer(
    farm: LeavingFarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_farm, "LEAVE_SECONDS", 0.0)
    settings = FarmSettings(state_dir=farm.state_dir)
    with pytest.raises(ManagerUnreachable):
        jobs.ask_running(settings, tell, lambda client: client.workers())
    farm.hangs_up = 0
    assert jobs.ask_running(settings, tell, lambda client: client.workers()) == ()
