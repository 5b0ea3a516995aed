"""Job files: what is read from them, and how trouble in one is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from burst.domain.commands import Exec
from burst.errors import UsageError
from burst.operations.job_file import read_job_file

TASK = {"name": "one", "commands": [{"kind": "exec", "argv": ["true"]}]}


def written(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "job.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_job_file_is_a_job(tmp_path: Path) -> None:
    job = read_job_file(written(tmp_path, {"name": "x", "commands": [TASK], "priority": 7}))
    assert (job.name, job.priority, job.scene) == ("x", 7, None)
    assert job.commands[0].commands == (Exec(argv=("true",)),)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "the file: Invalid JSON"),
        ({"commands": [TASK]}, "name: Field required"),
        ({"name": "x", "colour": 1, "commands": [TASK]}, "colour: Extra inputs"),
        (
            {"name": "x", "commands": [{"name": "a", "commands": [{"kind": "dance"}]}]},
            "commands.0.commands.0: Input tag 'dance'",
        ),
        (
            {"name": "x", "commands": [{"name": "a", "commands": [{"kind": "exec", "argv": []}]}]},
            "commands.0.commands.0.exec.argv: Tuple should have at least 1 item",
        ),
        ({"name": "x"}, "has neither frames nor commands: there is nothing to do"),
    ],
)
def test_what_is_no_job_is_named_with_its_place(tmp_path: Path, content: Any, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_job_file(written(tmp_path, content))
    assert reason in str(caught.value)


def test_many_troubles_are_told_at_once_but_not_all(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="and 4 more"):
        read_job_file(written(tmp_path, {f"x{number}": 1 for number in range(8)}))


def test_a_job_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"can.t read .*none\.json: No such file"):
        read_job_file(tmp_path / "none.json")
