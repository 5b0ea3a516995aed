"""Cloud DNS: zones and their records."""

from __future__ import annotations

import re
from typing import Any

from tests.fakes.google_cloud.answering import Call, answers
from tests.fakes.google_cloud.compute_rules import check_labels, merge
from tests.fakes.google_cloud.operations import timestamp
from tests.fakes.google_cloud.refusals import RefusedError

SERVERS = ["ns-gcp-private.googledomains.com."]


def _key(call: Call, name: str) -> str:
    return f"dns/projects/{call.project}/managedZones/{name}"


def _zone(call: Call) -> dict[str, Any]:
    name = call.names["managedZone"]
    found = call.cloud.resources.get(_key(call, name))
    if found is None:
        raise RefusedError(
            404, f"The 'parameters.managedZone' resource named '{name}' does not exist."
        )
    return found


def _records(call: Call) -> dict[str, dict[str, Any]]:
    prefix = f"{_key(call, call.names['managedZone'])}/rrsets/"
    known = call.cloud.resources
    return {key: known[key] for key in sorted(known) if key.startswith(prefix)}


def _record_key(call: Call, record: dict[str, Any]) -> str:
    zone = _key(call, call.names["managedZone"])
    return f"{zone}/rrsets/{record['name']}:{record['type']}"


@answers("dns.managedZones.create")
def create(call: Call) -> dict[str, Any]:
    """Make a zone, with the two records that each has."""
    body, name = call.body, call.body.get("name", "")
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", name):
        raise RefusedError(400, f"Invalid value for 'entity.managedZone.name': '{name}'")
    if not body.get("dnsName", "").endswith("."):
        raise RefusedError(
            400, f"Invalid value for 'entity.managedZone.dnsName': '{body.get('dnsName')}'"
        )
    if _key(call, name) in call.cloud.resources:
        raise RefusedError(409, f"The resource 'entity.managedZone' named '{name}' already exists")
    check_labels(body.get("labels", {}))
    _check_networks(call, body)
    made = {
        "visibility": "public",
        **body,
        "kind": "dns#managedZone",
        "id": call.cloud.next_number(),
        "nameServers": SERVERS,
        "creationTime": timestamp(),
    }
    call.cloud.resources[_key(call, name)] = made
    call.names["managedZone"] = name
    soa = f"{SERVERS[0]} cloud-dns-hostmaster.google.com. 1 21600 3600 259200 300"
    for kind, data in (("SOA", [soa]), ("NS", SERVERS)):
        record = _record({"name": body["dnsName"], "type": kind, "ttl": 21600, "rrdatas": data})
        call.cloud.resources[_record_key(call, record)] = record
    return made


def _check_networks(call: Call, zone: dict[str, Any]) -> None:
    for one in zone.get("privateVisibilityConfig", {}).get("networks", []):
        relative = re.sub(r"^.*?(?=projects/)", "", one.get("networkUrl", ""))
        if f"compute/{relative}" not in call.cloud.resources:
            raise RefusedError(400, f"The network '{relative}' does not exist.")


def _record(told: dict[str, Any]) -> dict[str, Any]:
    return {**told, "kind": "dns#resourceRecordSet", "signatureRrdatas": []}


@answers("dns.managedZones.get")
def get(call: Call) -> dict[str, Any]:
    """Show a zone."""
    return _zone(call)


@answers("dns.managedZones.list")
def list_(call: Call) -> dict[str, Any]:
    """Show all zones."""
    prefix = _key(call, "")
    known = call.cloud.resources
    found = [
        known[key]
        for key in sorted(known)
        if key.startswith(prefix) and "/" not in key.removeprefix(prefix)
    ]
    wanted = call.query.get("dnsName")
    found = [one for one in found if wanted in (None, one["dnsName"])]
    return {"kind": "dns#managedZonesListResponse", "managedZones": found}


@answers("dns.managedZones.patch", "dns.managedZones.update")
def change(call: Call) -> dict[str, Any]:
    """Change a zone."""
    found = _zone(call)
    _check_networks(call, call.body)
    merge(found, call.body)
    operation = {"kind": "dns#operation", "id": call.cloud.next_number(), "status": "done"}
    return {**operation, "type": "update", "startTime": timestamp()}


@answers("dns.managedZones.delete")
def delete(call: Call) -> None:
    """Delete a zone that has no records but the two it was made with."""
    _zone(call)
    records = _records(call)
    if any(one["type"] not in ("SOA", "NS") for one in records.values()):
        raise RefusedError(
            400,
            f"The resource named '{call.names['managedZone']}' cannot be deleted because it "
            "contains one or more 'resource records'.",
            reason="containerNotEmpty",
        )
    for key in records:
        del call.cloud.resources[key]
    del call.cloud.resources[_key(call, call.names["managedZone"])]


@answers("dns.resourceRecordSets.list")
def list_records(call: Call) -> dict[str, Any]:
    """Show a zone's records."""
    _zone(call)
    found = [
        one
        for one in _records(call).values()
        if call.query.get("name") in (None, one["name"])
        and call.query.get("type") in (None, one["type"])
    ]
    return {"kind": "dns#resourceRecordSetsListResponse", "rrsets": found}


@answers("dns.changes.create")
def change_records(call: Call) -> dict[str, Any]:
    """Add records and take some away, all or none."""
    zone = _zone(call)
    for record in [*call.body.get("additions", []), *call.body.get("deletions", [])]:
        if not record.get("name") or not record.get("type"):
            raise RefusedError(400, "A record needs a name and a type.", reason="required")
    known = dict(_records(call))
    for record in call.body.get("deletions", []):
        found = known.pop(_record_key(call, record), None)
        if found is None or found.get("rrdatas") != record.get("rrdatas"):
            raise RefusedError(
                412, "Precondition not met for 'entity.change.deletions[0]'",
            )  # fmt: skip
    for number, record in enumerate(call.body.get("additions", [])):
        where = f"entity.change.additions[{number}]"
        if not record.get("name", "").endswith(zone["dnsName"]):
            raise RefusedError(400, f"Invalid value for '{where}.name': '{record.get('name')}'")
        key = _record_key(call, record)
        if key in known:
            raise RefusedError(
                409, f"The resource '{where}' named '{record['name']} ({record['type']})' already "
                "exists",
            )  # fmt: skip
        known[key] = _record(record)
    for key in _records(call):
        del call.cloud.resources[key]
    call.cloud.resources.update(known)
    told = {key: call.body[key] for key in ("additions", "deletions") if key in call.body}
    change = {"kind": "dns#change", "id": call.cloud.next_number(), "status": "done", **told}
    call.cloud.resources.setdefault(f"changes/{change['id']}", change)
    return {**change, "startTime": timestamp()}


@answers("dns.changes.get")
def get_change(call: Call) -> dict[str, Any]:
    """Show a change."""
    found = call.cloud.resources.get(f"changes/{call.names['changeId']}")
    if found is None:
        raise RefusedError(404, f"The change '{call.names['changeId']}' does not exist.")
    return found
