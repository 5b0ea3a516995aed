"""kubectl: the one way in which the command line talks to a cluster.

It brings every kind of login that a kubeconfig may ask for, which no library does. What it
complains of becomes an error of ours here; nobody else reads its words.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burst.errors import (
    BurstError,
    ClusterDenied,
    ClusterError,
    ClusterUnreachable,
    ConfigError,
    NotOnCluster,
    ToolError,
    ToolMissing,
)

PROGRAM = "kubectl"
MAJOR = 1
"""Of kubectl and of Kubernetes, since 2015."""

REQUEST_SECONDS = 20
"""What one request may take; an API server that is restarted is back in ten."""
RUN_SECONDS = 120.0
"""What a whole call may take, with a login by some program of the cloud's."""

_REFUSALS: tuple[tuple[str, type[BurstError], str], ...] = (
    (r'context "[^"]*" does not exist|no context exists|cannot locate context', ConfigError,
     "name another one with --context; see: kubectl config get-contexts"),
    (r"current-context must exist", ConfigError,
     "name one with --context; see: kubectl config get-contexts"),
    (r"error loading config file|stat .*: no such file|invalid configuration", ConfigError,
     "name the cluster's kubeconfig: burst up --kubeconfig FILE, or BURST_KUBECONFIG"),
    (r"executable \S+ not found|exec plugin|getting credentials", ClusterDenied,
     "the kubeconfig logs in by a program; see whether that works by itself"),
    (r"Unauthorized|must be logged in", ClusterDenied, "log in to the cluster again"),
    (r"\(Forbidden\)|is forbidden", ClusterDenied, "have the right granted by the cluster's owner"),
    (r"\(NotFound\)|not found", NotOnCluster, ""),
    (r"(was|connection) refused|luster unreachable|Unable to connect|no such host|i/o timeout|"
     r"TLS handshake|x509|EOF|etcdserver|ServiceUnavailable|connection reset|deadline exceeded|"
     r"unable to handle the request",
     ClusterUnreachable, "see whether it answers: kubectl cluster-info"),
)  # fmt: skip
"""What kubectl says, the error that this is, and what may help."""


@dataclass(frozen=True, slots=True)
class Right:
    """Something that a login may do, or not."""

    verb: str
    resource: str
    """With its group, as ``jobs.batch``, and what is below it, as ``pods/log``."""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"

    def attributes(self, namespace: str) -> dict[str, str]:
        """Return it as the cluster wants to be asked."""
        resource, _, below = self.resource.partition("/")
        name, _, group = resource.partition(".")
        return {
            "namespace": namespace,
            "verb": self.verb,
            "group": group,
            "resource": name,
            "subresource": below,
        }


@dataclass(frozen=True, slots=True)
class Kubectl:
    """Calls on one namespace of one cluster; all of them block."""

    kubeconfig: Path | None
    """None: what kubectl finds by itself."""
    context: str | None
    namespace: str

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a call.

        Raises:
            ToolMissing: there is no kubectl.
            ConfigError: the kubeconfig is not there.
        """
        if self.kubeconfig is not None and not self.kubeconfig.is_file():
            what = "a folder, and no kubeconfig" if self.kubeconfig.is_dir() else "not there"
            raise ConfigError(
                f"the kubeconfig {self.kubeconfig} is {what}",
                hint="name the cluster's: burst up --kubeconfig FILE, or BURST_KUBECONFIG; kind "
                "and k3s say where they write theirs",
            )
        program = shutil.which(PROGRAM)
        if program is None:
            raise ToolMissing(
                "there is no kubectl, which a farm on a cluster is reached with",
                hint="install it: https://kubernetes.io/docs/tasks/tools",
            )
        where = ["--kubeconfig", str(self.kubeconfig)] if self.kubeconfig else []
        if self.context:
            where += ["--context", self.context]
        return [program, *where, "--namespace", self.namespace, *arguments]

    def run(self, *arguments: str, stdin: str | None = None, seconds: float = RUN_SECONDS) -> str:
        """Return what a call printed.

        Raises:
            ClusterError: the cluster refused or does not answer.
            ConfigError: the kubeconfig can't be used.
            ToolError: kubectl failed for another reason.
        """
        done = self._call(*arguments, stdin=stdin, seconds=seconds)
        if done.returncode != 0:
            raise refusal(done.stderr, f"kubectl {arguments[0]}")
        return done.stdout

    def objects(self, kind: str, labels: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Return all objects of a kind in the namespace, or of several: ``pods,jobs``."""
        selector = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
        chosen = ["--selector", selector] if selector else []
        answer = json.loads(self.run("get", kind, *chosen, "--output", "json"))
        return list(answer["items"])

    def find(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return one object, or None if there is none of that name."""
        found = self.run("get", kind, name, "--ignore-not-found", "--output", "json")
        return dict(json.loads(found)) if found.strip() else None

    def create(self, manifest: Mapping[str, Any]) -> None:
        """Make an object."""
        self.run("create", "--filename", "-", stdin=json.dumps(manifest))

    def delete(self, kind: str, name: str, *, wait: bool = True) -> None:
        """Delete an object, if it is there."""
        self.run("delete", kind, name, "--ignore-not-found", f"--wait={str(wait).lower()}")

    def delete_all(
        self, kind: str, labels: Mapping[str, str], *, seconds: float = RUN_SECONDS
    ) -> None:
        """Delete all objects of a kind that have these labels, and wait until they are gone."""
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        self.run(
            "delete", kind, "--selector", selector, "--ignore-not-found",
            "--cascade=foreground", f"--timeout={seconds:.0f}s", seconds=seconds + REQUEST_SECONDS,
        )  # fmt: skip

    def lacking(self, rights: Sequence[Right]) -> list[Right]:
        """Return those of the rights in the namespace that this login has not got."""
        reviews = [
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": right.attributes(self.namespace)},
            }
            for right in rights
        ]
        asked = {"apiVersion": "v1", "kind": "List", "items": reviews}
        said = self.run("create", "--filename", "-", "--output", "json", stdin=json.dumps(asked))
        return [
            right
            for right, answer in zip(rights, _documents(said), strict=True)
            if not answer["status"]["allowed"]
        ]

    def versions(self) -> tuple[str, str]:
        """Return the versions of kubectl and of the cluster, such as ``v1.33.1``.

        Raises:
            ClusterError: the cluster does not say.
        """
        told = json.loads(self.run("version", "--output", "json"))
        return told["clientVersion"]["gitVersion"], told["serverVersion"]["gitVersion"]

    def _call(
        self, *arguments: str, stdin: str | None = None, seconds: float = RUN_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        limit = f"--request-timeout={REQUEST_SECONDS}s"
        try:
            return subprocess.run(
                self.command(limit, *arguments),
                input=stdin if stdin is not None else "",
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ClusterUnreachable(
                f"the cluster did not answer for {seconds:.0f} s (kubectl {arguments[0]})"
            ) from error

    def lines(self, *arguments: str) -> Generator[str, None, None]:
        """Yield what a call prints, line by line, until it ends or is left.

        Raises:
            ClusterError: it failed.
        """
        # A file, for nobody reads what it complains of before it ends.
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints,
            subprocess.Popen(
                self.command(*arguments),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                encoding="utf-8",
                errors="replace",
            ) as child,
        ):
            try:
                for line in child.stdout or ():
                    yield line.rstrip("\n")
                if child.wait() != 0:
                    complaints.seek(0)
                    raise refusal(complaints.read(), f"kubectl {arguments[0]}")
            finally:
                child.terminate()

    def attach(self, *arguments: str) -> int:
        """Run a call on the terminal, and return its exit status."""
        return subprocess.run(self.command(*arguments), check=False).returncode


def _documents(text: str) -> list[dict[str, Any]]:
    """Return the JSON values of a text that has one after another, as for a list of objects."""
    decoder, found, rest = json.JSONDecoder(), [], text.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].lstrip()
    return found


def refusal(said: str, what: str) -> BurstError:
    """Return the error that kubectl's last words mean.

    Args:
        said: what it wrote to stderr.
        what: the call, for a message.
    """
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    # It repeats the same trouble with a stamp for every try of its own before it gives up.
    spoken = [line for line in lines if not re.match(r"[EWI]\d{4} ", line)] or lines
    if not spoken:
        return ToolError(f"{what} failed and said nothing")
    text = spoken[-1].removeprefix("error: ").removeprefix("Error from server ").rstrip(".")
    for pattern, kind, hint in _REFUSALS:
        if re.search(pattern, "\n".join(spoken)):
            return kind(_named(kind, text), hint=hint or None)
    return ToolError(f"{what} failed: {text}")


def _named(kind: type[BurstError], text: str) -> str:
    if kind is ClusterUnreachable:
        text = text.removeprefix("Error: ").partition(" - did you specify")[0]
        return f"the cluster does not answer: {text}"
    if kind is ClusterDenied:
        return f"the cluster refuses: {re.sub(r'^.Forbidden.: ', '', text)}"
    if issubclass(kind, ClusterError):
        return re.sub(r"^.NotFound.: ", "", text)
    return _of_kubeconfig(text) if kind is ConfigError else text


def _of_kubeconfig(text: str) -> str:
    """Return what is wrong with a kubeconfig; how its parser failed helps nobody."""
    if "current-context must exist" in text:
        return "the kubeconfig says of no context that it is the current one"
    if found := re.search(r"cannot locate context (.+)", text):
        return f"the kubeconfig has no context {found[1]}"
    if found := re.match(r'error loading config file "([^"]+)": (.*)', text):
        reason = "permission denied" if "permission denied" in found[2] else "that is no kubeconfig"
        return f"can't read {found[1]}: {reason}"
    return text
