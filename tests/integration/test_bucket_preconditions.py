"""Each precondition that burst relies on, asked of the strict stand-in and of fake-gcs-server.

The stand-in must have all of them; what the real program ignores is marked, and is what the table
in docs/reference/storage.md says. Google's own bucket can't be asked here.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from burst.storage.bulk_objects import MULTIPART, multipart
from burst.storage.checksum import crc32c
from tests.fakes.emulator import running_emulator
from tests.fakes.strict_gcs import running_strict_gcs


class Bucket:
    """A bucket, asked without any library of Google's."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        kind: str = "application/json",
        **query: Any,
    ) -> tuple[int, dict[str, Any], bytes]:
        """Return status, headers and body of an answer."""
        options = "&".join(f"{name}={value}" for name, value in query.items())
        request = urllib.request.Request(
            f"{self.endpoint}{path}?{options}",
            data=body or None,
            method=method,
            headers={"Content-Type": kind} if body else {},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read()

    def object(self, name: str) -> str:
        return f"/storage/v1/b/farm/o/{quote(name, safe='')}"

    def insert(self, name: str, content: bytes, **query: Any) -> int:
        path = "/upload/storage/v1/b/farm/o"
        return self.ask("POST", path, content, uploadType="media", name=quote(name), **query)[0]

    def insert_with_name(self, name: str, content: bytes, **query: Any) -> int:
        path = "/upload/storage/v1/b/farm/o"
        body = multipart(name, crc32c(content), "text/plain", content)
        kind = MULTIPART["Content-Type"]
        return self.ask("POST", path, body, kind, uploadType="multipart", **query)[0]

    def insert_in_chunks(self, name: str, content: bytes, **query: Any) -> int:
        path = "/upload/storage/v1/b/farm/o"
        status, headers, _ = self.ask(
            "POST", path, b"{}", uploadType="resumable", name=quote(name), **query
        )
        if status != 200:
            return status
        request = urllib.request.Request(headers["Location"], data=content, method="PUT")
        end = len(content)
        request.add_header("Content-Range", f"bytes 0-{end - 1}/{end}")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def copy(self, source: str, target: str, **query: Any) -> int:
        path = f"{self.object(source)}/rewriteTo/b/farm/o/{quote(target, safe='')}"
        return self.ask("POST", path, b"{}", **query)[0]

    def compose(self, sources: list[dict[str, Any]], target: str, **query: Any) -> int:
        told = {"sourceObjects": sources, "destination": {"contentType": "text/plain"}}
        return self.ask(
            "POST", f"{self.object(target)}/compose", json.dumps(told).encode(), **query
        )[0]

    def delete(self, name: str, **query: Any) -> int:
        return self.ask("DELETE", self.object(name), **query)[0]

    def read(self, name: str, **query: Any) -> tuple[int, bytes]:
        status, _, content = self.ask("GET", self.object(name), alt="media", **query)
        return status, content

    def generation(self, name: str) -> int:
        return int(json.loads(self.ask("GET", self.object(name))[2])["generation"])


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Bucket]]:
    started: dict[str, Any] = {}

    def bucket(kind: str) -> Bucket:
        if kind not in started:
            folder: Path = tmp_path_factory.mktemp("emulator") / "objects"
            strict = kind == "strict"
            started[kind] = running_strict_gcs("farm") if strict else running_emulator(folder)
            started[kind, "server"] = started[kind].__enter__()
        return Bucket(started[kind, "server"].endpoint)

    yield bucket
    for kind in ("strict", "emulator"):
        if kind in started:
            started[kind].__exit__(None, None, None)


def _create_media(bucket: Bucket) -> list[int]:
    return [bucket.insert("x", b"1", ifGenerationMatch=0) for _ in range(2)]


def _create_multipart(bucket: Bucket) -> list[int]:
    return [bucket.insert_with_name("x", b"1", ifGenerationMatch=0) for _ in range(2)]


def _create_in_chunks(bucket: Bucket) -> list[int]:
    return [bucket.insert_in_chunks("x", b"1", ifGenerationMatch=0) for _ in range(2)]


def _copy_to_free(bucket: Bucket) -> list[int]:
    bucket.insert("source", b"1")
    return [bucket.copy("source", "x", ifGenerationMatch=0) for _ in range(2)]


def _copy_over(bucket: Bucket) -> list[int]:
    bucket.insert("source", b"1")
    bucket.insert("x", b"2")
    old = bucket.generation("x")
    return [bucket.copy("source", "x", ifGenerationMatch=old) for _ in range(2)]


def _compose_to_free(bucket: Bucket) -> list[int]:
    bucket.insert("source", b"1")
    return [bucket.compose([{"name": "source"}], "x", ifGenerationMatch=0) for _ in range(2)]


def _compose_of_generation(bucket: Bucket) -> list[int]:
    bucket.insert("source", b"1")
    old = bucket.generation("source")
    of_old = {"name": "source", "objectPreconditions": {"ifGenerationMatch": old}}
    first = bucket.compose([of_old], "x")
    bucket.insert("source", b"2")
    return [first, bucket.compose([of_old], "x")]


def _delete_if_generation(bucket: Bucket) -> list[int]:
    bucket.insert("x", b"1")
    old = bucket.generation("x")
    bucket.insert("x", b"2")
    wrong = bucket.delete("x", ifGenerationMatch=old)
    return [bucket.read("x")[0], wrong]


def _delete_generation(bucket: Bucket) -> list[int]:
    bucket.insert("x", b"1")
    old = bucket.generation("x")
    bucket.insert("x", b"2")
    wrong = bucket.delete("x", generation=old)
    assert bucket.read("x") == (200, b"2")
    right = bucket.delete("x", generation=bucket.generation("x"))
    assert right in (200, 204)
    return [200, wrong]


def _read_generation(bucket: Bucket) -> list[int]:
    bucket.insert("x", b"1")
    old = bucket.generation("x")
    right = bucket.read("x", generation=old)[0]
    bucket.insert("x", b"2")
    return [right, bucket.read("x", generation=old)[0]]


RELIED_ON: dict[str, tuple[Callable[[Bucket], list[int]], int, bool]] = {
    "insert (multipart), ifGenerationMatch=0": (_create_multipart, 412, True),
    "insert (media), ifGenerationMatch=0": (_create_media, 412, True),
    "insert (resumable), ifGenerationMatch=0": (_create_in_chunks, 412, True),
    "rewrite, ifGenerationMatch=0": (_copy_to_free, 412, False),
    "rewrite, ifGenerationMatch=N": (_copy_over, 412, False),
    "compose, ifGenerationMatch=0": (_compose_to_free, 412, False),
    "compose, ifGenerationMatch=N of a source": (_compose_of_generation, 412, False),
    "delete, ifGenerationMatch=N": (_delete_if_generation, 412, False),
    "delete, generation=N": (_delete_generation, 404, True),
    "media, generation=N": (_read_generation, 404, True),
}
"""What is asked → how, the status of what must not be done, and whether fake-gcs-server has it."""


@pytest.mark.parametrize("kind", ["strict", "emulator"])
@pytest.mark.parametrize("asked", RELIED_ON)
def test_a_precondition_is_held(
    request: pytest.FixtureRequest,
    servers: Callable[[str], Bucket],
    asked: str,
    kind: str,
) -> None:
    deed, refusal, is_emulated = RELIED_ON[asked]
    bucket = servers(kind)
    for name in ("x", "source"):
        bucket.delete(name)
    if kind == "emulator" and not is_emulated:
        request.applymarker(
            pytest.mark.xfail(strict=True, reason="fake-gcs-server takes no notice of it")
        )
    assert deed(bucket) == [200, refusal]


def test_the_page_has_each_of_them() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "storage.md").read_text("utf-8")
    rows = [[cell.strip() for cell in line.split("|")] for line in page.splitlines()]
    told = {row[1]: row[3] for row in rows if len(row) == 5 and row[3] in ("yes", "no")}
    assert told == {
        asked: "yes" if is_emulated else "no" for asked, (_, _, is_emulated) in RELIED_ON.items()
    }
