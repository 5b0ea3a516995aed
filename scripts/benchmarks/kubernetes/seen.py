"""What the API server tells of Jobs while they are made and deleted, with the time of each."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import urllib3

from benchmarks.kubernetes.bare import BareClient

METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
LIST_OF_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class SeenJobs:
    """Follows the Jobs of a namespace, from its making to its end."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        """Begin to watch; there are no Jobs yet."""
        self._client = BareClient(kubeconfig, 1)
        self._path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        listed = self._client.ask("GET", self._path, Accept=LIST_OF_METADATA)
        self._version = listed["metadata"]["resourceVersion"]
        self._changed = threading.Condition()
        self.names: list[str] = []
        """Names of the Jobs that were made, in order."""
        self._there: set[str] = set()
        self._last_at = 0.0
        self._trouble = ""
        threading.Thread(target=self._follow, name="watch of Jobs", daemon=True).start()

    def forget(self) -> None:
        """Count from here on."""
        with self._changed:
            self.names = []

    def wait_for(self, count: int, seconds: float) -> float:
        """Wait until exactly so many are there, and return when that was, on the monotonic clock.

        Raises:
            TimeoutError: there are not.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._there) == count or self._trouble, seconds)
            if len(self._there) != count:
                said = f"{len(self._there)} Jobs instead of {count}"
                raise TimeoutError(f"{said}: {self._trouble}" if self._trouble else said)
            return self._last_at

    def _follow(self) -> None:
        while not self._trouble:
            try:
                # The server ends a watch whose reader is slow; nothing is missed by another one.
                query = f"watch=true&resourceVersion={self._version}"
                self._read(self._client.open_watch(f"{self._path}?{query}", Accept=METADATA))
            except (urllib3.exceptions.HTTPError, OSError) as error:
                self._fail(f"the watch of Jobs broke: {error}")

    def _read(self, answer: urllib3.BaseHTTPResponse) -> None:
        rest = b""
        for piece in answer.stream(amt=None):
            *lines, rest = (rest + piece).split(b"\n")
            for line in filter(None, lines):
                self._take(json.loads(line))

    def _take(self, event: dict[str, Any]) -> None:
        if event["type"] == "ERROR":
            self._fail(f"the watch of Jobs: {event['object'].get('message')}")
            return
        metadata = event["object"]["metadata"]
        with self._changed:
            self._version = metadata["resourceVersion"]
            if event["type"] == "ADDED":
                self._there.add(metadata["uid"])
                self.names.append(metadata["name"])
            elif event["type"] == "DELETED":
                self._there.discard(metadata["uid"])
            else:
                return
            self._last_at = time.monotonic()
            self._changed.notify_all()

    def _fail(self, text: str) -> None:
        with self._changed:
            self._trouble = text
            self._changed.notify_all()
