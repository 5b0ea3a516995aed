"""Networks and what is in them: Compute's API."""

from __future__ import annotations

from typing import ClassVar

from tests.fakes.terraform_provider import waiting
from tests.fakes.terraform_provider.google import Body, Failed, Google
from tests.fakes.terraform_provider.mapping import Fields
from tests.fakes.terraform_provider.resources.resource import RestResource

_NAME = "^(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)$"


class ComputeResource(RestResource):
    """Something of Compute, where each change is an operation."""

    patterns: ClassVar[dict[str, str]] = {"name": _NAME}

    def body(self, planned: Body) -> Body:
        made = super().body(planned)
        for name in ("network", "subnetwork"):
            if name in made:
                made[name] = network_path(made[name], planned["project"])
        if "region" in made:
            made["region"] = f"projects/{planned['project']}/global/regions/{planned['region']}"
        return made

    def wait(self, google: Google, answer: Body, planned: Body, what: str) -> None:
        waiting.wait_for_compute(google, answer, self.scope(planned), what)

    def scope(self, planned: Body) -> str:
        """Return where its operations are."""
        return self.parent.rpartition("/")[0].format(**planned)

    def state(self, google: Google, found: Body, known: Body) -> Body:
        made = super().state(google, found, known)
        if "region" in made:
            made["region"] = known["region"]
        return made


def network_path(name: str, project: str) -> str:
    """Return the relative address of a network or subnetwork that may be named in any form."""
    if "/" not in name:
        return f"projects/{project}/global/networks/{name}"
    return name[name.index("projects/") :]


class Network(ComputeResource):
    """A network."""

    type = "google_compute_network"
    what = "Network"
    parent = "projects/{project}/global/networks"
    identifier = "projects/{project}/global/networks/{name}"
    fields = Fields(
        names={
            "routing_mode": "routingConfig.routingMode",
            "network_id": "id",
            "numeric_id": "id",
            "gateway_ipv4": "gatewayIPv4",
            "bgp_best_path_selection_mode": "routingConfig.bgpBestPathSelectionMode",
            "bgp_always_compare_med": "routingConfig.bgpAlwaysCompareMed",
            "bgp_inter_region_cost": "routingConfig.bgpInterRegionCost",
        },
        virtual=frozenset(
            {
                "id",
                "project",
                "deletion_policy",
                "delete_default_routes_on_create",
                "delete_bgp_always_compare_med",
                "params",
                "timeouts",
            }
        ),
        given=frozenset({"network_id", "numeric_id", "gateway_ipv4", "self_link"}),
        sent={"auto_create_subnetworks": False},
    )


class Subnetwork(ComputeResource):
    """A subnetwork."""

    type = "google_compute_subnetwork"
    what = "Subnetwork"
    parent = "projects/{project}/regions/{region}/subnetworks"
    identifier = "projects/{project}/regions/{region}/subnetworks/{name}"
    fields = Fields(
        names={
            "secondary_ip_range": "secondaryIpRanges",
            "log_config.metadata_fields": "metadataFields",
            "subnetwork_id": "id",
        },
        virtual=frozenset(
            {
                "id",
                "project",
                "deletion_policy",
                "send_secondary_ip_range_if_empty",
                "params",
                "timeouts",
            }
        ),
        given=frozenset(
            {
                "creation_timestamp",
                "external_ipv6_prefix",
                "fingerprint",
                "gateway_address",
                "internal_ipv6_prefix",
                "ipv6_cidr_range",
                "ipv6_gce_endpoint",
                "self_link",
                "state",
                "subnetwork_id",
            }
        ),
    )

    def body(self, planned: Body) -> Body:
        made = super().body(planned)
        made.setdefault("logConfig", {"enable": False})
        if "logConfig" in made and len(made["logConfig"]) > 1:
            made["logConfig"]["enable"] = True
        return made

    def update(self, google: Google, prior: Body, planned: Body, config: Body) -> Body:
        state = {**planned, "id": prior["id"]}
        changed = self.changes(prior, planned)
        google_access = changed.pop("privateIpGoogleAccess", None)
        address = self._address(state)
        try:
            if google_access is not None:
                asked = {"privateIpGoogleAccess": google_access}
                answer = google.call(
                    "POST", "compute", f"{address}/setPrivateIpGoogleAccess", asked
                )
                self.wait(google, answer, planned, "Updating Subnetwork")
            if changed:
                mark = google.call("GET", "compute", address).get("fingerprint")
                answer = google.call("PATCH", "compute", address, {**changed, "fingerprint": mark})
                self.wait(google, answer, planned, "Updating Subnetwork")
        except Failed as error:
            raise Failed(f"Error updating Subnetwork {prior['id']!r}: {error}", prior) from error
        return self._read_back(google, state)


RESOURCES = (Network(), Subnetwork())
