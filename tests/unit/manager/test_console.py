"""The console's pages as they are served: what is in them, and what browsers are told of them.

What a browser makes of them is in ``tests/browser``.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from manager_kit import Caller, Manager

import burst
from burst.domain.transitions import AttemptStatus, JobStatus, TaskStatus, WorkerStatus
from burst.manager.api.apps import Parts, create_console_app, create_worker_app
from burst.manager.api.console import POLICY
from burst.protocol.artist_messages import FRAME_LETTERS
from burst.protocol.messages import API

STATIC = Path(burst.__file__).parent / "manager" / "console" / "static"
OWN = "http://127.0.0.1:8080"
PAGES = ("/", "/jobs/shot-abc234")


@pytest.fixture
def console(parts: Parts) -> Caller:
    return Caller(create_console_app(parts, ["127.0.0.1"], None), OWN)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_names_only_what_the_console_has(console: Caller, path: str) -> None:
    page = console.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    named = re.findall(r'(?:src|href)="(/console/[^"]*)"', page.text)
    assert len(named) == 3
    for name in named:
        assert console.get(name).status_code == 200, name
    # One that is named by another host would not be loaded, and would tell it who looks.
    assert "://" not in page.text


def test_scripts_import_only_what_the_console_has(console: Caller) -> None:
    seen, asked = set(), ["farm.js", "job.js"]
    for name in asked:
        seen.add(name)
        answer = console.get(f"/console/{name}")
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        found = re.findall(r'^import .* from "\./([^"]*)";$', answer.text, re.MULTILINE)
        assert len(found) == answer.text.count("import ")
        asked += [one for one in found if one not in asked]
    assert seen == {path.name for path in STATIC.glob("*.js")}


@pytest.mark.parametrize(
    "name", ["nothing.js", "../templates/page.html", "..%2f..%2fsettings.py", "%2e%2e", ""]
)
def test_nothing_else_is_served(console: Caller, name: str) -> None:
    answer = console.get(f"/console/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "path", [*PAGES, "/console/live.js", f"{API}/jobs", f"{API}/jobs/none", "/nothing", "/healthz"]
)
def test_every_answer_says_what_it_may_be_used_for(console: Caller, path: str) -> None:
    headers = console.get(path).headers
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] in ("no-store", "no-cache")


def test_the_policy_lets_nothing_in_from_elsewhere() -> None:
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert "unsafe" not in POLICY
    assert "*" not in POLICY


def test_refusals_are_told_as_safely(console: Caller) -> None:
    answer = console.get("/", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.headers["content-security-policy"]) == (403, POLICY)


def test_a_page_tells_nothing_of_the_farm(parts: Parts, manager: Manager) -> None:
    job = asyncio.run(manager.submit("1-3"))
    guarded = Caller(create_console_app(parts, ["127.0.0.1"], "s3cret"), OWN)
    assert str(manager.folder) not in guarded.get("/").text
    # Not even whether there is such a job.
    page, other = (guarded.get(f"/jobs/{name}").text for name in (job.id, "nobodys"))
    assert page.replace(job.id, "nobodys") == other
    assert guarded.get(f"{API}/jobs/{job.id}/states").status_code == 401
    assert guarded.get(f"{API}/jobs/{job.id}/frames/1").status_code == 401


def test_a_jobs_name_is_text_and_no_markup(console: Caller) -> None:
    page = console.get("/jobs/%22%3E%3Cscript%3Ealert(1)").text
    assert "<script>" not in page
    assert page.count("&#34;&gt;&lt;script&gt;alert(1)") == 3


def test_the_workers_listener_has_no_pages(parts: Parts) -> None:
    workers = Caller(create_worker_app(parts, "t0ken"), "http://10.0.0.1:8081")
    headers = {"Authorization": "Bearer t0ken"}
    for path in (*PAGES, "/console/live.js", f"{API}/jobs/x/states"):
        assert workers.get(path, headers=headers).status_code == 404


def test_pages_are_not_part_of_the_described_api(console: Caller) -> None:
    paths = console.get(f"{API}/openapi.json").json()["paths"]
    assert f"{API}/jobs/{{job_id}}/states" in paths
    assert [path for path in paths if path == "/" or path.startswith(("/console", "/jobs"))] == []


def test_the_page_knows_the_letters_of_the_states() -> None:
    text = (STATIC / "frames.js").read_text("utf-8")
    table = re.search(r"const STATES = \{(.*)\};", text)
    assert table
    known = dict(re.findall(r'(\w): "(\w+)"', table[1]))
    assert known == {letter: state for state, letter in FRAME_LETTERS.items()}


def test_every_status_has_its_colour() -> None:
    style = (STATIC / "console.css").read_text("utf-8")
    coloured = set(re.findall(r'\[data-state="(\w+)"\]', style))
    statuses = (*JobStatus, *TaskStatus, *AttemptStatus, *WorkerStatus, *FRAME_LETTERS)
    assert {str(status) for status in statuses} <= coloured


def test_no_script_makes_markup_of_text() -> None:
    for path in STATIC.glob("*.js"):
        text = path.read_text("utf-8")
        found = re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text)
        assert found == [], path.name
