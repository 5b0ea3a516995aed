"""The board of a job's tasks, against a naive model, and what becomes of a task."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from burst.domain.tasks import Aftermath, TaskBoard, after_attempt
from burst.domain.transitions import TASK_MOVES, AttemptStatus, TaskStatus
from burst.errors import NotAllowed

SIZE = 9
ENDS = (TaskStatus.FAILED, TaskStatus.CANCELED)


class BoardMachine(RuleBasedStateMachine):
    """Does to a board and to a plain list what a scheduler might do."""

    def __init__(self) -> None:
        super().__init__()
        self.board = TaskBoard(SIZE)
        self.statuses = [TaskStatus.QUEUED] * SIZE
        self.touched: set[int] = set()

    def _expected(self, refused: set[int]) -> int | None:
        queued = [i for i, status in enumerate(self.statuses) if status is TaskStatus.QUEUED]
        again = [i for i in queued if i in self.touched and i not in refused]
        fresh = [i for i in queued if i not in self.touched]
        return next(iter(again), next(iter(fresh), None))

    @rule(refused=st.sets(st.integers(0, SIZE - 1)))
    def claim(self, refused: set[int]) -> None:
        found = self.board.next_queued(lambda index: index not in refused)
        assert found == self._expected(refused)
        if found is not None:
            self._move(found, TaskStatus.ACTIVE)

    @rule(refused=st.sets(st.integers(0, SIZE - 1)))
    def look(self, refused: set[int]) -> None:
        assert self.board.next_queued(lambda i: i not in refused) == self._expected(refused)

    @rule(status=st.sampled_from(TaskStatus))
    def append(self, status: TaskStatus) -> None:
        assert self.board.append(status) == len(self.statuses)
        self.touched.add(len(self.statuses))
        self.statuses.append(status)

    @rule(now=st.sets(st.sampled_from(TaskStatus)), then=st.sampled_from(ENDS))
    def move_all(self, now: set[TaskStatus], then: TaskStatus) -> None:
        now = {status for status in now if then in TASK_MOVES[status]}
        self.board.move_all(now, then)
        for index, status in enumerate(self.statuses):
            if status in now:
                self.statuses[index] = then

    @rule(index=st.integers(0, SIZE - 1), then=st.sampled_from(TaskStatus))
    def move(self, index: int, then: TaskStatus) -> None:
        if then in TASK_MOVES[self.statuses[index]]:
            self._move(index, then)
        else:
            with pytest.raises(NotAllowed):
                self.board.move(index, then)

    @precondition(lambda self: not self.touched)
    @rule(index=st.integers(0, SIZE - 1), status=st.sampled_from(TaskStatus))
    def restore(self, index: int, status: TaskStatus) -> None:
        self.board.restore(index, status)
        self.statuses[index] = status
        self.touched.add(index)

    def _move(self, index: int, then: TaskStatus) -> None:
        self.board.move(index, then)
        self.statuses[index] = then
        self.touched.add(index)

    @invariant()
    def statuses_and_counts_agree(self) -> None:
        assert [self.board.status(i) for i in range(len(self.board))] == self.statuses
        letters = {status: ord(status[0]) + number for number, status in enumerate(TaskStatus)}
        assert list(self.board.translated(letters)) == [letters[s] for s in self.statuses]
        for status in TaskStatus:
            indexes = [i for i, now in enumerate(self.statuses) if now is status]
            assert self.board.count(status) == len(indexes)
            assert list(self.board.with_status(status)) == indexes


TestBoardAgainstModel = BoardMachine.TestCase
TestBoardAgainstModel.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_million_untouched_tasks_cost_about_a_byte_each() -> None:
    TaskBoard(10)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        board = TaskBoard(1_000_000)
        assert board.next_queued() == 0
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1_100_000
    assert peak - before < 2_200_000
    assert len(board) == 1_000_000


def test_a_requeued_task_goes_before_untouched_ones() -> None:
    board = TaskBoard(5)
    for task in (0, 1, 2):
        board.move(task, TaskStatus.ACTIVE)
    board.move(2, TaskStatus.QUEUED)
    board.move(1, TaskStatus.QUEUED)
    assert board.next_queued() == 1


def test_a_task_that_one_claimer_may_not_take_is_kept_for_another() -> None:
    board = TaskBoard(1)
    board.move(0, TaskStatus.ACTIVE)
    board.move(0, TaskStatus.QUEUED)
    assert board.next_queued(lambda index: False) is None
    assert board.next_queued() == 0


@pytest.mark.parametrize("outcome", [AttemptStatus.FAILED, AttemptStatus.OUT_OF_MEMORY])
def test_failures_are_counted_until_the_limit_is_reached(outcome: AttemptStatus) -> None:
    assert after_attempt(outcome, 0, 3) == Aftermath(TaskStatus.QUEUED, True)
    assert after_attempt(outcome, 1, 3) == Aftermath(TaskStatus.QUEUED, True)
    assert after_attempt(outcome, 2, 3) == Aftermath(TaskStatus.FAILED, True)
    assert after_attempt(outcome, 0, 1) == Aftermath(TaskStatus.FAILED, True)


def test_all_tasks_move_only_where_the_table_lets_them() -> None:
    board = TaskBoard(3)
    board.move(0, TaskStatus.ACTIVE)
    with pytest.raises(NotAllowed, match="is canceled, it can't become failed"):
        board.move_all([TaskStatus.CANCELED], TaskStatus.FAILED)
    board.move_all([TaskStatus.QUEUED, TaskStatus.WAITING], TaskStatus.FAILED)
    assert [board.count(s) for s in (TaskStatus.ACTIVE, TaskStatus.FAILED)] == [1, 2]
    assert board.next_queued() is None


@pytest.mark.parametrize("outcome", [AttemptStatus.FAILED, AttemptStatus.OUT_OF_MEMORY])
def test_what_no_other_try_can_save_is_not_tried_again(outcome: AttemptStatus) -> None:
    assert after_attempt(outcome, 0, 9, given_up=True) == Aftermath(TaskStatus.FAILED, True)


@pytest.mark.parametrize("outcome", [AttemptStatus.INTERRUPTED, AttemptStatus.LOST])
def test_an_interruption_is_no_failure_however_often_it_comes(outcome: AttemptStatus) -> None:
    assert after_attempt(outcome, 99, 1) == Aftermath(TaskStatus.QUEUED, False)


def test_completed_and_canceled_attempts_end_their_task_without_penalty() -> None:
    assert after_attempt(AttemptStatus.COMPLETED, 2, 3) == Aftermath(TaskStatus.COMPLETED, False)
    assert after_attempt(AttemptStatus.CANCELED, 2, 3) == Aftermath(TaskStatus.CANCELED, False)
