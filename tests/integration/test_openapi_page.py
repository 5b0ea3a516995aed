"""The description of the artists' API in the docs is the program's own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_description_of_the_api_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "docs-openapi", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_call_of_the_api_is_described_with_its_answer() -> None:
    page = json.loads((ROOT / "docs" / "reference" / "openapi.json").read_text(encoding="utf-8"))
    calls = {(m, path) for path, methods in page["paths"].items() for m in methods}
    assert ("post", "/api/burst/v1/jobs") in calls
    assert not [path for _, path in calls if "/worker/" in path]
    for path, methods in page["paths"].items():
        for method, call in methods.items():
            answers = [status for status in call["responses"] if status.startswith("2")]
            assert answers, (method, path)
