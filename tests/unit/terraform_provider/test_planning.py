"""What a change would do, decided without a provider."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.terraform_provider.planning import is_same, plan, problems, replaced_by
from tests.fakes.terraform_provider.schema import Attribute, Block, Nested
from tests.fakes.terraform_provider.values import UNKNOWN

RULE = Block({"name": Attribute("string", required=True), "id": Attribute("string", computed=True)})
BLOCK = Block(
    {
        "name": Attribute("string", required=True, force_new=True),
        "link": Attribute("string", optional=True),
        "size": Attribute("number", optional=True, default=10),
        "made": Attribute("string", computed=True),
        "kept": Attribute("string", optional=True, computed=True),
        "on": Attribute("bool", optional=True, conflicts_with=("off",)),
        "off": Attribute("bool", optional=True, required_with=("off", "link")),
    },
    {
        "rule": Nested(RULE, "set"),
        "spec": Nested(Block({"kind": Attribute("string", force_new=True)}), "list", max_items=1),
        "told": Nested(RULE, "list", computed=True),
    },
)
NOTHING: dict[str, Any] = {
    **dict.fromkeys(BLOCK.attributes),
    **{name: [] for name in BLOCK.blocks},
}
PRIOR = {**NOTHING, "name": "a", "size": 10, "made": "x", "kept": "y", "told": [{"name": "b"}]}


def test_a_new_one_has_its_defaults_and_what_nobody_knows_yet() -> None:
    planned = plan(BLOCK, None, {**NOTHING, "name": "a"})

    assert planned == {
        **NOTHING, "name": "a", "size": 10, "made": UNKNOWN, "kept": UNKNOWN, "told": UNKNOWN,
    }  # fmt: skip


def test_what_the_api_made_up_stays() -> None:
    assert plan(BLOCK, PRIOR, {**NOTHING, "name": "a"}) == PRIOR


def test_what_is_asked_for_comes_before_what_was() -> None:
    planned = plan(BLOCK, PRIOR, {**NOTHING, "name": "a", "kept": "z", "size": 11})

    assert (planned["kept"], planned["size"]) == ("z", 11)


@pytest.mark.parametrize("zero", [False, "", 0])
def test_empty_is_not_set(zero: Any) -> None:
    prior = {**PRIOR, "on": zero}

    assert plan(BLOCK, prior, {**NOTHING, "name": "a"})["on"] == zero


def test_what_was_set_and_is_not_any_more_is_taken_away() -> None:
    assert plan(BLOCK, {**PRIOR, "on": True}, {**NOTHING, "name": "a"})["on"] is None


def test_blocks_of_a_set_are_known_by_what_is_in_them() -> None:
    prior = {**PRIOR, "rule": [{"name": "a", "id": "1"}, {"name": "b", "id": "2"}]}
    asked = [{"name": "b", "id": None}, {"name": "c", "id": None}]

    planned = plan(BLOCK, prior, {**NOTHING, "name": "a", "rule": asked})

    assert planned["rule"] == [{"name": "b", "id": "2"}, {"name": "c", "id": UNKNOWN}]


NETWORK = "projects/p/global/networks/n"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (f"https://www.googleapis.com/compute/v1/{NETWORK}", NETWORK, True),
        (NETWORK, "n", True),
        (NETWORK, "m", False),
        (NETWORK, "projects/q/global/networks/n", False),
        ("a", "a", True),
        (["b", "a"], ["a", "b"], True),
        (["a"], ["a", "b"], False),
        (None, "", False),
    ],
)
def test_an_address_is_the_same_in_every_form(one: Any, other: Any, same: bool) -> None:
    assert is_same(one, other) is same


def test_only_a_field_that_says_so_makes_a_new_one() -> None:
    after = {**PRIOR, "name": "b", "size": 11}

    assert replaced_by(BLOCK, PRIOR, after) == [("name",)]


def test_a_field_in_a_block_makes_a_new_one() -> None:
    before = {**PRIOR, "spec": [{"kind": "a"}]}

    assert replaced_by(BLOCK, before, {**before, "spec": [{"kind": "b"}]}) == [("spec", 0, "kind")]
    assert replaced_by(BLOCK, before, {**before, "spec": []}) == [("spec",)]
    assert replaced_by(BLOCK, before, before) == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"on": True}, []),
        ({"off": True, "link": "x"}, []),
        ({"on": True, "off": True, "link": "x"}, ['"on": conflicts with off']),
        ({"off": True}, ['"off": all of `off,link` must be specified']),
    ],
)
def test_fields_that_exclude_or_need_others_are_told(given: Any, told: list[str]) -> None:
    assert [text for _, text in problems(BLOCK, {**NOTHING, **given})] == told
