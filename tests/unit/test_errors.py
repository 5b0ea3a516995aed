"""The tree of errors: complete, described, and the same both ways on the wire."""

from __future__ import annotations

import errno
import inspect
import re

import pytest

from burst import errors
from burst.errors import WIRE_ERRORS, BurstError, ManagerError, StorageFull, storage_error

CLASSES = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, BurstError)
]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_in_the_tree_of_the_docs(kind: type[BurstError]) -> None:
    assert re.search(rf"\b{kind.__name__}\b", errors.__doc__ or "")


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_without_a_message_says_what_its_class_means(kind: type[BurstError]) -> None:
    error = kind()
    assert error.message
    assert not error.message.endswith(".")
    assert error.hint is None


def test_every_manager_error_is_on_the_wire_and_back() -> None:
    kinds = [k for k in CLASSES if issubclass(k, ManagerError) and k is not ManagerError]
    assert set(WIRE_ERRORS.values()) == set(kinds)
    assert all(WIRE_ERRORS[kind.code] is kind for kind in kinds)
    assert all(400 <= kind.http_status < 600 for kind in kinds)
    for kind in kinds:
        assert f"{kind.http_status} {kind.code}" in (errors.__doc__ or "")


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_has_the_exit_status_of_its_kind(kind: type[BurstError]) -> None:
    expected = {
        errors.UsageError: errors.EXIT_USAGE,
        errors.JobFailed: errors.EXIT_JOB_FAILED,
        errors.JobCanceled: errors.EXIT_JOB_CANCELED,
        errors.RunInterrupted: errors.EXIT_INTERRUPTED,
    }
    statuses = [status for base, status in expected.items() if issubclass(kind, base)]
    assert kind.exit_status == (statuses[0] if statuses else errors.EXIT_FAILURE)


def test_a_full_disk_is_its_own_error() -> None:
    for number in (errno.ENOSPC, errno.EDQUOT):
        assert isinstance(storage_error(OSError(number, "full"), "can't do it"), StorageFull)
    other = storage_error(OSError(errno.EACCES, "Permission denied", "/x"), "can't do it")
    assert not isinstance(other, StorageFull)
    assert other.message == "can't do it: Permission denied (/x)"
