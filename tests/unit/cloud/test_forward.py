"""The supervised port-forward, with a stand-in for kubectl that really forwards.

The real kubectl, and pods that really go, are in tests/kubernetes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.request import urlopen

import pytest

from burst.cloud import forward
from burst.cloud.forward import Forward
from burst.cloud.kubectl import Kubectl
from burst.errors import ClusterDenied, ClusterUnreachable, NotOnCluster, ToolMissing
from tests.fakes.cluster_tools import FakeTools
from tests.fakes.forwards import open_forward

SECONDS = 20.0


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"the console")

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTools]:
    tools = FakeTools(tmp_path / "tools")
    monkeypatch.setenv("PATH", str(tools.bin))
    server = HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    tools.set(console_port=server.server_port)
    yield tools
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def kubectl(tools: FakeTools) -> Kubectl:
    return Kubectl(tools.kubeconfig, None, "burst")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_port_of_a_pod_is_a_port_here(kubectl: Kubectl) -> None:
    target = open_forward(kubectl, "statefulset/farm-manager", 8080)
    with target as forward, urlopen(forward.url) as answer:
        assert answer.read() == b"the console"


def test_a_pod_that_goes_is_followed_on_the_same_port(tools: FakeTools, kubectl: Kubectl) -> None:
    with open_forward(kubectl, "statefulset/farm-manager", 8080) as forward:
        before = forward.url
        (tools.folder / "lost").touch()
        until(lambda: forward.restarts == 1)
        forward.wait()
        with urlopen(forward.url) as answer:
            assert answer.read() == b"the console"
        assert forward.url == before


def test_a_connection_through_which_nothing_comes_is_made_anew(kubectl: Kubectl) -> None:
    with open_forward(kubectl, "statefulset/farm-manager", 8080) as forward:
        first = forward._child
        forward.renew()
        forward.wait()
        assert first is not None
        assert first.poll() is not None
        with urlopen(forward.url) as answer:
            assert answer.read() == b"the console"


def test_closed_it_leaves_no_process(kubectl: Kubectl) -> None:
    with open_forward(kubectl, "statefulset/farm-manager", 8080) as forward:
        child = forward._child
    assert child is not None
    assert child.poll() is not None


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ('Error from server (NotFound): statefulsets.apps "farm-manager" not found', NotOnCluster),
        ("Error from server (Forbidden): pods is forbidden: User x cannot", ClusterDenied),
    ],
)
def test_what_another_try_would_not_help_is_said_at_once(
    tools: FakeTools, kubectl: Kubectl, words: str, error: type[Exception]
) -> None:
    tools.refuse("port-forward", words)
    with pytest.raises(error), open_forward(kubectl, "statefulset/farm-manager", 8080):
        pass
    assert len(tools.calls) == 1


@pytest.mark.parametrize(
    "words",
    [
        "The connection to the server was refused - did you specify",
        "error: unable to forward port because pod is not running. Current status=Pending",
        "error: timed out waiting for the condition",
    ],
)
def test_what_is_just_away_is_asked_again(
    tools: FakeTools, kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setattr(forward, "_LONGEST_PAUSE_SECONDS", 0.1)
    tools.refuse("port-forward", words)
    tried = Forward(kubectl, "statefulset/farm-manager", 8080)
    try:
        until(lambda: tried.restarts > 1)
        with pytest.raises(ClusterUnreachable):
            tried.wait(0.05)
        tools.set(refusals=[])
        tried.wait()
    finally:
        tried.close()


def test_a_port_that_somebody_else_took_meanwhile_is_changed_for_another(
    tools: FakeTools, kubectl: Kubectl
) -> None:
    with open_forward(kubectl, "statefulset/farm-manager", 8080) as forward:
        before = int(forward.url.rpartition(":")[2])
        (tools.folder / "taken").write_text(str(before))
        (tools.folder / "lost").touch()
        until(lambda: not forward.is_ready)
        forward.wait()
        with urlopen(forward.url) as answer:
            assert answer.read() == b"the console"
        assert not forward.url.endswith(f":{before}")


def test_without_kubectl_there_is_an_error_at_once(tools: FakeTools, kubectl: Kubectl) -> None:
    (tools.bin / "kubectl").unlink()
    with (
        pytest.raises(ToolMissing, match="no kubectl"),
        open_forward(kubectl, "statefulset/farm-manager", 8080),
    ):
        pass
