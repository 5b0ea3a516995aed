"""Workers as Kubernetes Jobs, one each: the worker provider of a farm in a cluster.

The one module that talks to Kubernetes. What it is told becomes pools in `pool_maps`, workers
in `pods`; what is there is kept at hand by `mirror`. Jobs and pods of a farm are those that
bear its label, whoever made them.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client, config

from burst.domain.pools import WorkerPool
from burst.errors import ToolError
from burst.manager.autoscaler.asking import lines_of, persistently
from burst.manager.autoscaler.mirror import Manifest, Mirror, TooOld
from burst.manager.autoscaler.pods import error_of, needs_log, trim_job, trim_pod, worker_of
from burst.manager.autoscaler.pool_maps import (
    CONTAINER,
    FARM_LABEL,
    KIND_LABEL,
    POOL_KIND,
    WORKER_LABEL,
    PoolMap,
    job_of,
    read_pools,
    trim_config_map,
)
from burst.manager.autoscaler.provider import Order, StartedWorker
from burst.threads import side_by_side

log = logging.getLogger(__name__)

AT_ONCE = 32
"""Requests on their way together."""

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0

WATCH_SECONDS = 25
"""After so long a watch is asked anew: a cluster that was cut off says nothing at all."""

EVENTS_SECONDS = 5.0
"""How often the cluster is asked why pods do not begin, while some do not."""

LOG_LINES = 20
LOG_SECONDS = 5.0

FAILED_MAX = AT_ONCE
"""After so many requests without an answer the others are left for later."""

BAD_REQUEST, GONE, CONFLICT, NOT_FOUND, TOO_MANY, SERVER_ERROR = 400, 410, 409, 404, 429, 500


def open_provider(namespace: str, farm: str) -> KubernetesProvider:
    """Return the provider of a farm, in the cluster that this runs in or that KUBECONFIG names.

    Raises:
        ToolError: there is no cluster to be found.
    """
    try:
        if named := os.environ.get("KUBECONFIG"):
            config.load_kube_config(config_file=named)  # type: ignore[no-untyped-call]
        else:
            config.load_incluster_config()  # type: ignore[no-untyped-call]
    except (config.ConfigException, OSError) as error:
        raise ToolError(
            f"no Kubernetes was found: {error}",
            hint="run the manager in a pod, or name a cluster with KUBECONFIG",
        ) from error
    settings = client.Configuration.get_default_copy()
    # Another try is our own business: urllib3 would also repeat what was half done.
    settings.retries = False
    settings.connection_pool_maxsize = AT_ONCE + 8
    return KubernetesProvider(client.ApiClient(settings), namespace, farm)


class KubernetesProvider:
    """Workers in one namespace of a cluster."""

    def __init__(self, api: client.ApiClient, namespace: str, farm: str) -> None:
        """Begin to watch the pools, Jobs and pods of ``farm``."""
        self._namespace = namespace
        self._farm = farm
        self._core = client.CoreV1Api(api)
        self._batch = client.BatchV1Api(api)
        ours = f"{FARM_LABEL}={farm}"
        self._config_maps = self._mirror(
            "worker pools",
            self._core.list_namespaced_config_map,
            f"{KIND_LABEL}={POOL_KIND},{ours}",
            trim_config_map,
        )
        self._jobs = self._mirror(
            "Jobs", self._batch.list_namespaced_job, f"{ours},{WORKER_LABEL}", trim_job
        )
        self._pods = self._mirror(
            "pods", self._core.list_namespaced_pod, f"{ours},{WORKER_LABEL}", trim_pod
        )
        self._is_unsure = False
        """Whether some Job may have been made that the mirror does not know."""
        self._events: dict[str, str] = {}
        self._events_at = -EVENTS_SECONDS

    def pools(self) -> Sequence[WorkerPool]:
        """Return the pools that the namespace's ConfigMaps describe."""
        return [found.pool for found in self._pool_maps().values()]

    def start(self, orders: Sequence[Order]) -> Mapping[str, str]:
        """Make a Job for each worker, many at once."""
        maps = self._pool_maps()
        refused: dict[str, str] = {}
        unanswered: list[ToolError] = []

        def make(order: Order) -> None:
            if len(unanswered) >= FAILED_MAX:
                return
            try:
                if reason := self._make(maps.get(order.pool), order):
                    refused[order.name] = reason
            except ToolError as error:
                unanswered.append(error)

        side_by_side([partial(make, order) for order in orders], AT_ONCE)
        if unanswered:
            self._is_unsure = True
            raise unanswered[0]
        return refused

    def list(self) -> Sequence[StartedWorker]:
        """Return every worker that has a Job."""
        if self._is_unsure:
            self._jobs.refresh()
            self._is_unsure = False
        jobs, pods = self._jobs.items(), self._pods_by_worker()
        workers = [worker_of(name, jobs[name], pods.get(name), {}) for name in sorted(jobs)]
        if any(worker.holdup == "start" and not worker.waits for worker in workers):
            warnings = self._warnings()
            workers = [
                worker_of(worker.name, jobs[worker.name], pods.get(worker.name), warnings)
                if worker.holdup == "start"
                else worker
                for worker in workers
            ]
        return self._with_logs(workers, pods)

    def remove(self, names: Collection[str]) -> None:
        """Delete the Jobs of workers with their pods; what runs there is told to leave."""
        failed: list[ToolError] = []

        def delete(name: str) -> None:
            if len(failed) >= FAILED_MAX:
                return
            try:
                self._delete(name)
            except ToolError as error:
                failed.append(error)

        side_by_side([partial(delete, name) for name in names], AT_ONCE)
        if failed:
            raise failed[0]

    def log_path(self, name: str) -> Path | None:
        """Return nothing: the cluster has what a worker prints."""
        return None

    def stop_all(self) -> None:
        """Stop watching; workers in a cluster outlive their manager, and find the next."""
        for mirror in (self._config_maps, self._jobs, self._pods):
            mirror.stop()

    def _pool_maps(self) -> dict[str, PoolMap]:
        return read_pools(self._config_maps.items().values())

    def _pods_by_worker(self) -> dict[str, Manifest]:
        pods = self._pods.items().values()
        by_age = sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
        return {pod["metadata"]["labels"][WORKER_LABEL]: pod for pod in by_age}

    def _make(self, pool_map: PoolMap | None, order: Order) -> str:
        """Make a Job, and return why it was refused."""
        if pool_map is None or pool_map.pool.trouble:
            return pool_map.pool.trouble if pool_map else f"there is no worker pool {order.pool}"
        job = job_of(pool_map, order, self._farm)
        try:
            answer = persistently(lambda: self._ask(self._create, job))
        except _Refusal as refusal:
            if refusal.is_there_already:
                # An earlier try came through whose answer did not; or it is another farm's.
                self._is_unsure = True
                return ""
            return str(refusal)
        self._jobs.add(answer)
        return ""

    def _create(self, job: Manifest, **options: Any) -> Any:
        """Post a Job. The client's own method looks at all in it first: a third of the time."""
        api: Any = self._batch.api_client
        request = api.param_serialize(
            "POST",
            f"/apis/batch/v1/namespaces/{self._namespace}/jobs",
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        method, url, headers = request[:3]
        del options["_preload_content"]
        answer = api.call_api(method, url, headers, job, **options)
        if answer.status >= BAD_REQUEST:
            answer.read()
            raise client.ApiException.from_response(http_resp=answer, body=None, data=None)
        return answer.response

    def _delete(self, name: str) -> None:
        try:
            persistently(
                lambda: self._ask(
                    self._batch.delete_namespaced_job,
                    name,
                    self._namespace,
                    propagation_policy="Background",
                )
            )
        except _Refusal as refusal:
            if refusal.status != NOT_FOUND:
                raise ToolError(str(refusal)) from refusal
        self._jobs.discard(name)

    def _warnings(self) -> Mapping[str, str]:
        """Return the last warning about each Job and pod, asked for now and then."""
        if time.monotonic() - self._events_at < EVENTS_SECONDS:
            return self._events
        self._events_at = time.monotonic()
        try:
            answer = self._ask(
                self._core.list_namespaced_event,
                self._namespace,
                # Why there is no node says the pod itself, and thousands may wait for one.
                field_selector="type=Warning,reason!=FailedScheduling",
                limit=1000,
            )
        except (_Refusal, ToolError) as error:
            log.warning("can't ask why pods do not begin: %s", error)
            return self._events
        events = sorted(answer["items"], key=lambda event: str(event.get("lastTimestamp") or ""))
        self._events = {
            event["involvedObject"].get("name", ""): _sentence(event)
            for event in events
            if event.get("involvedObject", {}).get("kind") in ("Job", "Pod")
        }
        return self._events

    def _with_logs(
        self, workers: Sequence[StartedWorker], pods: Mapping[str, Manifest]
    ) -> Sequence[StartedWorker]:
        """Return workers with the reasons that they printed, if nothing else has them."""
        found = []
        can_be_read = True
        for worker in workers:
            told, pod = worker, pods.get(worker.name)
            # A node that is gone keeps each who asks it waiting; one is enough.
            if can_be_read and pod is not None and needs_log(worker):
                try:
                    told = self._with_log(worker, pod)
                except (_Refusal, ToolError) as error:
                    log.warning("can't read what %s printed: %s", worker.name, error)
                    can_be_read = False
            found.append(told)
        return found

    def _with_log(self, worker: StartedWorker, pod: Manifest) -> StartedWorker:
        """Return a worker with what it printed last as its reason.

        Raises:
            _Refusal: the cluster says no.
            ToolError: it does not answer.
        """
        with _translated():
            response: Any = self._core.read_namespaced_pod_log(
                pod["metadata"]["name"],
                self._namespace,
                container=CONTAINER,
                tail_lines=LOG_LINES,
                _preload_content=False,
                _request_timeout=(CONNECT_SECONDS, LOG_SECONDS),
            )
            text = response.data.decode("utf-8", "replace")
        return replace(worker, failure=error_of(text) or worker.failure)

    def _mirror(
        self,
        kind: str,
        call: Callable[..., Any],
        selector: str,
        trim: Callable[[Manifest], Manifest],
    ) -> Mirror:
        def list_all() -> Mapping[str, Any]:
            try:
                return self._ask(call, self._namespace, label_selector=selector)
            except _Refusal as refusal:
                raise ToolError(f"can't list {kind}: {refusal}") from refusal

        @contextlib.contextmanager
        def watch(version: str) -> Iterator[Iterator[bytes]]:
            try:
                with _translated():
                    response = call(
                        self._namespace,
                        label_selector=selector,
                        watch=True,
                        resource_version=version,
                        allow_watch_bookmarks=True,
                        timeout_seconds=WATCH_SECONDS,
                        _preload_content=False,
                        _request_timeout=(CONNECT_SECONDS, WATCH_SECONDS + CONNECT_SECONDS),
                    )
                    try:
                        yield lines_of(response.stream(amt=None, decode_content=False))
                    finally:
                        response.close()
            except _Refusal as refusal:
                if refusal.status == GONE:
                    raise TooOld from refusal
                raise ToolError(f"can't watch {kind}: {refusal}") from refusal

        mirror = Mirror(kind, list_all, watch, trim)
        mirror.start()
        return mirror

    def _ask(self, call: Callable[..., Any], *args: object, **options: object) -> Manifest:
        """Make a call and return the answer, as it is: the client's own objects are slow to make.

        Raises:
            _Refusal: the cluster says no.
            ToolError: it does not answer, or only later.
        """
        with _translated():
            response = call(
                *args,
                _preload_content=False,
                _request_timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
                **options,
            )
            answer: Manifest = json.loads(response.data)
            return answer


class _Refusal(Exception):
    """The cluster's no, in its words."""

    def __init__(self, error: client.ApiException) -> None:
        self.status = int(error.status or 0)
        try:
            body = json.loads(error.body or "{}")
        except ValueError:
            body = {}
        self.is_there_already = body.get("reason") == "AlreadyExists"
        super().__init__(body.get("message") or f"{error.status} {error.reason}")


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Make errors of the client's ours."""
    try:
        yield
    except client.ApiException as error:
        refusal = _Refusal(error)
        status = refusal.status
        # A conflict is over what others write in the same moment, such as a quota's sums.
        is_passing = status in (0, TOO_MANY) or status >= SERVER_ERROR
        if is_passing or (status == CONFLICT and not refusal.is_there_already):
            raise ToolError(f"the cluster does not take it now: {refusal}") from error
        raise refusal from error
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise ToolError(f"the cluster's API does not answer: {error}") from error


def _sentence(event: Manifest) -> str:
    return f"{event.get('reason') or 'trouble'}: {event.get('message') or ''}".rstrip(": ")
