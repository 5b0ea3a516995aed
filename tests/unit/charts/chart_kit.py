"""The charts, rendered by the real helm, and what to ask of what comes out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
CHARTS = ROOT / "charts"

NEEDED = {
    "manager": {"storage.url": "gs://frames"},
    "worker": {"farm": "studio", "storage.url": "gs://frames", "blender.versions": "{4.5.14}"},
}
"""What has to be said of each chart."""


class Refused(Exception):
    """Helm did not render a chart; the text is what it said."""


@dataclass(frozen=True)
class Rendered:
    """What a chart renders to."""

    objects: list[dict[str, Any]]

    def of(self, kind: str, name: str = "") -> dict[str, Any]:
        """Return the one object of a kind, and of a name where there are several."""
        found = [
            one
            for one in self.objects
            if one["kind"] == kind and name in ("", one["metadata"]["name"])
        ]
        assert len(found) == 1, [one["metadata"]["name"] for one in found]
        return found[0]

    def hook(self, name: str) -> dict[str, Any]:
        """Return the one object that Helm makes at a certain time."""
        (found,) = [
            one
            for one in self.objects
            if one["metadata"].get("annotations", {}).get("helm.sh/hook") == name
        ]
        return found

    def kinds(self) -> set[str]:
        """Return what there is."""
        return {one["kind"] for one in self.objects}

    @property
    def pool(self) -> Any:
        """What a worker pool tells the manager."""
        return json.loads(self.of("ConfigMap")["data"]["pool.json"])

    @property
    def job(self) -> Any:
        """What a worker pool's workers are made of."""
        return json.loads(self.of("ConfigMap")["data"]["job.json"])

    @property
    def pod(self) -> Any:
        """The pod of the manager, or of a pool's Job."""
        if "StatefulSet" in self.kinds():
            return self.of("StatefulSet")["spec"]["template"]["spec"]
        return self.job["spec"]["template"]["spec"]

    @property
    def container(self) -> Any:
        """The one container in it."""
        assert len(self.pod["containers"]) == 1
        return self.pod["containers"][0]

    @property
    def environment(self) -> dict[str, Any]:
        """What the container is told: a value, or where it comes from."""
        return {
            one["name"]: one.get("value", one.get("valueFrom")) for one in self.container["env"]
        }


@dataclass(frozen=True)
class Helm:
    """The real helm, without a cluster."""

    program: Path
    _printed: dict[tuple[str, ...], str] = field(default_factory=dict)
    """What it printed for which arguments: most tests look at the same."""

    def render(
        self,
        chart: str,
        values: dict[str, str] | None = None,
        *,
        release: str = "studio",
        files: Sequence[Path] = (),
        options: Sequence[str] = (),
    ) -> Rendered:
        """Render a chart with what must be said, and ``values`` besides."""
        said = {**({} if files else NEEDED[chart]), **(values or {})}
        command = ["template", release, str(CHARTS / chart), "--namespace", "farms"]
        for file in files:
            command += ["--values", str(file)]
        for key, value in said.items():
            command += ["--set", f"{key}={value}"]
        key = (*command, *options)
        if key not in self._printed:
            self._printed[key] = self.run(*key)
        return Rendered([one for one in yaml.safe_load_all(self._printed[key]) if one])

    def forget(self) -> None:
        """Have everything rendered anew, by a helm that makes new secrets."""
        self._printed.clear()

    def run(self, *arguments: str) -> str:
        """Run helm, and return what it prints."""
        command = [str(self.program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise Refused(done.stderr)
        return done.stdout
