"""What goes over the wire, and the schema that is told by it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.google_cloud import Request
from tests.fakes.terraform_provider import messages, mirror, schema
from tests.fakes.terraform_provider.comparison import essence
from tests.fakes.terraform_provider.resources import DATA_SOURCES, RESOURCES
from tests.fakes.terraform_provider.servicer import Servicer
from tests.fakes.terraform_provider.values import UNKNOWN, decode, encode

ROOTS = Path(__file__).parents[3] / "terraform"
USED = re.compile(r'^(resource|data) "(google_\w+)"', re.MULTILINE)


def test_values_come_back_as_they_went() -> None:
    value = {"a": [1, 2.5, None, "x", True], "b": {"c": UNKNOWN}}

    assert decode(encode(value)) == value


def test_an_unknown_of_which_something_is_known_is_unknown() -> None:
    refined = messages.make("DynamicValue", msgpack=b"\xc7\x03\x0c\x81\x01\xc2")

    assert decode(refined) is UNKNOWN


def used() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {"resource": set(), "data": set()}
    for file in ROOTS.rglob("*.tf"):
        for kind, name in USED.findall(file.read_text("utf-8")):
            found[kind].add(name)
    return found


def test_it_has_the_types_of_the_roots_and_no_other() -> None:
    types = schema.read_schema()

    assert set(types.resources) == set(RESOURCES) == used()["resource"]
    assert set(types.data_sources) == set(DATA_SOURCES) == used()["data"]


def test_the_schema_is_told_with_every_field() -> None:
    told = Servicer().handlers()["GetSchema"](None)

    names = {
        one.key: {field.name for field in one.value.block.attributes}
        for one in told.resource_schemas
    }
    types = schema.read_schema().resources
    assert names == {name: set(one.block.attributes) for name, one in types.items()}
    assert told.server_capabilities.get_provider_schema_optional


def test_a_mirror_has_the_pinned_version_as_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(mirror.REAL_MIRROR, raising=False)

    settings = mirror.make_mirror(tmp_path)

    (program,) = (tmp_path / "mirror").rglob("terraform-provider-google_*")
    assert f"/{mirror.VERSION}/" in str(program)
    assert program.stat().st_mode & 0o111
    assert str(tmp_path / "mirror") in settings.read_text("utf-8")
    pinned = {
        found
        for file in ROOTS.rglob("versions.tf")
        for found in re.findall(r'version = "= ([\d.]+)"', file.read_text("utf-8"))
    }
    assert pinned == {mirror.VERSION}


def test_a_mirror_with_a_real_provider_is_taken_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(mirror.REAL_MIRROR, "/somewhere/mirror")

    assert '"/somewhere/mirror"' in mirror.make_mirror(tmp_path).read_text("utf-8")
    assert mirror.is_real()
    assert list(tmp_path.iterdir()) == [tmp_path / "terraform.rc"]


def request(method: str, path: str, body: Any = None, **query: str) -> Request:
    return Request(method, path, query, body, 200)


def test_runs_that_differ_in_order_and_marks_alone_are_the_same() -> None:
    one = [
        request("POST", "/compute/v1/a", {"name": "a", "etag": "1"}, alt="json"),
        request("GET", "/compute/v1/operations/operation-1-a"),
        request("POST", "/crm/v1/projects/p:setIamPolicy", {"policy": {"bindings": [1]}}),
        request("POST", "/crm/v1/projects/p:setIamPolicy", {"policy": {"bindings": [1, 2]}}),
    ]
    other = [
        request("POST", "/crm/v1/projects/p:setIamPolicy", {"policy": {"bindings": [2, 1]}}),
        request("GET", "/compute/v1/operations/operation-2-b"),
        request("GET", "/compute/v1/operations/operation-3-c"),
        request("POST", "/compute/v1/a", {"name": "a", "etag": "2"}),
    ]

    assert essence(one) == essence(other)
    assert essence(one) != essence(other[:3])
