"""Cloud Build: images built by Google, beside their registry, for a machine without a builder.

The context goes to a bucket as one archive, Cloud Build builds and pushes, and its log, which it
writes to the same bucket, is followed meanwhile. Asked by REST; project and region are those of
the registry.
"""

from __future__ import annotations

import os
import re
import tarfile
import tempfile
import time
import urllib.parse
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burst.cloud.images import Recipe, Say
from burst.errors import BuildFailed, BurstError, RegistryDenied, ToolError, UsageError
from burst.storage.login import find_login, login_error, nobody

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
BUILD_ENDPOINT = "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDBUILD"
"""Variable that names another Cloud Build, as gcloud has it; nobody logs in there."""
STORAGE_ENDPOINT = "STORAGE_EMULATOR_HOST"

_BUILDER = "gcr.io/cloud-builders/docker"
_MACHINE = "E2_HIGHCPU_8"
_TIMEOUT_SECONDS = 3600
_REQUEST_SECONDS = 60.0
_POLL_SECONDS = 2.0
_TRIES = 5
"""Of one look at a build, which goes on whoever looks."""
_UNDER_WAY = ("STATUS_UNKNOWN", "PENDING", "QUEUED", "WORKING")
_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)
_ARTIFACT_REGISTRY = re.compile(r"^(?P<region>[a-z0-9-]+)-docker\.pkg\.dev/(?P<project>[^/]+)/.+$")
_CONTAINER_REGISTRY = re.compile(r"^(?:[a-z]+\.)?gcr\.io/(?P<project>[^/]+)")
_MULTI_REGIONS = frozenset({"asia", "europe", "us"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a registry's images are built."""

    project: str
    region: str

    @property
    def bucket(self) -> str:
        """Gcloud's own choice for what is built, so that one has it already or can make it."""
        return f"{self.project}_cloudbuild"


def place_of(registry: str) -> Place:
    """Return project and region of one of Google's registries.

    Raises:
        UsageError: it is none of Google's.
    """
    if found := _ARTIFACT_REGISTRY.match(registry):
        region = found["region"]
        return Place(found["project"], "global" if region in _MULTI_REGIONS else region)
    if found := _CONTAINER_REGISTRY.match(registry):
        return Place(found["project"], "global")
    raise UsageError(
        f"Cloud Build pushes to Google's registries, and {registry} is none",
        hint="name one with --registry REGION-docker.pkg.dev/PROJECT/REPOSITORY",
    )


def is_googles(registry: str) -> bool:
    """Say whether Cloud Build can push there."""
    return bool(_ARTIFACT_REGISTRY.match(registry) or _CONTAINER_REGISTRY.match(registry))


class CloudBuild:
    """Builds in one project; all calls block."""

    def __init__(
        self,
        place: Place,
        environ: Mapping[str, str] = os.environ,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Log in.

        Args:
            place: where to build.
            environ: may name other endpoints, for tests.
            pause: waits between two looks at a build.

        Raises:
            StorageError: there is no login to Google Cloud.
        """
        self.place = place
        own = environ.get(BUILD_ENDPOINT)
        self._build_api = (own or "https://cloudbuild.googleapis.com").rstrip("/") + "/v1"
        self._storage = (environ.get(STORAGE_ENDPOINT) or "https://storage.googleapis.com").rstrip(
            "/"
        )
        self._pause = pause
        from google.auth.transport.requests import AuthorizedSession

        self._login = nobody() if own else find_login((SCOPE,), "can't ask Cloud Build")
        self._session: Any = AuthorizedSession(self._login)  # type: ignore[no-untyped-call]

    def build(self, recipe: Recipe, context: Path, say: Say) -> None:
        """Build an image and push it, which takes minutes.

        Raises:
            BuildFailed: it did not work; the last lines say why.
        """
        name = f"burst/{uuid.uuid4().hex}.tgz"
        generation = self._upload(context, name)
        say(f"Cloud Build builds {recipe.reference} in {self.place.project} ({self.place.region})")
        try:
            build_id = self._start(recipe, name, generation)
            try:
                self._follow(build_id, recipe.reference, say)
            except KeyboardInterrupt:
                # Nobody waits for it any more, and every minute of it is paid for.
                self._try("POST", f"{self._builds()}/{build_id}:cancel", say)
                raise
        finally:
            self._try("DELETE", self._object(name), say)

    def is_published(self, reference: str) -> bool:
        """Say whether the registry has an image of that name.

        Raises:
            RegistryDenied: it does not tell this login.
        """
        host, _, rest = reference.partition("/")
        path, _, tag = rest.rpartition(":")
        url = f"https://{host}/v2/{path}/manifests/{tag}"
        answer = self._ask("HEAD", url, headers={"Accept": _MANIFESTS}, fine=(401, 403, 404))
        if answer.status_code in (401, 403):
            raise RegistryDenied(
                f"{reference}: the registry does not tell this login",
                hint=f"grant it roles/artifactregistry.writer in {self.place.project}",
            )
        return bool(answer.status_code == 200)

    def _upload(self, context: Path, name: str) -> str:
        """Upload what is built from, and return its generation: nobody changes that any more.

        The bucket's name is known to everybody, so it may be a stranger's who was first.
        """
        bucket = self.place.bucket
        with tempfile.TemporaryFile() as archive:
            with tarfile.open(fileobj=archive, mode="w:gz") as tar:
                tar.add(context, arcname=".")
            url = f"{self._storage}/upload/storage/v1/b/{bucket}/o"
            for may_make in (True, False):
                archive.seek(0)
                answer = self._ask(
                    "POST", url, params={"uploadType": "media", "name": name}, data=archive,
                    fine=(404,) if may_make else (),
                )  # fmt: skip
                if answer.status_code != 404:
                    break
                self._make_bucket()
        return str(answer.json()["generation"])

    def _make_bucket(self) -> None:
        location = {} if self.place.region == "global" else {"location": self.place.region}
        self._ask(
            "POST",
            f"{self._storage}/storage/v1/b",
            params={"project": self.place.project},
            json={
                "name": self.place.bucket,
                "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}},
                **location,
            },
        )

    def _start(self, recipe: Recipe, source: str, generation: str) -> str:
        """Start a build, and return its id."""
        options = ["--file", recipe.containerfile, "--tag", recipe.reference]
        for key, value in {**recipe.arguments, **recipe.mirrors}.items():
            options += ["--build-arg", f"{key}={value}"]
        for key, value in recipe.labels.items():
            options += ["--label", f"{key}={value}"]
        archive = {"bucket": self.place.bucket, "object": source, "generation": generation}
        body = {
            "source": {"storageSource": archive},
            "steps": [{"name": _BUILDER, "args": ["build", *options, "."]}],
            "images": [recipe.reference],
            "timeout": f"{_TIMEOUT_SECONDS}s",
            "logsBucket": f"gs://{self.place.bucket}",
            "options": {"logging": "GCS_ONLY", "machineType": _MACHINE},
            "tags": ["burst"],
        }
        answer = self._ask("POST", self._builds(), json=body).json()
        return str(answer["metadata"]["build"]["id"])

    def _try(self, method: str, url: str, say: Say) -> None:
        """Ask for what is good to have; who needs nothing more of it hears if it fails."""
        try:
            self._ask(method, url, fine=(404,))
        except BurstError as error:
            say(f"could not tidy up: {error.message}")

    def _look(self, build_id: str) -> dict[str, Any]:
        """Return how a build stands; an answer may be lost now and then."""
        url = f"{self._builds()}/{build_id}"
        for _ in range(_TRIES - 1):
            with suppress(ToolError):
                return dict(self._ask("GET", url).json())
            self._pause(_POLL_SECONDS)
        return dict(self._ask("GET", url).json())

    def _follow(self, build_id: str, reference: str, say: Say) -> None:
        told, last = 0, [""]
        while True:
            state = self._look(build_id)
            with suppress(ToolError):
                told = self._tell_log(build_id, told, say, last)
            if state["status"] not in _UNDER_WAY:
                break
            self._pause(_POLL_SECONDS)
        if state["status"] != "SUCCESS":
            why = state.get("statusDetail") or last[-1] or state["status"].lower()
            raise BuildFailed(
                f"Cloud Build could not build {reference}: {why}",
                hint=f"its log: {state.get('logUrl', 'in the console of Google Cloud')}",
            )

    def _tell_log(self, build_id: str, told: int, say: Say, last: list[str]) -> int:
        """Say what is new in the log, by whole lines, and return how far that went."""
        url = f"{self._object(f'log-{build_id}.txt')}?alt=media"
        answer = self._ask("GET", url, headers={"Range": f"bytes={told}-"}, fine=(403, 404, 416))
        if answer.status_code not in (200, 206):
            return told
        new = answer.content if answer.status_code == 206 else answer.content[told:]
        whole = new[: new.rfind(b"\n") + 1]
        for line in whole.decode("utf-8", "replace").splitlines():
            if line.strip():
                last[:] = [line.strip()]
                say(line.rstrip())
        return told + len(whole)

    def _builds(self) -> str:
        return (
            f"{self._build_api}/projects/{self.place.project}/locations/{self.place.region}/builds"
        )

    def _object(self, name: str) -> str:
        quoted = urllib.parse.quote(name, safe="")
        return f"{self._storage}/storage/v1/b/{self.place.bucket}/o/{quoted}"

    def _ask(self, method: str, url: str, fine: Sequence[int] = (), **how: Any) -> Any:
        """Ask once; statuses in ``fine`` are the caller's to understand."""
        import requests
        from google.auth import exceptions

        try:
            answer = self._session.request(method, url, timeout=_REQUEST_SECONDS, **how)
        except exceptions.GoogleAuthError as error:
            raise login_error(error, "can't ask Cloud Build", self._login) from error
        except requests.RequestException as error:
            raise ToolError(
                f"{urllib.parse.urlsplit(url).netloc} does not answer", hint="look at the network"
            ) from error
        if answer.ok or answer.status_code in fine:
            return answer
        raise self._refusal(answer)

    def _refusal(self, answer: Any) -> ToolError:
        try:
            text = str(answer.json()["error"]["message"])
        except (ValueError, KeyError, TypeError):
            text = str(answer.text).strip()[:300] or str(answer.reason)
        hint = None
        if answer.status_code == 403:
            hint = (
                f"grant this login roles/cloudbuild.builds.editor in {self.place.project}, and "
                "enable the API: gcloud services enable cloudbuild.googleapis.com"
            )
        return ToolError(f"Cloud Build refuses ({answer.status_code}): {text}", hint=hint)
