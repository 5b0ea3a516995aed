"""The tasks of one job in memory, a byte each, and what becomes of a task after an attempt."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from burst.domain.transitions import TASK_MOVES, AttemptStatus, TaskStatus, check_move

_STATUSES = tuple(TaskStatus)
_CODE = {status: code for code, status in enumerate(_STATUSES)}


class TaskBoard:
    """Statuses of a job's tasks and which is handed out next.

    Tasks that were requeued come first, lowest index first; then the untouched ones in
    order. An untouched task is a zero byte and nothing else.
    """

    def __init__(self, task_count: int) -> None:
        """Start with ``task_count`` untouched tasks."""
        self._codes = bytearray(task_count)
        self._counts = Counter({TaskStatus.QUEUED: task_count})
        self._front: list[int] = []
        self._next_untouched = 0

    def __len__(self) -> int:
        return len(self._codes)

    def status(self, index: int) -> TaskStatus:
        """Return the status of one task."""
        return _STATUSES[self._codes[index]]

    def count(self, status: TaskStatus) -> int:
        """Return how many tasks have ``status``."""
        return self._counts[status]

    def move(self, index: int, then: TaskStatus) -> None:
        """Move one task to another status; a task that is queued again goes to the front.

        Raises:
            NotAllowed: the table of moves does not have it.
        """
        now = self.status(index)
        check_move(TASK_MOVES, f"task {index}", now, then)
        self._set(index, now, then)
        if then is TaskStatus.QUEUED:
            heapq.heappush(self._front, index)

    def move_all(self, now: Collection[TaskStatus], then: TaskStatus) -> None:
        """Move every task that has one of the statuses ``now``: to ``then``, which is an end.

        Raises:
            NotAllowed: the table of moves does not have it.
        """
        for status in now:
            check_move(TASK_MOVES, "a task", status, then)
            self._codes = self._codes.translate(
                bytes.maketrans(bytes([_CODE[status]]), bytes([_CODE[then]]))
            )
            self._counts[then] += self._counts.pop(status, 0)

    def append(self, status: TaskStatus) -> int:
        """Add a task behind the others and return its index."""
        self._codes.append(_CODE[status])
        self._counts[status] += 1
        index = len(self._codes) - 1
        if status is TaskStatus.QUEUED:
            heapq.heappush(self._front, index)
        return index

    def restore(self, index: int, status: TaskStatus) -> None:
        """Set the status that the database has, while the board is built."""
        self._set(index, self.status(index), status)
        if status is TaskStatus.QUEUED:
            heapq.heappush(self._front, index)

    def next_queued(self, may_take: Callable[[int], bool] = lambda index: True) -> int | None:
        """Return the task to hand out next, or None; it stays queued until it is moved.

        Args:
            may_take: says whether this claimer may have a task that was moved before.
                Untouched tasks are anybody's.
        """
        refused: set[int] = set()
        found: int | None = None
        while self._front:
            index = self._front[0]
            if self.status(index) is not TaskStatus.QUEUED or index in refused:
                heapq.heappop(self._front)
            elif may_take(index):
                found = index
                break
            else:
                refused.add(heapq.heappop(self._front))
        for index in refused:
            heapq.heappush(self._front, index)
        if found is not None:
            return found
        waiting = set(self._front)
        while self._next_untouched < len(self._codes):
            index = self._next_untouched
            if self.status(index) is TaskStatus.QUEUED and index not in waiting:
                return index
            self._next_untouched += 1
        return None

    def translated(self, values: Mapping[TaskStatus, int]) -> bytearray:
        """Return a byte for each task: what ``values`` has for its status."""
        return self._codes.translate(bytes(values[status] for status in _STATUSES).ljust(256))

    def with_status(self, status: TaskStatus) -> Iterator[int]:
        """Yield the tasks that have ``status``, ascending."""
        code = _CODE[status]
        position = self._codes.find(code)
        while position >= 0:
            yield position
            position = self._codes.find(code, position + 1)

    def _set(self, index: int, now: TaskStatus, then: TaskStatus) -> None:
        self._codes[index] = _CODE[then]
        self._counts[now] -= 1
        self._counts[then] += 1


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What an ended attempt means for its task."""

    status: TaskStatus
    counts_as_failure: bool


def after_attempt(
    outcome: AttemptStatus, failures: int, retry_limit: int, *, given_up: bool = False
) -> Aftermath:
    """Decide what becomes of a task whose attempt ended without completing it.

    Args:
        outcome: how the attempt ended.
        failures: failed attempts at the task before this one.
        retry_limit: how many failed attempts the job allows a task.
        given_up: whether another try can't do better than this failed one.
    """
    if outcome in (AttemptStatus.FAILED, AttemptStatus.OUT_OF_MEMORY):
        spent = given_up or failures + 1 >= retry_limit
        return Aftermath(TaskStatus.FAILED if spent else TaskStatus.QUEUED, True)
    if outcome is AttemptStatus.CANCELED:
        return Aftermath(TaskStatus.CANCELED, False)
    if outcome is AttemptStatus.COMPLETED:
        return Aftermath(TaskStatus.COMPLETED, False)
    return Aftermath(TaskStatus.QUEUED, False)
