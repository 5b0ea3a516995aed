"""Workers as Kubernetes Jobs, one each: the worker provider of a farm in a cluster.

The one module that talks to Kubernetes. What it is told becomes pools in `pool_maps`, workers
in `pods`; what is there is kept at hand by `mirror`. Jobs and pods of a farm are those that
bear its label, whoever made them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kubernetes import client, config
from pydantic_core import from_json

from burst.domain.pools import WorkerPool
from burst.errors import ToolError
from burst.manager.autoscaler.asking import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    GONE,
    NOT_FOUND,
    Refusal,
    lines_of,
    translated,
)
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
from burst.manager.autoscaler.volley import Request, Volley

log = logging.getLogger(__name__)

WATCH_SECONDS = 25
"""After so long a watch is asked anew: a cluster that was cut off says nothing at all."""

EVENTS_SECONDS = 5.0
"""How often the cluster is asked why pods do not begin, while some do not."""

REMOVAL = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
"""A Job is deleted at once; its pod follows."""

LOG_LINES = 20
LOG_SECONDS = 5.0


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
    return KubernetesProvider(settings, namespace, farm)


class KubernetesProvider:
    """Workers in one namespace of a cluster."""

    def __init__(self, settings: client.Configuration, namespace: str, farm: str) -> None:
        """Begin to watch the pools, Jobs and pods of ``farm``."""
        api = client.ApiClient(settings)
        self._volley = Volley(settings)
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
        jobs: dict[str, Manifest] = {}
        for order in orders:
            pool_map = maps.get(order.pool)
            if pool_map is None:
                refused[order.name] = f"there is no worker pool {order.pool}"
            elif pool_map.pool.trouble:
                refused[order.name] = pool_map.pool.trouble
            else:
                jobs[order.name] = job_of(pool_map, order, self._farm)
        path = f"/apis/batch/v1/namespaces/{self._namespace}/jobs"
        answers = self._volley.ask([Request("POST", path, job) for job in jobs.values()])
        unanswered: list[ToolError] = []
        for name, answer in zip(jobs, answers, strict=True):
            if isinstance(answer, ToolError):
                self._is_unsure = True
                unanswered.append(answer)
            elif not isinstance(answer, Refusal):
                self._jobs.add(answer)
            elif answer.is_there_already:
                # An earlier try came through whose answer did not; or it is another farm's.
                self._is_unsure = True
            else:
                refused[name] = str(answer)
        if unanswered:
            raise unanswered[0]
        return refused

    def list(self) -> Sequence[StartedWorker]:
        """Return every worker that has a Job."""
        if self._is_unsure:
            # Before, as others may start workers meanwhile.
            self._is_unsure = False
            try:
                self._jobs.refresh()
            except BaseException:
                self._is_unsure = True
                raise
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
        path = f"/apis/batch/v1/namespaces/{self._namespace}/jobs/"
        answers = self._volley.ask([Request("DELETE", path + name, REMOVAL) for name in names])
        failed: list[Refusal | ToolError] = []
        for name, answer in zip(names, answers, strict=True):
            if isinstance(answer, ToolError) or (
                isinstance(answer, Refusal) and answer.status != NOT_FOUND
            ):
                failed.append(answer)
            else:
                self._jobs.discard(name)
        if failed:
            raise failed[0] if isinstance(failed[0], ToolError) else ToolError(str(failed[0]))

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
        except (Refusal, ToolError) as error:
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
                except (Refusal, ToolError) as error:
                    log.warning("can't read what %s printed: %s", worker.name, error)
                    can_be_read = False
            found.append(told)
        return found

    def _with_log(self, worker: StartedWorker, pod: Manifest) -> StartedWorker:
        """Return a worker with what it printed last as its reason.

        Raises:
            Refusal: the cluster says no.
            ToolError: it does not answer.
        """
        with translated():
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
            except Refusal as refusal:
                raise ToolError(f"can't list {kind}: {refusal}") from refusal

        @contextlib.contextmanager
        def watch(version: str) -> Iterator[Iterator[bytes]]:
            try:
                with translated():
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
            except Refusal as refusal:
                if refusal.status == GONE:
                    raise TooOld from refusal
                raise ToolError(f"can't watch {kind}: {refusal}") from refusal

        mirror = Mirror(kind, list_all, watch, trim)
        mirror.start()
        return mirror

    def _ask(self, call: Callable[..., Any], *args: object, **options: object) -> Manifest:
        """Make a call and return the answer, as it is: the client's own objects are slow to make.

        Raises:
            Refusal: the cluster says no.
            ToolError: it does not answer, or only later.
        """
        with translated():
            response = call(
                *args,
                _preload_content=False,
                _request_timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
                **options,
            )
            answer: Manifest = from_json(response.data)
            return answer


def _sentence(event: Manifest) -> str:
    return f"{event.get('reason') or 'trouble'}: {event.get('message') or ''}".rstrip(": ")
