"""What goes wrong on the way to a bucket.

Others who answer, addresses that are dead, connections that lead nowhere, bytes that hardly move,
and programs that end meanwhile. Left out: what a bucket itself refuses; see `test_bulk_send` and
`test_access`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import re
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from burst.errors import StorageAway, StorageError
from burst.storage import bulk, bulk_reach, bulk_wire
from burst.storage.access import Access
from burst.storage.bulk_ask import Asker
from burst.storage.bulk_desk import Desk
from burst.storage.bulk_line import Line
from burst.storage.bulk_objects import BulkObjects, Made, encoded_crc32c
from burst.storage.bulk_tasks import for_each
from burst.storage.bulk_wire import ALONE, Wire
from burst.storage.checksum import crc32c
from tests.fakes import raw_http
from tests.fakes.asynchronous import asynchronous, on_both_loops
from tests.fakes.blobs import local_blob
from tests.fakes.raw_http import Peer, RawServer, answering, ok, raw_tls, serving
from tests.fakes.strict_gcs import StrictGcs

LONG = 20.0
"""Seconds that are never waited."""
MIB = 1 << 20
BLOB = f"blobs/aa/aa{'0' * 62}"
OTHER = f"blobs/aa/aa{'1' * 62}"
CONTENT = b"content"
ABOUT = {"size": len(CONTENT), "crc32c": encoded_crc32c(crc32c(CONTENT)), "generation": "1"}
PART = Made("incoming/x", len(CONTENT), crc32c(CONTENT), "1")
LOG_IN = b"<html>Log in to the network of this hotel</html>"


def wire_to(server: RawServer) -> contextlib.closing[Wire]:
    return contextlib.closing(Wire(server.url, LONG))


async def ask(
    wire: Wire, target: str = "/", stalled_seconds: float = LONG, body: bytes | None = None
) -> tuple[int, bytes]:
    return await wire.ask("GET", target, {}, body, stalled_seconds)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG):
        while not is_so():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.001)


class Clock:
    """The running loop's clock, which can be put forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        now, self._ahead = loop.time, 0.0
        monkeypatch.setattr(loop, "time", lambda: now() + self._ahead)

    async def forward(self, seconds: float) -> None:
        self._ahead += seconds
        # Timers that are due are due in the next round of the loop.
        for _ in range(5):
            await asyncio.sleep(0)


# ── Who answers is not the bucket ──────────────────────────────────────────────────────


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Access, "first_pause_seconds", 0.001)
    monkeypatch.setattr(Access, "longest_pause_seconds", 0.01)


def cut(content: dict[str, Any]) -> bytes:
    """An answer that ends with its connection, which was cut."""
    return b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n" + json.dumps(content).encode()[:-1]


def line_to(server: RawServer) -> Line:
    return Line(Access("farm", server.url, anonymous=True))


async def lacking(line: Line, *names: str) -> set[str]:
    return await Asker(line, functools.partial(for_each, at_once=1)).lacking(set(names))


async def compose(line: Line) -> Any:
    return await BulkObjects(line).compose("blobs/x", [PART], is_new=True)


async def put(line: Line) -> Any:
    return await BulkObjects(line).put("logs/x", CONTENT, "text/plain")


LISTED = {"items": [{"name": BLOB}]}
STORED = {"items": [{"name": "x", "updated": "2026-01-01T00:00:00Z", **ABOUT}]}
MADE = Made("x", len(CONTENT), crc32c(CONTENT), "1")


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize(
    "said",
    [ok(LOG_IN), ok(b""), ok(b'["x"]'), ok(b"[" * 100_000), cut(STORED)],
    ids=["html", "nothing", "another", "deep", "cut"],
)
@pytest.mark.parametrize(
    ("work", "answer", "result"),
    [
        (lambda line: lacking(line, BLOB, OTHER), LISTED, {OTHER}),
        (lambda line: lacking(line, BLOB), {"size": "7"}, set()),
        (lambda line: BulkObjects(line).below("x"), STORED, {"x": MADE}),
        (lambda line: BulkObjects(line).existing("x", 7, MADE.crc32c), ABOUT, MADE),
        (put, ABOUT, None),
        (compose, ABOUT, MADE._replace(name="blobs/x")),
    ],
    ids=["listing", "looking for one", "parts", "looking at one", "putting", "composing"],
)
@asynchronous
async def test_what_the_bucket_did_not_say_is_asked_again(
    said: bytes, work: Callable[[Line], Any], answer: dict[str, Any], result: Any
) -> None:
    whole = ok(json.dumps(answer).encode())
    both = answering(said, stays=False), answering(whole)
    async with serving(*both) as server, line_to(server) as line:
        assert await work(line) == result
    assert server.connections == 2


@pytest.mark.usefixtures("short_pauses")
@asynchronous
async def test_who_answers_in_place_of_the_bucket_all_the_time_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Access, "patience_seconds_once_reached", 0.1)
    async with serving(answering(*[ok(LOG_IN)] * 100)) as server, line_to(server) as line:
        with pytest.raises(StorageAway, match="<html>Log in to the network"):
            await lacking(line, BLOB, OTHER)


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("done", [ok(b"", status="204 No Content"), ok(b""), ok(b"{}")])
@asynchronous
async def test_deleted_is_what_the_bucket_says_is_deleted(done: bytes) -> None:
    heard = 0

    async def talk(peer: Peer) -> None:
        nonlocal heard
        for said in (ok(LOG_IN), done):
            await peer.hear()
            heard += 1
            await peer.say(said)

    async with serving(talk) as server, line_to(server) as line:
        await BulkObjects(line).delete("x")
    assert heard == 2


@pytest.mark.parametrize("is_file", [False, True])
def test_what_arrives_damaged_each_time_is_no_bucket_that_is_busy(
    access: Access, gcs: StrictGcs, tmp_path: Path, is_file: bool
) -> None:
    content = b"some content" * 100
    blob = local_blob(tmp_path / "a", content)
    gcs.fail("insert", damage=True, times=1000)

    def send() -> None:
        if is_file:
            bulk.send(access, [blob])
        else:
            bulk.put(Desk(access), content, "logs/x")

    with pytest.raises(StorageError, match="arrives damaged again and again") as failure:
        send()
    assert not isinstance(failure.value, StorageAway)
    assert len(gcs.asked("insert")) == 3


# ── Addresses ──────────────────────────────────────────────────────────────────────────


@pytest.fixture
def dead() -> Iterator[tuple[str, int]]:
    """An address that neither answers nor refuses: as many are in its queue as fit."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.2", 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()


class Names:
    """Tells addresses in place of a name server."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
        self.asked = 0
        self.fails = False
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self._addresses = addresses
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def _look_up(self, *_asked: Any, **_how: Any) -> list[Any]:
        self.asked += 1
        self.may_go_on.wait(LONG)
        if self.fails:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*kind, address) for address in self._addresses]


def address_of(server: RawServer) -> tuple[str, int]:
    return "127.0.0.1", int(server.url.rpartition(":")[2])


@on_both_loops
async def test_an_address_that_does_not_answer_is_not_waited_for(
    dead: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(answering(ok(b"x"))) as server:
        Names(monkeypatch, dead, address_of(server))
        with contextlib.closing(Wire("http://bucket.test", LONG)) as wire:
            async with asyncio.timeout(LONG / 2):
                assert await ask(wire) == (200, b"x")


@asynchronous
async def test_addresses_are_asked_for_once_for_all_and_again_some_time_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(answering(ok(b"x"), stays=False)) as server:
        names, clock = Names(monkeypatch, address_of(server)), Clock(monkeypatch)
        with contextlib.closing(Wire("http://bucket.test", LONG)) as wire:
            await asyncio.gather(*(ask(wire) for _ in range(10)))
            assert (server.connections, names.asked) == (10, 1)
            await clock.forward(bulk_reach._KNOWN_SECONDS + 1)
            await ask(wire)
            assert names.asked == 2


@on_both_loops
async def test_who_is_canceled_takes_the_address_from_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(answering(ok(b"x"))) as server:
        names = Names(monkeypatch, address_of(server))
        names.may_go_on.clear()
        with contextlib.closing(Wire("http://bucket.test", LONG)) as wire:
            first, second = (asyncio.create_task(ask(wire)) for _ in range(2))
            await until(lambda: names.asked == 1)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            names.may_go_on.set()
            assert await second == (200, b"x")
    assert names.asked == 1


@asynchronous
async def test_that_there_is_no_address_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answering(ok(b"x"))) as server:
        names = Names(monkeypatch, address_of(server))
        names.fails = True
        with contextlib.closing(Wire("http://bucket.test", LONG)) as wire:
            with pytest.raises(ConnectionRefusedError, match="Temporary failure"):
                await ask(wire)
            names.fails = False
            assert await ask(wire) == (200, b"x")


# ── Requests that hang, and such that only take long ───────────────────────────────────


@asynchronous
async def test_a_request_that_hangs_is_given_up_though_others_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def talk(peer: Peer) -> None:
        while b"/hangs" not in await peer.hear():
            await peer.say(ok(b"quick"))
        await peer.hung_up()

    async with serving(talk) as server:
        with wire_to(server) as wire:
            clock = Clock(monkeypatch)
            hanging = asyncio.create_task(ask(wire, "/hangs", stalled_seconds=2))
            await until(lambda: server.connections == 1)
            seconds = 0.0
            while not hanging.done() and seconds < 20:
                await clock.forward(1)
                seconds += 1
                assert await ask(wire, stalled_seconds=2) == (200, b"quick")
            assert 2 * ALONE <= seconds < 20
            with pytest.raises(TimeoutError):
                await hanging


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Those that are made, which count what they hear."""
    made: list[Any] = []

    class Noted(bulk_wire._Connection):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.heard = 0
            made.append(self)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.heard += len(data)

    monkeypatch.setattr(bulk_wire, "_Connection", Noted)
    return made


@pytest.mark.parametrize("is_secret", [False, True])
@asynchronous
async def test_what_is_sent_slowly_is_not_given_up(
    is_secret: bool, certificate: Path, connections: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    # It takes real seconds, too, where a machine is busy.
    monkeypatch.setattr(raw_http, "_SECONDS", 1000)
    body, step, more = b"x" * (32 * MIB), 2 * MIB, asyncio.Semaphore(0)

    async def talk(peer: Peer) -> None:
        # Otherwise the system may take all of it at once.
        there = peer._writer.get_extra_info("socket")
        there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MIB)
        await peer.hear_head()
        for _ in range(len(body) // step):
            await more.acquire()
            await peer._reader.readexactly(step)
        await peer.say(ok(b"x"))

    async with serving(talk, tls=raw_tls(certificate) if is_secret else None) as server:
        with wire_to(server) as wire:
            clock = Clock(monkeypatch)
            task = asyncio.create_task(ask(wire, stalled_seconds=100, body=body))
            await until(lambda: bool(connections) and connections[0]._timer is not None)
            await clock.forward(30)
            for _ in range(5):
                before = connections[0]._bytes_taken()
                more.release()
                await until(lambda before=before: connections[0]._bytes_taken() > before)
                await clock.forward(75)
                assert not task.done()
            for _ in range(len(body) // step):
                more.release()
            assert await task == (200, b"x")


@on_both_loops
async def test_how_far_it_was_taken_is_known_by_any_loop(connections: list[Any]) -> None:
    async with serving(answering(ok(b"x"))) as server:
        with wire_to(server) as wire:
            assert await ask(wire, body=b"x" * MIB) == (200, b"x")
            assert connections[0]._bytes_taken() > MIB


@asynchronous
async def test_what_comes_slowly_is_not_given_up(
    connections: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, more = ok(b"x" * 20), asyncio.Semaphore(0)
    pieces = [answer[at : at + 10] for at in range(0, len(answer), 10)]

    async def talk(peer: Peer) -> None:
        await peer.hear()
        for piece in pieces:
            await more.acquire()
            await peer.say(piece)

    async with serving(talk) as server:
        with wire_to(server) as wire:
            clock = Clock(monkeypatch)
            task = asyncio.create_task(ask(wire, stalled_seconds=2))
            await until(lambda: bool(connections) and connections[0]._timer is not None)
            for count in range(len(pieces)):
                await clock.forward(1.5)
                assert not task.done()
                more.release()
                await until(lambda count=count: connections[0].heard >= 10 * count + 1)
            assert await task == (200, b"x" * 20)


# ── Connections that nobody used for a while ───────────────────────────────────────────


@asynchronous
async def test_a_connection_that_nobody_uses_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    # `serving` itself does not wait much longer.
    monkeypatch.setattr(bulk_wire, "IDLE_SECONDS", 4)
    async with serving(answering(ok(b"1"), ok(b"2"))) as server:
        with wire_to(server) as wire:
            clock = Clock(monkeypatch)
            await asyncio.gather(ask(wire), ask(wire))
            await clock.forward(3)
            assert await ask(wire) == (200, b"2")
            await clock.forward(2)
            assert len(wire._idle) == 1
            await clock.forward(4)
            await server.ended()
            assert wire._idle == []


@on_both_loops
@pytest.mark.parametrize("is_silent", [False, True])
async def test_a_connection_that_leads_nowhere_any_more_is_replaced_at_once_as_are_the_others(
    is_silent: bool,
) -> None:
    both = asyncio.Event()

    async def once(peer: Peer) -> None:
        await peer.hear()
        if server.connections == 2:
            both.set()
        await both.wait()
        await peer.say(ok(b"x"))
        await peer.hear()
        if is_silent:
            await peer.hung_up()

    async with serving(once, once, answering(ok(b"y"), ok(b"z"))) as server:
        with wire_to(server) as wire:
            await asyncio.gather(ask(wire), ask(wire))
            assert await ask(wire, stalled_seconds=0.05) == (200, b"y")
            assert await ask(wire) == (200, b"z")
    assert server.connections == 3


@on_both_loops
async def test_what_was_answered_in_part_is_not_asked_again_there() -> None:
    async def talk(peer: Peer) -> None:
        for said in (ok(b"x"), ok(b"y")[:-1]):
            await peer.hear()
            await peer.say(said)

    async with serving(talk) as server:
        with wire_to(server) as wire:
            await ask(wire)
            with pytest.raises(ConnectionError):
                await ask(wire)
    assert server.connections == 1


@on_both_loops
async def test_a_connection_that_is_being_closed_is_not_used() -> None:
    async with serving(answering(ok(b"x")), answering(ok(b"y"))) as server:
        with wire_to(server) as wire:
            await ask(wire)
            (kept,) = wire._idle
            # It hears that it is closed a round of the loop before it is.
            kept.eof_received()
            assert wire._kept() is None
            assert await ask(wire) == (200, b"y")
            kept.abort()


# ── Headers ────────────────────────────────────────────────────────────────────────────


async def send_by(way: str, line: Line, headers: dict[str, str]) -> None:
    if way == "exchange":
        await line.exchange("GET", "/", None, headers)
    elif way == "open":
        async with line.open("GET", "/", None, headers):
            pass
    elif way == "receive":
        await line.receive("/", headers, lambda _: None, lambda _: True)
    else:
        await line.post("/", headers, 0, lambda: iter([]), frozenset())


@pytest.mark.parametrize("way", ["exchange", "open", "receive", "post"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Of", "secret\r\nX-Admin: yes"),
        ("X-Of", "secret\nmore"),
        ("X-Of", "secret\rmore"),
        ("X-Of", "secret\0more"),
        ("X-Of", "secret łetter"),
        ("X-Of\r\nX-Admin", "secret"),
        ("X-Oł", "secret"),
    ],
)
@asynchronous
async def test_what_is_no_header_is_not_sent(way: str, name: str, value: str) -> None:
    async with serving(answering(ok(b"{}"))) as server, line_to(server) as line:
        headers = {"X-First": "fine", name: value}
        with pytest.raises(StorageError, match=r"the header X-O.* can't be sent") as failure:
            await send_by(way, line, headers)
    assert "secret" not in str(failure.value)
    assert not re.search(r"[\r\n]", str(failure.value))


# ── The program ends ───────────────────────────────────────────────────────────────────


HANGING = """
    import contextlib, socket, threading, time
    from burst.storage import bulk, login
    from burst.storage.access import Access
    from burst.storage.bulk_desk import Desk

    reached = threading.Event()

    def hang(*_asked, **_how):
        reached.set()
        time.sleep(600)

    {where} = hang

    def ask():
        with contextlib.suppress(BaseException):
            bulk.put(desk, b"x", "logs/x")

    desk = Desk(Access("farm", "http://bucket.test", anonymous={anonymous}))
    threading.Thread(target=ask, daemon=True).start()
    assert reached.wait(20)
"""


@pytest.mark.parametrize(
    ("where", "anonymous"), [("socket.getaddrinfo", True), ("Access.headers", False)]
)
def test_who_leaves_waits_neither_for_names_nor_for_a_login(where: str, anonymous: bool) -> None:
    program = textwrap.dedent(HANGING).format(where=where, anonymous=anonymous)
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_who_still_waits_for_an_answer_when_the_program_ends_is_told_so(access: Access) -> None:
    desk, begun, said = Desk(access), threading.Event(), list[BaseException]()

    async def work(_line: Line) -> None:
        begun.set()
        await asyncio.sleep(LONG)

    def wait() -> None:
        try:
            desk.do(work)
        except BaseException as error:  # noqa: BLE001 - looked at below
            said.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert begun.wait(LONG)
    clerk = desk._own_clerk()
    clerk.end()
    thread.join(LONG)
    assert [type(error) for error in said] == [StorageAway]
    with pytest.raises(StorageAway, match="the program is ending"):
        desk.do(work)
