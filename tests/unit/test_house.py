"""The rules of the house that no linter knows: sizes, words, names, and where errors are told.

Left out: what ruff, mypy and the import contracts already check.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import burst
from burst import errors
from burst.errors import EXIT_BUG, WIRE_ERRORS, BurstError, ManagerError

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted((ROOT / "burst").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
CODE_LINES = 400
TEST_LINES = 600
LONGER: dict[str, tuple[int, str]] = {}
"""File → its own limit, and why."""

RUN_BY_OTHERS = (
    "burst.__main__",
    "burst.manager.database.migrations.env",
    "burst.worker.inside.probe",
)
"""Programs: to import them is to run them."""

WRONG_WORDS = {
    r"(?<!\.)cancelled|cancelling|cancellable": "canceled, with one l",
    r"\b(?:data|object|blob|job|file) ?stores?\b|\b(?:the|a|our) store\b": "storage or database",
    r"\brender nodes?\b|\bslaves?\b": "worker",
    r"\bagent pools?\b|\bworker groups?\b": "worker pool",
    r"\bre-queu|\brequeing\b": "requeue",
}
"""Pattern → the word of docs/glossary.md."""


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def modules() -> list[str]:
    found = pkgutil.walk_packages(burst.__path__, "burst.")
    return [module.name for module in found if module.name not in RUN_BY_OTHERS]


def all_errors() -> list[type[BurstError]]:
    found: list[type[BurstError]] = [BurstError]
    for error in found:
        found += [child for child in error.__subclasses__() if child not in found]
    return found


@pytest.mark.parametrize(("files", "limit"), [(CODE, CODE_LINES), (TESTS, TEST_LINES)])
def test_no_file_is_longer_than_can_be_read_at_once(files: list[Path], limit: int) -> None:
    sizes = {named(path): len(path.read_text("utf-8").splitlines()) for path in files}
    limits = {name: LONGER.get(name, (limit, ""))[0] for name in sizes}
    assert {name: size for name, size in sizes.items() if size > limits[name]} == {}


def test_an_exception_is_needed_where_it_is_made() -> None:
    for name, (limit, reason) in LONGER.items():
        size = len((ROOT / name).read_text("utf-8").splitlines())
        assert CODE_LINES < size <= limit, name
        assert reason


def test_every_test_file_has_a_name_of_its_own() -> None:
    # pytest imports them by that name, and takes the first one for the second.
    names = [path.name for path in TESTS if path.name.startswith("test_")]
    assert sorted(names) == sorted(set(names))


def test_no_module_is_named_after_nothing() -> None:
    stray = {"utils", "util", "common", "helpers", "helper", "misc", "tools", "stuff"}
    assert [named(path) for path in CODE + TESTS if stray & {path.stem, path.parent.name}] == []


def test_each_thing_has_its_one_word() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    wrong = [
        f"{named(path)}:{number}: {found[0]!r}, better: {word}"
        for path in CODE + pages
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        for pattern, word in WRONG_WORDS.items()
        if (found := re.search(pattern, line, re.IGNORECASE))
    ]
    assert wrong == []


@pytest.mark.parametrize("name", modules())
def test_every_module_can_be_imported(name: str) -> None:
    assert importlib.import_module(name)


def test_every_error_is_in_the_one_tree() -> None:
    for name in modules():
        importlib.import_module(name)
    assert [error for error in all_errors() if error.__module__ != errors.__name__] == []


def test_every_error_is_on_its_page_with_its_exit_status() -> None:
    page = (ROOT / "docs" / "reference" / "errors.md").read_text("utf-8")
    rows = {
        cells[1].strip(" `"): [cell.strip(" `") for cell in cells[2:-1]]
        for cells in (line.split("|") for line in page.splitlines() if line.startswith("| `"))
    }
    assert set(rows) == {error.__name__ for error in all_errors()}
    for error in all_errors():
        if issubclass(error, ManagerError) and error is not ManagerError:
            assert rows[error.__name__][:2] == [error.code, str(error.http_status)]
        else:
            assert rows[error.__name__][0] == str(error.exit_status)
            assert error.exit_status != EXIT_BUG


def test_every_error_is_in_the_picture_of_the_tree() -> None:
    picture = inspect.getdoc(errors) or ""
    assert [e.__name__ for e in all_errors() if not re.search(rf"\b{e.__name__}\b", picture)] == []


def test_every_code_on_the_wire_has_a_class_and_a_status() -> None:
    refusals = {error for error in all_errors() if issubclass(error, ManagerError)}
    assert set(WIRE_ERRORS.values()) == refusals - {ManagerError}
    assert {error.code: error for error in WIRE_ERRORS.values()} == WIRE_ERRORS
    assert all(400 <= error.http_status < 600 for error in WIRE_ERRORS.values())
