"""Clusters of Kubernetes Engine by Google's own client: facts, why something failed, removal.

The client speaks REST, so that proxies and the variable of the Terraform provider count for it too.
What a node pool failed of is asked here, as the provider only says that it did.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from burst.cloud.google_api import SCOPE, endpoint
from burst.cloud.google_errors import cloud_error, failure_error, of_login, read_refusal
from burst.errors import (
    CloudAway,
    CloudError,
    CloudNotFound,
    StorageError,
)
from burst.storage.login import TOKEN, find_login, login_error, nobody

DEFAULT_POOL = "default-pool"
"""What GKE makes by itself; an interrupted run may leave it behind, and no plan shows that."""

_SECONDS = 60.0
_LONGEST_PAUSE = 20.0
_POLL_SECONDS = 5.0
_DELETION_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class NodePool:
    """Machines of one shape."""

    name: str
    status: str
    """``RUNNING``, ``PROVISIONING``, ``ERROR``, …"""
    message: str
    """Why, where something is wrong."""
    machine: str
    is_spot: bool
    minimum: int
    maximum: int
    """In all zones together."""
    locations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GoogleCluster:
    """One cluster as Google tells it."""

    name: str
    location: str
    status: str
    message: str
    version: str
    dns_endpoint: str
    certificate: str
    """Of its own authority, in base64."""
    network: str
    labels: Mapping[str, str]
    pools: tuple[NodePool, ...]

    @property
    def is_running(self) -> bool:
        """Whether it can be used; while it is changed it can, too."""
        return self.status in ("RUNNING", "RECONCILING")

    def strays(self, wanted: Iterable[str]) -> tuple[str, ...]:
        """Return pools that nobody wanted: GKE's own, which a run could not remove any more."""
        names = set(wanted)
        return tuple(one.name for one in self.pools if one.name not in names)


class GoogleClusters:
    """Clusters of one project; all calls block."""

    def __init__(
        self,
        project: str,
        environ: Mapping[str, str] = os.environ,
        *,
        patience_seconds: float = _SECONDS,
        first_pause: float = 1.0,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Know the project; nothing is asked yet.

        Args:
            project: whose.
            environ: may name another endpoint, and hold a token.
            patience_seconds: how long to go on asking who does not answer.
            first_pause: before a second try, in seconds.
            pause: waits between two looks at an operation.
        """
        self.project = project
        self._environ = environ
        self._patience = patience_seconds
        self._first_pause = first_pause
        self._pause = pause

    def get(self, location: str, name: str) -> GoogleCluster:
        """Return a cluster.

        Raises:
            CloudNotFound: there is none of that name.
            CloudError: Google does not tell.
        """
        path = self._path(location, name)
        told = self._do("get_cluster", f"can't look at the cluster {name}", name=path)
        return _cluster(told)

    def list(self) -> tuple[GoogleCluster, ...]:
        """Return all clusters of the project.

        Raises:
            CloudError: Google does not tell, or not of all zones.
        """
        what = "can't list clusters"
        told = self._do("list_clusters", what, parent=f"projects/{self.project}/locations/-")
        if told.missing_zones:
            raise CloudAway(f"{what}: {', '.join(told.missing_zones)} did not answer")
        return tuple(_cluster(one) for one in told.clusters)

    def pool_trouble(self, location: str, cluster: str, pool: str) -> str | None:
        """Return why a node pool failed, in Google's words; None if nothing is known.

        Raises:
            CloudError: Google does not tell.
        """
        found = [one for one in self.get(location, cluster).pools if one.name == pool]
        if found and found[0].message:
            return found[0].message
        return self._operation_trouble(location, f"/clusters/{cluster}/nodePools/{pool}")

    def pool_error(self, location: str, cluster: str, pool: str) -> CloudError:
        """Return the error that a failed node pool is; takes what `pool_trouble` does."""
        trouble = self.pool_trouble(location, cluster, pool)
        text = trouble or "Google does not say why"
        return failure_error(text, f"the node pool {pool} could not be made", self.project)

    def delete(self, location: str, name: str, seconds: float = _DELETION_SECONDS) -> None:
        """Delete a cluster and wait until it is gone; one that is gone already is no error.

        Raises:
            CloudError: it can't be deleted, or not in that time.
        """
        what = f"can't delete the cluster {name}"
        try:
            operation = self._do("delete_cluster", what, name=self._path(location, name))
        except CloudNotFound:
            return
        self._wait(location, operation, what, seconds)

    def delete_pool(
        self, location: str, cluster: str, pool: str, seconds: float = _DELETION_SECONDS
    ) -> None:
        """Delete a node pool and wait until it is gone; takes and raises what `delete` does."""
        what = f"can't delete the node pool {pool}"
        path = f"{self._path(location, cluster)}/nodePools/{pool}"
        try:
            operation = self._do("delete_node_pool", what, name=path)
        except CloudNotFound:
            return
        self._wait(location, operation, what, seconds)

    def _operation_trouble(self, location: str, target: str) -> str | None:
        """Return why the last operation on something failed."""
        parent = f"projects/{self.project}/locations/{location}"
        told = self._do("list_operations", "can't list operations", parent=parent)
        about = [one for one in told.operations if str(one.target_link).endswith(target)]
        about.sort(key=lambda one: str(one.start_time), reverse=True)
        for one in about:
            if trouble := _trouble(one):
                return trouble
        return None

    def _wait(self, location: str, operation: Any, what: str, seconds: float) -> None:
        name = f"projects/{self.project}/locations/{location}/operations/{operation.name}"
        ends = time.monotonic() + seconds
        while operation.status.name not in ("DONE", "ABORTING"):
            if time.monotonic() > ends:
                raise CloudAway(f"{what}: it takes longer than {seconds / 60:.0f} minutes")
            self._pause(_POLL_SECONDS)
            operation = self._do("get_operation", what, name=name)
        if trouble := _trouble(operation):
            raise failure_error(trouble, what, self.project)

    def _path(self, location: str, name: str) -> str:
        return f"projects/{self.project}/locations/{location}/clusters/{name}"

    def _do(self, method: str, what: str, **request: str) -> Any:
        """Ask by the client, again while that may help."""
        import requests
        from google.api_core import exceptions, retry
        from google.auth import exceptions as auth

        passing = retry.if_exception_type(
            exceptions.TooManyRequests,
            exceptions.ServerError,
            requests.ConnectionError,
            requests.Timeout,
        )
        again = retry.Retry(
            passing, initial=self._first_pause, maximum=_LONGEST_PAUSE, timeout=self._patience
        )
        try:
            call = getattr(self._client, method)
            return call(request=request, retry=again, timeout=_SECONDS)
        except exceptions.RetryError as error:
            raise self._ours(error.cause or error, what) from error
        except (
            exceptions.GoogleAPIError,
            auth.GoogleAuthError,
            requests.RequestException,
        ) as error:
            raise self._ours(error, what) from error

    def _ours(self, error: Exception, what: str) -> CloudError:
        from google.api_core import exceptions
        from google.auth import exceptions as auth

        if isinstance(error, auth.GoogleAuthError):
            return of_login(login_error(error, what, self._login))
        if not isinstance(error, exceptions.GoogleAPICallError):
            hint = "look at the network; then the same command goes on"
            return CloudAway(f"{what}: Google Cloud does not answer", hint=hint)
        answer = getattr(error, "response", None)
        body: object = {"error": {"message": error.message}}
        if answer is not None:
            try:
                body = answer.json()
            except ValueError:
                body = answer.text
        return cloud_error(read_refusal(int(error.code or 0), body), what, self.project)

    @cached_property
    def _login(self) -> Any:
        is_plain = urlsplit(endpoint("CONTAINER", self._environ)).scheme == "http"
        if is_plain and not self._environ.get(TOKEN):
            return nobody()
        try:
            return find_login((SCOPE,), "can't ask Kubernetes Engine", self._environ)
        except StorageError as error:
            raise of_login(error) from error

    @cached_property
    def _client(self) -> Any:
        from google.cloud import container_v1

        address = endpoint("CONTAINER", self._environ)
        return container_v1.ClusterManagerClient(
            credentials=self._login,
            transport="rest",
            # The client puts the version before each path by itself.
            client_options={"api_endpoint": re.sub(r"/v1[a-z0-9]*/?$", "", address)},
        )


def _cluster(told: Any) -> GoogleCluster:
    return GoogleCluster(
        name=told.name,
        location=told.location or told.zone,
        status=told.status.name,
        message=_message(told),
        version=told.current_master_version,
        dns_endpoint=told.control_plane_endpoints_config.dns_endpoint_config.endpoint,
        certificate=told.master_auth.cluster_ca_certificate,
        network=told.network,
        labels=dict(told.resource_labels),
        pools=tuple(_pool(one) for one in told.node_pools),
    )


def _pool(told: Any) -> NodePool:
    scaling, zones = told.autoscaling, tuple(told.locations)
    many = max(1, len(zones))
    return NodePool(
        name=told.name,
        status=told.status.name,
        message=_message(told),
        machine=told.config.machine_type,
        is_spot=told.config.spot or told.config.preemptible,
        minimum=scaling.total_min_node_count or scaling.min_node_count * many,
        maximum=scaling.total_max_node_count or scaling.max_node_count * many,
        locations=zones,
    )


def _message(told: Any) -> str:
    """Return what is wrong with a cluster or a pool, from both places where it may stand."""
    said = [str(told.status_message), *(str(one.message) for one in told.conditions)]
    return "; ".join(dict.fromkeys(text for text in said if text))


def _trouble(operation: Any) -> str | None:
    """Return why an operation failed, or None."""
    if operation.error.message:
        return str(operation.error.message)
    done = operation.status.name == "ABORTING"
    return str(operation.status_message or "it was aborted") if done else None
