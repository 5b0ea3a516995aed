"""Kubernetes Engine: what it adds to a cluster that is made, and the firewalls that it makes."""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from typing import TYPE_CHECKING, Any

from tests.fakes.google_cloud import places
from tests.fakes.google_cloud.compute_rules import defaults
from tests.fakes.google_cloud.operations import COMPUTE, CONTAINER, timestamp
from tests.fakes.google_cloud.refusals import RefusedError

if TYPE_CHECKING:
    from tests.fakes.google_cloud.answering import Call
    from tests.fakes.google_cloud.cloud import GoogleCloud

VERSIONS = ("1.35.1-gke.1616000", "1.34.4-gke.1047000")
CERTIFICATE = base64.b64encode(b"-----BEGIN CERTIFICATE-----\n").decode()
CONTROL_PLANE = "10.99.0.2"


def short(*texts: str) -> str:
    """Return eight characters that stand for some texts, as names of Google's have."""
    return hashlib.sha256("/".join(texts).encode()).hexdigest()[:8]


def cluster(call: Call, relative: str, told: dict[str, Any]) -> dict[str, Any]:
    """Return a new cluster as Google shows it."""
    location = relative.split("/")[3]
    region = places.region_of(location)
    zones = [location] if region != location else places.zones(region)[:3]
    network = _reference(call, "network", told.pop("network", "default"))
    subnetwork = _reference(call, "subnetwork", told.pop("subnetwork", "default"), region)
    version = _version(told.get("initialClusterVersion", ""))
    pods, services = _ranges(call, subnetwork, told.get("ipAllocationPolicy", {}))
    made = {**told, **_dropped(told)}
    components = {"componentConfig": {"enableComponents": ["SYSTEM_COMPONENTS"]}}
    for field in ("loggingConfig", "monitoringConfig"):
        made.setdefault(field, dict(components))
    return defaults(
        made,
        location=location,
        zone=location,
        locations=zones,
        network=network.rpartition("/")[2],
        subnetwork=subnetwork.rpartition("/")[2],
        initialClusterVersion=version,
        currentMasterVersion=version,
        currentNodeVersion=version,
        clusterIpv4Cidr=pods,
        servicesIpv4Cidr=services,
        networkConfig={
            "network": network,
            "subnetwork": subnetwork,
            "datapathProvider": "LEGACY_DATAPATH",
            "serviceExternalIpsConfig": {},
            "defaultEnablePrivateNodes": False,
        },
        ipAllocationPolicy={
            "useIpAliases": True,
            "stackType": "IPV4",
            "clusterIpv4Cidr": pods,
            "clusterIpv4CidrBlock": pods,
            "servicesIpv4Cidr": services,
            "servicesIpv4CidrBlock": services,
            "podCidrOverprovisionConfig": {},
            "defaultPodIpv4RangeUtilization": 0.0,
        },
        controlPlaneEndpointsConfig={
            "dnsEndpointConfig": {
                "endpoint": f"gke-{uuid.uuid4().hex[:20]}-{call.cloud.number}.{region}.gke.goog",
                "allowExternalTraffic": False,
            },
            "ipEndpointsConfig": {
                "enabled": True,
                "enablePublicEndpoint": True,
                "privateEndpoint": CONTROL_PLANE,
            },
        },
        privateClusterConfig={"privateEndpoint": CONTROL_PLANE},
        **_identity(relative),
        **_added(),
    )


def _dropped(told: dict[str, Any]) -> dict[str, Any]:
    """What Google shows in place of what was said."""
    return {
        name: {}
        for name in ("autopilot", "legacyAbac", "binaryAuthorization")
        if told.get(name) == {"enabled": False}
    }


def _identity(relative: str) -> dict[str, Any]:
    return {
        "id": uuid.uuid4().hex,
        "etag": uuid.uuid4().hex,
        "labelFingerprint": uuid.uuid4().hex[:8],
        "selfLink": f"{CONTAINER}/{relative}",
        "createTime": timestamp(),
        "status": "PROVISIONING",
        "endpoint": CONTROL_PLANE,
    }


def _added() -> dict[str, Any]:
    reading = {"enableInsecureBindingSystemUnauthenticated": True}
    return {
        "addonsConfig": {
            "kubernetesDashboard": {"disabled": True},
            "networkPolicyConfig": {"disabled": True},
            "dnsCacheConfig": {"enabled": True},
            "gcePersistentDiskCsiDriverConfig": {"enabled": True},
        },
        "anonymousAuthenticationConfig": {"mode": "ENABLED"},
        "autopilot": {},
        "autoscaling": {"autoscalingProfile": "BALANCED"},
        "binaryAuthorization": {},
        "databaseEncryption": {
            "state": "DECRYPTED",
            "currentState": "CURRENT_STATE_DECRYPTED",
        },
        "defaultMaxPodsConstraint": {"maxPodsPerNode": "110"},
        "enterpriseConfig": {"clusterTier": "STANDARD"},
        "legacyAbac": {},
        "loggingService": "logging.googleapis.com/kubernetes",
        "maintenancePolicy": {"resourceVersion": "e3b0c442"},
        "masterAuth": {"clusterCaCertificate": CERTIFICATE},
        "masterAuthorizedNetworksConfig": {},
        "monitoringConfig": {"advancedDatapathObservabilityConfig": {"enableMetrics": False}},
        "monitoringService": "monitoring.googleapis.com/kubernetes",
        "networkPolicy": {},
        "nodePoolAutoConfig": {},
        "nodePoolDefaults": {
            "nodeConfigDefaults": {
                "loggingConfig": {"variantConfig": {"variant": "DEFAULT"}},
                "nodeKubeletConfig": {"insecureKubeletReadonlyPortEnabled": False},
            }
        },
        "notificationConfig": {"pubsub": {}},
        "podAutoscaling": {"hpaProfile": "PERFORMANCE"},
        "rbacBindingConfig": {**reading, "enableInsecureBindingSystemAuthenticated": True},
        "releaseChannel": {"channel": "REGULAR"},
        "secretManagerConfig": {"enabled": False},
        "securityPostureConfig": {
            "mode": "BASIC",
            "vulnerabilityMode": "VULNERABILITY_MODE_UNSPECIFIED",
        },
        "shieldedNodes": {"enabled": True},
        "userManagedKeysConfig": {},
    }


def _version(asked: str) -> str:
    if asked in ("", "-", "latest"):
        return VERSIONS[0 if asked == "latest" else 1]
    found = [one for one in VERSIONS if one.startswith(asked)]
    if not found:
        raise RefusedError(
            400,
            f'No valid versions with the prefix "{asked}" found. Version "{asked}" is invalid.',
        )
    return found[0]


def _reference(call: Call, kind: str, told: str, region: str = "") -> str:
    relative = re.sub(r"^.*?(?=projects/)", "", told)
    if "/" not in relative:
        where = f"regions/{region}" if region else "global"
        relative = f"projects/{call.project}/{where}/{kind}s/{relative}"
    key = f"compute/{relative}"
    if key not in call.cloud.resources or key in call.cloud.pending:
        where = f'Network "{told}"' if kind == "network" else f'Subnetwork "{told}"'
        raise RefusedError(400, f"{where} does not exist.")
    return relative


def _ranges(call: Call, subnetwork: str, policy: dict[str, Any]) -> tuple[str, str]:
    known = {
        one["rangeName"]: one["ipCidrRange"]
        for one in call.cloud.resources[f"compute/{subnetwork}"].get("secondaryIpRanges", [])
    }
    found = []
    for field, otherwise in (
        ("clusterSecondaryRangeName", "10.20.0.0/16"),
        ("servicesSecondaryRangeName", "10.30.0.0/20"),
    ):
        name = policy.get(field)
        if name and name not in known:
            raise RefusedError(
                400, f'Secondary range "{name}" does not exist in subnetwork "{subnetwork}".'
            )
        found.append(known[name] if name else otherwise)
    return found[0], found[1]


def add_firewalls(cloud: GoogleCloud, made: dict[str, Any]) -> None:
    """Make the firewalls that a cluster has in its network."""
    for name in _firewalls(made):
        relative = f"projects/{cloud.project}/global/firewalls/{name}"
        cloud.resources[f"compute/{relative}"] = {
            "kind": "compute#firewall",
            "id": cloud.next_number(),
            "name": name,
            "network": f"{COMPUTE}/{made['networkConfig']['network']}",
            "direction": "INGRESS",
            "priority": 1000,
            "sourceRanges": [made["clusterIpv4Cidr"]],
            "allowed": [{"IPProtocol": "tcp"}],
            "selfLink": f"{COMPUTE}/{relative}",
            "creationTimestamp": timestamp(),
        }


def remove_firewalls(cloud: GoogleCloud, made: dict[str, Any]) -> None:
    """Delete the firewalls that a cluster had made."""
    for name in _firewalls(made):
        cloud.resources.pop(f"compute/projects/{cloud.project}/global/firewalls/{name}", None)


def _firewalls(made: dict[str, Any]) -> list[str]:
    start = f"gke-{made['name']}-{made['id'][:8]}"
    return [f"{start}-{what}" for what in ("all", "exkubelet", "inkubelet", "vms")]
