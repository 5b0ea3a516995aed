"""Both images on a real Kubernetes, in a namespace whose pods must be ``restricted``.

Left out: what a farm does with them, which other tests here show.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burst.config.images import ImageSettings
from burst.operations.images import image_names
from burst.worker.inside.cage import landlock_version
from tests.fakes.cluster import RESTRICTED, Cluster

NAMES = image_names(ImageSettings(image_blender="debian"))
START_SECONDS = 120

AS_BUILT = {key: value for key, value in RESTRICTED.items() if key != "runAsUser"}
"""The user is the image's own."""

SURROUNDINGS = """
import json, os, pathlib, stat
def others(folder):
    for name, _, files in os.walk(folder):
        for path in (os.path.join(name, file) for file in files):
            if os.lstat(path).st_mode & (stat.S_ISUID | stat.S_ISGID):
                yield path
def writable(folder):
    try:
        (pathlib.Path(folder) / "file").write_text("x")
    except OSError:
        return False
    return True
from burst.worker.inside.cage import landlock_version
print(json.dumps({
    "user": os.getuid(), "group": os.getgid(), "home": os.environ["HOME"],
    "first": pathlib.Path("/proc/1/cmdline").read_text().split("\\0")[:2],
    "writable": [f for f in ("/", "/opt/burst", "/usr", "/tmp", "/scratch") if writable(f)],
    "landlock": landlock_version(),
    "others": [path for folder in ("/usr", "/opt") for path in others(folder)],
}))
"""


@pytest.fixture(autouse=True)
def _images(load_image: Callable[[Path], None]) -> None:
    """The nodes have both."""
    folder = os.environ.get("BURST_TEST_IMAGES")
    if not folder:
        pytest.skip("no images: scripts/images builds them")
    for archive in ("manager.tar", "worker.tar"):
        load_image(Path(folder) / archive)


def pod(name: str, image: str, *, folders: tuple[str, ...], **container: Any) -> dict[str, Any]:
    """Return a pod with a read-only root and some folders that can be written."""
    volumes = [{"name": f"v{i}", "emptyDir": {}} for i in range(len(folders))]
    mounts = [{"name": f"v{i}", "mountPath": folder} for i, folder in enumerate(folders)]
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {"fsGroup": 10001},
            "volumes": volumes,
            "containers": [{
                "name": "burst", "image": image, "volumeMounts": mounts,
                "securityContext": {**AS_BUILT, "readOnlyRootFilesystem": True}, **container,
            }],
        },
    }  # fmt: skip


def ended(cluster: Cluster, namespace: str, name: str) -> tuple[int, str]:
    """Wait until a pod has ended; return its exit status, and what it said."""
    cluster.wait_for_phase(namespace, name, "Succeeded", "Failed", seconds=START_SECONDS)
    (status,) = cluster.get("pod", name, "-n", namespace)["status"]["containerStatuses"]
    said = cluster.kubectl("logs", name, "-n", namespace)
    return status["state"]["terminated"]["exitCode"], said


def test_a_worker_can_render_with_a_root_that_is_read_only(
    cluster: Cluster, namespace: str
) -> None:
    # What the pod says first is for people: Debian's Blender has its word, too.
    command = ["tini", "--", "burst", "doctor", "--json"]
    made = pod("doctor", NAMES.worker, folders=("/tmp", "/scratch"), command=command)
    cluster.apply(namespace, made)
    status, said = ended(cluster, namespace, "doctor")
    assert status == 0, said
    findings = json.loads(said[said.index("{") : said.rindex("}") + 1])["findings"]
    good = {finding["subject"] for finding in findings if finding["verdict"] == "good"}
    assert {"blender", "CYCLES", "ffmpeg"} <= good


@pytest.mark.parametrize("image", [NAMES.manager, NAMES.worker])
def test_nobody_is_root_and_only_what_must_be_can_be_written(
    cluster: Cluster, namespace: str, image: str
) -> None:
    command = ["tini", "--", "/opt/burst/bin/python", "-c", SURROUNDINGS]
    made = pod("look", image, folders=("/tmp", "/scratch"), command=command)
    cluster.apply(namespace, made)
    status, said = ended(cluster, namespace, "look")
    assert status == 0, said
    told = json.loads(said)
    assert (told["user"], told["group"], told["home"]) == (10001, 10001, "/tmp")
    assert told["first"] == ["tini", "--"]
    assert told["writable"] == ["/tmp", "/scratch"]
    assert told["others"] == [], "files that make somebody else of whoever runs them"
    # The runtime's filter of system calls lets the cage around Blender be made.
    assert told["landlock"] == landlock_version()


def test_a_manager_serves_as_soon_as_it_runs_and_leaves_when_it_is_told_to(
    cluster: Cluster, namespace: str
) -> None:
    environment = {
        "BURST_WORKERS": "0",
        "BURST_WORKER_TOKEN": "a token",
        "BURST_WORKER_LISTEN": "0.0.0.0:8081",
        "BURST_STORAGE_URL": "/var/lib/burst/storage",
    }
    probe = {"httpGet": {"path": "/readyz", "port": 8081}, "periodSeconds": 1}
    made = pod(
        "manager", NAMES.manager, folders=("/tmp", "/var/lib/burst"),
        env=[{"name": key, "value": value} for key, value in environment.items()],
        readinessProbe=probe,
    )  # fmt: skip
    cluster.apply(namespace, made)
    wait = ("wait", "--for=condition=Ready", f"--timeout={START_SECONDS}s", "pod/manager")
    cluster.kubectl(*wait, "-n", namespace, seconds=START_SECONDS + 10)
    cluster.kubectl("exec", "manager", "-n", namespace, "--", "sh", "-c", "kill -TERM 1")
    status, said = ended(cluster, namespace, "manager")
    assert status == 0, said
    lines = [json.loads(line) for line in said.splitlines()]
    assert any("manager ready" in line["message"] for line in lines)
