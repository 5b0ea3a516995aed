"""Which programs will do, and what `burst doctor --fix` makes of those that won't."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from burst.cloud import programs
from burst.cloud.programs import Found, this_platform
from burst.errors import ToolError
from burst.operations import doctor_programs
from burst.operations.doctor import Finding
from burst.operations.doctor_programs import (
    examine_programs,
    fetch_programs,
    judge_program,
    unfit_programs,
)
from tests.fakes.mirror_of_files import MirrorOfFiles

SCRIPT = b"#!/bin/sh\necho v1.30.0\n"


@pytest.mark.parametrize(
    ("name", "version", "verdict"),
    [
        ("terraform", (1, 9, 0), "good"),
        ("terraform", (1, 8, 5), "bad"),
        ("terraform", (), "bad"),
        ("helm", (3, 21, 4), "good"),
        ("helm", (4, 0, 0), "good"),
        ("helm", (2, 17, 0), "bad"),
        ("kubectl", (1, 20, 0), "good"),
        ("gcloud", (528, 0, 0), "good"),
    ],
)
def test_a_version_will_do_or_not(name: str, version: tuple[int, ...], verdict: str) -> None:
    finding = judge_program(name, Found(Path("/bin") / name, version))
    assert finding.verdict == verdict
    assert finding.hint == (None if verdict == "good" else "burst doctor --fix fetches it")


def test_what_is_missing_can_be_fetched_but_for_gcloud() -> None:
    findings = [judge_program(name, None) for name in ("terraform", "kubectl", "gcloud")]
    assert [one.verdict for one in findings] == ["bad", "bad", "warning"]
    assert unfit_programs([*findings, Finding("login", "bad", "")]) == ["terraform", "kubectl"]


def test_all_are_looked_for(tmp_path: Path) -> None:
    (tmp_path / "helm").write_text("#!/bin/sh\necho v3.21.4\n")
    (tmp_path / "helm").chmod(0o755)
    found = {one.subject: one.verdict for one in examine_programs({"PATH": str(tmp_path)})}
    assert found == {"terraform": "bad", "helm": "good", "kubectl": "bad", "gcloud": "warning"}


def test_each_is_fetched_or_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    real = programs.pinned("kubectl", this_platform())
    ours = replace(real, sha256=hashlib.sha256(SCRIPT).hexdigest())

    def pinned(name: str, where: str) -> programs.Pinned:
        return ours if name == "kubectl" else programs.pinned(name, where)

    monkeypatch.setattr(doctor_programs, "pinned", pinned)
    heard: list[tuple[int, int]] = []
    with MirrorOfFiles({ours.at("http://x").removeprefix("http://x"): SCRIPT}) as mirror:
        kubectl, helm = fetch_programs(
            ["kubectl", "helm"],
            tmp_path,
            mirror=mirror.url,
            hear={"kubectl": lambda done, total: heard.append((done, total))},
        )
    assert kubectl.path is not None
    assert kubectl.error is None
    assert heard == [(len(SCRIPT), len(SCRIPT))]
    assert isinstance(helm.error, ToolError)
    # From now on it is found, by whoever asks.
    assert os.environ["PATH"].split(os.pathsep) == [str(kubectl.path.parent), "/nowhere"]
    assert examine_programs()[2].verdict == "good"
