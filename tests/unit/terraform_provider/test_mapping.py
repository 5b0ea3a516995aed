"""A resource as Terraform and as Google has it."""

from __future__ import annotations

from typing import Any

from tests.fakes.terraform_provider.mapping import Fields, camel, expand, flatten
from tests.fakes.terraform_provider.schema import Attribute, Block, Nested
from tests.fakes.terraform_provider.values import UNKNOWN

RANGE = Block({"range_name": Attribute("string"), "state": Attribute("string", computed=True)})
BLOCK = Block(
    {
        "ip_cidr_range": Attribute("string"),
        "mode": Attribute("string", optional=True, computed=True),
        "enabled": Attribute("bool", optional=True),
        "only_here": Attribute("bool", optional=True),
    },
    {
        "range": Nested(RANGE, "list"),
        "config": Nested(Block({"level": Attribute("string")}), "list", max_items=1),
    },
)
FIELDS = Fields(
    names={"range": "secondaryRanges", "mode": "routing.mode", "config.level": "logLevel"},
    virtual=frozenset({"only_here"}),
    sent={"enabled": False},
)
STATE: dict[str, Any] = {
    "ip_cidr_range": "10.0.0.0/8",
    "mode": "GLOBAL",
    "enabled": False,
    "only_here": True,
    "range": [{"range_name": "a", "state": UNKNOWN}],
    "config": [{"level": "high"}],
}
FOUND = {
    "ipCidrRange": "10.0.0.0/8",
    "routing": {"mode": "GLOBAL"},
    "enabled": False,
    "secondaryRanges": [{"rangeName": "a"}],
    "config": {"logLevel": "high"},
}


def test_names_are_written_as_the_apis_write_them() -> None:
    assert camel("private_ip_google_access") == "privateIpGoogleAccess"


def test_a_resource_is_sent_as_the_api_has_it() -> None:
    assert expand(BLOCK, STATE, FIELDS) == FOUND


def test_what_is_empty_or_not_known_is_not_sent() -> None:
    empty = {"ip_cidr_range": "", "mode": UNKNOWN, "range": [], "config": [{"level": None}]}

    assert expand(BLOCK, empty, FIELDS) == {"enabled": False}


def test_what_the_api_has_is_read_back() -> None:
    read = flatten(BLOCK, FOUND, STATE, FIELDS)

    assert read == {**STATE, "range": [{"range_name": "a", "state": None}]}


def test_words_that_are_known_stay() -> None:
    block = Block({"network": Attribute("string")})
    found = {"network": "https://www.googleapis.com/compute/v1/projects/p/global/networks/n"}

    assert flatten(block, found, {"network": "n"}, Fields()) == {"network": "n"}


def test_a_block_that_nobody_asked_for_is_left_out_but_for_an_import() -> None:
    asked = {**STATE, "config": []}

    assert flatten(BLOCK, FOUND, asked, FIELDS)["config"] == []
    assert flatten(BLOCK, FOUND, None, FIELDS)["config"] == [{"level": "high"}]
