"""How long google-cloud-storage asks again: as long as there is progress, or hope.

The library's own bound counts from the start of a request. A download that broke off in its
third minute would not be gone on with; here the time counts in which nothing came of it.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from typing import Any

from burst.storage.access import RETRIABLE_STATUSES, Access


def patient_retry(access: Access, progress: Callable[[], int] = lambda: 0) -> Any:
    """Return what the library is to do when a request fails.

    Args:
        access: says how long, and after what pauses.
        progress: a number that changes as long as it gets on.
    """
    from google.api_core.retry import Retry

    return Retry(
        predicate=_Patience(access, progress),
        initial=access.first_pause_seconds,
        maximum=access.pause_limit_seconds,
        multiplier=2.0,
        timeout=None,
    )


def breaks() -> tuple[type[Exception], ...]:
    """Return what the libraries raise when there is no whole answer."""
    import requests
    import urllib3

    return (
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        http.client.HTTPException,
        ConnectionError,
    )


class _Patience:
    """Says of each failure of one request, or of a row of them, whether to ask again."""

    def __init__(self, access: Access, progress: Callable[[], int]) -> None:
        self._access = access
        self._progress = progress
        self._at = -1
        self._since = 0.0

    def __call__(self, error: Exception) -> bool:
        if not _may_pass(error):
            return False
        now, at = time.monotonic(), self._progress()
        if at != self._at:
            self._at, self._since = at, now
        return now - self._since < self._access.patience_seconds


def _may_pass(error: Exception) -> bool:
    """Return whether the same request may be answered otherwise a moment later."""
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import TransportError
    from google.cloud.storage.exceptions import InvalidResponse

    if isinstance(error, GoogleAPICallError):
        return error.code in RETRIABLE_STATUSES
    if isinstance(error, InvalidResponse):
        return error.response.status_code in RETRIABLE_STATUSES
    return isinstance(error, (*breaks(), TransportError))
