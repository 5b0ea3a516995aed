"""Who reaches a manager in a pod, and its console in a real browser through a real port-forward.

The worker is spoken by the test; Blenders in pods are in `test_journey`.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import burst
from burst.cloud.kubectl import Kubectl
from burst.errors import ManagerUnreachable
from burst.protocol.artist_messages import SubmitJob
from burst.protocol.client import ManagerClient
from burst.storage import layout
from burst.storage.storage import Storage, open_storage
from tests.fakes.chromium import running_chromium, watched_page
from tests.fakes.cluster import RESTRICTED, ROOT, Cluster, wait_until
from tests.fakes.emulator import Emulator
from tests.fakes.forwards import open_forward
from tests.fakes.real_manager import SCENE, SpokenWorker

FARM = "studio"
POD = f"{FARM}-manager-0"
CONSOLE, WORKERS = 8080, 8081


@dataclass
class PodManager:
    """A manager in a pod, as this machine reaches it."""

    console_url: str
    artist: ManagerClient
    worker: ManagerClient
    storage: Storage


@pytest.fixture
def installed(
    cluster: Cluster,
    namespace: str,
    load_image: Callable[[Path], None],
    buckets: Emulator,
    tmp_path: Path,
) -> Iterator[None]:
    """A manager in a pod, over the emulated bucket."""
    folder = os.environ.get("BURST_TEST_IMAGES")
    if not folder:
        pytest.skip("no images: scripts/images builds them")
    load_image(Path(folder) / "manager.tar")
    values = {
        "image": {"registry": "localhost", "tag": burst.__version__},
        "storage": {"url": buckets.url},
        # Nobody speaks the worker while the pod is away.
        "leaseSeconds": 600,
        "extraEnv": [{"name": k, "value": v} for k, v in buckets.environment.items()],
    }
    file = tmp_path / "values.json"
    file.write_text(json.dumps(values))
    chart = str(ROOT / "charts" / "manager")
    named = (FARM, "-n", namespace)
    cluster.helm("install", *named, chart, "-f", str(file), "--wait", "--timeout", "170s")
    yield
    cluster.helm("uninstall", *named, "--wait", "--timeout", "170s")


@pytest.fixture
def manager(
    cluster: Cluster,
    namespace: str,
    installed: None,
    buckets: Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[PodManager]:
    """The same, with ports forwarded as `burst console` does it."""
    for name, value in {**buckets.environment, "PATH": cluster.environment["PATH"]}.items():
        monkeypatch.setenv(name, value)
    token = _token(cluster, namespace)
    storage = open_storage(buckets.url)
    storage.put_bytes(b"{}", layout.manifest(SCENE.name, SCENE.version))
    kubectl = Kubectl(cluster.kubeconfig, None, namespace)
    target = f"statefulset/{FARM}-manager"
    with (
        open_forward(kubectl, target, CONSOLE) as console,
        open_forward(kubectl, target, WORKERS) as workers,
        ManagerClient(console.url) as artist,
        ManagerClient(workers.url, token) as worker,
    ):
        yield PodManager(console.url, artist, worker, storage)


@pytest.fixture
def page() -> Iterator[Page]:
    with running_chromium() as browser, watched_page(browser) as page:
        yield page


def _token(cluster: Cluster, namespace: str) -> str:
    secret = cluster.get("secret", f"{FARM}-worker-token", "-n", namespace)
    return base64.b64decode(secret["data"]["token"]).decode()


def _is_heard(worker: SpokenWorker) -> bool:
    try:
        worker.beat()
    except ManagerUnreachable:
        return False
    return True


def test_frames_are_seen_through_a_port_forward_and_its_pods_end(
    cluster: Cluster, namespace: str, manager: PodManager, page: Page, tmp_path: Path
) -> None:
    job = manager.artist.submit(SubmitJob(name="shot", scene=SCENE, frames="1-6")).job
    page.goto(manager.console_url)
    page.locator("#jobs tbody a").click()
    worker = SpokenWorker(manager)
    for done in range(1, 4):
        worker.render(picture=True)
        expect(page.locator(".cell[data-picture=here]")).to_have_count(done)
    former = cluster.get("pod", POD, "-n", namespace)["metadata"]["uid"]
    cluster.kubectl("delete", "pod", POD, "-n", namespace, "--grace-period=5")
    expect(page.locator("#link")).to_contain_text("The farm does not answer", timeout=60_000)
    expect(page.locator("#link")).to_have_text("live", timeout=120_000)
    assert cluster.get("pod", POD, "-n", namespace)["metadata"]["uid"] != former
    # The page was told nothing; nor was the worker, whose port is another.
    wait_until(lambda: _is_heard(worker), 60)
    for done in range(4, 7):
        worker.render(picture=True)
        expect(page.locator(".cell[data-picture=here]")).to_have_count(done)
    expect(page.locator("#status")).to_have_text("completed")
    assert manager.artist.job(job.id).frames_published == 6
    page.screenshot(path=tmp_path / "seen.png")


LOOK = """
import sys, urllib.error, urllib.request
token, *urls = sys.argv[1:]
def look(url, headers):
    request = urllib.request.Request(url, headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=20).status
    except urllib.error.HTTPError as error:
        return error.code
    except urllib.error.URLError as error:
        return type(error.reason).__name__
for url in urls:
    print(look(url, {}), look(url, {"Authorization": "Bearer " + token}))
"""
"""What another pod is answered, without the workers' token and with it."""
REFUSED = "ConnectionRefusedError ConnectionRefusedError"


def test_a_plain_port_forward_reaches_the_console_and_another_pod_does_not(
    cluster: Cluster,
    namespace: str,
    installed: None,
    forward: Callable[[str, int], str],
    page: Page,
) -> None:
    url = forward(f"pod/{POD}", CONSOLE)
    page.goto(url)
    expect(page.locator("#link")).to_have_text("live")
    expect(page.locator("#where")).to_have_text("gs://farm")
    expect(page.locator("#no-jobs")).to_be_visible()
    with ManagerClient(url) as artist:
        assert artist.status().storage_url == "gs://farm"

    manager = cluster.get("pod", POD, "-n", namespace)
    console, workers = f"http://{manager['status']['podIP']}:{CONSOLE}", f"http://{FARM}-manager"
    asked = {
        f"{console}/": REFUSED,
        f"{console}/api/burst/v1/status": REFUSED,
        f"{workers}:{WORKERS}/healthz": "200 200",
        f"{workers}:{WORKERS}/": "404 404",
        f"{workers}:{WORKERS}/api/burst/v1/status": "401 404",
        f"{workers}:{WORKERS}/api/burst/v1/jobs": "401 404",
    }
    container = {
        "name": "other",
        "image": manager["spec"]["containers"][0]["image"],
        "args": ["python", "-c", LOOK, _token(cluster, namespace), *asked],
        "securityContext": RESTRICTED,
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "other"},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    cluster.apply(namespace, pod)
    cluster.wait_for_phase(namespace, "other", "Succeeded", "Failed")
    said = cluster.kubectl("logs", "other", "-n", namespace).splitlines()
    assert dict(zip(asked, said, strict=True)) == asked
