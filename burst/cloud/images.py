"""docker, podman and buildah: three programs that build, list and push images, asked alike.

What they complain of becomes an error of ours here. Which images there are, and what goes into
them, is `burst.operations.images`' to say; Cloud Build has a module of its own.
"""

from __future__ import annotations

import collections
import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burst.errors import (
    BuildFailed,
    BurstError,
    ImageMissing,
    RegistryDenied,
    ToolError,
    ToolMissing,
)

TOOLS = ("docker", "podman", "buildah")
"""In the order in which they are looked for."""

ASK_SECONDS = 60.0
"""What a question may take; one to a registry waits for its login helper, too."""
_LAST_LINES = 20
_UNITS = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_LOOPBACK = re.compile(r"^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?/")
_FREE_SPACE = "free some space; old images: {program} image prune"
_INSTALL = "install docker, podman or buildah, or build in the cloud: --tool cloud-build"

Say = Callable[[str], None]
"""Hears what a program says while it works, line by line."""

_REFUSALS: tuple[tuple[str, type[BurstError], str], ...] = (
    (r"denied|unauthorized|authentication required|forbidden|no basic auth|\b40[13]\b|"
     r"getting credentials|docker-credential-",
     RegistryDenied, "log in to it: {login}"),
    (r"manifest unknown|name unknown|not found|no such (image|manifest)|image not known|\b404\b",
     ImageMissing, "build and push it: burst images build --push"),
    (r"connection refused|no such host|i/o timeout|no route|network is unreachable|TLS|x509|EOF",
     ToolError, "look at the registry's name, and at the network"),
    (r"no space left", ToolError, _FREE_SPACE),
)  # fmt: skip
"""What they say, the error that this is, and what may help."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one image is built."""

    reference: str
    """Its whole name: registry, name and tag."""
    containerfile: str
    """Path in the context."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    mirrors: Mapping[str, str] = field(default_factory=dict)
    """More build arguments, by their variables; such an address may hold a password."""


@dataclass(frozen=True, slots=True)
class LocalImage:
    """An image on this machine."""

    reference: str
    id: str
    size_bytes: int
    """Unpacked, as the program tells it."""
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ImageTool:
    """One of the programs; all calls block."""

    name: str
    program: str

    def build(self, recipe: Recipe, context: Path, say: Say) -> None:
        """Build an image, which takes minutes the first time.

        Raises:
            BuildFailed: it did not work; the last lines say why.
        """
        options = ["--file", str(context / recipe.containerfile), "--tag", recipe.reference]
        for key, value in recipe.arguments.items():
            options += ["--build-arg", f"{key}={value}"]
        # Their values are taken from the environment, which other users don't see.
        for key in recipe.mirrors:
            options += ["--build-arg", key]
        for key, value in recipe.labels.items():
            options += ["--label", f"{key}={value}"]
        # The other two keep the layers of the last build by themselves.
        layers = ["--layers"] if self.name == "buildah" else []
        status, last = self._follow(["build", *layers, *options, str(context)], say, recipe.mirrors)
        if status != 0:
            full = any("no space left" in line.lower() for line in last)
            raise BuildFailed(
                f"{self.name} could not build {recipe.reference}: {_reason(last)}",
                hint=_FREE_SPACE.format(program=self.name) if full else "what it said is above",
            )

    def push(self, reference: str, say: Say) -> None:
        """Bring an image to its registry.

        Raises:
            RegistryDenied: it does not take it from this login.
            ToolError: it can't be reached, or another reason.
        """
        status, last = self._follow(["push", *self._trust(reference), reference], say)
        if status != 0:
            raise self._refusal("\n".join(last), reference, f"{self.name} push")

    def find(self, reference: str) -> LocalImage | None:
        """Return an image of this machine, or None.

        Raises:
            ToolError: the program does not work.
        """
        kind = ["inspect", "--type", "image"] if self.name == "buildah" else ["image", "inspect"]
        asked = self._ask(*kind, reference)
        if asked.returncode != 0:
            if re.search(r"no such|not known|not found|unable to find", asked.stderr, re.I):
                return None
            raise self._refusal(asked.stderr, reference, f"{self.name} inspect")
        told = json.loads(asked.stdout)
        if self.name == "buildah":
            labels = (told.get("OCIv1") or {}).get("config", {}).get("Labels")
            return LocalImage(reference, told["FromImageID"], self._size(reference), labels or {})
        about = told[0]
        labels = (about.get("Config") or {}).get("Labels")
        return LocalImage(
            reference, about["Id"].removeprefix("sha256:"), int(about["Size"]), labels or {}
        )

    def is_published(self, reference: str) -> bool:
        """Say whether the registry has an image of that name.

        Raises:
            RegistryDenied: it does not tell this login.
            ToolError: it can't be reached, or another reason.
        """
        asked = self._ask_registry(reference)
        if asked.returncode == 0:
            return True
        refused = self._refusal(asked.stderr, reference, f"{self.name} manifest")
        if isinstance(refused, ImageMissing):
            return False
        raise refused

    def save(self, reference: str, archive: Path, say: Say) -> None:
        """Write an image to a file that other programs load: docker's kind of archive.

        Raises:
            ToolError: it could not be written.
        """
        save = ["save", "--output", str(archive), reference]
        if self.name == "buildah":
            save = ["push", reference, f"docker-archive:{archive}:{reference}"]
        elif self.name == "podman":
            save = ["save", "--format", "docker-archive", *save[1:]]
        status, last = self._follow(save, say)
        if status != 0:
            raise self._refusal("\n".join(last), reference, f"{self.name} {save[0]}")

    def _ask_registry(self, reference: str) -> subprocess.CompletedProcess[str]:
        if self.name == "docker":
            return self._ask("manifest", "inspect", reference)
        # These two look at lists of images only, and for a new one read no more than the manifest.
        scratch = f"localhost/burst-asks:{uuid.uuid4().hex}"
        self._ask("manifest", "create", scratch)
        try:
            trust = self._trust(reference)
            return self._ask("manifest", "add", *trust, scratch, f"docker://{reference}")
        finally:
            self._ask("manifest", "rm", scratch)

    def _size(self, reference: str) -> int:
        listed = self._ask("images", "--json", reference)
        told: list[dict[str, Any]] = json.loads(listed.stdout) if listed.returncode == 0 else []
        return _bytes(told[0]["size"]) if told else 0

    def _trust(self, reference: str) -> list[str]:
        """Return what makes these two talk to a registry of this machine, which has no TLS."""
        if not _LOOPBACK.match(reference):
            return []
        if self.name == "docker":
            # It does so by itself, but for one question.
            return []
        return ["--tls-verify=false"]

    def _ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [self.program, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=ASK_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ToolError(
                f"{self.name} {arguments[0]} said nothing for {ASK_SECONDS:.0f} s"
            ) from error

    def _follow(
        self, arguments: Sequence[str], say: Say, variables: Mapping[str, str] | None = None
    ) -> tuple[int, list[str]]:
        """Run a call, and return its exit status and its last lines."""
        last: collections.deque[str] = collections.deque(maxlen=_LAST_LINES)
        with subprocess.Popen(
            [self.program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, **(variables or {})},
        ) as child:
            try:
                for line in child.stdout or ():
                    text = line.rstrip()
                    if text:
                        last.append(text)
                        say(text)
                return child.wait(), list(last)
            finally:
                child.terminate()

    def _refusal(self, said: str, reference: str, what: str) -> BurstError:
        text = _reason(said.splitlines())
        registry = reference.partition("/")[0]
        for pattern, kind, hint in _REFUSALS:
            if re.search(pattern, said, re.I):
                login = login_command(self.name, registry)
                return kind(
                    f"{reference}: {text}", hint=hint.format(login=login, program=self.name)
                )
        return ToolError(f"{what} failed: {text}")


def login_command(tool: str, registry: str) -> str:
    """Return what one types to log in to a registry."""
    if registry.endswith((".pkg.dev", "gcr.io")):
        return (
            f"gcloud auth print-access-token | {tool} login -u oauth2accesstoken "
            f"--password-stdin {registry}"
        )
    return f"{tool} login {registry}"


def find_tool(wanted: str | None) -> ImageTool:
    """Return the program to build with.

    Args:
        wanted: its name; None takes the first that works.

    Raises:
        ToolMissing: it is not there, or its service does not run.
    """
    for name in (wanted,) if wanted else TOOLS:
        program = shutil.which(name)
        if program and _works(name, program):
            return ImageTool(name, program)
        if wanted and program:
            raise ToolMissing(
                f"{name} is installed, but its service does not answer",
                hint=f"start it, or take another one: {', '.join(TOOLS)}",
            )
    what = wanted or "neither docker nor podman nor buildah"
    raise ToolMissing(
        f"there is {'no ' if wanted else ''}{what} here, which images are built with",
        hint=_INSTALL,
    )


def _works(name: str, program: str) -> bool:
    """Say whether it can be used; docker without its daemon is only half of it."""
    if name != "docker":
        return True
    try:
        asked = subprocess.run(
            [program, "version", "--format", "{{.Server.Version}}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ASK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def _reason(lines: Sequence[str]) -> str:
    """Return the line that says most, which is mostly the last."""
    spoken = [line.strip() for line in lines if line.strip()]
    errors = [line for line in spoken if re.search(r"\berror\b|fail|denied", line, re.I)]
    text = (errors or spoken or ["no reason given"])[-1]
    return re.sub(r"^(time=\S+ level=\w+ msg=)|^(error:? )", "", text, flags=re.I).rstrip(".")[:300]


def _bytes(text: str) -> int:
    """Return the size that buildah writes for people, such as ``312 MB``."""
    number, _, unit = text.partition(" ")
    return int(float(number) * _UNITS.get(unit, 1))
