"""Several processes that send or bring files, and who deals the files out to them.

One process can't keep a fast line busy. They are started for one transfer and end with it; when
this process dies, the system closes the pipes to them, and they end, too.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

from burst import errors
from burst.errors import StorageAway, StorageError
from burst.storage.access import Access
from burst.storage.bulk_jobs import Item, Kind, name_of, packed
from burst.storage.items import Tell, Transferred

WINDOW = 320
"""Files that one process is given before it is done with others: so it never waits for more."""
REFILL = 224
"""When it has no more than that it gets further ones."""

_ITEM_BYTES = 100_000
"""What a file costs beside its bytes, in bytes."""
_END_SECONDS = 10.0
_READ_BYTES = 64 * 1024
_CHANGED, _WHOLE = 2, 1


class _Hand:
    """One of the processes, as it looks from here."""

    def __init__(self, reads: int, writes: int) -> None:
        self.reads = reads
        self.writes = writes
        self.load = 0
        """Bytes that it was given and has not told of."""
        self.items: set[int] = set()
        self._text = b""
        self._dealt: list[list[Any]] = []

    def deal(self, number: int, item: Item) -> None:
        """Give it a file, with the next `flush`."""
        self.items.add(number)
        self.load += item.size + _ITEM_BYTES
        self._dealt.append([number, *packed(item)])

    def flush(self) -> None:
        """Send what was dealt."""
        if self._dealt:
            self.write({"items": self._dealt})
            self._dealt = []

    def write(self, message: dict[str, Any]) -> None:
        """Send a message; if nobody is there any more, reading will tell."""
        rest = memoryview(json.dumps(message).encode() + b"\n")
        with contextlib.suppress(BrokenPipeError):
            while rest:
                rest = rest[os.write(self.writes, rest) :]

    def read(self) -> list[dict[str, Any]] | None:
        """Return what it says; None is that it has ended."""
        received = os.read(self.reads, _READ_BYTES)
        if not received:
            return None
        *lines, self._text = (self._text + received).split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """Let it go."""
        for descriptor in (self.reads, self.writes):
            with contextlib.suppress(OSError):
                os.close(descriptor)


class Crew:
    """The processes of one transfer."""

    def __init__(self, access: Access, kind: Kind, count: int) -> None:
        """Start ``count`` processes."""
        self._access = access
        self._has_carried = False
        self._hands: list[_Hand] = []
        theirs: list[tuple[int, int]] = []
        for _ in range(count):
            reads, their_writes = os.pipe()
            their_reads, writes = os.pipe()
            self._hands.append(_Hand(reads, writes))
            theirs.append((their_reads, their_writes))
        descriptors = [descriptor for pair in theirs for descriptor in pair]
        try:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "burst.storage.bulk_child", kind),
                    *(f"{reads},{writes}" for reads, writes in theirs),
                ],
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # Of their own: Ctrl-C is for this process, which ends them.
                process_group=0,
            )
        except OSError as error:
            self._close()
            raise StorageError(f"can't start a process: {error.strerror}") from error
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        about = [access.bucket, access.endpoint, access.anonymous, access.has_answered]
        for hand in self._hands:
            hand.write({"access": about, "kind": kind})

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if kind is None and self._has_carried:
            for hand in self._hands:
                hand.write({"end": True})
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_SECONDS)
        # Those it forked are of its group, which nobody else can have before it is waited for.
        if self._process.returncode is None:
            # Where all of them have ended already macOS says that it may not be done.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._close()

    def carry(self, items: Iterable[Item], tell: Tell) -> list[Item]:
        """Have them all done, and return those that are not what they were.

        Raises:
            StorageError: one can't be done; others may be under way still.
        """
        self._has_carried = True
        waiting = enumerate(items)
        under_way: dict[int, Item] = {}
        changed: list[Item] = []
        self._deal(waiting, under_way)
        with selectors.DefaultSelector() as selector:
            for hand in self._hands:
                selector.register(hand.reads, selectors.EVENT_READ, hand)
            while under_way:
                for key, _ in selector.select():
                    hand = key.data
                    for number, count, state in self._news(hand):
                        item = under_way[number]
                        hand.load -= count
                        if state == _CHANGED:
                            changed.append(item)
                        else:
                            tell(Transferred(name_of(item), count, whole=state == _WHOLE))
                        if state in (_CHANGED, _WHOLE):
                            del under_way[number]
                            hand.items.discard(number)
                            hand.load -= _ITEM_BYTES
                self._deal(waiting, under_way)
        return changed

    def _deal(self, waiting: Iterator[tuple[int, Item]], under_way: dict[int, Item]) -> None:
        """Give those who have few some more, each file to whom has the least to carry."""
        hungry = [hand for hand in self._hands if len(hand.items) <= REFILL]
        while hungry:
            number, item = next(waiting, (-1, None))
            if item is None:
                break
            hand = min(hungry, key=lambda hand: hand.load)
            under_way[number] = item
            hand.deal(number, item)
            if len(hand.items) >= WINDOW:
                hungry.remove(hand)
        for hand in self._hands:
            hand.flush()

    def _news(self, hand: _Hand) -> Iterator[tuple[int, int, int]]:
        messages = hand.read()
        if messages is None:
            raise StorageError(
                "a process that carried files has died",
                hint="look for its reason in the system's log; the same command goes on",
            )
        for message in messages:
            if "login" in message:
                hand.write(self._log_in(anew=message["login"]))
            elif "error" in message:
                raise _error(*message["error"])
            else:
                self._access.has_answered = True
                yield from message["news"]

    def _log_in(self, *, anew: bool) -> dict[str, Any]:
        try:
            return {"headers": self._access.headers(anew=anew)}
        except StorageAway as error:
            # It is for them to ask again, each for as long as it has patience.
            return {"away": [error.message, error.hint]}

    def _close(self) -> None:
        for hand in self._hands:
            hand.close()


def _error(kind: str, message: str, hint: str | None) -> StorageError:
    """Return the error that one of them had."""
    found = getattr(errors, kind, StorageError)
    made = found(message, hint=hint)
    return made if isinstance(made, StorageError) else StorageError(message, hint=hint)
