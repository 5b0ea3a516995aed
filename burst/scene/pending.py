"""An upload's pledge on blobs that no manifest names yet, and the mark of a collection.

The two can't harm each other because of the order in which each looks at what the other wrote:

- An upload writes its manifest below ``uploads/``, *then* looks for the mark of a collection and
  waits until there is none, *then* asks what is lacking, sends it, and writes the manifest.
- A collection writes its mark, *then* reads what is pending, *then* the manifests, *then* removes
  what neither names, and takes the mark away.

So either the collection sees the upload's pledge, or the upload sees the mark and looks what is
there only when the collection is over. What a killed upload leaves pending holds its blobs for a
day, for the next run; what a killed collection leaves is told by its age. Ages are taken between
times of the storage, never of this machine.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable

from burst.errors import StorageError
from burst.scene.manifest import Manifest
from burst.storage import layout
from burst.storage.items import Stored
from burst.storage.storage import Storage

PENDING_SECONDS = 24 * 3600.0
"""How long what an upload wrote pending holds its blobs, if it is not renewed."""
RENEW_SECONDS = 3600.0
LAPSED_SECONDS = PENDING_SECONDS / 2
"""After a gap as long as this, such as a laptop asleep, an upload pledges and asks anew."""

MARK_SECONDS = 300.0
"""Age at which the mark of a collection means nothing any more: who made it is gone."""
PATIENCE_SECONDS = 1200.0
"""How long an upload waits for collections."""
LOOK_SECONDS = 1.0

Tell = Callable[[str], None]
Pause = Callable[[float], None]


class Pledge:
    """What one upload holds. Used by one thread."""

    def __init__(self, storage: Storage, tell: Tell, pause: Pause = time.sleep) -> None:
        """Hold nothing yet; ``tell`` takes a line for people when something is waited for."""
        self._storage = storage
        self._tell = tell
        self._pause = pause
        self._held: list[str] = []
        self._content = b""
        self._renewed_at = 0.0
        self._lapsed = False

    def hold(self, manifest: Manifest) -> None:
        """Pledge the blobs of a manifest, and return when no collection can remove one any more.

        Raises:
            StorageError: a collection goes on for too long.
        """
        name = layout.pending(manifest.name, manifest.version, secrets.token_hex(4))
        self._content = manifest.to_bytes()
        self._storage.put_bytes(self._content, name)
        self._held.append(name)
        self._renewed_at, self._lapsed = time.time(), False
        self._wait_for_collection(name)

    @property
    def lapsed(self) -> bool:
        """Say whether it may have been taken for a dead upload's since it was made."""
        return self._lapsed or time.time() - self._renewed_at > LAPSED_SECONDS

    def renew(self) -> None:
        """Show from time to time that the upload lives."""
        age = time.time() - self._renewed_at
        if age > RENEW_SECONDS:
            self._lapsed = self.lapsed
            self._storage.put_bytes(self._content, self._held[-1])
            self._renewed_at = time.time()

    def release(self) -> None:
        """Give up the pledge: the manifest is written. What can't be deleted expires."""
        for name in self._held:
            with contextlib.suppress(StorageError):
                self._storage.delete(name)
        self._held.clear()

    def _wait_for_collection(self, name: str) -> None:
        mark = find_mark(self._storage)
        if mark is None:
            return
        self._tell("waiting for the end of a collection (burst scenes gc)")
        written = next(self._storage.scan(name), None)
        if written is None:
            raise StorageError(f"{name} is gone from the storage", hint="try again")
        waited = 0.0
        while mark is not None and written.changed + waited - mark.changed < MARK_SECONDS:
            if waited > PATIENCE_SECONDS:
                raise StorageError(
                    f"a collection has been going on for {waited:.0f} s in {self._storage.url}",
                    hint="wait for the end of burst scenes gc, then go on with the same command",
                )
            self._pause(LOOK_SECONDS)
            waited += LOOK_SECONDS
            mark = find_mark(self._storage)


def find_mark(storage: Storage) -> Stored | None:
    """Return the mark of the collection that runs, or that died."""
    return next(iter(storage.scan(layout.COLLECTION_MARK)), None)


def time_of(storage: Storage) -> float:
    """Return what time it is for the storage, in seconds since 1970."""
    name = layout.clock(secrets.token_hex(8))
    storage.put_bytes(b"", name)
    written = next(iter(storage.scan(name)), None)
    storage.delete(name)
    if written is None:
        raise StorageError(f"what was written to {storage.url} is not there", hint="try again")
    return written.changed
