"""The worker chart: what a pool tells the manager, and what its workers are made of. No cluster."""

from __future__ import annotations

import pytest
from chart_kit import CHARTS, Helm, Refused

import burst
from burst.domain.machines import FUSE_MIB, FUSE_MILLI, machine_type, worker_share


def test_a_pool_is_one_labelled_configmap_and_a_test(helm: Helm) -> None:
    rendered = helm.render("worker", release="studio-pool-big")
    assert rendered.kinds() == {"ConfigMap", "Job"}
    labels = rendered.of("ConfigMap")["metadata"]["labels"]
    assert labels["burst/kind"] == "worker-pool"
    assert labels["burst/farm"] == "studio"
    assert labels["burst/pool"] == "big"


def test_the_manager_learns_all_about_a_pool(helm: Helm) -> None:
    files = [CHARTS / "worker" / "all-values.yaml"]
    assert helm.render("worker", files=files).pool == {
        "name": "gpu",
        "preference": 3,
        "minimum": 1,
        "maximum": 50,
        "cores": 16,
        "memory_bytes": 56 * 1024**3,
        "memory_class": 2,
        "device": "gpu",
        "blender": ["4.5.14", "4.2.18"],
        "spot": True,
        "boot_seconds": 120,
        "start_seconds": 600,
        "stock_out_seconds": 120,
    }


def test_a_pool_is_named_by_its_release_or_by_its_value(helm: Helm) -> None:
    assert helm.render("worker", release="studio-pool-cpu").pool["name"] == "cpu"
    assert helm.render("worker", release="elsewhere").pool["name"] == "elsewhere"
    assert helm.render("worker", {"pool": "mine"}, release="studio-pool-cpu").pool["name"] == "mine"


@pytest.mark.parametrize(
    ("memory", "size"),
    [
        ("512Mi", 512 << 20),
        ("8Gi", 8 << 30),
        ("3Ti", 3 << 40),
        ("7.5Gi", 15 << 29),
        ("28G", 28 * 10**9),
    ],
)
def test_memory_is_counted_in_bytes(helm: Helm, memory: str, size: int) -> None:
    rendered = helm.render("worker", {"machine.memory": memory})
    assert rendered.pool["memory_bytes"] == size
    assert rendered.container["resources"]["limits"]["memory"] == memory
    assert rendered.container["resources"]["requests"]["memory"] == memory


def test_a_worker_may_use_what_its_machine_has_and_asks_for_less(helm: Helm) -> None:
    share = worker_share(machine_type("n2d-standard-8"), fuse=True)
    values = {
        "machine.cores": str(share.cores),
        "machine.cpuRequest": f"{share.cpu_request_milli}m",
        "machine.memory": f"{share.memory_mib}Mi",
    }
    rendered = helm.render("worker", values)
    assert rendered.pool["cores"] == 8
    assert rendered.container["resources"]["requests"]["cpu"] == f"{share.cpu_request_milli}m"
    assert "cpu" not in rendered.container["resources"]["limits"]


def test_the_mount_asks_for_what_machine_types_are_counted_with(helm: Helm) -> None:
    annotations = helm.render("worker").job["spec"]["template"]["metadata"]["annotations"]
    assert annotations["gke-gcsfuse/cpu-request"] == f"{FUSE_MILLI}m"
    assert annotations["gke-gcsfuse/memory-request"] == f"{FUSE_MIB}Mi"
    assert annotations["gke-gcsfuse/memory-limit"] == f"{FUSE_MIB}Mi"


def test_a_job_is_one_worker_that_kubernetes_never_replaces(helm: Helm) -> None:
    spec = helm.render("worker").job["spec"]
    assert (spec["backoffLimit"], spec["completions"], spec["parallelism"]) == (0, 1, 1)
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert spec["activeDeadlineSeconds"] == 604800


def test_the_manager_has_only_a_name_to_add(helm: Helm) -> None:
    rendered = helm.render("worker")
    assert "name" not in rendered.job["metadata"]
    assert rendered.job["apiVersion"] == "batch/v1"
    assert rendered.container["name"] == "worker"
    theirs = {"BURST_WORKER_NAME", "BURST_WORKER_POOL", "BURST_THREADS"}
    assert not theirs & set(rendered.environment)
    labels = rendered.job["spec"]["template"]["metadata"]["labels"]
    assert labels["burst/farm"] == "studio"
    assert labels["app.kubernetes.io/component"] == "worker"


def test_a_worker_is_left_alone_until_it_leaves(helm: Helm) -> None:
    rendered = helm.render("worker")
    annotations = rendered.job["spec"]["template"]["metadata"]["annotations"]
    assert annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
    assert 0 < rendered.pod["terminationGracePeriodSeconds"] < 15


def test_a_worker_has_nothing_that_a_scene_could_take(helm: Helm) -> None:
    rendered = helm.render("worker")
    pod = rendered.pod
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["serviceAccountName"] == "studio-worker"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    context = rendered.container["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}


def test_a_worker_finds_its_manager_and_its_storage(helm: Helm) -> None:
    told = helm.render("worker").environment
    assert told["BURST_MANAGER_URL"] == "http://studio-manager:8081"
    assert told["BURST_STORAGE_URL"] == "gs://frames"
    assert told["BURST_WORK_DIR"] == "/scratch"
    assert told["BURST_DEVICE"] == "cpu"
    assert told["BURST_WORKER_TOKEN"] == {
        "secretKeyRef": {"name": "studio-worker-token", "key": "token"}
    }


def test_both_charts_mean_the_same_objects(helm: Helm) -> None:
    manager = helm.render("manager", release="studio")
    worker = helm.render("worker")
    service = manager.of("Service")
    host = worker.environment["BURST_MANAGER_URL"].removeprefix("http://").partition(":")
    assert (host[0], int(host[2])) == (
        service["metadata"]["name"],
        service["spec"]["ports"][0]["port"],
    )
    token = worker.environment["BURST_WORKER_TOKEN"]["secretKeyRef"]
    assert token["name"] == manager.of("Secret")["metadata"]["name"]
    assert token["key"] in manager.of("Secret")["data"]
    assert manager.of("ServiceAccount", worker.pod["serviceAccountName"])
    labels = worker.job["spec"]["template"]["metadata"]["labels"]
    policy = manager.of("NetworkPolicy", "studio-worker")["spec"]["podSelector"]["matchLabels"]
    assert policy.items() <= labels.items()


def test_a_bucket_is_mounted_whole_and_read_only(helm: Helm) -> None:
    rendered = helm.render("worker")
    volumes = {volume["name"]: volume for volume in rendered.pod["volumes"]}
    csi = volumes["scenes"]["csi"]
    assert csi["driver"] == "gcsfuse.csi.storage.gke.io"
    assert csi["readOnly"] is True
    assert csi["volumeAttributes"]["bucketName"] == "frames"
    assert "max-retry-attempts=10" in csi["volumeAttributes"]["mountOptions"].split(",")
    mounts = {mount["name"]: mount for mount in rendered.container["volumeMounts"]}
    assert mounts["scenes"] == {"name": "scenes", "mountPath": "/scenes", "readOnly": True}
    assert rendered.environment["BURST_SCENES"] == "mount:/scenes"
    annotations = rendered.job["spec"]["template"]["metadata"]["annotations"]
    assert annotations["gke-gcsfuse/volumes"] == "true"


def test_scenes_can_come_from_a_claim(helm: Helm) -> None:
    rendered = helm.render("worker", {"scenes.source": "pvc", "scenes.pvc.claim": "blobs"})
    volumes = {volume["name"]: volume for volume in rendered.pod["volumes"]}
    assert volumes["scenes"]["persistentVolumeClaim"] == {"claimName": "blobs", "readOnly": True}
    assert rendered.environment["BURST_SCENES"] == "mount:/scenes"
    assert "gke-gcsfuse/volumes" not in rendered.job["spec"]["template"]["metadata"]["annotations"]


def test_scenes_can_be_fetched_into_half_of_the_scratch(helm: Helm) -> None:
    rendered = helm.render("worker", {"scenes.source": "fetch", "scratch.size": "10Gi"})
    assert {volume["name"] for volume in rendered.pod["volumes"]} == {"scratch", "tmp"}
    assert rendered.environment["BURST_SCENES"] == "fetch"
    assert rendered.environment["BURST_SCENES_CACHE_BYTES"] == str(5 << 30)
    assert rendered.environment["BURST_SCENES_CACHE_DIR"].startswith("/scratch/")


def test_a_storage_that_is_a_directory_is_written_by_its_claim(helm: Helm) -> None:
    values = {
        "storage.url": "/storage",
        "storage.claim": "shared",
        "scenes.source": "pvc",
        "scenes.pvc.claim": "shared",
    }
    rendered = helm.render("worker", values)
    mounts = {mount["mountPath"]: mount for mount in rendered.container["volumeMounts"]}
    assert "readOnly" not in mounts["/storage"]
    assert mounts["/scenes"]["readOnly"] is True


def test_a_spot_pool_bears_the_taint_and_wants_the_label(helm: Helm) -> None:
    pod = helm.render("worker").pod
    assert {"key": "cloud.google.com/gke-spot", "operator": "Exists", "effect": "NoSchedule"} in (
        pod["tolerations"]
    )
    assert "cloud.google.com/gke-spot" in str(pod["affinity"])
    rendered = helm.render("worker", {"spot.enabled": "false"})
    assert "cloud.google.com/gke-spot" not in str(rendered.pod)
    assert rendered.pool["spot"] is False


def test_a_node_that_falls_silent_is_not_waited_for_long(helm: Helm) -> None:
    waits = {
        one["key"]: one["tolerationSeconds"]
        for one in helm.render("worker").pod["tolerations"]
        if one["effect"] == "NoExecute"
    }
    assert waits == {
        "node.kubernetes.io/not-ready": 30,
        "node.kubernetes.io/unreachable": 30,
    }


def test_a_gpu_pool_asks_for_gpus_and_insists_on_them(helm: Helm) -> None:
    rendered = helm.render("worker", {"gpu.count": "1", "gpu.device": "optix"})
    assert rendered.pool["device"] == "gpu"
    assert rendered.environment["BURST_DEVICE"] == "optix"
    assert rendered.container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in (
        rendered.pod["tolerations"]
    )
    assert "nvidia.com/gpu" not in str(helm.render("worker").job)


def test_an_image_is_named_by_version_and_blender(helm: Helm) -> None:
    assert helm.render("worker").container["image"] == f"burst-worker:{burst.__version__}-4.5.14"
    assert helm.render("worker", {"image.tag": "x"}).container["image"] == "burst-worker:x"


def test_the_test_is_a_pod_of_the_pool(helm: Helm) -> None:
    rendered = helm.render("worker", release="studio-pool-cpu")
    test, worker = rendered.hook("test")["spec"]["template"]["spec"], rendered.pod
    assert test["containers"][0].pop("args")[:2] == ["burst", "doctor"]
    assert worker["containers"][0].pop("args") == ["burst", "worker"]
    assert test == worker


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"farm": ""}, "farm is missing"),
        ({"farm": "9lives"}, "a letter first"),
        ({"pool": "Big_One"}, "is no name for a pool"),
        ({"storage.url": ""}, "storage.url is missing"),
        ({"storage.url": "gs://frames/x"}, "without a folder"),
        ({"storage.url": "frames"}, "neither a bucket nor a directory"),
        ({"storage.url": "/storage"}, "nothing is mounted at"),
        ({"storage.url": "/storage", "storage.claim": "x"}, "scenes.source csi mounts a bucket"),
        ({"scenes.source": "pvc"}, "needs scenes.pvc.claim"),
        ({"minimum": "5", "maximum": "4"}, "minimum 5 is more than maximum 4"),
        ({"blender.versions": "null"}, "image.tag is missing"),
        ({"extraEnv[0].name": "BURST_WORKER_NAME"}, "which the farm sets itself"),
        ({"podLabels.burst/farm": "x"}, "which the farm sets itself"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(
    helm: Helm, values: dict[str, str], sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        helm.render("worker", values, release="studio-pool-cpu")


@pytest.mark.parametrize(
    "values",
    [
        {"max": "5"},
        {"machine.memory": "lots"},
        {"machine.cores": "0"},
        {"scenes.source": "nfs"},
        {"gpu.device": "abacus"},
        {"blender.versions": "{latest}"},
        {"image.tag": "latest"},
        {"image.repository": "Burst"},
        {"gracePeriodSeconds": "600"},
        {"maximum": "-1"},
    ],
)
def test_unknown_keys_and_wrong_types_are_refused(helm: Helm, values: dict[str, str]) -> None:
    with pytest.raises(Refused, match="schema"):
        helm.render("worker", values)
