"""Pools of nodes of a GKE cluster."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from tests.fakes.terraform_provider import mapping, waiting
from tests.fakes.terraform_provider.google import ApiError, Body, Failed, Google
from tests.fakes.terraform_provider.mapping import Fields
from tests.fakes.terraform_provider.resources import node_fields
from tests.fakes.terraform_provider.resources.resource import Resource
from tests.fakes.terraform_provider.values import UNKNOWN

_FAILED = ("ERROR", "RUNNING_WITH_ERROR")
_GROUP = re.compile(r"/projects/([^/]+)/zones/([^/]+)/instanceGroupManagers/([^/]+)$")
_COUNTS = ("minNodeCount", "maxNodeCount", "totalMinNodeCount", "totalMaxNodeCount")

_SIMPLE = {
    "tags": "tags.tags",
    "taint": "taints.taints",
    "labels": "labels.labels",
    "resource_labels": "resourceLabels.labels",
    "workload_metadata_config": "workloadMetadataConfig",
    "gcfs_config": "gcfsConfig",
    "gvnic": "gvnic",
    "kubelet_config": "kubeletConfig",
    "containerd_config": "containerdConfig",
}
"""Fields of a node that a pool is given anew, each by a call of its own."""

_BY_ID = ("gcfs_config", "gvnic", "kubelet_config", "workload_metadata_config")
"""Those that name the pool by another field."""

_WITH_DISK = ("machine_type", "disk_type", "disk_size_gb", "boot_disk")
"""Fields of a node that are changed by one call together."""


class NodePool(Resource):
    """A pool."""

    type = "google_container_node_pool"
    fields: ClassVar[Fields] = Fields(
        names={
            **node_fields.NAMES,
            "node_config": "config",
            "node_locations": "locations",
            "max_pods_per_node": "maxPodsConstraint.maxPodsPerNode",
        },
        virtual=node_fields.VIRTUAL
        | {
            "id",
            "cluster",
            "deletion_policy",
            "location",
            "name_prefix",
            "node_count",
            "operation",
            "project",
            "ignore_node_count_changes",
            "timeouts",
            "instance_group_urls",
            "managed_instance_group_urls",
        },
        sent=node_fields.SENT,
        worded=node_fields.WORDED,
        sends_empty_blocks=True,
    )

    def customize(self, google: Google, prior: Body | None, planned: Body, config: Body) -> Body:
        planned = super().customize(google, prior, planned, config)
        if prior:
            node_fields.keep_own_labels(prior, planned)
        where = _cluster(planned["cluster"])
        if where:
            planned["project"], planned["location"] = where[0], where[1]
            if prior and prior["cluster"] == where[2]:
                planned["cluster"] = prior["cluster"]
        elif planned["location"] is UNKNOWN and google.zone:
            planned["location"] = google.zone
        return planned

    def create(self, google: Google, planned: Body, config: Body) -> Body:
        planned = _placed(planned)
        parent = _parent(planned)
        name = f"{parent}/nodePools/{planned['name']}"
        state = {**planned, "id": name}
        if google.find("container", name) is not None:
            raise Failed(f"resource - {name} - already exists")
        try:
            body = {"nodePool": self._body(planned, config)}
            made = google.call("POST", "container", f"{parent}/nodePools", body)
        except ApiError as error:
            raise Failed(f"error creating NodePool: {error}") from error
        try:
            _wait(google, made, planned, "creating GKE NodePool")
        except waiting.Stopped:
            return {**state, "operation": made["name"]}
        except Failed:
            # The reason is in the operation; the real provider tells only what the pool is now.
            if google.find("container", name) is None:
                raise
        return self._there(google, state, "created")

    def _there(self, google: Google, state: Body, done: str) -> Body:
        found = self.read(google, state)
        if found is None:
            raise Failed(f"NodePool {state['name']} was {done} and is not there")
        status = self._status(google, state)
        if status in _FAILED:
            message = f'NodePool {state["name"]} was {done} in the error state "{status}"'
            raise Failed(message, found)
        return found

    def _status(self, google: Google, state: Body) -> str:
        found = google.find("container", f"{_parent(state)}/nodePools/{state['name']}") or {}
        return str(found.get("status", ""))

    def read(self, google: Google, state: Body) -> Body | None:
        state = _placed(state)
        if state.get("operation") not in (None, "", UNKNOWN):
            resume(google, state["operation"], state, "resuming GKE node pool")
        listed = google.find("container", f"{_parent(state)}/nodePools") or {}
        pools = listed.get("nodePools", [])
        found = next((one for one in pools if one["name"] == state["name"]), None)
        if found is None:
            return None
        is_import = "node_config" not in state
        made = mapping.flatten(self.block, found, None if is_import else state, self.fields)
        groups = found.get("instanceGroupUrls", [])
        return {
            **made,
            "id": _identifier(state),
            "cluster": state["cluster"],
            "project": state["project"],
            "location": state["location"],
            "operation": "",
            "node_count": _node_count(google, groups),
            "name_prefix": made["name_prefix"] or "",
            "instance_group_urls": groups,
            "managed_instance_group_urls": [
                one.replace("/instanceGroupManagers/", "/instanceGroups/") for one in groups
            ],
        }

    def update(self, google: Google, prior: Body, planned: Body, config: Body) -> Body:
        state = _placed({**planned, "id": prior["id"], "operation": ""})
        pool = f"{_parent(state)}/nodePools/{state['name']}"
        for method, path, body, what in self._calls(prior, planned, config, state):
            try:
                made = google.call(method, "container", path.format(pool=pool), body)
                _wait(google, made, state, f"updating GKE node pool {what}")
            except Failed as error:
                raise Failed(str(error), prior) from error
        return self._there(google, state, "updated")

    def _calls(self, prior: Body, planned: Body, config: Body, state: Body) -> Any:
        """Give the calls of a change: method, path, body and what it changes."""
        body = self._body(planned, config)

        def changed(name: str) -> bool:
            return prior.get(name) != planned.get(name) and planned.get(name) is not UNKNOWN

        if changed("autoscaling"):
            wanted = body.get("autoscaling") or {"enabled": False}
            if not wanted.get("maxNodeCount"):
                wanted.pop("maxNodeCount", None)
            update = {"desiredNodePoolAutoscaling": wanted, "desiredNodePoolId": state["name"]}
            yield "PUT", _parent(state), {"update": update}, "autoscaling"
        yield from self._node_calls(prior, planned, body["config"])
        if changed("node_count"):
            yield "POST", "{pool}:setSize", {"nodeCount": planned["node_count"]}, "size"
        if changed("management"):
            wanted = {"management": body.get("management", {})}
            yield "POST", "{pool}:setManagement", wanted, "management"
        if changed("version"):
            yield "PUT", "{pool}", {"nodeVersion": planned["version"]}, "version"
        if changed("node_locations"):
            yield (
                "PUT",
                "{pool}",
                {"locations": sorted(planned["node_locations"])},
                "node locations",
            )
        for name, api in (
            ("upgrade_settings", "upgradeSettings"),
            ("network_config", "nodeNetworkConfig"),
            ("node_drain_config", "nodeDrainConfig"),
        ):
            if changed(name):
                yield "PUT", "{pool}", {api: body.get(mapping.camel(name), {})}, name

    def _node_calls(self, prior: Body, planned: Body, sent: Body) -> Any:
        before = mapping.only(prior, "node_config") or {}
        after = mapping.only(planned, "node_config") or {}
        name = {"name": planned["name"]}
        if any(before.get(one) != after.get(one) for one in _WITH_DISK):
            yield "PUT", "{pool}", {**name, **_machine(before, after)}, "machine"
        for field, api in _SIMPLE.items():
            if before.get(field) == after.get(field):
                continue
            body: Body = {"nodePoolId": planned["name"]} if field in _BY_ID else dict(name)
            empty: Any = [] if isinstance(after.get(field), list) else {}
            mapping.put(body, api, sent.get(api.partition(".")[0], empty))
            yield "PUT", "{pool}", body, field

    def delete(self, google: Google, state: Body) -> None:
        state = _placed(state)
        pool = f"{_parent(state)}/nodePools/{state['name']}"
        if google.find("container", pool) is None:
            return
        try:
            made = google.call("DELETE", "container", pool)
            _wait(google, made, state, "deleting GKE NodePool")
        except ApiError as error:
            if error.status != 404:
                raise Failed(f"Error deleting NodePool: {error}") from error

    def import_(self, google: Google, identifier: str) -> Body:
        parts = identifier.removeprefix("projects/").split("/")
        parts = [one for one in parts if one not in ("locations", "clusters", "nodePools")]
        if len(parts) != 4:
            raise Failed(f"import id {identifier!r} is not as PROJECT/LOCATION/CLUSTER/NAME")
        project, location, cluster, name = parts
        state = {"project": project, "location": location, "cluster": cluster, "name": name}
        return {**state, "id": _identifier(state)}

    def _body(self, planned: Body, config: Body) -> Body:
        """Return what is sent to make a pool."""
        made = mapping.expand(self.block, planned, self.fields)
        count = planned.get("initial_node_count"), planned.get("node_count")
        asked = next((one for one in count if one not in (None, UNKNOWN, 0)), None)
        made.pop("initialNodeCount", None)
        if asked is not None:
            made["initialNodeCount"] = asked
        if "locations" in made:
            made["locations"] = sorted(made["locations"])
        if "maxPodsConstraint" in made:
            most = made["maxPodsConstraint"]["maxPodsPerNode"]
            made["maxPodsConstraint"] = {"maxPodsPerNode": str(most)}
        if planned.get("autoscaling") and planned["autoscaling"] is not UNKNOWN:
            made["autoscaling"] = {
                "enabled": True,
                **dict.fromkeys(_COUNTS, 0),
                **made["autoscaling"],
            }
        made.setdefault("networkConfig", {})
        written = mapping.only(config, "node_config") or {}
        made["config"] = node_fields.complete(made.get("config", {}), written)
        return made


def _machine(before: Body, after: Body) -> Body:
    """Return a machine as a change sends it: a disk's fields only if they change."""
    body = {"machineType": after["machine_type"]}
    for name, api in (("disk_type", "diskType"), ("disk_size_gb", "diskSizeGb")):
        if before.get(name) != after.get(name):
            body[api] = str(after[name])
    if after.get("boot_disk"):
        body["bootDisk"] = {}
    return body


def _cluster(name: Any) -> tuple[str, str, str] | None:
    """Return the project, location and name that a cluster's address says."""
    if not isinstance(name, str):
        return None
    found = re.fullmatch(
        r"(?:.*/)?projects/([^/]+)/(?:locations|zones)/([^/]+)/clusters/(.+)", name
    )
    return None if found is None else (found[1], found[2], found[3])


def _placed(state: Body) -> Body:
    """Return a pool with the cluster by its bare name, as the state of a pool has it."""
    where = _cluster(state["cluster"])
    if where is None:
        return state
    return {**state, "project": where[0], "location": where[1], "cluster": where[2]}


def _parent(state: Body) -> str:
    return "projects/{project}/locations/{location}/clusters/{cluster}".format(**state)


def _identifier(state: Body) -> str:
    return f"{_parent(state)}/nodePools/{state['name']}"


def _wait(google: Google, operation: Body, state: Body, what: str) -> None:
    base = f"projects/{state['project']}/locations/{state['location']}"
    waiting.wait_for_container(google, operation["name"], base, what)


def resume(google: Google, operation: str, state: Body, what: str) -> None:
    """Wait for what a run before this one left behind; what became of it, the read shows."""
    base = f"projects/{state['project']}/locations/{state['location']}"
    try:
        waiting.wait_for_container(google, operation, base, what)
    except waiting.Stopped:
        raise
    except Failed as failed:
        raise Failed(f"{what}: {failed}") from failed


def _node_count(google: Google, groups: list[str]) -> int:
    """Return how many nodes there are in each zone."""
    sizes: dict[str, int] = {}
    places = [found for found in (_GROUP.search(one) for one in groups) if found]
    for project, zone in sorted({(one[1], one[2]) for one in places}):
        path = f"projects/{project}/zones/{zone}/instanceGroupManagers"
        listed = google.find("compute", path) or {}
        for one in listed.get("items", []):
            sizes[f"{zone}/{one['name']}"] = one.get("targetSize", 0)
    total = sum(sizes.get(f"{one[2]}/{one[3]}", 0) for one in places)
    return total // len(places) if places else 0


RESOURCES = (NodePool(),)
