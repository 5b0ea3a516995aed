"""Compute Engine: resources that are made, listed, changed and deleted in one way."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from tests.fakes.google_cloud import compute_rules as rules
from tests.fakes.google_cloud import listing, places
from tests.fakes.google_cloud.answering import Call, answers
from tests.fakes.google_cloud.operations import COMPUTE, Operation, Style, timestamp
from tests.fakes.google_cloud.refusals import RefusedError, exists, in_use, not_found

NAME = r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?"
NO_RESULTS = "NO_RESULTS_ON_PAGE"


@dataclass(frozen=True)
class Collection:
    """A kind of resource."""

    name: str
    singular: str
    scope: str
    """``global``, ``regions`` or ``zones``."""
    does: tuple[str, ...] = ("insert", "get", "list", "delete")

    @property
    def methods(self) -> list[str]:
        """What its methods are called."""
        return [f"compute.{self.name}.{verb}" for verb in self.does]


_BASIC = ("insert", "get", "list", "delete")
_ALL = (*_BASIC, "aggregatedList")
COLLECTIONS = {
    one.name: one
    for one in (
        Collection("networks", "network", "global", (*_BASIC, "patch")),
        Collection("subnetworks", "subnetwork", "regions", (*_ALL, "patch")),
        Collection("routers", "router", "regions", (*_ALL, "patch", "update")),
        Collection("firewalls", "firewall", "global", (*_BASIC, "patch", "update")),
        Collection("routes", "route", "global"),
        Collection("addresses", "address", "regions", (*_ALL, "setLabels")),
        Collection("globalAddresses", "address", "global", (*_BASIC, "setLabels")),
        Collection("disks", "disk", "zones", (*_ALL, "setLabels", "resize")),
        Collection("snapshots", "snapshot", "global", (*_BASIC, "setLabels")),
        Collection("images", "image", "global", (*_BASIC, "setLabels")),
        Collection("forwardingRules", "forwardingRule", "regions", (*_ALL, "setLabels")),
        Collection("globalForwardingRules", "forwardingRule", "global", (*_BASIC, "setLabels")),
        Collection("targetPools", "targetPool", "regions", _ALL),
        Collection("backendServices", "backendService", "global", _ALL),
        Collection("regionBackendServices", "backendService", "regions"),
        Collection("autoscalers", "autoscaler", "zones", _ALL),
        Collection("networkEndpointGroups", "networkEndpointGroup", "zones", _ALL),
        Collection("healthChecks", "healthCheck", "global", _ALL),
        Collection("instanceTemplates", "instanceTemplate", "global", _ALL),
        Collection("instances", "instance", "zones", (*_ALL, "setLabels")),
        Collection("instanceGroups", "instanceGroup", "zones", _ALL),
        Collection("instanceGroupManagers", "instanceGroupManager", "zones", _ALL),
    )
}
SAME_PATH = {
    "globalAddresses": "addresses",
    "globalForwardingRules": "forwardingRules",
    "regionBackendServices": "backendServices",
}
"""Collections whose paths are named like another's."""


def methods(verb: str) -> list[str]:
    """Return the methods of all collections that have this one."""
    return [f"compute.{one.name}.{verb}" for one in COLLECTIONS.values() if verb in one.does]


def scope_of(call: Call) -> str:
    """Return where a call is about: ``projects/p/zones/z``."""
    kind = COLLECTIONS[call.collection].scope if call.collection in COLLECTIONS else ""
    if "zone" in call.names or kind == "zones":
        zone = call.names.get("zone", "")
        _known("zones", zone, places.zones(), call)
        return f"projects/{call.project}/zones/{zone}"
    if "region" in call.names or kind == "regions":
        region = call.names.get("region", "")
        _known("regions", region, list(places.REGIONS), call)
        return f"projects/{call.project}/regions/{region}"
    return f"projects/{call.project}/global"


def _known(kind: str, name: str, known: list[str], call: Call) -> None:
    if name not in known:
        what = f"projects/{call.project}/{kind}/{name}"
        raise RefusedError(
            400, f"Invalid value for field '{kind[:-1]}': '{name}'. Unknown {kind[:-1]} {what}."
        )


def path_name(collection: str) -> str:
    """Return what a collection is called in paths."""
    return SAME_PATH.get(collection, collection)


def named(call: Call) -> str:
    """Return the relative name of what a call is about."""
    singular = COLLECTIONS[call.collection].singular
    name = call.names.get(singular) or call.names.get("resource", "")
    return f"{scope_of(call)}/{path_name(call.collection)}/{name}"


def look(call: Call) -> dict[str, Any]:
    """Return what a call is about."""
    name = named(call)
    found = call.cloud.resources.get(f"compute/{name}")
    if found is None:
        raise not_found("compute", name)
    return found


def start(call: Call, kind: str, target: str, settle: Any = lambda _failure: None) -> Operation:
    """Start an operation on a resource."""
    scope = "/".join(target.split("/")[: 3 if target.split("/")[2] == "global" else 4])
    return call.cloud.operations.start(
        Style.COMPUTE, kind, scope, target, settle, failure=call.failure
    )


def fingerprint(value: Any) -> str:
    """Return what changes when a value does."""
    text = json.dumps(value, sort_keys=True, default=str)
    return base64.b64encode(hashlib.sha1(text.encode()).digest()[:8]).decode()


@answers(*methods("insert"))
def insert(call: Call) -> Operation:
    """Make a resource."""
    body, scope = call.body, scope_of(call)
    name = body.get("name", "")
    if not re.fullmatch(NAME, name):
        raise RefusedError(
            400,
            f"Invalid value for field 'resource.name': '{name}'. Must be a match of regex "
            f"'(?:{NAME})'",
        )
    rules.check_labels(body.get("labels", {}))
    relative = f"{scope}/{path_name(call.collection)}/{name}"
    key = f"compute/{relative}"
    if key in call.cloud.resources:
        raise exists("compute", relative)
    made = {
        **rules.referring(call, body),
        "kind": f"compute#{COLLECTIONS[call.collection].singular}",
        "id": call.cloud.next_number(),
        "creationTimestamp": timestamp(),
        "selfLink": f"{COMPUTE}/{relative}",
    }
    for kind in ("region", "zone"):
        if f"/{kind}s/" in scope:
            made[kind] = f"{COMPUTE}/{scope}"
    made = rules.completed(call, path_name(call.collection), made)
    call.cloud.resources[key] = made
    call.cloud.pending.add(key)
    before, after = rules.while_making(path_name(call.collection))
    made |= before

    def settle(failure: str) -> None:
        call.cloud.pending.discard(key)
        if failure:
            call.cloud.resources.pop(key, None)
        else:
            made.update(after)
            rules.made(call, path_name(call.collection), made)

    return start(call, "insert", relative, settle)


@answers(*methods("get"))
def get(call: Call) -> dict[str, Any]:
    """Show a resource."""
    return look(call)


@answers(*methods("list"))
def list_(call: Call) -> dict[str, Any]:
    """Show the resources of a scope."""
    prefix = f"compute/{scope_of(call)}/{path_name(call.collection)}/"
    return _page(call, _below(call, prefix))


def _below(call: Call, prefix: str) -> list[dict[str, Any]]:
    known = call.cloud.resources
    return [known[key] for key in sorted(known) if key.startswith(prefix)]


def _page(call: Call, found: list[dict[str, Any]]) -> dict[str, Any]:
    chosen = listing.filtered(found, call.query.get("filter", ""))
    return listing.page(call, chosen, "items")


@answers(*methods("aggregatedList"))
def aggregated_list(call: Call) -> dict[str, Any]:
    """Show the resources of all scopes."""
    collection = path_name(call.collection)
    pattern = re.compile(
        rf"compute/projects/[^/]+/(global|(?:regions|zones)/[^/]+)/{collection}/.*"
    )
    known = call.cloud.resources
    found = [known[key] for key in sorted(known) if pattern.fullmatch(key)]
    page = _page(call, found)
    empty = {"code": NO_RESULTS, "message": "There are no results for scope on this page."}
    where = [f"zones/{zone}" for zone in places.zones()]
    where += [f"regions/{region}" for region in sorted(places.REGIONS)] + ["global"]
    if COLLECTIONS[call.collection].scope == "zones":
        where = [one for one in where if one.startswith("zones/")]
    items: dict[str, Any] = {one: {"warning": empty} for one in where}
    for one in page.pop("items", []):
        scope = one["selfLink"].removeprefix(f"{COMPUTE}/projects/{call.project}/")
        scope = scope.partition(f"/{collection}/")[0]
        if "warning" in items[scope]:
            items[scope] = {collection: []}
        items[scope][collection].append(one)
    return {**page, "items": items}


@answers(*methods("patch"), *methods("update"))
def change(call: Call) -> Operation:
    """Change a resource: one that is patched keeps what is not named."""
    found, name = look(call), named(call)
    rules.check_ready(call, f"compute/{name}")
    if "fingerprint" in call.body and "fingerprint" in found:
        rules.check_fingerprint(call.body["fingerprint"], found["fingerprint"])
    wanted = {key: value for key, value in call.body.items() if key not in ("fingerprint", "id")}

    def settle(failure: str) -> None:
        if failure:
            return
        rules.merge(found, wanted)
        if "fingerprint" in found:
            found["fingerprint"] = fingerprint([found, call.cloud.next_number()])

    return start(call, call.method.rpartition(".")[2], name, settle)


@answers(*methods("setLabels"))
def set_labels(call: Call) -> Operation:
    """Change a resource's labels."""
    found, name = look(call), named(call)
    rules.check_labels(call.body.get("labels", {}))
    rules.check_fingerprint(call.body.get("labelFingerprint", ""), found["labelFingerprint"])

    def settle(failure: str) -> None:
        if not failure:
            found["labels"] = call.body.get("labels", {})
            found["labelFingerprint"] = fingerprint(found["labels"])

    return start(call, "setLabels", name, settle)


@answers("compute.disks.resize")
def resize_disk(call: Call) -> Operation:
    """Make a disk larger."""
    found = look(call)
    size = call.body.get("sizeGb", "0")
    if int(size) <= int(found["sizeGb"]):
        raise RefusedError(
            400, f"Invalid value for field 'sizeGb': '{size}'. Requested disk size is not larger."
        )
    return start(call, "resizeDisk", named(call), lambda _: found.update(sizeGb=str(size)))


@answers(*methods("delete"))
def delete(call: Call) -> Operation:
    """Delete a resource that nothing needs."""
    look(call)
    name = named(call)
    key = f"compute/{name}"
    rules.check_ready(call, key)
    user = rules.user_of(call.cloud, key)
    if user:
        raise in_use(COLLECTIONS[call.collection].singular, name, user)

    def settle(failure: str) -> None:
        if not failure:
            rules.gone(call.cloud, key)

    return start(call, "delete", name, settle)


@answers("compute.subnetworks.setPrivateIpGoogleAccess")
def set_private_access(call: Call) -> Operation:
    """Let machines without an address reach Google, or not."""
    found = look(call)
    return start(call, "setPrivateIpGoogleAccess", named(call), lambda _: found.update(call.body))


@answers("compute.instanceGroupManagers.listManagedInstances")
def list_managed(call: Call) -> dict[str, Any]:
    """Show the machines of a group."""
    found = look(call)
    prefix = f"compute/{scope_of(call)}/instances/{found['baseInstanceName']}-"
    return listing.page(
        call,
        [
            {"instance": one["selfLink"], "instanceStatus": "RUNNING", "currentAction": "NONE"}
            for one in _below(call, prefix)
        ],
        "managedInstances",
    )


@answers(
    "compute.globalOperations.get",
    "compute.regionOperations.get",
    "compute.zoneOperations.get",
    "compute.globalOperations.wait",
    "compute.regionOperations.wait",
    "compute.zoneOperations.wait",
)
def get_operation(call: Call) -> Operation:
    """Show an operation."""
    return call.cloud.operations.get(call.names["operation"], scope_of(call))


@answers(
    "compute.globalOperations.list", "compute.regionOperations.list", "compute.zoneOperations.list"
)
def list_operations(call: Call) -> dict[str, Any]:
    """Show the operations of a scope."""
    found = call.cloud.operations.among(Style.COMPUTE, scope_of(call))
    return _page(call, [one.shown() for one in found])
