"""Which cluster is meant: a kubeconfig and a context in it, told once and kept.

A context that is only "the current one" would be another one tomorrow; so `burst up` notes the
name. A kubeconfig that wants Google's plugin for its login, which is not installed, is written
once more with burst in its place.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burst.cloud.google_cluster import GoogleCluster
from burst.cloud.kubectl import Kubectl
from burst.errors import ClusterUnfit, ConfigError

_GKE_PLUGIN = "gke-gcloud-auth-plugin"
_PUBLICLY_TRUSTED = ".gke.goog"
"""DNS endpoints have certificates that everybody trusts, none of the cluster's authority."""


@dataclass(frozen=True, slots=True)
class Context:
    """One way to reach one cluster."""

    name: str
    namespace: str
    """What the kubeconfig says for it; may be empty."""
    needs_plugin: bool
    """It logs in by Google's plugin, which this machine has not got."""


def read_context(kubectl: Kubectl) -> Context:
    """Return the context that kubectl would use.

    Raises:
        ConfigError: the kubeconfig can't be read, or has no such context.
    """
    view = _view(kubectl)
    contexts = view.get("contexts") or []
    if not contexts:
        where = kubectl.kubeconfig or "the kubeconfig"
        raise ConfigError(
            f"{where} says of no context that it is the current one",
            hint="name one with --context; see: kubectl config get-contexts",
        )
    plugin = Path(_exec_of(view).get("command") or "").name
    return Context(
        name=contexts[0]["name"],
        namespace=contexts[0]["context"].get("namespace") or "",
        needs_plugin=plugin == _GKE_PLUGIN and shutil.which(plugin) is None,
    )


def write_without_plugin(kubectl: Kubectl, path: Path) -> None:
    """Write the context's part of the kubeconfig so that burst itself logs in.

    Raises:
        ConfigError: it can't be read.
    """
    view = _view(kubectl)
    for user in view["users"]:
        user["user"]["exec"] = _own_login()
    _write(path, view)


def write_for_google(path: Path, cluster: GoogleCluster, namespace: str) -> str:
    """Write a kubeconfig for a cluster's DNS endpoint, where burst logs in, and return its context.

    Raises:
        ClusterUnfit: the cluster has no such endpoint.
    """
    if not cluster.dns_endpoint:
        raise ClusterUnfit(
            f"the cluster {cluster.name} has no DNS endpoint to be reached at",
            hint=f"gcloud container clusters update {cluster.name} --location={cluster.location} "
            "--enable-dns-access",
        )
    name = f"burst-{cluster.name}"
    server: dict[str, Any] = {"server": f"https://{cluster.dns_endpoint}"}
    if not cluster.dns_endpoint.endswith(_PUBLICLY_TRUSTED) and cluster.certificate:
        server["certificate-authority-data"] = cluster.certificate
    context = {"cluster": name, "user": name, "namespace": namespace}
    view = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": server}],
        "contexts": [{"name": name, "context": context}],
        "users": [{"name": name, "user": {"exec": _own_login()}}],
    }
    _write(path, view)
    return name


def _own_login() -> dict[str, Any]:
    found = shutil.which("burst")
    # A burst that is called by its path need not be in PATH.
    command, how = (found, []) if found else (sys.executable, ["-P", "-m", "burst"])
    return {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": command,
        "args": [*how, "kube-token"],
        "interactiveMode": "Never",
        "provideClusterInfo": False,
    }


def _write(path: Path, view: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    # It names who logs in, and may hold more than that.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(view, file, indent=2)
    temporary.replace(path)


def _view(kubectl: Kubectl) -> dict[str, Any]:
    shown = kubectl.run("config", "view", "--minify", "--flatten", "--raw", "--output", "json")
    return dict(json.loads(shown))


def _exec_of(view: dict[str, Any]) -> dict[str, Any]:
    users = view.get("users") or []
    return dict((users[0].get("user") or {}).get("exec") or {}) if users else {}
