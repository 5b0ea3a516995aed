"""Labels: those that are asked for, those of the provider, and those of others."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.google_cloud import GoogleCloud
from tests.unit.terraform_provider.conftest import Calls
from tests.unit.terraform_provider.test_resources import BUCKET, NETWORK, REPOSITORY, ZONE_OF_NAMES

KIND, CONFIG = BUCKET[0], {**BUCKET[1], "labels": {"burst-farm": "film"}}
OURS = {"burst-farm": "film", "goog-terraform-provisioned": "true"}


def by_hand(cloud: GoogleCloud, **labels: str | None) -> None:
    cloud.perform("PATCH", f"/storage/v1/b/{CONFIG['name']}", {"labels": labels})


@pytest.mark.parametrize("made", [BUCKET, REPOSITORY, ZONE_OF_NAMES], ids=lambda one: one[0])
def test_what_is_made_has_the_mark_of_terraform(
    calls: Calls, made: tuple[str, dict[str, Any]]
) -> None:
    calls.make(NETWORK[0], **NETWORK[1])
    kind, config = made

    state = calls.make(kind, **{**config, "labels": {"burst-farm": "film"}})

    assert (state["effective_labels"], state["terraform_labels"]) == (OURS, OURS)
    assert state["labels"] == {"burst-farm": "film"}


def test_labels_of_the_provider_are_on_everything(cloud: GoogleCloud) -> None:
    calls = Calls(default_labels={"film": "short"}, add_terraform_attribution_label=False)

    state = calls.make(KIND, **CONFIG)

    assert state["effective_labels"] == {"burst-farm": "film", "film": "short"}


def test_a_label_that_somebody_else_put_on_stays(cloud: GoogleCloud, calls: Calls) -> None:
    state = calls.make(KIND, **CONFIG)
    by_hand(cloud, cost="film")

    state = calls.read(KIND, state)
    assert state["effective_labels"] == {**OURS, "cost": "film"}
    assert calls.changes(KIND, state, CONFIG) == {}

    state, problems = calls.apply(KIND, state, {**CONFIG, "labels": {"burst-farm": "other"}})
    assert problems == []
    assert state["effective_labels"] == {**OURS, "burst-farm": "other", "cost": "film"}


def test_a_label_that_somebody_took_off_is_put_on_again(cloud: GoogleCloud, calls: Calls) -> None:
    state = calls.make(KIND, **CONFIG)
    by_hand(cloud, **{"burst-farm": None})

    state = calls.read(KIND, state)
    assert "labels" in calls.changes(KIND, state, CONFIG)

    state, _ = calls.apply(KIND, state, CONFIG)
    assert state["effective_labels"] == OURS


def test_a_label_that_is_not_asked_for_any_more_goes(cloud: GoogleCloud, calls: Calls) -> None:
    state = calls.make(KIND, **CONFIG)

    state, problems = calls.apply(KIND, state, {**CONFIG, "labels": None})

    assert problems == []
    assert calls.read(KIND, state)["effective_labels"] == {"goog-terraform-provisioned": "true"}
