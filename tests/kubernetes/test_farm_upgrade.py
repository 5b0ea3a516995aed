"""An upgrade in the middle of the work, with other values and other images: nothing is lost.

Real Blenders in pods. Left out: an upgrade that fails, which ``test_cli_on_cluster`` has, and a
release of another version of burst, of which there is none.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.cluster import Cluster, wait_until
from tests.fakes.farm import make_scene
from tests.kubernetes.chaos_kit import MANAGER, SECONDS, HurtFarm, running_farm
from tests.kubernetes.test_cli_on_cluster import FARM

pytestmark = pytest.mark.blender

POOL = """
[pools.cpu]
cores = 0.5
memory = "1200Mi"
maximum = 1
"""
NEWER = "newer"
"""The tag of the other images."""
NEWS = "etc/burst-newer"
"""The file that they have besides."""
FRAMES = 40
OCI = "application/vnd.oci.image"


@pytest.fixture
def farm(
    cluster: Cluster, load_image: Callable[[Path], None], tmp_path: Path
) -> Iterator[HurtFarm]:
    with running_farm(cluster, load_image, tmp_path, POOL) as farm:
        yield farm


@pytest.fixture
def newer(farm: HurtFarm, load_image: Callable[[Path], None], tmp_path: Path) -> None:
    """The nodes have both images once more, with another layer and another tag."""
    for name in ("manager", "worker"):
        # A node that is booted later imports archives by their names: these after the others.
        archive = tmp_path / f"{name}.tar.{NEWER}"
        add_layer(Path(os.environ["BURST_TEST_IMAGES"]) / f"{name}.tar", archive)
        load_image(archive)


def add_layer(archive: Path, target: Path) -> None:
    """Write an image with one layer more, for nodes that have the image's other layers."""
    with tarfile.open(archive) as old:

        def read(name: str) -> Any:
            file = old.extractfile(name)
            assert file
            return json.load(file)

        (image,) = read("manifest.json")
        config = read(image["Config"])
        sizes = [old.getmember(name).size for name in image["Layers"]]
    blobs: dict[str, bytes] = {}

    def blob(kind: str, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return described(kind, f"sha256:{digest}", len(content))

    def described(kind: str, digest: str, size: int) -> dict[str, Any]:
        return {"mediaType": f"{OCI}.{kind}", "digest": digest, "size": size}

    diffs = config["rootfs"]["diff_ids"]
    layers = [described("layer.v1.tar", *one) for one in zip(diffs, sizes, strict=True)]
    layers.append(blob("layer.v1.tar", tar_of({NEWS: b"newer\n"})))
    diffs.append(layers[-1]["digest"])
    config["history"].append({"created_by": "test"})
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": blob("config.v1+json", json.dumps(config).encode()),
        "layers": layers,
    }
    reference = f"{image['RepoTags'][0].rpartition(':')[0]}:{NEWER}"
    named = {
        **blob("manifest.v1+json", json.dumps(manifest).encode()),
        "annotations": {"io.containerd.image.name": reference},
    }
    blobs["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [named]}).encode()
    blobs["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    target.write_bytes(tar_of(blobs))


def tar_of(files: dict[str, bytes]) -> bytes:
    """Return an archive of files."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return written.getvalue()


def change(farm: HurtFarm) -> None:
    """Have the other images in burst.toml, and other values."""
    file = farm.folder / "burst.toml"
    text = file.read_text()
    news = f'image = {{ tag = "{NEWER}" }}\n'
    table = "[cluster.manager]\n"
    assert table in text
    text = text.replace(table, f"{table}{news}leaseSeconds = 16\n")
    text = text.replace("maximum = 1\n", "maximum = 3\n")
    file.write_text(f"{text}\n[pools.cpu.values]\n{news}")


def workers(farm: HurtFarm) -> dict[str, str]:
    """Return the image's tag of each worker that runs and is to stay, by its pod's uid."""
    pods = farm.cluster.get("pods", "-n", FARM, "-l", "burst/worker")["items"]
    return {
        pod["metadata"]["uid"]: pod["spec"]["containers"][0]["image"].rpartition(":")[2]
        for pod in pods
        if pod["status"]["phase"] == "Running" and not pod["metadata"].get("deletionTimestamp")
    }


def kept(farm: HurtFarm) -> list[str]:
    """Return what must be the same after an upgrade: the token, and the volume."""
    secret = farm.cluster.get("secret", f"{FARM}-worker-token", "-n", FARM)
    claim = farm.cluster.get("pvc", f"{MANAGER}-state", "-n", FARM)
    return [secret["data"]["token"], claim["metadata"]["uid"], claim["spec"]["volumeName"]]


def test_an_upgrade_while_frames_are_rendered_loses_nothing(
    farm: HurtFarm, newer: None, tmp_path: Path
) -> None:
    blend = tmp_path / "shot.blend"
    make_scene(blend, samples=128)
    rendering, queued = (farm.submit(blend, FRAMES) for _ in range(2))
    farm.wait_for_middle(rendering, 3)
    before, same = workers(farm), kept(farm)
    assert len(before) == 1

    change(farm)
    farm.succeed("deploy", "--no-images")
    manager = farm.cluster.get("pod", f"{MANAGER}-0", "-n", FARM)
    assert manager["spec"]["containers"][0]["image"].endswith(f":{NEWER}")
    read = ("exec", f"{MANAGER}-0", "-n", FARM, "--", "cat", f"/{NEWS}")
    assert farm.cluster.kubectl(*read) == "newer\n"
    assert kept(farm) == same
    # Whoever rendered renders on, in the image that it had; others come in the new one.
    assert before.items() <= workers(farm).items()
    farm.succeed("pools", "scale", "cpu", "3")
    wait_until(lambda: [*workers(farm).values()].count(NEWER) == 2, SECONDS, farm.account)
    farm.succeed("pools", "scale", "cpu", "auto")
    farm.finish()
    assert [farm.published(job) for job in (rendering, queued)] == [FRAMES, FRAMES]
    assert farm.unfinished(rendering) + farm.unfinished(queued) == []
