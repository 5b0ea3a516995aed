"""How a cluster is asked, whatever for, and what its answers mean."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator

import aiohttp
import urllib3
from kubernetes import client, config

from burst.errors import ToolError

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0

BAD_REQUEST, GONE, CONFLICT, NOT_FOUND, TOO_MANY, SERVER_ERROR = 400, 410, 409, 404, 429, 500


class Refusal(Exception):
    """The cluster's no, in its words."""

    def __init__(self, error: client.ApiException) -> None:
        """Take the words out of the client's error."""
        self.status = int(error.status or 0)
        try:
            body = json.loads(error.body or "{}")
        except ValueError:
            body = {}
        if not isinstance(body, dict):
            body = {}
        self.is_there_already = body.get("reason") == "AlreadyExists"
        super().__init__(body.get("message") or f"{error.status} {error.reason}")


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Make errors of the clients ours.

    Raises:
        Refusal: the cluster says no.
        ToolError: it does not answer, or would later only.
    """
    try:
        yield
    except client.ApiException as error:
        refusal = Refusal(error)
        status = refusal.status
        # A conflict is over what others write in the same moment, such as a quota's sums.
        is_passing = status in (0, TOO_MANY) or status >= SERVER_ERROR
        if is_passing or (status == CONFLICT and not refusal.is_there_already):
            raise ToolError(f"the cluster does not take it now: {refusal}") from error
        raise refusal from error
    except config.ConfigException as error:
        raise ToolError(f"who asks the cluster is not known: {error}") from error
    except (aiohttp.ClientError, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise ToolError(f"the cluster's API does not answer: {error or repr(error)}") from error


def lines_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Return the lines of what comes in pieces, but for empty ones."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line for line in whole if line)
