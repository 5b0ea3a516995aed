"""``burst explain`` where there is nothing to explain. The rest: tests/integration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from burst.cli.explain import explain
from burst.operations import jobs
from burst.protocol.artist_messages import Explanation, JobView
from tests.fakes.manager import job_view


class Client:
    def job(self, job_id: str) -> JobView:
        return job_view(id=job_id)

    def explain(self, job_id: str) -> Explanation:
        return Explanation(job_id=job_id, reasons=())


def test_a_job_that_just_runs_is_said_to_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def open_farm(*_: Any) -> Iterator[tuple[None, Client]]:
        yield None, Client()

    monkeypatch.setattr(jobs, "open_farm", open_farm)
    explain("shot-1")
    assert capsys.readouterr().err == "job shot-1 is active, and nothing holds it up\n"
    explain("shot-1", json=True)
    assert capsys.readouterr().out.strip().startswith("{")
