"""The time that a job took of its workers, as a real manager tells it."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from burst.manager.state_dir import find_manager
from burst.operations.connect import open_client
from burst.operations.cost import newest_job
from tests.fakes.farm import running_farm

pytestmark = pytest.mark.blender


def test_the_newest_job_took_what_its_attempts_took(tmp_path: Path) -> None:
    blender = shutil.which("blender")
    if not blender:
        pytest.skip("no blender in PATH")
    file = tmp_path / "job.json"
    with running_farm(tmp_path, BURST_WORKERS="1") as farm:
        for seconds in (0, 2):
            task = {"name": "rest", "commands": [{"kind": "sleep", "seconds": seconds}]}
            file.write_text(json.dumps({"name": f"rest {seconds}", "commands": [task]}))
            submitted = farm.start("submit", str(file), "--local", "--json", "--blender", blender)
            assert submitted.wait(120) == 0, submitted.words()
            watched = farm.start("watch", str(submitted.result()["job"]), "--json")
            assert watched.wait(120) == 0, watched.words()
        address = find_manager(farm.state_dir)
        assert address is not None
        with open_client(address.console_url) as client:
            found = newest_job(client, datetime.now(UTC))
    assert found is not None
    assert found.job.name == "rest 2"
    assert set(found.seconds) == {"local"}
    assert found.seconds["local"] >= 2
