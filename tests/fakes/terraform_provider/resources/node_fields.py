"""What a node is made of, in a cluster's first pool and in every other."""

from __future__ import annotations

from tests.fakes.terraform_provider import mapping
from tests.fakes.terraform_provider.google import Body
from tests.fakes.terraform_provider.values import has_unknown

NAMES = {
    "node_config.taint": "taints",
    "node_config.guest_accelerator": "accelerators",
    "node_config.guest_accelerator.count": "acceleratorCount",
    "node_config.guest_accelerator.type": "acceleratorType",
    "node_config.logging_variant": "loggingConfig.variantConfig.variant",
    "node_config.ephemeral_storage_local_ssd_config": "ephemeralStorageLocalSsdConfig",
    "node_config.local_nvme_ssd_block_config": "localNvmeSsdBlockConfig",
}

VIRTUAL = frozenset(
    {
        "node_config.effective_taints",
        "node_config.gpudirect_strategy",
        "node_config.linux_node_config",
        "node_config.windows_node_config",
    }
)

_SCOPES = [
    "https://www.googleapis.com/auth/devstorage.read_only",
    "https://www.googleapis.com/auth/logging.write",
    "https://www.googleapis.com/auth/monitoring",
    "https://www.googleapis.com/auth/service.management.readonly",
    "https://www.googleapis.com/auth/servicecontrol",
    "https://www.googleapis.com/auth/trace.append",
]
"""What nodes may ask for if nobody says: what the real provider sends."""

WORDED = frozenset({"node_config.kubelet_config.insecure_kubelet_readonly_port_enabled"})
SENT = dict.fromkeys(WORDED, False)
_EVEN_ZERO = {
    "shutdown_grace_period_seconds": "shutdownGracePeriodSeconds",
    "shutdown_grace_period_critical_pods_seconds": "shutdownGracePeriodCriticalPodsSeconds",
}


def complete(sent: Body, config: Body) -> Body:
    """Return what is sent for a node, with what goes without saying.

    Args:
        sent: What was made of the fields.
        config: The block as somebody wrote it.
    """
    sent.setdefault("loggingConfig", {"variantConfig": {}})
    if "oauthScopes" in sent:
        sent["oauthScopes"] = sorted(sent["oauthScopes"])
    for one in sent.get("accelerators", []):
        one["acceleratorCount"] = str(one["acceleratorCount"])
    kubelet, written = sent.get("kubeletConfig"), mapping.only(config, "kubelet_config") or {}
    if kubelet is not None:
        quota = written.get("cpu_cfs_quota")
        kubelet["cpuCfsQuota"] = True if quota is None else quota
        for name, api in _EVEN_ZERO.items():
            if written.get(name) is not None:
                kubelet[api] = written[name]
    return sent


def of_nobody() -> Body:
    """Return what is sent for nodes that nobody said anything of."""
    return {"oauthScopes": _SCOPES}


def keep_own_labels(prior: Body, planned: Body) -> None:
    """Plan the labels that GKE puts on nodes by itself, which nobody asks for."""
    before = mapping.only(prior, "node_config") or {}
    after = mapping.only(planned, "node_config") or {}
    labels = before.get("resource_labels") or {}
    own = {name: one for name, one in labels.items() if name.startswith("goog-gke-")}
    if own and after and not has_unknown(after["resource_labels"]):
        after["resource_labels"] = {**own, **(after["resource_labels"] or {})}
