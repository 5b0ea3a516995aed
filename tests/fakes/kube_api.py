"""An API server of Kubernetes as far as the manager uses one, on the loopback.

Lists, watches, makes and deletes Jobs, pods, ConfigMaps and events of one namespace. Nothing
runs: pods come and end as the test says. ``tests/kubernetes`` has the real one.
"""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

NAMESPACE = "farm"
FARM = "farm"
KINDS = {"configmaps", "events", "jobs", "pods"}
LOOK_SECONDS = 0.1

Manifest = dict[str, Any]


class KubeApi:
    """What the cluster has, and how it behaves."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Manifest]] = {kind: {} for kind in KINDS}
        self.made: list[str] = []
        """Names of all Jobs that were ever made, in order."""
        self.refusal: tuple[int, str] | None = None
        """Status and message for whoever makes a Job, if so."""
        self.lost_answers = 0
        """How many of the next Jobs are made without an answer."""
        self.is_away = False
        """Whether connections are cut without an answer."""
        self.is_silent = False
        """Whether watches tell nothing of what happens."""
        self.logs: dict[str, str] = {}
        """Worker → what its pod printed."""
        self.logs_away = False
        """Whether no log can be read, as of pods whose node is gone."""
        self.logs_asked = 0
        self.refused = 0
        """How many Jobs were refused."""
        self.watches = 0
        self._version = 100
        self._oldest = 100
        self._told: list[tuple[int, str, str, Manifest]] = []
        self._lock = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self.is_away = True
        self._server.shutdown()
        self._server.server_close()

    # ── What tests do ────────────────────────────────────────────────────────────────

    def put(self, kind: str, item: Mapping[str, Any]) -> Manifest:
        """Make or change an object."""
        with self._lock:
            name = item["metadata"]["name"]
            known = name in self.objects[kind]
            return self._store(kind, dict(item), "MODIFIED" if known else "ADDED")

    def delete(self, kind: str, name: str) -> None:
        """Delete an object."""
        with self._lock:
            self._drop(kind, name)

    def pod(self, worker: str, **status: Any) -> Manifest:
        """Give a worker's Job a pod, or its pod another status."""
        with self._lock:
            template = self.objects["jobs"][worker]["spec"]["template"]
            former = self.objects["pods"].get(f"{worker}-x", {})
            pod = {
                "metadata": {"name": f"{worker}-x", **copy.deepcopy(template["metadata"])},
                "spec": {"nodeName": "node-1"},
                "status": {**former.get("status", {}), **status},
            }
        return self.put("pods", pod)

    def run(self, worker: str) -> Manifest:
        """Let a worker's pod run."""
        return self.pod(worker, phase="Running", containerStatuses=[_container({"running": {}})])

    def end(self, worker: str, code: int = 0, **terminated: Any) -> Manifest:
        """Let a worker's program end."""
        state = {"terminated": {"exitCode": code, **terminated}}
        phase = "Failed" if code else "Succeeded"
        return self.pod(worker, phase=phase, containerStatuses=[_container(state)])

    def warn(self, kind: str, name: str, reason: str, message: str) -> None:
        """Add an event about an object."""
        event = {
            "metadata": {"name": f"{name}.{self._version}"},
            "involvedObject": {"kind": kind, "name": name},
            "type": "Warning",
            "reason": reason,
            "message": message,
            "lastTimestamp": f"2030-01-01T00:{self._version:08}",
        }
        self.put("events", event)

    def forget_history(self) -> None:
        """Let nobody watch from before now."""
        with self._lock:
            self._version += 1
            self._oldest = self._version
            self._lock.notify_all()

    # ── What the server does ─────────────────────────────────────────────────────────

    def list(self, kind: str, selector: str) -> Manifest:
        with self._lock:
            items = [one for one in self.objects[kind].values() if _selects(selector, one)]
            return {"metadata": {"resourceVersion": str(self._version)}, "items": items}

    def create(self, kind: str, item: Manifest) -> tuple[int, Manifest]:
        with self._lock:
            name = item["metadata"]["name"]
            if name in self.objects[kind]:
                return 409, _failure(409, "AlreadyExists", f"jobs.batch {name!r} already exists")
            if self.refusal is not None:
                self.refused += 1
                return self.refusal[0], _failure(self.refusal[0], "Forbidden", self.refusal[1])
            self.made.append(name)
            return 201, self._store(kind, item, "ADDED")

    def remove(self, kind: str, name: str) -> tuple[int, Manifest]:
        with self._lock:
            if name not in self.objects[kind]:
                return 404, _failure(404, "NotFound", f"jobs.batch {name!r} not found")
            self._drop(kind, name)
            self._drop("pods", f"{name}-x")
            return 200, {"metadata": {"name": name}}

    def next_told(self, version: int, kind: str) -> list[tuple[int, str, Manifest]]:
        """Wait a moment for something that happened after ``version``."""
        with self._lock:
            if self.is_silent or not any(
                number > version and of_kind == kind for number, _, of_kind, _ in self._told
            ):
                self._lock.wait(LOOK_SECONDS)
            if self.is_silent:
                return []
            return [
                (number, event, item)
                for number, event, of_kind, item in self._told
                if number > version and of_kind == kind
            ]

    def is_forgotten(self, version: int) -> bool:
        return version < self._oldest

    def _store(self, kind: str, item: Manifest, event: str) -> Manifest:
        self._version += 1
        item = copy.deepcopy(item)
        item["metadata"] |= {"resourceVersion": str(self._version)}
        item["metadata"].setdefault("uid", f"uid-{self._version}")
        item["metadata"].setdefault("creationTimestamp", f"2030-01-01T00:00:{self._version:08}")
        self.objects[kind][item["metadata"]["name"]] = item
        self._told.append((self._version, event, kind, item))
        self._lock.notify_all()
        return item

    def _drop(self, kind: str, name: str) -> None:
        item = self.objects[kind].pop(name, None)
        if item is not None:
            self._version += 1
            item = copy.deepcopy(item)
            item["metadata"]["resourceVersion"] = str(self._version)
            self._told.append((self._version, "DELETED", kind, item))
            self._lock.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        return type("Handler", (_Handler,), {"api": self})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    """Callers that come together; of more some would wait for seconds."""


class _Handler(BaseHTTPRequestHandler):
    api: KubeApi
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        kind, name, query = self._asked()
        if self.api.is_away:
            self.close_connection = True
        elif name.endswith("/log"):
            self.api.logs_asked += 1
            if self.api.logs_away:
                self._answer(500, _failure(500, "InternalError", "no route to host"))
                return
            self._send(200, self.api.logs.get(name.removesuffix("-x/log"), "").encode())
        elif query.get("watch"):
            self._tell(kind, query)
        else:
            self._answer(200, self.api.list(kind, query.get("labelSelector", "")))

    def do_POST(self) -> None:
        kind, _, _ = self._asked()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.api.is_away:
            self.close_connection = True
            return
        status, answer = self.api.create(kind, body)
        if self.api.lost_answers > 0:
            self.api.lost_answers -= 1
            self.close_connection = True
            return
        self._answer(status, answer)

    def do_DELETE(self) -> None:
        kind, name, _ = self._asked()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.api.is_away:
            self.close_connection = True
            return
        self._answer(*self.api.remove(kind, name))

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def _asked(self) -> tuple[str, str, dict[str, str]]:
        address = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(address.query).items()}
        kind, _, name = address.path.partition(f"/namespaces/{NAMESPACE}/")[2].partition("/")
        assert kind in KINDS, self.path
        return kind, name, query

    def _tell(self, kind: str, query: Mapping[str, str]) -> None:
        version, selector = int(query["resourceVersion"]), query.get("labelSelector", "")
        if self.api.is_forgotten(version):
            self._answer(410, _failure(410, "Expired", "too old resource version"))
            return
        self.api.watches += 1
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        deadline = time.monotonic() + float(query["timeoutSeconds"])
        self.close_connection = True
        while time.monotonic() < deadline and not self.api.is_away:
            if self.api.is_forgotten(version):
                self._chunk("ERROR", {"code": 410, "message": "too old resource version"})
                break
            for number, event, item in self.api.next_told(version, kind):
                version = number
                if _selects(selector, item):
                    self._chunk(event, item)
        if not self.api.is_away:
            self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, event: str, item: Manifest) -> None:
        line = json.dumps({"type": event, "object": item}).encode() + b"\n"
        # In two pieces: nobody promises that a line comes in one.
        for piece in (line[:20], line[20:]):
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self.wfile.flush()

    def _answer(self, status: int, body: Manifest) -> None:
        self._send(status, json.dumps(body).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def pool_map(name: str = "cpu", **facts: Any) -> Manifest:
    """Return the ConfigMap of a worker pool."""
    pool = {
        "name": name,
        "maximum": 4,
        "cores": 2,
        "memory_bytes": 2 << 30,
        "boot_seconds": 3,
        "start_seconds": 180,
        "stock_out_seconds": 60,
        **facts,
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"labels": {"app.kubernetes.io/part-of": "burst"}},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"labels": {"app.kubernetes.io/part-of": "burst"}},
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [
                        {"name": "sidecar"},
                        {
                            "name": "worker",
                            "env": [{"name": "BURST_SCENES", "value": "fetch"}],
                        },
                    ],
                },
            },
        },
    }
    labels = {"burst/kind": "worker-pool", "burst/farm": FARM, "burst/pool": name}
    return {
        "metadata": {"name": f"{FARM}-pool-{name}", "labels": labels},
        "data": {"pool.json": json.dumps(pool), "job.json": json.dumps(job)},
    }


def _container(state: Manifest) -> Manifest:
    return {"name": "worker", "state": state}


def _failure(status: int, reason: str, message: str) -> Manifest:
    return {"kind": "Status", "code": status, "reason": reason, "message": message}


def _selects(selector: str, item: Manifest) -> bool:
    labels = item["metadata"].get("labels") or {}
    for part in filter(None, selector.split(",")):
        key, equal, value = part.partition("=")
        if key not in labels or (equal and labels[key] != value):
            return False
    return True
