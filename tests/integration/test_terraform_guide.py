"""What docs/guides/terraform.md tells one to type, typed, against a stand-in of Google Cloud.

Only the words of Terraform are run; gcloud, kubectl, helm and burst are programs here that note how
they were called. Left out: images and charts, which the guide to Kubernetes has.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.fakes.google_cloud import GoogleCloud
from tests.fakes.terraform_provider.mirror import make_mirror, terraform

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "terraform.md"
PATIENCE_SECONDS = 600
STATE_BUCKET = "proj-x-studio-state"
OTHERS = ("burst", "gcloud", "helm", "kubectl")


def told(heading: str) -> str:
    """Return what is to be typed below a heading, with the project of the stand-in."""
    text = GUIDE.read_text("utf-8").replace("my-project", "proj-x")
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL))


def type_all(script: str, folder: Path, environ: dict[str, str]) -> str:
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


def programs(folder: Path) -> Path:
    """Make the programs that are not run here, and put Terraform beside them."""
    folder.mkdir()
    for name in OTHERS:
        program = folder / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>"{folder}/called"\n', encoding="utf-8")
        program.chmod(0o755)
    (folder / "terraform").symlink_to(terraform())
    return folder


def test_the_guide_makes_a_farm_and_leaves_nothing(tmp_path: Path) -> None:
    kept = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars*")
    shutil.copytree(ROOT / "terraform", tmp_path / "terraform", ignore=kept)
    place = programs(tmp_path / "programs")
    with GoogleCloud() as cloud:
        cloud.plant("buckets", {"name": STATE_BUCKET, "location": "EUROPE-WEST4"})
        environ = {
            **os.environ,
            **cloud.environ,
            "PATH": f"{place}{os.pathsep}{os.environ['PATH']}",
            "TF_CLI_CONFIG_FILE": str(make_mirror(tmp_path)),
            "TF_CLI_ARGS": "-no-color",
            "TF_CLI_ARGS_apply": "-auto-approve",
            "TF_CLI_ARGS_destroy": "-auto-approve",
            "TF_VAR_poll_interval": "50ms",
            "CHECKPOINT_DISABLE": "1",
        }
        said = type_all(told("Up"), tmp_path, environ)
        assert "europe-west4-docker.pkg.dev/proj-x/studio" in said
        found = cloud.everything()
        assert found["clusters"] == ["studio"]
        assert {"system", "cpu", "gpu"} == {one.rpartition("/")[2] for one in found["nodePools"]}
        assert {one.partition("#")[0] for one in found["objects"]} == {
            f"{STATE_BUCKET}/farm/default.tfstate",
            f"{STATE_BUCKET}/storage/default.tfstate",
        }
        type_all(told("Down"), tmp_path, environ)
        left = cloud.everything()
        assert left.pop("buckets") == [STATE_BUCKET]
        left.pop("objects")
        assert {kind: names for kind, names in left.items() if names} == {}
    called = (place / "called").read_text("utf-8").splitlines()
    assert called == [
        "gcloud container clusters get-credentials studio --location=europe-west4-a --dns-endpoint",
        "helm uninstall -n studio studio-pool-cpu studio-pool-gpu studio",
        "kubectl get pv",
        "burst doctor --leftovers",
        f"gcloud storage rm -r gs://{STATE_BUCKET}",
    ]
