"""What a state knows of, by the names that the inventory has."""

from __future__ import annotations

import json
from typing import Any

import pytest

from burst.cloud.terraform_state import known_names


def state(*resources: dict[str, Any], version: int = 4) -> bytes:
    return json.dumps({"version": version, "resources": resources}).encode()


def resource(kind: str, mode: str = "managed", **attributes: str) -> dict[str, Any]:
    return {"mode": mode, "type": kind, "instances": [{"attributes": attributes}]}


def test_ids_are_the_apis_names_and_members_are_spelled_out() -> None:
    found = known_names(
        state(
            resource("google_compute_network", id="projects/p/global/networks/film"),
            resource("google_project_iam_member", id="x", project="p", role="r", member="m"),
            resource(
                "google_storage_bucket_iam_member", id="y", bucket="b/d", role="r", member="m"
            ),
            resource("google_project", "data", id="projects/p"),
            {"mode": "managed", "type": "google_service_account", "instances": [{}]},
        )
    )
    assert found == {"projects/p/global/networks/film", "projects/p r m", "d r m"}


@pytest.mark.parametrize(
    "content", [None, b"", b"{", b"[]", state(resource("x", id="y"), version=5)]
)
def test_what_is_no_state_knows_nothing(content: bytes | None) -> None:
    assert known_names(content) == frozenset()
