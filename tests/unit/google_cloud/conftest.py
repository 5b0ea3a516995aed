"""A stand-in of Google Cloud, and somebody who asks it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.fakes.google_cloud import GoogleCloud

PATIENCE_SECONDS = 120


class Asking:
    """A caller with a login."""

    def __init__(self, cloud: GoogleCloud) -> None:
        self._cloud = cloud
        self._client = httpx.Client(base_url=cloud.url, timeout=PATIENCE_SECONDS, trust_env=False)

    def __call__(
        self, method: str, path: str, body: Any = None, *, finish: bool = True, **query: str
    ) -> Any:
        """Ask for something that is granted, and return it; its operation has ended then."""
        status, told = self.refused(method, path, body, **query)
        assert status < 300, told
        if finish:
            self._cloud.finish()
        return told

    def refused(self, method: str, path: str, body: Any = None, **query: str) -> tuple[int, Any]:
        """Ask for something, and return the answer's status and what it says."""
        headers = {"Authorization": f"Bearer {self._cloud.token}"}
        answer = self._client.request(method, path, json=body, params=query, headers=headers)
        told = answer.json() if "json" in answer.headers.get("Content-Type", "") else answer.text
        return answer.status_code, told if answer.content else None

    def close(self) -> None:
        """Hang up."""
        self._client.close()


@pytest.fixture
def cloud() -> Iterator[GoogleCloud]:
    """A project with nothing in it."""
    with GoogleCloud() as cloud:
        yield cloud


@pytest.fixture
def ask(cloud: GoogleCloud) -> Iterator[Asking]:
    """Somebody who asks it."""
    asking = Asking(cloud)
    yield asking
    asking.close()


@pytest.fixture
def farm(cloud: GoogleCloud) -> GoogleCloud:
    """A project with a cluster in a network of its own."""
    cloud.plant("networks", {"name": "farm", "autoCreateSubnetworks": False})
    cloud.plant(
        "subnetworks",
        {"name": "farm-nodes", "network": "global/networks/farm", "ipCidrRange": "10.0.0.0/20"},
    )
    labels = {"burst-farm": "farm"}
    network = {"network": "farm", "subnetwork": "farm-nodes"}
    cloud.plant("clusters", {"name": "farm", "resourceLabels": labels, **network})
    return cloud
