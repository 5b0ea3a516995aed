"""GKE clusters."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.fakes.terraform_provider import mapping, waiting
from tests.fakes.terraform_provider.google import ApiError, Body, Failed, Google
from tests.fakes.terraform_provider.mapping import Fields
from tests.fakes.terraform_provider.resources import node_fields
from tests.fakes.terraform_provider.resources.compute import network_path
from tests.fakes.terraform_provider.resources.node_pool import resume
from tests.fakes.terraform_provider.resources.resource import Resource
from tests.fakes.terraform_provider.schema import read_schema
from tests.fakes.terraform_provider.values import UNKNOWN

TYPE = "google_container_cluster"
_FAILED = "ERROR"
_DESIRED = {"autoscaling": "desiredClusterAutoscaling"}
"""Fields that a change calls by another name than theirs."""

_PORT = "insecure_kubelet_readonly_port_enabled"
_VIRTUAL = node_fields.VIRTUAL | {
    "allow_net_admin",
    "deletion_policy",
    "deletion_protection",
    "effective_labels",
    "id",
    "location",
    "maintenance_policy",
    "networking_mode",
    "node_config",
    "node_locations",
    "node_pool",
    "operation",
    "private_cluster_config",
    "project",
    "remove_default_node_pool",
    "resource_labels",
    "terraform_labels",
    "timeouts",
    "control_plane_endpoints_config.ip_endpoints_config",
}
_GIVEN = frozenset(
    {
        "endpoint",
        "label_fingerprint",
        "logging_service",
        "master_auth.client_certificate",
        "master_auth.client_key",
        "master_auth.cluster_ca_certificate",
        "master_version",
        "monitoring_service",
        "node_version",
        "self_link",
        "services_ipv4_cidr",
        "tpu_ipv4_cidr_block",
        "tpu_config",
    }
)


def _sent() -> dict[str, Any]:
    """Return what is sent even when it is empty, as whether an add-on is on."""
    addons = read_schema().resources[TYPE].block.blocks["addons_config"].block
    return (
        node_fields.SENT
        | {
            f"addons_config.{addon}.{name}": False
            for addon, nested in addons.blocks.items()
            for name in ("enabled", "disabled")
            if name in nested.block.attributes
        }
        | {
            "enable_legacy_abac": False,
            "enable_shielded_nodes": False,
            "enable_autopilot": False,
            "rbac_binding_config.enable_insecure_binding_system_authenticated": False,
            "rbac_binding_config.enable_insecure_binding_system_unauthenticated": False,
            "control_plane_endpoints_config.dns_endpoint_config.allow_external_traffic": False,
            "monitoring_config.advanced_datapath_observability_config.enable_relay": False,
        }
    )


class Cluster(Resource):
    """A cluster."""

    type = TYPE
    labels = "resource_labels"
    patterns: ClassVar[dict[str, str]] = {"name": "^[a-z](?:[-a-z0-9]{0,38}[a-z0-9])?$"}
    fields: ClassVar[Fields] = Fields(
        names={
            **node_fields.NAMES,
            "enable_legacy_abac": "legacyAbac.enabled",
            "enable_shielded_nodes": "shieldedNodes.enabled",
            "enable_autopilot": "autopilot.enabled",
            "datapath_provider": "networkConfig.datapathProvider",
            "enable_intranode_visibility": "networkConfig.enableIntraNodeVisibility",
            "enable_l4_ilb_subsetting": "networkConfig.enableL4ilbSubsetting",
            "enable_multi_networking": "networkConfig.enableMultiNetworking",
            "enable_fqdn_network_policy": "networkConfig.enableFqdnNetworkPolicy",
            "enable_cilium_clusterwide_network_policy": (
                "networkConfig.enableCiliumClusterwideNetworkPolicy"
            ),
            "disable_l4_lb_firewall_reconciliation": (
                "networkConfig.disableL4LbFirewallReconciliation"
            ),
            "private_ipv6_google_access": "networkConfig.privateIpv6GoogleAccess",
            "in_transit_encryption_config": "networkConfig.inTransitEncryptionConfig",
            "dns_config": "networkConfig.dnsConfig",
            "default_snat_status": "networkConfig.defaultSnatStatus",
            "gateway_api_config": "networkConfig.gatewayApiConfig",
            "service_external_ips_config": "networkConfig.serviceExternalIpsConfig",
            "network_performance_config": "networkConfig.networkPerformanceConfig",
            "cluster_autoscaling": "autoscaling",
            "cluster_autoscaling.enabled": "enableNodeAutoprovisioning",
            "cluster_autoscaling.default_compute_class_enabled": (
                "defaultComputeClassConfig.enabled"
            ),
            "cluster_autoscaling.auto_provisioning_defaults": "autoprovisioningNodePoolDefaults",
            "cluster_autoscaling.auto_provisioning_locations": "autoprovisioningLocations",
            "logging_config.enable_components": "componentConfig.enableComponents",
            "monitoring_config.enable_components": "componentConfig.enableComponents",
            "monitoring_config.managed_prometheus": "managedPrometheusConfig",
            "default_max_pods_per_node": "defaultMaxPodsConstraint.maxPodsPerNode",
            "min_master_version": "initialClusterVersion",
            "master_version": "currentMasterVersion",
            "node_version": "currentNodeVersion",
            "control_plane_endpoints_config": "controlPlaneEndpointsConfig",
            "node_pool_defaults.node_config_defaults.logging_variant": (
                "loggingConfig.variantConfig.variant"
            ),
            f"node_pool_defaults.node_config_defaults.{_PORT}": (
                "nodeKubeletConfig.insecureKubeletReadonlyPortEnabled"
            ),
        },
        virtual=_VIRTUAL,
        given=_GIVEN,
        unread=frozenset({"min_master_version"}),
        sent=_sent(),
        worded=node_fields.WORDED | {f"node_pool_defaults.node_config_defaults.{_PORT}"},
        sends_empty_blocks=True,
    )

    def customize(self, google: Google, prior: Body | None, planned: Body, config: Body) -> Body:
        planned = super().customize(google, prior, planned, config)
        if planned["location"] is UNKNOWN and config.get("location") is None:
            planned["location"] = google.zone or google.region or UNKNOWN
        return planned

    def create(self, google: Google, planned: Body, config: Body) -> Body:
        parent = "projects/{project}/locations/{location}".format(**planned)
        name = f"{parent}/clusters/{planned['name']}"
        state = {**planned, "id": name}
        # The version of a maintenance policy that may be there already.
        google.find("container", name)
        with google.lock(name):
            body = {"cluster": self._body(planned, config)}
            made = google.call("POST", "container", f"{parent}/clusters", body)
            try:
                waiting.wait_for_container(google, made["name"], parent, "creating GKE cluster")
            except waiting.Stopped:
                return {**state, "operation": made["name"]}
            except Failed as failed:
                there = google.find("container", name) is not None
                raise Failed(str(failed), state if there else None) from failed
            if planned.get("remove_default_node_pool"):
                self._remove_default_pool(google, name, parent, state)
        made = self._there(google, state)
        if (google.find("container", name) or {}).get("status") == _FAILED:
            message = f'Cluster {planned["name"]} was created in the error state "{_FAILED}"'
            raise Failed(message, made)
        return made

    def _remove_default_pool(self, google: Google, name: str, parent: str, state: Body) -> None:
        try:
            made = google.call("DELETE", "container", f"{name}/nodePools/default-pool")
            waiting.wait_for_container(google, made["name"], parent, "removing default node pool")
        except Failed as failed:
            message = f"Error while waiting to delete default node pool: {failed}"
            raise Failed(message, state) from failed

    def _there(self, google: Google, state: Body) -> Body:
        found = self.read(google, state)
        if found is None:
            raise Failed(f"the cluster {state['name']} was made and is not there")
        return found

    def read(self, google: Google, state: Body) -> Body | None:
        if state.get("operation") not in (None, "", UNKNOWN):
            resume(google, state["operation"], state, "resuming GKE cluster")
        found = google.find("container", state["id"])
        if found is None:
            return None
        is_import = "deletion_protection" not in state
        made = mapping.flatten(self.block, found, None if is_import else state, self.fields)
        self.read_labels(found.get("resourceLabels") or {}, state, made)
        made |= {name: state.get(name) for name in ("id", "project", "location")}
        made |= {"operation": "", "networking_mode": "VPC_NATIVE"}
        made["node_locations"] = [one for one in found["locations"] if one != state["location"]]
        made["private_cluster_config"] = _private_config(found)
        endpoints = found.get("controlPlaneEndpointsConfig", {}).get("ipEndpointsConfig", {})
        for one in made["control_plane_endpoints_config"]:
            one["ip_endpoints_config"] = [{"enabled": bool(endpoints.get("enabled"))}]
        if is_import:
            made |= {"deletion_protection": True, "remove_default_node_pool": None}
        return made

    def update(self, google: Google, prior: Body, planned: Body, config: Body) -> Body:
        state = {**planned, "id": prior["id"], "operation": ""}
        parent = "projects/{project}/locations/{location}".format(**state)
        before, after = self._body(prior, config), self._body(planned, config)
        with google.lock(state["id"]):
            try:
                for method, path, body in self._calls(before, after, prior, state):
                    made = google.call(method, "container", path, body)
                    what = "updating GKE cluster"
                    waiting.wait_for_container(google, made["name"], parent, what)
            except Failed as error:
                raise Failed(str(error), prior) from error
        return self._there(google, state)

    def _calls(self, before: Body, after: Body, prior: Body, state: Body) -> Any:
        """Give the calls of a change: one for the labels, one for each other field."""
        name = state["id"]
        if before.get("resourceLabels") != after.get("resourceLabels"):
            body = {
                "labelFingerprint": prior["label_fingerprint"],
                "resourceLabels": after.get("resourceLabels", {}),
            }
            yield "POST", f"{name}:setResourceLabels", body
        for field, value in after.items():
            if field in ("resourceLabels", "nodeConfig") or before.get(field) == value:
                continue
            desired = _DESIRED.get(field) or f"desired{field[0].upper()}{field[1:]}"
            yield "PUT", name, {"update": {desired: value}}

    def delete(self, google: Google, state: Body) -> None:
        if state.get("deletion_protection"):
            raise Failed(
                "Cannot destroy cluster because deletion_protection is set to true. Set it to"
                " false to proceed with cluster deletion."
            )
        parent = "projects/{project}/locations/{location}".format(**state)
        if google.find("container", state["id"]) is None:
            return
        with google.lock(state["id"]):
            try:
                made = google.call("DELETE", "container", state["id"])
                waiting.wait_for_container(google, made["name"], parent, "deleting GKE cluster")
            except ApiError as error:
                if error.status != 404:
                    raise Failed(f"Error deleting GKE cluster: {error}") from error

    def import_(self, google: Google, identifier: str) -> Body:
        parts = identifier.removeprefix("projects/").split("/")
        parts = [one for one in parts if one not in ("locations", "clusters")]
        if len(parts) != 3:
            raise Failed(f"import id {identifier!r} is not as PROJECT/LOCATION/NAME")
        project, location, name = parts
        found = f"projects/{project}/locations/{location}/clusters/{name}"
        return {"project": project, "location": location, "name": name, "id": found}

    def _body(self, planned: Body, config: Body) -> Body:
        """Return what is sent to make a cluster."""
        made = mapping.expand(self.block, planned, self.fields)
        for name in ("network", "subnetwork"):
            if made.get(name):
                made[name] = network_path(made[name], planned["project"])
        made |= {
            "resourceLabels": planned.get("effective_labels") or {},
            "maintenancePolicy": _maintenance(planned),
            "notificationConfig": made.get("notificationConfig", {"pubsub": {}}),
            "networkPolicy": made.get("networkPolicy", {}),
            "binaryAuthorization": made.get("binaryAuthorization", {"enabled": False}),
            "autoscaling": made.get("autoscaling", {"enableNodeAutoprovisioning": False}),
        }
        network = made.setdefault("networkConfig", {})
        if (mapping.only(planned, "private_cluster_config") or {}).get("enable_private_nodes"):
            network["defaultEnablePrivateNodes"] = True
        if "ipAllocationPolicy" in made:
            made["ipAllocationPolicy"]["useIpAliases"] = True
        if mapping.only(planned, "cluster_autoscaling"):
            for name in ("defaultComputeClassConfig", "autoprovisioningNodePoolDefaults"):
                made["autoscaling"].setdefault(name, {})
        defaults = made.get("nodePoolDefaults", {}).get("nodeConfigDefaults")
        if defaults is not None:
            defaults.setdefault("loggingConfig", {"variantConfig": {}})
        self._put_endpoints(made, planned)
        self._put_nodes(made, planned, config)
        return made

    def _put_endpoints(self, made: Body, planned: Body) -> None:
        asked = mapping.only(planned, "control_plane_endpoints_config") or {}
        dns, ip = (
            mapping.only(asked, "dns_endpoint_config") or {},
            mapping.only(asked, "ip_endpoints_config"),
        )
        made["controlPlaneEndpointsConfig"] = {
            "dnsEndpointConfig": {
                "allowExternalTraffic": bool(_known(dns, "allow_external_traffic")),
                "enableK8sTokensViaDns": bool(_known(dns, "enable_k8s_tokens_via_dns")),
                "enableK8sCertsViaDns": bool(_known(dns, "enable_k8s_certs_via_dns")),
            },
            "ipEndpointsConfig": {"enabled": True if ip is None else bool(ip.get("enabled"))},
        }

    def _put_nodes(self, made: Body, planned: Body, config: Body) -> None:
        if planned.get("node_config") is UNKNOWN or not planned.get("node_config"):
            made["nodeConfig"] = node_fields.of_nobody()
            return
        nested = self.block.blocks["node_config"]
        asked = planned["node_config"][0]
        sent = mapping.expand(nested.block, asked, self.fields, "node_config.")
        written = mapping.only(config, "node_config") or {}
        made["nodeConfig"] = node_fields.complete(sent, written)


def _known(block: Body, name: str) -> Any:
    return None if block.get(name) is UNKNOWN else block.get(name)


def _maintenance(planned: Body) -> Body:
    """Return when Google may do its work on it."""
    asked = mapping.only(planned, "maintenance_policy") or {}
    window: Body = {}
    daily, recurring = (
        mapping.only(asked, "daily_maintenance_window"),
        mapping.only(asked, "recurring_window"),
    )
    if daily:
        window["dailyMaintenanceWindow"] = {"startTime": daily["start_time"]}
    if recurring:
        times = {"startTime": recurring["start_time"], "endTime": recurring["end_time"]}
        window["recurringWindow"] = {"window": times, "recurrence": recurring["recurrence"]}
    excluded = {}
    for one in asked.get("maintenance_exclusion") or []:
        times = {"startTime": one["start_time"], "endTime": one["end_time"]}
        options = mapping.only(one, "exclusion_options")
        if options:
            times["maintenanceExclusionOptions"] = {"scope": options["scope"]}
        excluded[one["exclusion_name"]] = {name: time for name, time in times.items() if time}
    if excluded:
        window["maintenanceExclusions"] = excluded
    return {"window": window}


def _private_config(found: Body) -> list[Body]:
    private = found.get("networkConfig", {}).get("defaultEnablePrivateNodes")
    endpoints = found.get("controlPlaneEndpointsConfig", {}).get("ipEndpointsConfig", {})
    if not private and not endpoints.get("privateEndpoint"):
        return []
    return [
        {
            "enable_private_nodes": bool(private),
            "private_endpoint": endpoints.get("privateEndpoint", ""),
            "public_endpoint": endpoints.get("publicEndpoint", ""),
            "master_ipv4_cidr_block": "",
            "peering_name": "",
            "private_endpoint_subnetwork": "",
        }
    ]


RESOURCES = (Cluster(),)
