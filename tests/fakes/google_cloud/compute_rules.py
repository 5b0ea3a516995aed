"""Compute Engine's rules: what refers to what, what is added to a new resource, who uses it."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any

from tests.fakes.google_cloud import compute, places
from tests.fakes.google_cloud.operations import COMPUTE, timestamp
from tests.fakes.google_cloud.refusals import RefusedError, not_found

if TYPE_CHECKING:
    from tests.fakes.google_cloud.answering import Call
    from tests.fakes.google_cloud.cloud import GoogleCloud

REFERENCES = frozenset(
    {
        "address", "backendService", "group", "healthChecks", "instanceGroup", "instanceTemplate",
        "natIps", "network", "source", "sourceDisk", "subnetwork", "target",
    }
)  # fmt: skip
"""Fields that hold the name of another resource, or names."""

KEPT_APART = {("disks", "snapshots"), ("disks", "images")}
"""Kind, and kind of another that names it and does without it."""
LABELED = frozenset({"addresses", "disks", "snapshots", "images", "forwardingRules", "instances"})
"""Kinds that take labels."""


def check_labels(labels: dict[str, str | None]) -> None:
    """Refuse labels that Google would not have."""
    for key, value in labels.items():
        if value is None:  # one that is to go
            continue
        good = re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", key)
        if not good or not re.fullmatch(r"[a-z0-9_-]{0,63}", str(value)):
            raise RefusedError(
                400,
                f"Invalid value for field 'resource.labels': '{key}={value}'. Label keys and "
                "values must be lower case letters, digits, underscores and dashes.",
            )


def check_fingerprint(told: str, known: str) -> None:
    """Refuse a change of what somebody else has changed meanwhile."""
    if told != known:
        raise RefusedError(412, "Supplied fingerprint does not match current metadata fingerprint.")


def check_ready(call: Call, key: str) -> None:
    """Refuse to touch what is still being made."""
    if key in call.cloud.pending:
        name = key.removeprefix("compute/")
        raise RefusedError(400, f"The resource '{name}' is not ready", reason="resourceNotReady")


def referring(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    """Return a body whose references are whole; what they name has to be there."""
    return {key: _whole(call, key, value) for key, value in body.items()}


def _whole(call: Call, key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return referring(call, value)
    if isinstance(value, list):
        return [_whole(call, key, one) for one in value]
    if key not in REFERENCES or not isinstance(value, str) or "/" not in value:
        return value
    relative = re.sub(r"^.*?(?=projects/|global/|regions/|zones/)", "", value)
    if not relative.startswith("projects/"):
        relative = f"projects/{call.project}/{relative}"
    relative = relative.replace(f"projects/{call.cloud.number}/", f"projects/{call.project}/")
    name = f"compute/{relative}"
    if name not in call.cloud.resources:
        raise not_found("compute", relative)
    check_ready(call, name)
    return f"{COMPUTE}/{relative}"


def merge(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Change a resource: objects are merged, null takes away, all else is put in its place."""
    for key, value in wanted.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, dict) and isinstance(found.get(key), dict):
            merge(found[key], value)
        else:
            found[key] = value


def defaults(made: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Return a resource with what Google adds to what was said."""
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(made.get(key), dict):
            defaults(made[key], **value)
        elif made.get(key) is None:
            made[key] = value
    return made


def completed(call: Call, collection: str, made: dict[str, Any]) -> dict[str, Any]:
    """Return a new resource as Google shows it."""
    known = {
        "networks": _network,
        "subnetworks": _subnetwork,
        "routers": lambda _call, one: defaults(one, encryptedInterconnectRouter=False),
        "firewalls": _firewall,
        "addresses": _address,
        "disks": _disk,
        "snapshots": _snapshot,
        "images": lambda _call, one: defaults(one, diskSizeGb="10", archiveSizeBytes="1000000"),
        "forwardingRules": _forwarding_rule,
        "instances": _instance,
        "instanceGroupManagers": _group_manager,
    }
    complete = known.get(collection, lambda _call, one: one)
    made = complete(call, made)
    if collection in LABELED:
        made["labelFingerprint"] = compute.fingerprint(made.get("labels", {}))
    return made


def while_making(collection: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a resource says while it is made, and after that."""
    return {
        "disks": ({"status": "CREATING"}, {"status": "READY"}),
        "snapshots": ({"status": "CREATING"}, {"status": "READY"}),
        "images": ({"status": "PENDING"}, {"status": "READY"}),
        "instances": ({"status": "PROVISIONING"}, {"status": "RUNNING"}),
        "addresses": ({"status": "RESERVING"}, {"status": "RESERVED"}),
    }.get(collection, ({}, {}))


def made(call: Call, collection: str, one: dict[str, Any]) -> None:
    """Tell others that a resource is there."""
    if collection == "subnetworks":
        network = call.cloud.resources[_key(one["network"])]
        network.setdefault("subnetworks", []).append(one["selfLink"])
    if collection == "instances":
        for disk in one.get("disks", []):
            source = call.cloud.resources.get(_key(disk.get("source", "")))
            if source is not None:
                source.setdefault("users", []).append(one["selfLink"])


def gone(cloud: GoogleCloud, key: str) -> None:
    """Delete a resource, and what goes with it."""
    one = cloud.resources.pop(key, None)
    if one is None:
        return
    link = one["selfLink"]
    if "/instanceGroupManagers/" in key:
        _without_machines(cloud, one)
    for other in cloud.resources.values():
        for field in ("subnetworks", "users"):
            if link in other.get(field, []):
                other[field].remove(link)
    for disk in one.get("disks", []) if "/instances/" in key else []:
        if disk.get("autoDelete"):
            cloud.resources.pop(_key(disk.get("source", "")), None)


def _without_machines(cloud: GoogleCloud, manager: dict[str, Any]) -> None:
    cloud.resources.pop(_key(manager["instanceGroup"]), None)
    zone = _key(manager["zone"])
    prefix = f"{zone}/instances/{manager['baseInstanceName']}-"
    for key in [key for key in cloud.resources if key.startswith(prefix)]:
        gone(cloud, key)


def user_of(cloud: GoogleCloud, key: str) -> str:
    """Return the name of something that needs a resource, or nothing."""
    link = f"{COMPUTE}/{key.removeprefix('compute/')}"
    collection = key.split("/")[-2]
    for other, one in cloud.resources.items():
        if other == key:
            continue
        if other.startswith("compute/") and _refers(one, link):
            # A machine goes with its own disks; a snapshot keeps what it needs of its disk.
            if (collection, other.split("/")[-2]) in KEPT_APART:
                continue
            return other.removeprefix("compute/")
        if other.startswith("container/") and _has_cluster(one, link):
            return other.removeprefix("container/")
    return ""


def _refers(one: Any, link: str, field: str = "") -> bool:
    if isinstance(one, dict):
        return any(_refers(value, link, key) for key, value in one.items())
    if isinstance(one, list):
        return any(_refers(value, link, field) for value in one)
    return bool(one == link and field in REFERENCES)


def _has_cluster(one: dict[str, Any], link: str) -> bool:
    told = one.get("networkConfig", {})
    relative = link.removeprefix(f"{COMPUTE}/")
    return relative in (told.get("network"), told.get("subnetwork"))


def _key(link: str) -> str:
    return f"compute/{link.removeprefix(f'{COMPUTE}/')}"


def _network(_call: Call, one: dict[str, Any]) -> dict[str, Any]:
    return defaults(
        one,
        autoCreateSubnetworks=False,
        subnetworks=[],
        mtu=1460,
        networkFirewallPolicyEnforcementOrder="AFTER_CLASSIC_FIREWALL",
        selfLinkWithId=f"{COMPUTE}/{one['selfLink'].split('/v1/')[1].rpartition('/')[0]}/{one['id']}",
        routingConfig={"routingMode": "REGIONAL", "bgpBestPathSelectionMode": "LEGACY"},
    )


def _subnetwork(call: Call, one: dict[str, Any]) -> dict[str, Any]:
    if "network" not in one:
        raise RefusedError(
            400, "Required field 'resource.network' not specified", reason="required"
        )
    ranges = [one.get("ipCidrRange", "")]
    ranges += [inner.get("ipCidrRange", "") for inner in one.get("secondaryIpRanges", [])]
    nets = [_net(text) for text in ranges]
    taken = [
        _net(text)
        for key, other in call.cloud.resources.items()
        if "/subnetworks/" in key and other.get("network") == one["network"]
        for text in (
            other["ipCidrRange"],
            *(inner["ipCidrRange"] for inner in other.get("secondaryIpRanges", [])),
        )
    ]
    for number, net in enumerate(nets):
        if any(net.overlaps(other) for other in nets[:number] + taken):
            raise RefusedError(
                400,
                f"Invalid IPCidrRange: {net} conflicts with existing subnetwork in region "
                f"'{call.names['region']}'.",
            )
    return defaults(
        one,
        purpose="PRIVATE",
        stackType="IPV4_ONLY",
        privateIpv6GoogleAccess="DISABLE_GOOGLE_ACCESS",
        privateIpGoogleAccess=False,
        enableFlowLogs=False,
        logConfig={"enable": False},
        gatewayAddress=str(nets[0].network_address + 1),
        fingerprint=compute.fingerprint(one),
    )


def _net(text: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(text)
    except ValueError:
        raise RefusedError(
            400, f"Invalid value for field 'resource.ipCidrRange': '{text}'. Must be a CIDR."
        ) from None


def _firewall(call: Call, one: dict[str, Any]) -> dict[str, Any]:
    network = f"{COMPUTE}/projects/{call.project}/global/networks/default"
    return defaults(
        one,
        network=network,
        direction="INGRESS",
        priority=1000,
        disabled=False,
        logConfig={"enable": False},
    )


def _address(call: Call, one: dict[str, Any]) -> dict[str, Any]:
    one = defaults(one, address=f"34.90.0.{len(call.cloud.resources) % 250 + 1}")
    return defaults(one, addressType="EXTERNAL", networkTier="PREMIUM", ipVersion="IPV4")


def _disk(call: Call, one: dict[str, Any]) -> dict[str, Any]:
    zone = f"{COMPUTE}/{compute.scope_of(call)}"
    kind = str(one.get("type", "")).rpartition("/")[2] or "pd-standard"
    one["type"] = f"{zone}/diskTypes/{kind}"
    one["sizeGb"] = str(one.get("sizeGb", 500))
    return defaults(one, physicalBlockSizeBytes="4096")


def _snapshot(_call: Call, one: dict[str, Any]) -> dict[str, Any]:
    return defaults(one, diskSizeGb="10", storageBytes="1000000", storageLocations=["eu"])


def _forwarding_rule(_call: Call, one: dict[str, Any]) -> dict[str, Any]:
    return defaults(
        one, IPAddress="34.90.1.1", IPProtocol="TCP", loadBalancingScheme="EXTERNAL",
        networkTier="PREMIUM",
    )  # fmt: skip


def _instance(call: Call, one: dict[str, Any]) -> dict[str, Any]:
    scope = compute.scope_of(call)
    kind = str(one.get("machineType", "e2-medium")).rpartition("/")[2]
    if kind not in places.machine_names(call.names["zone"]):
        raise RefusedError(
            400,
            f"Invalid value for field 'resource.machineType': '{scope}/machineTypes/{kind}'. "
            f"Machine type with name '{kind}' does not exist in zone '{call.names['zone']}'.",
        )
    one["machineType"] = f"{COMPUTE}/{scope}/machineTypes/{kind}"
    return defaults(
        one,
        lastStartTimestamp=timestamp(),
        scheduling={"preemptible": False, "automaticRestart": True},
        disks=[],
        networkInterfaces=[],
    )


def _group_manager(call: Call, one: dict[str, Any]) -> dict[str, Any]:
    group = one["selfLink"].replace("/instanceGroupManagers/", "/instanceGroups/")
    key = _key(group)
    name, scope = one["name"], compute.scope_of(call)
    call.cloud.resources[key] = {
        "kind": "compute#instanceGroup",
        "id": call.cloud.next_number(),
        "name": name,
        "selfLink": group,
        "zone": f"{COMPUTE}/{scope}",
        "creationTimestamp": timestamp(),
        "size": one.get("targetSize", 0),
    }
    return defaults(one, instanceGroup=group, baseInstanceName=name, status={"isStable": True})
