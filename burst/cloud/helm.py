"""Helm releases, by pyhelm3: install, upgrade, mend, take back, remove.

Nothing here waits for pods: whoever deploys does, and knows what to say of one that does not
start (see `burst.operations.rollout`).
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from burst.cloud.bundled import bundled
from burst.cloud.kubectl import refusal
from burst.errors import (
    BurstError,
    ClusterError,
    ClusterUnfit,
    ClusterUnreachable,
    ConfigError,
    ToolError,
    ToolMissing,
)

PROGRAM = "helm"
MAJORS = (3, 4)

PENDING_SECONDS = 30.0
"""A release that is on its way for longer was left by somebody who was interrupted: burst never
waits inside of Helm, so its own ways take a few seconds."""
_POLL_SECONDS = 1.0
_TIMEOUT = "3m"
"""Of Helm's own waits: for hooks, and for what an uninstall deletes."""

_HALF_THERE = ("pending-install", "uninstalling")
"""There is nothing before it that one could go back to."""
_HALF_DONE = (*_HALF_THERE, "pending-upgrade", "pending-rollback")

Change = Literal["installed", "upgraded"]


@dataclass(frozen=True, slots=True)
class Deployed:
    """What became of a release."""

    name: str
    change: Change
    revision: int


class Releases:
    """The Helm releases of one namespace; every call blocks."""

    def __init__(self, kubeconfig: Path | None, context: str | None, namespace: str) -> None:
        """Look for Helm.

        Raises:
            ToolMissing: it is not installed.
            ToolError: it is of a version that burst does not know.
        """
        if shutil.which(PROGRAM) is None:
            raise ToolMissing(
                "there is no helm, which a farm is put on a cluster with",
                hint="install it: https://helm.sh/docs/intro/install",
            )
        # Here: it brings pydantic, YAML and asyncio's subprocesses, for a few commands only.
        import pyhelm3

        logging.getLogger("pyhelm3").setLevel(logging.ERROR)
        self._namespace = namespace
        try:
            self._client = pyhelm3.Client(
                kubeconfig=kubeconfig, kubecontext=context, default_timeout=_TIMEOUT
            )
        except (ValueError, subprocess.CalledProcessError) as error:
            raise ToolError(
                f"{PROGRAM} does not say which version it is",
                hint="install a released one: https://helm.sh/docs/intro/install",
            ) from error
        version = self._client.version
        if version.major not in MAJORS:
            raise ToolError(
                f"helm {version} is of a version that burst does not know",
                hint=f"install {' or '.join(f'helm {major}' for major in MAJORS)}",
            )

    @property
    def version(self) -> str:
        """Return Helm's own version."""
        return str(self._client.version)

    def names(self) -> list[str]:
        """Return the names of all releases in the namespace, whatever became of them."""
        # Helm 4 lists all by itself, and its driver complains of being told to.
        is_to_be_told = self._client.version.major < 4
        found = self._run(
            self._client.list_release_definitions(
                all=is_to_be_told, include_deployed=False, namespace=self._namespace
            )
        )
        return [str(release["name"]) for release in found]

    def deploy(
        self, name: str, chart: str, values: Mapping[str, Any], tell: Callable[[str], None]
    ) -> Deployed:
        """Install a release, or upgrade it; one that was left half done is mended first.

        Args:
            name: of the release.
            chart: ``manager`` or ``worker``.
            values: for the chart.
            tell: takes a line for people.

        Raises:
            ConfigError: the chart refuses the values.
            ClusterError: the cluster does.
        """
        existed = self._mend(name, tell)
        found = self._run(self._client.get_chart(bundled(f"charts/{chart}")))
        revision = self._run(
            self._client.install_or_upgrade_release(
                name, found, dict(values), namespace=self._namespace, create_namespace=False
            ),
            f"can't deploy {name}",
        )
        return Deployed(name, "upgraded" if existed else "installed", revision.revision)

    def take_back(self, deployed: Deployed) -> None:
        """Undo a deployment: back to the revision before, or away."""
        if deployed.change == "installed":
            self.remove(deployed.name)
            return
        revision = self._run(
            self._client.get_current_revision(deployed.name, namespace=self._namespace)
        )
        self._run(revision.release.rollback(deployed.revision - 1, cleanup_on_fail=True))

    def remove(self, name: str) -> None:
        """Uninstall a release and wait until all of it is gone; one that is not there is fine."""
        self._run(
            self._client.uninstall_release(name, namespace=self._namespace, wait=True),
            f"can't remove {name}",
        )

    def _mend(self, name: str, tell: Callable[[str], None]) -> bool:
        """Bring a release that an interrupted call left half done into a state to go on from.

        Returns:
            Whether there is one now.
        """
        waited = 0.0
        while name in self.names():
            current = self._run(self._client.get_current_revision(name, namespace=self._namespace))
            status = current.status.value
            if status not in _HALF_DONE:
                return True
            age = (datetime.now(UTC) - current.updated.astimezone(UTC)).total_seconds()
            # By our own clock too: another machine's may be ahead.
            if age < PENDING_SECONDS and waited < PENDING_SECONDS:
                if not waited:
                    tell(f"release {name} is {status}, waiting for whoever is at it")
                time.sleep(_POLL_SECONDS)
                waited += _POLL_SECONDS
                continue
            tell(f"release {name} was left {status}, mending it")
            return self._set_right(current)
        return False

    def _set_right(self, current: Any) -> bool:
        """Make a release of which a revision was left half done one that can be upgraded.

        Nothing is waited for, as what comes next replaces it, and what is gone back to may be
        what did not start.

        Returns:
            Whether there is a release now.
        """
        name = current.release.name
        if current.status.value in _HALF_THERE:
            self.remove(name)
            return False
        # Helm changes what differs from the revision before, so that has to be true first.
        back_to = [current.revision - 1]
        if current.status.value == "pending-rollback":
            back_to.append(current.revision)
        for number in back_to:
            back = current.release.rollback(number, cleanup_on_fail=True)
            self._run(back, f"can't mend {name}")
        return True

    def _run(self, call: Any, what: str = "helm failed") -> Any:
        import pyhelm3.errors

        async def once() -> Any:
            return await call

        try:
            return asyncio.run(once())
        except pyhelm3.errors.Error as error:
            raise _explained(error.stderr.decode(errors="replace"), what) from error


_VALUES = ("values don't meet the specifications", "execution error at")


def _explained(said: str, what: str) -> BurstError:
    """Return the error that Helm's last words mean."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("WARNING", "level=", "W0", "I0"))]
    text = " ".join(lines).removeprefix("Error: ")
    if "incompatible with Kubernetes" in text or "requires kubeVersion" in text:
        return ClusterUnfit(f"{what}: {text}", hint="use a newer cluster")
    if any(sign in text for sign in _VALUES):
        return ConfigError(
            f"{what}: the chart refuses its values: {text}",
            hint="see [cluster] and [pools] in burst.toml",
        )
    if "invalid ownership metadata" in text or "already exists" in text:
        return ClusterUnfit(
            f"{what}: {text}", hint="another farm may be there: use another namespace"
        )
    known = refusal(said, what)
    if isinstance(known, ClusterUnreachable):
        return known
    return (
        type(known)(f"{what}: {text}", hint=known.hint)
        if isinstance(known, ClusterError)
        else ClusterError(f"{what}: {text}")
    )
