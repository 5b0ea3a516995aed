"""What goes wrong, as the real provider shows it and keeps it in the state.

Left out: what Terraform makes of it (a state with an error is a tainted resource); that is in the
tests of the roots.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from tests.fakes.google_cloud import GoogleCloud
from tests.fakes.terraform_provider.google import NO_LOGIN
from tests.unit.terraform_provider.conftest import ZONE, Calls
from tests.unit.terraform_provider.test_resources import BUCKET, CLUSTER, NETWORK, POOL, SUBNETWORK

PATIENCE_SECONDS = 120
CLUSTERS = f"projects/proj-x/locations/{ZONE}/clusters"


@pytest.fixture
def network(calls: Calls) -> None:
    for kind, config in (NETWORK, SUBNETWORK):
        calls.make(kind, **config)


@pytest.fixture
def cluster(calls: Calls, network: None) -> Any:
    return calls.make(CLUSTER[0], **CLUSTER[1])


def test_without_a_login_nothing_is_configured(
    cloud: GoogleCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_OAUTH_ACCESS_TOKEN")

    assert [one.summary for one in Calls().configured.diagnostics] == [NO_LOGIN]


def test_without_an_address_nobody_is_called(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_COMPUTE_CUSTOM_ENDPOINT")

    _, problems = calls.apply(NETWORK[0], None, NETWORK[1])

    assert problems == ["there is no GOOGLE_COMPUTE_CUSTOM_ENDPOINT to call"]


def test_a_quota_is_told_and_leaves_nothing(
    cloud: GoogleCloud, calls: Calls, network: None
) -> None:
    cloud.faults.quota(r"/clusters$")

    state, problems = calls.apply(CLUSTER[0], None, CLUSTER[1])

    assert state is None
    assert problems[0].startswith("googleapi: Error 403: Insufficient regional quota")


def test_a_cluster_that_failed_is_kept_with_its_reason(
    cloud: GoogleCloud, calls: Calls, network: None
) -> None:
    cloud.faults.stock_out(r"/clusters$")

    state, problems = calls.apply(CLUSTER[0], None, CLUSTER[1])

    assert state["id"] == f"{CLUSTERS}/film"
    assert "ZONE_RESOURCE_POOL_EXHAUSTED" in problems[0]


def test_a_pool_that_failed_is_kept_and_its_reason_is_not_told(
    cloud: GoogleCloud, calls: Calls, cluster: Any
) -> None:
    cloud.faults.stock_out()

    state, problems = calls.apply(POOL[0], None, POOL[1])

    assert state["id"] == f"{CLUSTERS}/film/nodePools/spot"
    assert problems == ['NodePool spot was created in the error state "ERROR"']


def test_what_passes_by_itself_is_asked_again(
    cloud: GoogleCloud, calls: Calls, cluster: Any
) -> None:
    cloud.faults.too_many(r"/nodePools$", "POST", times=2)
    cloud.faults.unavailable(r"/nodePools/spot$", "GET", times=2)
    cloud.faults.drop_poll(times=2)
    cloud.faults.refuse(
        "POST", r"/nodePools$", 400, "Cluster is running incompatible operation x.", times=2
    )

    assert calls.apply(POOL[0], None, POOL[1])[1] == []


def test_a_lost_answer_leaves_a_cluster_that_the_state_does_not_know(
    cloud: GoogleCloud, calls: Calls, network: None
) -> None:
    cloud.faults.lose_answer(r"/clusters$")

    state, problems = calls.apply(CLUSTER[0], None, CLUSTER[1])

    assert state is None
    assert "Already exists" in problems[0]
    assert cloud.everything()["clusters"] == ["film"]


def test_a_policy_that_somebody_else_changed_is_read_again(
    cloud: GoogleCloud, calls: Calls
) -> None:
    calls.make(BUCKET[0], **BUCKET[1])
    cloud.faults.refuse("PUT", r"/iam$", 412, "conditionNotMet", times=1)

    member = {"bucket": BUCKET[1]["name"], "role": "roles/viewer", "member": "user:a@example.com"}
    assert calls.apply("google_storage_bucket_iam_member", None, member)[1] == []


def test_a_bucket_with_objects_goes_only_by_force(cloud: GoogleCloud, calls: Calls) -> None:
    kind, config = BUCKET
    state = calls.make(kind, **config)
    cloud.plant("objects", {"bucket": config["name"], "name": "frames/0001.exr"})

    kept, problems = calls.apply(kind, state, None)
    assert kept == state
    assert "without `force_destroy` set to true" in problems[0]

    state, _ = calls.apply(kind, state, {**config, "force_destroy": True})
    assert calls.apply(kind, state, None) == (None, [])
    assert "buckets" not in cloud.everything()


def test_a_protected_cluster_is_not_taken_away(calls: Calls, network: None) -> None:
    kind, config = CLUSTER
    state = calls.make(kind, **{**config, "deletion_protection": True})

    kept, problems = calls.apply(kind, state, None)

    assert kept == state
    assert "deletion_protection" in problems[0]


def stopped(cloud: GoogleCloud, calls: Calls, kind: str, config: dict[str, Any]) -> Any:
    """Stop the provider while it waits for what it makes; return the state."""
    cloud.operations.seconds[""] = PATIENCE_SECONDS
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(calls.apply(kind, None, config)))
    thread.start()
    limit = time.monotonic() + PATIENCE_SECONDS
    while not any("/operations/" in one.path for one in cloud.requests[-1:]):
        assert time.monotonic() < limit
        time.sleep(0.01)
    calls.handlers["Stop"](None)
    thread.join(PATIENCE_SECONDS)
    ((state, problems),) = found
    assert problems == []
    cloud.operations.seconds[""] = 0.0
    cloud.finish()
    return state


def test_a_stop_keeps_the_operation_and_leaves_the_default_pool(
    cloud: GoogleCloud, calls: Calls, network: None
) -> None:
    state = stopped(cloud, calls, *CLUSTER)
    assert state["operation"].startswith("operation-")

    later = Calls()
    found = later.read(CLUSTER[0], state)

    assert found["operation"] == ""
    assert later.changes(CLUSTER[0], found, CLUSTER[1]) == {}
    assert cloud.everything()["nodePools"] == ["default-pool"]


def test_a_stop_keeps_the_operation_of_a_pool(
    cloud: GoogleCloud, calls: Calls, cluster: Any
) -> None:
    state = stopped(cloud, calls, *POOL)
    assert state["operation"].startswith("operation-")

    later = Calls()
    found = later.read(POOL[0], state)

    assert later.changes(POOL[0], found, POOL[1]) == {}


def test_what_was_changed_by_hand_is_put_back(
    cloud: GoogleCloud, calls: Calls, cluster: Any
) -> None:
    state = calls.make(POOL[0], **POOL[1])
    autoscaling = {"enabled": True, "totalMaxNodeCount": 40}
    update = {"desiredNodePoolAutoscaling": autoscaling, "desiredNodePoolId": "spot"}
    cloud.perform("PUT", f"/container/v1/{CLUSTERS}/film", {"update": update})
    cloud.finish()

    found = calls.read(POOL[0], state)
    assert found["autoscaling"][0]["total_max_node_count"] == 40

    state, problems = calls.apply(POOL[0], found, POOL[1])
    assert problems == []
    assert state["autoscaling"][0]["total_max_node_count"] == 4


def test_what_was_taken_away_by_hand_is_made_again(
    cloud: GoogleCloud, calls: Calls, cluster: Any
) -> None:
    state = calls.make(POOL[0], **POOL[1])
    cloud.perform("DELETE", f"/container/v1/{CLUSTERS}/film/nodePools/spot")
    cloud.finish()

    assert calls.read(POOL[0], state) is None
