"""Cloud Build and the bucket that it builds from, on the loopback.

It builds nothing: it keeps what it was asked for, unpacks the context that was uploaded, and
plays the builds that a test has put into `outcome`. As Google's does, it refuses fields, values
and buckets that there are not.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

GENERATION = "1700000000000001"
"""Of every object that is uploaded."""

_FIELDS: dict[str, set[str]] = {
    "": {"source", "steps", "images", "timeout", "logsBucket", "options", "tags", "substitutions",
         "queueTtl", "artifacts", "serviceAccount", "secrets", "availableSecrets"},
    "source": {"storageSource", "repoSource", "gitSource", "storageSourceManifest"},
    "storageSource": {"bucket", "object", "generation"},
    "steps": {"name", "args", "env", "dir", "id", "waitFor", "entrypoint", "timeout", "script",
              "volumes", "secretEnv", "allowFailure", "allowExitCodes"},
    "options": {"logging", "machineType", "diskSizeGb", "substitutionOption", "env", "pool",
                "logStreamingOption", "requestedVerifyOption", "sourceProvenanceHash", "volumes",
                "defaultLogsBucketBehavior", "dynamicSubstitutions", "automapSubstitutions",
                "workerPool", "secretEnv"},
}  # fmt: skip
"""Of the version 1 of the REST API, what a caller may set."""
_VALUES = {
    "logging": {"LEGACY", "GCS_ONLY", "CLOUD_LOGGING_ONLY", "NONE"},
    "machineType": {"N1_HIGHCPU_8", "N1_HIGHCPU_32", "E2_HIGHCPU_8", "E2_HIGHCPU_32", "E2_MEDIUM"},
}
_BUILDS = re.compile(r"^/v1/projects/[a-z0-9-]+/locations/[a-z0-9-]+/builds$")


class CloudBuildServer(ThreadingHTTPServer):
    """What Google's services would know."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.buckets: dict[str, dict[str, Any]] = {}
        self.objects: dict[str, bytes] = {}
        self.contexts: list[set[str]] = []
        self.builds: list[dict[str, Any]] = []
        self.looks: dict[str, int] = {}
        self.log = [b"Step 1/2 : FROM x\nStep 2", b"/2 : RUN y\n"]
        """What the log grows by, from one look to the next."""
        self.outcome = {"status": "SUCCESS"}
        self.denied = False
        self.lost = 0
        """So many of the next looks at a build get no answer of use."""
        self.canceled: list[str] = []

    @property
    def url(self) -> str:
        """Address of both services."""
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextlib.contextmanager
def running_cloud_build() -> Iterator[CloudBuildServer]:
    """Serve while the block runs."""
    with CloudBuildServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: CloudBuildServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        url = urlsplit(self.path)
        if self.server.denied:
            self._answer(
                403, {"error": {"message": "Permission 'cloudbuild.builds.create' denied"}}
            )
        elif url.path.startswith("/upload/"):
            self._upload(url.path.split("/")[5], parse_qs(url.query)["name"][0], body)
        elif url.path == "/storage/v1/b":
            bucket = json.loads(body)
            self.server.buckets[bucket["name"]] = bucket
            self._answer(200, bucket)
        elif url.path.endswith(":cancel"):
            self.server.canceled.append(url.path.rpartition("/")[2].removesuffix(":cancel"))
            self._answer(200, {})
        elif trouble := self._trouble(url.path, json.loads(body)):
            self._answer(400, {"error": {"message": trouble}})
        else:
            build = {"path": url.path, **json.loads(body)}
            self.server.builds.append(build)
            source = build["source"]["storageSource"]
            self._unpack(self.server.objects[f"{source['bucket']}/{source['object']}"])
            self._answer(200, {"metadata": {"build": {"id": "b1"}}})

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if "/o/" not in url.path and self.server.lost:
            self.server.lost -= 1
            self._answer(503, {})
            return
        if "/o/" not in url.path:
            look = self.server.looks["b1"] = self.server.looks.get("b1", 0) + 1
            bucket = self.server.builds[-1]["logsBucket"].removeprefix("gs://")
            log = b"".join(self.server.log[:look])
            self.server.objects[f"{bucket}/log-b1.txt"] = log
            ended = look >= len(self.server.log)
            state = self.server.outcome if ended else {"status": "WORKING"}
            self._answer(200, {"id": "b1", "logUrl": "https://console/b1", **state})
            return
        content = self.server.objects.get(self._object(url.path), b"")
        start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        if start >= len(content):
            self._answer(416, {})
            return
        self.send_response(206)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:])

    def do_DELETE(self) -> None:
        found = self.server.objects.pop(self._object(urlsplit(self.path).path), None)
        self._answer(404 if found is None else 204, {})

    def _trouble(self, path: str, build: dict[str, Any]) -> str:
        """Return what is wrong with a build that was asked for."""
        parts = [("", build), ("source", build["source"]), ("options", build["options"])]
        parts += [("storageSource", build["source"]["storageSource"])]
        parts += [("steps", step) for step in build["steps"]]
        for name, part in parts:
            if unknown := part.keys() - _FIELDS[name]:
                return f'Invalid JSON payload received. Unknown name "{min(unknown)}"'
        for name, values in _VALUES.items():
            if build["options"][name] not in values:
                return f"Invalid value at 'build.options.{name}'"
        buckets = {build["logsBucket"].removeprefix("gs://"), parts[3][1]["bucket"]}
        if not buckets <= self.server.buckets.keys():
            return "invalid bucket"
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?s", build["timeout"]):
            return "Invalid value at 'build.timeout'"
        return "" if _BUILDS.match(path) else "Not found"

    def _upload(self, bucket: str, name: str, body: bytes) -> None:
        if bucket not in self.server.buckets:
            self._answer(404, {"error": {"message": "no such bucket"}})
            return
        self.server.objects[f"{bucket}/{name}"] = body
        self._answer(200, {"name": name, "generation": GENERATION})

    def _unpack(self, archive: bytes) -> None:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            self.server.contexts.append({name.removeprefix("./") for name in tar.getnames()})

    def _object(self, path: str) -> str:
        bucket, _, name = path.removeprefix("/storage/v1/b/").partition("/o/")
        return f"{bucket}/{unquote(name)}"

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        content = b"" if status == 204 else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
