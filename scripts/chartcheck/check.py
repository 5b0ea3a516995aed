"""Renders the charts in every way that matters, and has others look at what comes out.

Run by ``scripts/charts``, in an environment that has checkov and kubernetes-validate. A finding of
checkov is passed over only where `EXPLAINED` says why, and an explanation that nothing needs any
more is an error, too.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHARTS = ROOT / "charts"
OLDEST, NEWEST = 29, 37
"""Minor versions of Kubernetes that the charts are for, and that there are schemas of."""

SAID = {
    "manager": ["--set", "storage.url=gs://frames"],
    "worker": ["--set", "farm=studio,storage.url=gs://frames,blender.versions={4.5.14}"],
}
FETCH = ["--set", "scenes.source=fetch,spot.enabled=false"]
RENDERINGS: dict[str, tuple[str, list[str]]] = {
    # name: chart, options
    "manager": ("manager", SAID["manager"]),
    "manager-all": ("manager", ["--values", str(CHARTS / "manager" / "all-values.yaml")]),
    "worker": ("worker", SAID["worker"]),
    "worker-all": ("worker", ["--values", str(CHARTS / "worker" / "all-values.yaml")]),
    "worker-fetch": ("worker", [*SAID["worker"], *FETCH]),
}

_VERSIONS_ARE_KEPT = (
    "a version is pushed once and never again; to ask the registry for every worker would keep a "
    "farm from growing while it is away"
)
_TOKEN_IN_ENVIRONMENT = (
    "settings come from the environment; burst forgets the variable and hides its memory before it "
    "starts anything, and a file would be there for a scene to read"
)
_DIGEST_IS_OFFERED = "image.digest names one; a default can't know it"
_NO_CPU_LIMIT = "a worker renders with what nobody else on its machine needs; requests share it out"

EXPLAINED = {
    # (rule, kind): why it is not followed
    ("CKV_K8S_11", "Job"): _NO_CPU_LIMIT,
    ("CKV_K8S_15", "Job"): _VERSIONS_ARE_KEPT,
    ("CKV_K8S_15", "StatefulSet"): _VERSIONS_ARE_KEPT,
    ("CKV_K8S_35", "Job"): _TOKEN_IN_ENVIRONMENT,
    ("CKV_K8S_35", "StatefulSet"): _TOKEN_IN_ENVIRONMENT,
    ("CKV_K8S_38", "StatefulSet"): "the manager makes Jobs",
    ("CKV_K8S_43", "Job"): _DIGEST_IS_OFFERED,
    ("CKV_K8S_43", "StatefulSet"): _DIGEST_IS_OFFERED,
}


def main(helm: str) -> int:
    """Check everything; print what is wrong."""
    rendered = {
        name: _render(helm, chart, options) for name, (chart, options) in RENDERINGS.items()
    }
    problems = [
        *_lint(helm),
        *(problem for name, objects in rendered.items() for problem in _validate(name, objects)),
        *_policy(rendered),
    ]
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    count = sum(len(objects) for objects in rendered.values())
    print(
        f"{len(rendered)} renderings, {count} objects, Kubernetes 1.{OLDEST} to 1.{NEWEST}, "
        f"{len(EXPLAINED)} findings explained, {len(problems)} not"
    )
    return 1 if problems else 0


def _render(helm: str, chart: str, options: list[str]) -> list[dict[str, Any]]:
    """Return the objects of one rendering, with the Job that a pool's template makes."""
    command = [helm, "template", "studio", str(CHARTS / chart), "--namespace", "farms", *options]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    objects = [one for one in yaml.safe_load_all(printed) if one]
    for one in list(objects):
        if template := one.get("data", {}).get("job.json"):
            job = json.loads(template)
            job["metadata"] |= {"name": "studio-1", "namespace": "farms"}
            objects.append(job)
    return objects


def _lint(helm: str) -> Iterator[str]:
    for chart, options in RENDERINGS.values():
        command = [helm, "lint", "--strict", "--quiet", str(CHARTS / chart), *options]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            yield f"helm lint {chart}: {done.stdout.strip()} {done.stderr.strip()}"


def _validate(name: str, objects: list[dict[str, Any]]) -> Iterator[str]:
    """Compare with the schemas; unknown fields are findings, too."""
    for one in objects:
        for minor in range(OLDEST, NEWEST + 1):
            try:
                kubernetes_validate.validate(one, f"1.{minor}", strict=True)
            except kubernetes_validate.ValidationError as error:
                where = f"{name}: {one['kind']} {one['metadata']['name']}"
                yield f"{where} is nothing for Kubernetes 1.{minor}: {error.message}"


def _policy(rendered: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """Ask checkov, and yield what is not explained."""
    with tempfile.TemporaryDirectory() as folder:
        for name, objects in rendered.items():
            (Path(folder) / f"{name}.yaml").write_text(yaml.safe_dump_all(objects), "utf-8")
        command = [
            *(sys.executable, "-m", "checkov.main", "--directory", folder),
            *("--framework", "kubernetes", "--output", "json", "--compact", "--quiet"),
            *("--skip-download", "--soft-fail"),
        ]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    report = json.loads(printed)
    if not report["summary"]["passed"]:
        yield "checkov looked at nothing"
    needed = set()
    for finding in report["results"]["failed_checks"]:
        kind = finding["resource"].partition(".")[0]
        needed.add((finding["check_id"], kind))
        if (finding["check_id"], kind) not in EXPLAINED:
            where = f"{Path(finding['file_path']).stem}: {finding['resource']}"
            yield f"{where}: {finding['check_id']}, {finding['check_name']}"
    for rule, kind in EXPLAINED.keys() - needed:
        yield f"nothing needs the explanation for {rule} of a {kind} any more"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
