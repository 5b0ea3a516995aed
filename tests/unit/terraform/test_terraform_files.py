"""What Terraform's files have to agree on: with each other, with the charts, and with burst.

Left out: what they make, which `scripts/terraform-check` and the tests beside them look at.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from burst.storage import layout
from tests.fakes.terraform_provider.mirror import VERSION
from tests.fakes.terraform_provider.schema import read_schema

ROOT = Path(__file__).resolve().parents[3]
TERRAFORM = ROOT / "terraform"
MODULES = sorted((TERRAFORM / "modules").iterdir())
FOLDERS = [*MODULES, TERRAFORM / "farm", TERRAFORM / "storage"]
BLOCK = re.compile(r'^resource "(\w+)" "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
NAMES = ("name", "account_id", "repository_id", "role_id", "bucket")


def read(path: str) -> str:
    return (TERRAFORM / path).read_text("utf-8")


def resources() -> Iterator[tuple[str, str]]:
    for folder in FOLDERS:
        for kind, name, body in BLOCK.findall((folder / "main.tf").read_text("utf-8")):
            yield f"{kind}.{name}", body


def address(kind: str) -> str:
    return kind.split(".", maxsplit=1)[0]


def folder_of(name: str) -> str:
    return name.split("/", maxsplit=1)[0] + "/"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_all_have_the_same_pinned_provider(folder: Path) -> None:
    versions = (folder / "versions.tf").read_text("utf-8")
    assert f'version = "= {VERSION}"' in versions
    assert 'required_version = ">= 1.9"' in versions
    assert ('backend "gcs" {}' in versions) == (folder not in MODULES)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_variables_and_outputs_are_in_order_and_explained(folder: Path) -> None:
    for file, kind in (("variables.tf", "variable"), ("outputs.tf", "output")):
        text = (folder / file).read_text("utf-8")
        names = re.findall(rf'^{kind} "(\w+)"', text, re.MULTILINE)
        assert names == sorted(names)
        assert len(names) == text.count("\n  description ")


def test_whatever_takes_labels_has_them() -> None:
    schema = read_schema().resources
    labeled = []
    for name, body in resources():
        own = schema[address(name)].block.attributes
        kind = "resource_labels" if "resource_labels" in own else "labels"
        if kind in own:
            assert re.search(rf"^  {kind}\s*= var\.labels$", body, re.MULTILINE), name
            labeled.append(name)
        if "node_config" in schema[address(name)].block.blocks and "cluster." not in name:
            assert re.search(r"^    resource_labels\s*= (merge\()?var\.labels", body, re.MULTILINE)
            labeled.append(name)
    assert len(labeled) == 6


def test_every_name_begins_with_that_of_the_farm() -> None:
    named = {
        name: value
        for name, body in resources()
        for key, value in re.findall(r"^  (\w+)\s*= (.*)$", body, re.MULTILINE)
        if key in NAMES and not name.startswith(("google_dns_record", "google_storage_bucket_iam"))
    }
    pools = {"google_container_node_pool.system", "google_container_node_pool.this"}
    bucket = {"google_storage_bucket.data"}
    assert len(named) == 10
    for name in named.keys() - pools - bucket:
        assert named[name].startswith(('"${var.farm}', "var.farm", '"${replace(var.farm')), name


def test_a_pool_of_the_root_is_what_the_module_takes() -> None:
    root = re.search(
        r"  type = map\(object\(\{\n(.*?)\n  \}\)\)", read("farm/variables.tf"), re.DOTALL
    )
    module = re.search(
        r'"pool" \{.*?  type = object\(\{\n(.*?)\n  \}\)\n',
        read("modules/node-pool/variables.tf"),
        re.DOTALL,
    )
    assert root
    assert module
    assert root[1] == module[1]


def test_variables_that_are_passed_on_are_checked_alike() -> None:
    for name in ("attempt_days", "bucket", "force_destroy", "preview_days", "project"):
        pattern = re.compile(rf'^variable "{name}" \{{\n.*?^\}}', re.MULTILINE | re.DOTALL)
        both = [
            pattern.search(read(f"{one}/variables.tf")) for one in ("storage", "modules/storage")
        ]
        assert both[0]
        assert both[1]
        assert both[0][0] == both[1][0]


def test_names_of_service_accounts_are_those_of_the_charts() -> None:
    names = (ROOT / "charts" / "manager" / "templates" / "_names.tpl").read_text("utf-8")
    identity = read("modules/identity/main.tf")
    for account in ("manager", "worker"):
        assert f'{{{{- include "burst.farm" . }}}}-{account}' in names
        assert f'local.principals["{account}"]' in identity
    assert "/sa/${var.farm}-${account}" in identity


def test_folders_of_the_bucket_are_those_of_burst() -> None:
    attempts, previews = layout.all_attempts(), folder_of(layout.previews("job"))
    incoming, renders = folder_of(layout.incoming("sha")), folder_of(layout.render("job"))
    expiring = re.findall(r"matches_prefix = (\[.*\])", read("modules/storage/main.tf"))
    assert expiring == [f'["{attempts}", "{incoming}"]', f'["{previews}"]']
    writable = ", ".join(f'"{one[:-1]}"' for one in (attempts, previews, renders))
    assert f"for folder in [{writable}]" in read("modules/identity/main.tf")


def test_pods_may_go_where_the_names_of_apis_lead() -> None:
    values = yaml.safe_load((ROOT / "charts" / "manager" / "values.yaml").read_text("utf-8"))
    allowed = [ipaddress.ip_network(one["cidr"]) for one in values["networkPolicy"]["storage"]]
    found = re.search(r"apis = \[(.*)\]", read("modules/network/main.tf"))
    assert found
    addresses = [ipaddress.ip_address(one.strip(' "')) for one in found[1].split(",")]
    assert len(addresses) == 4
    for one in addresses:
        assert any(one in network for network in allowed)


def test_a_taint_of_spot_nodes_is_the_one_that_workers_bear() -> None:
    values = yaml.safe_load((ROOT / "charts" / "worker" / "values.yaml").read_text("utf-8"))
    key, value = values["spot"]["label"], values["spot"]["value"]
    assert f'spot_taint = {{ key = "{key}", value = "{value}"' in read("modules/node-pool/main.tf")


def test_the_guide_is_right_about_the_pools() -> None:
    guide = (ROOT / "docs" / "guides" / "terraform.md").read_text("utf-8")
    taint = re.search(r'own_taint\s+= \{ key = "(.*?)"', read("modules/node-pool/main.tf"))
    assert taint
    assert f"key: {taint[1]}, operator: Exists" in guide
