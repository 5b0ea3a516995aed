"""Log lines for people and for machines. Who logs what is tested with the programs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from burst.errors import ConfigError
from burst.logs import configure, readable

log = logging.getLogger("burst.test")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_for_people_names_the_action_and_its_fields(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure("manager")
    log.info("frame published", extra={"job_id": "shot-abc", "reason": "all well"})
    log.debug("never seen")
    text = capsys.readouterr().err
    assert text.endswith('manager frame published job_id=shot-abc reason="all well"\n')
    assert "never seen" not in text


def test_trouble_says_so_and_shows_where(capsys: pytest.CaptureFixture[str]) -> None:
    configure("worker")
    try:
        int("inside")
    except ValueError:
        log.exception("render broke")
    text = capsys.readouterr().err
    assert "worker error: render broke" in text
    assert "ValueError: invalid literal" in text


def test_for_machines_each_line_is_one_json_object(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURST_LOG_FORMAT", "json")
    configure("worker", "debug")
    log.debug("frame proven", extra={"frame": 7})
    line = json.loads(capsys.readouterr().err)
    assert (line["message"], line["frame"], line["program"]) == ("frame proven", 7, "worker")
    assert line["severity"] == "DEBUG"


def test_an_unknown_level_or_format_is_a_setting_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigError):
        configure("worker", "loud")
    monkeypatch.setenv("BURST_LOG_FORMAT", "xml")
    with pytest.raises(ConfigError):
        configure("worker")


def test_lines_of_a_pod_read_as_those_of_a_program_here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    for format_ in ("text", "json"):
        monkeypatch.setenv("BURST_LOG_FORMAT", format_)
        configure("worker")
        log.warning("frame lost", extra={"job_id": "shot-abc", "reason": "out of disk"})
        told.append(capsys.readouterr().err.rstrip("\n"))
    as_text, as_json = told
    read = readable(as_json)
    assert read is not None
    assert read.partition(" ")[2] == as_text.partition(" ")[2]
    try:
        int("inside")
    except ValueError:
        log.exception("could not")
    assert "ValueError" in (readable(capsys.readouterr().err) or "").partition("\n")[2]


@pytest.mark.parametrize("line", ["", "Blender 3.4.1", "[1, 2]", "3", '{"time": "now"}'])
def test_what_is_no_line_of_burst_is_left_alone(line: str) -> None:
    assert readable(line) is None
