"""Which address a listener gets, and what is said when it gets none."""

from __future__ import annotations

import socket

import pytest

from burst.errors import StateError
from burst.manager.listen import open_socket, url_of


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


def test_port_0_is_any_that_is_free() -> None:
    with open_socket("127.0.0.1:0", None, "X") as one, open_socket("127.0.0.1:0", None, "X") as two:
        assert url_of(one) != url_of(two)
        assert url_of(one).startswith("http://127.0.0.1:")


def test_port_0_is_the_former_one_if_that_is_free() -> None:
    with open_socket("127.0.0.1:0", None, "X") as opened:
        former = url_of(opened)
    with open_socket("127.0.0.1:0", former, "X") as opened:
        assert url_of(opened) == former


def test_port_0_is_another_if_the_former_one_is_taken() -> None:
    with open_socket("127.0.0.1:0", None, "X") as taken:
        former = url_of(taken)
        with open_socket("127.0.0.1:0", former, "X") as opened:
            assert url_of(opened) != former


def test_a_former_address_without_a_port_is_no_harm() -> None:
    with open_socket("127.0.0.1:0", "http://nowhere", "X") as opened:
        assert _port(url_of(opened)) > 0


def test_a_port_that_was_asked_for_is_not_the_former_one() -> None:
    with open_socket("127.0.0.1:0", None, "X") as opened:
        wanted = _port(url_of(opened))
    with open_socket(f"127.0.0.1:{wanted}", "http://127.0.0.1:1", "X") as opened:
        assert _port(url_of(opened)) == wanted


def test_a_taken_port_is_an_error_that_names_the_setting() -> None:
    with (
        open_socket("127.0.0.1:0", None, "X") as taken,
        pytest.raises(StateError, match="can't listen on") as told,
    ):
        open_socket(f"127.0.0.1:{_port(url_of(taken))}", None, "BURST_CONSOLE_LISTEN")
    assert "BURST_CONSOLE_LISTEN" in str(told.value.hint)


def test_all_addresses_are_reached_by_the_loopback() -> None:
    with open_socket("0.0.0.0:0", None, "X") as opened:
        assert url_of(opened).startswith("http://127.0.0.1:")


def test_an_opened_socket_takes_calls_before_anybody_serves() -> None:
    with open_socket("127.0.0.1:0", None, "X") as opened:
        address = ("127.0.0.1", _port(url_of(opened)))
        with socket.create_connection(address, timeout=5) as caller:
            assert caller.getpeername() == address
