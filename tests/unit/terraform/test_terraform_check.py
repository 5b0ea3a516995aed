"""What `scripts/terraform-check` makes of checkov's findings; the rest of it runs programs.

checkov is a stand-in here that says what a test tells it to.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).resolve().parents[3] / "scripts" / "terraformcheck" / "check.py"
BUCKET = """\
resource "google_storage_bucket" "data" {
  # checkov:skip=CKV_GCP_62: nobody would read it
  name = "frames"
}

resource "google_storage_bucket" "other" {
  name = "others"
}
"""


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("terraform_check", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    source = tmp_path / "terraform"
    (source / "modules" / "storage").mkdir(parents=True)
    (source / "modules" / "storage" / "main.tf").write_text(BUCKET, encoding="utf-8")
    monkeypatch.setattr(module, "SOURCE", source)
    return module


@pytest.fixture
def checkov(tmp_path: Path) -> Callable[..., str]:
    def say(*findings: tuple[str, str], resources: int = 2) -> str:
        report = {
            "summary": {"parsing_errors": 0, "resource_count": resources},
            "results": {
                "failed_checks": [
                    {"check_id": rule, "resource": block, "file_path": "/modules/storage/main.tf"}
                    for rule, block in findings
                ]
            },
        }
        program = tmp_path / "python"
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(report)}\nEND\n", encoding="utf-8")
        program.chmod(0o755)
        return str(program)

    return say


def test_a_finding_that_is_explained_is_passed_over(
    check: ModuleType, checkov: Callable[..., str], tmp_path: Path
) -> None:
    python = checkov(("CKV_GCP_62", "module.storage.google_storage_bucket.data"))
    assert check._policies(python, tmp_path / "bare") == (1, [])


def test_checkov_sees_no_explanation(
    check: ModuleType, checkov: Callable[..., str], tmp_path: Path
) -> None:
    check._policies(checkov(("CKV_GCP_62", "google_storage_bucket.data")), tmp_path / "bare")
    seen = (tmp_path / "bare" / "modules" / "storage" / "main.tf").read_text("utf-8")
    assert "checkov" not in seen
    assert seen.count("resource") == BUCKET.count("resource")


def test_an_explanation_is_good_for_its_own_block_only(
    check: ModuleType, checkov: Callable[..., str], tmp_path: Path
) -> None:
    python = checkov(
        ("CKV_GCP_62", "module.storage[0].google_storage_bucket.data"),
        ("CKV_GCP_62", 'google_storage_bucket.other["a.b"]'),
    )
    explained, wrong = check._policies(python, tmp_path / "bare")
    assert explained == 1
    assert wrong == ["checkov: CKV_GCP_62 in google_storage_bucket.other, modules/storage/main.tf"]


def test_an_explanation_that_nothing_needs_is_wrong(
    check: ModuleType, checkov: Callable[..., str], tmp_path: Path
) -> None:
    python = checkov(("CKV_GCP_78", "module.storage.google_storage_bucket.other"))
    _, wrong = check._policies(python, tmp_path / "bare")
    assert len(wrong) == 2
    assert "explains CKV_GCP_62 in google_storage_bucket.data" in wrong[1]


def test_a_checkov_that_looks_at_nothing_is_no_proof(
    check: ModuleType, checkov: Callable[..., str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit):
        check._policies(checkov(resources=0), tmp_path / "bare")
    _, wrong = check._policies(checkov(), tmp_path / "bare")
    assert wrong == ["checkov looked at nothing"]
