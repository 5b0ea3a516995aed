"""What a cluster has of one kind of object, kept up to date by one list and then by a watch.

Knows nothing of Kubernetes' client: `burst.manager.autoscaler.kubernetes` says how to ask.
What this manager made itself is there at once, however late the watch tells of it: whoever
looked for a Job right after making it, and did not find it, would make another.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from pydantic_core import from_json

from burst.errors import ToolError

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.5
"""After a question that failed, and between two watches at least."""

FIRST_SECONDS = 30.0
"""How long the first look may take before whoever asks is told that nothing is known."""

HTTP_GONE = 410

Manifest = Mapping[str, Any]
ListCall = Callable[[], Mapping[str, Any]]
WatchCall = Callable[[str], AbstractContextManager[Iterator[bytes]]]


class TooOld(Exception):
    """The cluster has forgotten what happened since then; everything is to be listed anew."""


class Mirror:
    """All objects of one kind, by name."""

    def __init__(
        self,
        kind: str,
        list_call: ListCall,
        watch_call: WatchCall,
        trim: Callable[[Manifest], Manifest],
    ) -> None:
        """Ask with the two calls, which raise `ToolError`; keep what ``trim`` leaves of each."""
        self._kind = kind
        self._list = list_call
        self._watch = watch_call
        self._trim = trim
        self._items: dict[str, Manifest] = {}
        self._made: dict[str, tuple[int, Manifest]] = {}
        """Made here, with their versions, and not told by the cluster yet."""
        self._deleted: set[str] = set()
        """Deleted here, and not told by the cluster yet. Names are never given out again."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._looked = threading.Event()
        self._trouble = ""
        self._version = ""

    def start(self) -> None:
        """Begin, in a thread that nobody waits for."""
        threading.Thread(target=self._run, name=f"mirror of {self._kind}", daemon=True).start()

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()

    def items(self) -> dict[str, Manifest]:
        """Return what there is.

        Raises:
            ToolError: the cluster does not answer, so nobody knows.
        """
        self._looked.wait(FIRST_SECONDS)
        with self._lock:
            if self._trouble or not self._version:
                raise ToolError(self._trouble or f"the cluster has not listed its {self._kind} yet")
            found = {name: item for name, item in self._items.items() if name not in self._deleted}
            found.update((name, item) for name, (_, item) in self._made.items())
            return found

    def add(self, item: Manifest) -> None:
        """Know of an object that was made here."""
        name = item["metadata"]["name"]
        made = int(item["metadata"]["resourceVersion"]), self._trim(item)
        with self._lock:
            if name not in self._items:
                self._made[name] = made

    def discard(self, name: str) -> None:
        """Know that an object was deleted here."""
        with self._lock:
            if self._made.pop(name, None) or name in self._items:
                self._deleted.add(name)

    def refresh(self, *, anew: bool = False) -> None:
        """List everything now; ``anew`` whatever is known already.

        Raises:
            ToolError: the cluster does not answer.
        """
        answer = self._list()
        with self._understood():
            version = str(int(answer["metadata"]["resourceVersion"]))
            items = {item["metadata"]["name"]: self._trim(item) for item in answer["items"]}
        with self._lock:
            if not anew and self._version and int(version) < int(self._version):
                return  # the watch was quicker
            self._items, self._version, self._trouble = items, version, ""
            # What was made after that list is not in it.
            self._made = {n: made for n, made in self._made.items() if made[0] > int(version)}
            self._deleted &= items.keys()

    def _run(self) -> None:
        is_known = False
        while not self._stop.is_set():
            try:
                if not is_known:
                    self.refresh(anew=True)
                    self._looked.set()
                    is_known = True
                began = time.monotonic()
                self._follow()
                if time.monotonic() - began < PAUSE_SECONDS:
                    self._stop.wait(PAUSE_SECONDS)
            except TooOld:
                is_known = False
            except Exception as error:
                # Without this thread nothing would be learned any more.
                if self._stop.is_set():
                    return
                if not isinstance(error, ToolError):
                    log.exception("watching %s: a bug", self._kind)
                is_known = False
                self._note_trouble(str(error))
                self._looked.set()
                self._stop.wait(PAUSE_SECONDS)

    def _follow(self) -> None:
        """Take what a watch tells until it ends, as each does after a while."""
        with self._watch(self._version) as lines:
            for line in lines:
                if self._stop.is_set():
                    return
                with self._understood():
                    self._take(from_json(line))

    def _take(self, event: Mapping[str, Any]) -> None:
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            if item.get("code") == HTTP_GONE:
                raise TooOld
            raise ToolError(f"the cluster broke off a watch: {item.get('message', '')}")
        metadata = item["metadata"]
        if kind == "BOOKMARK":
            with self._lock:
                self._version = str(metadata["resourceVersion"])
            return
        name, trimmed = metadata["name"], self._trim(item)
        with self._lock:
            self._version = str(metadata["resourceVersion"])
            self._made.pop(name, None)
            if kind == "DELETED":
                self._items.pop(name, None)
                self._deleted.discard(name)
            else:
                self._items[name] = trimmed

    @contextlib.contextmanager
    def _understood(self) -> Iterator[None]:
        """Make of an answer without sense, as a proxy may give it, one that did not come."""
        try:
            yield
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ToolError(
                f"the cluster's word on {self._kind} makes no sense: {error!r}"
            ) from error

    def _note_trouble(self, text: str) -> None:
        with self._lock:
            if text != self._trouble:
                log.warning("watching %s: %s", self._kind, text)
            self._trouble = text
