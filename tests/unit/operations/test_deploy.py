"""Putting a farm on a cluster and taking it away, with stand-ins for kubectl and helm.

The real ones, on a real cluster, are in tests/kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from burst.cloud import helm
from burst.config.cluster import (
    ClusterFarm,
    ClusterSettings,
    PoolSettings,
    images_of,
    read_note,
)
from burst.config.images import ImageSettings
from burst.errors import (
    BurstError,
    ClusterDenied,
    ClusterUnfit,
    ClusterUnreachable,
    ConfigError,
    RolloutFailed,
    ToolError,
    ToolMissing,
    UsageError,
)
from burst.operations import deploy as deploy_module
from burst.operations import rollout
from burst.operations.deploy import Deployment, deploy, take_down
from tests.fakes.cluster_tools import FakeTools, left_pending

IMAGES = ImageSettings(registry="registry.example/show")
POOLS = {"small": PoolSettings(memory="4Gi"), "large": PoolSettings(memory="64Gi", maximum=2)}


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTools:
    tools = FakeTools(tmp_path / "tools")
    monkeypatch.setenv("PATH", str(tools.bin))
    # That takes a manager: test_retire.py.
    monkeypatch.setattr(deploy_module, "empty_pool", lambda *_: True)
    monkeypatch.setattr(rollout, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(rollout, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(helm, "_POLL_SECONDS", 0.01)
    return tools


@pytest.fixture
def put(tools: FakeTools, tmp_path: Path) -> Callable[..., Deployment]:
    def run(**changes: Any) -> Deployment:
        return deploy(settings(tools, tmp_path, **changes), IMAGES, told.append, with_images=False)

    told: list[str] = []
    return run


def settings(tools: FakeTools, tmp_path: Path, **changes: Any) -> ClusterFarm:
    cluster = {"farm": "show", "kubeconfig": tools.kubeconfig, **changes.pop("cluster", {})}
    return ClusterFarm(
        state_dir=tmp_path / "state",
        cluster=ClusterSettings(**cluster),
        **{"storage_url": "gs://show", "pools": POOLS, **changes},
    )


def test_a_farm_is_a_release_for_the_manager_and_one_for_each_pool(
    tools: FakeTools, put: Callable[..., Deployment], tmp_path: Path
) -> None:
    done = put()
    assert [(one.name, one.change) for one in done.releases] == [
        ("show", "installed"), ("show-pool-small", "installed"), ("show-pool-large", "installed"),
    ]  # fmt: skip
    manager = tools.release("show")[-1]["config"]
    assert manager["farm"] == "show"
    assert manager["storage"] == {"url": "gs://show"}
    assert manager["image"]["registry"] == "registry.example/show"
    large = tools.release("show-pool-large")[-1]["config"]
    assert (large["pool"], large["maximum"], large["memoryClass"]) == ("large", 2, 1)
    note = read_note(tmp_path / "state")
    assert note is not None
    assert (note.farm, note.context, note.namespace) == ("show", "here", "show")


def test_the_registry_that_a_farm_was_put_there_with_is_its_own_from_then_on(
    tools: FakeTools, put: Callable[..., Deployment], tmp_path: Path
) -> None:
    farm = settings(tools, tmp_path)
    put()
    assert images_of(farm, {}, {}).registry == "registry.example/show"
    assert images_of(farm, {"registry": "another.example/x"}, {}).registry == "another.example/x"
    other = settings(tools, tmp_path, cluster={"farm": "other"})
    assert images_of(other, {}, {}).registry == "localhost"


def test_the_namespace_is_made_with_the_strictest_rules_for_pods(
    tools: FakeTools, put: Callable[..., Deployment]
) -> None:
    put()
    made = tools.read()["objects"]["namespace/show"]
    assert made["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_done_again_it_upgrades_and_removes_pools_that_are_not_wanted_any_more(
    tools: FakeTools, put: Callable[..., Deployment]
) -> None:
    put()
    done = put(pools={"large": POOLS["large"]})
    assert [(one.name, one.change) for one in done.releases] == [
        ("show", "upgraded"), ("show-pool-large", "upgraded"),
    ]  # fmt: skip
    assert done.removed == ("small",)
    assert sorted(tools.read()["releases"]) == ["show", "show-pool-large"]


def test_a_release_that_was_left_half_installed_is_made_anew(
    tools: FakeTools, put: Callable[..., Deployment]
) -> None:
    left = left_pending("show", 1, "pending-install", timedelta(minutes=5))
    tools.set(releases={"show": [left]})
    put()
    assert [one["info"]["status"] for one in tools.release("show")] == ["deployed"]


def test_a_release_that_was_left_half_upgraded_goes_back_and_then_on(
    tools: FakeTools, put: Callable[..., Deployment]
) -> None:
    put()
    left = left_pending("show", 2, "pending-upgrade", timedelta(minutes=5))
    tools.set(releases={**tools.read()["releases"], "show": [*tools.release("show"), left]})
    put()
    rolled, last = tools.release("show")[-2:]
    assert (rolled["info"]["status"], last["info"]["status"]) == ("deployed", "deployed")
    assert any(call.startswith("helm rollback show") for call in tools.calls)


def test_a_way_back_that_was_interrupted_ends_where_it_was_going(
    tools: FakeTools, put: Callable[..., Deployment]
) -> None:
    put()
    put(cluster={"manager": {"logLevel": "debug"}})
    well, broken = tools.release("show")
    left = left_pending("show", 3, "pending-rollback", timedelta(minutes=5), well["config"])
    tools.set(releases={**tools.read()["releases"], "show": [well, broken, left]})
    put()
    again, back, last = tools.release("show")[3:]
    assert again["config"] == broken["config"]
    assert back["config"] == well["config"]
    assert last["info"]["status"] == "deployed"
    # What it goes back to may be what did not start.
    assert not [call for call in tools.calls if "rollback" in call and "--wait" in call]


def test_a_release_of_a_machine_whose_clock_is_ahead_is_not_waited_for_for_ever(
    tools: FakeTools,
    put: Callable[..., Deployment],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(helm, "PENDING_SECONDS", 0.02)
    left = left_pending("show", 1, "pending-install", -timedelta(hours=1))
    tools.set(releases={"show": [left]})
    assert put().releases[0].change == "installed"


def test_a_release_on_which_somebody_is_just_at_work_is_waited_for(
    tools: FakeTools, put: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = left_pending("show", 1, "pending-install", timedelta())
    tools.set(releases={"show": [left]})

    def ready(_: float) -> None:
        left["info"]["status"] = "deployed"
        tools.set(releases={"show": [left]})

    monkeypatch.setattr(helm.time, "sleep", ready)
    assert put().releases[0].change == "upgraded"
    assert not any("rollback" in call or "uninstall" in call for call in tools.calls)


def stuck(reason: str, message: str) -> dict[str, Any]:
    waiting = {"state": {"waiting": {"reason": reason, "message": message}}}
    return {"status": {"conditions": [], "containerStatuses": [waiting]}}


def test_a_manager_that_does_not_start_is_taken_away_and_its_pod_says_why(
    tools: FakeTools, put: Callable[..., Deployment]
) -> None:
    tools.set(
        manager_pod=stuck("ImagePullBackOff", 'Back-off pulling image "x": denied'),
        events="Failed  Failed to pull image: 403 Forbidden\n",
        log="no such setting\n",
    )
    with pytest.raises(RolloutFailed) as caught:
        put()
    assert "ImagePullBackOff" in caught.value.message
    assert "403 Forbidden" in caught.value.message
    assert "  | no such setting" in caught.value.message
    assert "nothing stays; let the nodes pull" in (caught.value.hint or "")
    assert tools.read()["releases"] == {}


def test_an_image_that_is_not_there_is_to_be_built(
    tools: FakeTools, put: Callable[..., Deployment]
) -> None:
    tools.set(manager_pod=stuck("ErrImagePull", "registry.example/show/x:1: not found"))
    with pytest.raises(RolloutFailed) as caught:
        put()
    assert "burst images build --push" in (caught.value.hint or "")


def test_a_broken_manager_that_somebody_did_not_wait_for_is_replaced(
    tools: FakeTools, put: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    well = tools.read()["manager_pod"]
    tools.set(manager_pod=stuck("ImagePullBackOff", "no such image"))

    def ctrl_c(_: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rollout, "time", SimpleNamespace(sleep=ctrl_c))
        with pytest.raises(KeyboardInterrupt):
            put()
    tools.set(manager_pod=well)
    assert put().releases[0].change == "upgraded"
    assert [call for call in tools.calls if call.startswith("kubectl delete pod")] == [
        "kubectl delete pod show-manager-0 --ignore-not-found --wait=false"
    ]


def test_an_upgrade_that_does_not_start_goes_back_to_what_ran(
    tools: FakeTools, put: Callable[..., Deployment]
) -> None:
    put()
    tools.set(manager_pod=stuck("CrashLoopBackOff", "back-off 5m0s restarting"))
    with pytest.raises(RolloutFailed, match="CrashLoopBackOff") as caught:
        put(cluster={"manager": {"logLevel": "debug"}})
    first, second, third = tools.release("show")
    assert "logLevel" in second["config"]
    assert third["config"] == first["config"]
    assert "as it was before" in (caught.value.hint or "")
    # Or Kubernetes would wait for the broken one before it makes the right one.
    assert any(call.startswith("kubectl delete pod show-manager-0") for call in tools.calls)


def test_what_can_not_be_taken_back_is_not_said_to_be_as_before(
    tools: FakeTools, put: Callable[..., Deployment]
) -> None:
    put()
    tools.set(manager_pod=stuck("CrashLoopBackOff", "back-off 5m0s restarting"))
    tools.refuse("helm rollback", 'Error: rollback is forbidden: User "x" cannot')
    with pytest.raises(RolloutFailed, match="CrashLoopBackOff") as caught:
        put(cluster={"manager": {"logLevel": "debug"}})
    assert (caught.value.hint or "").startswith("it could not be taken back; ")


@pytest.mark.parametrize(
    ("pattern", "words", "error", "text"),
    [
        ("helm upgrade", "Error: values don't meet the specifications of the schema(s)\n"
         "- maximum: Invalid type. Expected: integer, given: string", ConfigError, "maximum"),
        ("helm upgrade", "Error: execution error at (burst-manager/templates/x.yaml:1:4): storage",
         ConfigError, "storage"),
        ("helm upgrade", "Error: chart requires kubeVersion: >=1.29.0-0 which is incompatible "
         "with Kubernetes v1.28.0", ClusterUnfit, "1.28"),
        ("helm upgrade", 'Error: quotas is forbidden: User "x" cannot create', ClusterDenied, "x"),
        ("helm upgrade", "Error: Unable to connect to the server: dial tcp: i/o timeout",
         ClusterUnreachable, "timeout"),
        ("kubectl version", "The connection to the server 10.0.0.1 was refused - did you",
         ClusterUnreachable, "10.0.0.1"),
        ("kubectl version", "error: You must be logged in to the server (Unauthorized)",
         ClusterDenied, "logged in"),
        ("kubectl config", 'error: context "prod" does not exist', ConfigError, "prod"),
    ],
)  # fmt: skip
def test_what_the_tools_complain_of_becomes_an_error_of_ours(
    tools: FakeTools,
    put: Callable[..., Deployment],
    pattern: str,
    words: str,
    error: type[BurstError],
    text: str,
) -> None:
    tools.refuse(pattern, words)
    with pytest.raises(error, match=text) as caught:
        put()
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("versions", "error", "text"),
    [
        ({"server": "v1.28.9"}, ClusterUnfit, "needs 1.29 or newer"),
        ({"kubectl": "v2.0.0"}, ToolError, "kubectl v2.0.0"),
        ({"helm": "v2.17.0"}, ToolError, "helm 2.17.0"),
        ({"helm": "v4.2"}, ToolError, "does not say which version"),
    ],
)
def test_versions_that_do_not_fit_are_refused_before_anything_is_made(
    tools: FakeTools,
    put: Callable[..., Deployment],
    versions: dict[str, str],
    error: type[BurstError],
    text: str,
) -> None:
    tools.set(versions={**tools.read()["versions"], **versions})
    with pytest.raises(error, match=text):
        put()
    assert tools.read()["releases"] == {}


@pytest.mark.filterwarnings("error")
def test_helm_4_lists_what_it_left_half_done_without_being_told_to(
    tools: FakeTools, put: Callable[..., Deployment]
) -> None:
    tools.set(versions={**tools.read()["versions"], "helm": "v4.0.0"})
    put()
    listed = {call for call in tools.calls if call.startswith("helm list")}
    assert listed == {"helm list --max 256 --output json"}


@pytest.mark.parametrize("program", ["kubectl", "helm"])
def test_a_program_that_is_not_installed_is_named(
    tools: FakeTools,
    put: Callable[..., Deployment],
    program: str,
) -> None:
    (tools.bin / program).unlink()
    with pytest.raises(ToolMissing, match=program):
        put()


def test_rights_that_are_lacking_are_all_named(
    tools: FakeTools, put: Callable[..., Deployment]
) -> None:
    tools.set(lacking=["create jobs", "create secrets"])
    with pytest.raises(ClusterDenied, match=r"create jobs\.batch, create secrets"):
        put()
    assert tools.read()["releases"] == {}


def test_what_an_admin_of_a_namespace_may_not_is_asked_only_where_it_is_needed(
    tools: FakeTools, put: Callable[..., Deployment]
) -> None:
    tools.set(lacking=["create resourcequotas"])
    with pytest.raises(ClusterDenied, match="create resourcequotas") as caught:
        put()
    assert "quota = { enabled = false }" in (caught.value.hint or "")
    put(cluster={"manager": {"quota": {"enabled": False}}})


def test_whether_there_is_a_driver_need_not_be_known(
    tools: FakeTools, put: Callable[..., Deployment]
) -> None:
    tools.refuse(
        "kubectl get csidriver", 'Error from server (Forbidden): csidrivers "x" is forbidden'
    )
    put()
    assert tools.release("show-pool-small")[-1]["config"]["scenes"] == {"source": "fetch"}
    put(cluster={"scenes_by": "csi"})
    assert tools.release("show-pool-small")[-1]["config"]["scenes"] == {"source": "csi"}


def test_two_farms_do_not_share_a_namespace(
    tools: FakeTools, put: Callable[..., Deployment]
) -> None:
    put(cluster={"namespace": "studio"})
    with pytest.raises(ClusterUnfit, match="has the farm show already"):
        put(cluster={"namespace": "studio", "farm": "other"})


def test_without_a_bucket_a_farm_is_not_put_anywhere(put: Callable[..., Deployment]) -> None:
    with pytest.raises(UsageError, match="in a bucket, and this one has none"):
        put(storage_url=None)


def test_scenes_are_mounted_where_the_cluster_has_the_driver_and_else_fetched(
    tools: FakeTools, put: Callable[..., Deployment]
) -> None:
    put()
    assert tools.release("show-pool-small")[-1]["config"]["scenes"] == {"source": "csi"}
    tools.set(objects={})
    put()
    assert tools.release("show-pool-small")[-1]["config"]["scenes"] == {"source": "fetch"}


def test_a_mount_that_was_asked_for_needs_the_driver(
    tools: FakeTools, put: Callable[..., Deployment]
) -> None:
    tools.set(objects={})
    with pytest.raises(ClusterUnfit, match=r"gcsfuse\.csi\.storage\.gke\.io"):
        put(cluster={"scenes_by": "csi"})


def test_a_namespace_that_is_going_is_not_used(
    tools: FakeTools, put: Callable[..., Deployment]
) -> None:
    tools.put("namespace", "show", status={"phase": "Terminating"})
    with pytest.raises(ClusterUnfit, match="being deleted"):
        put()


def test_googles_plugin_is_not_needed_to_log_in(
    tools: FakeTools, put: Callable[..., Deployment], tmp_path: Path
) -> None:
    tools.set(user={"exec": {"command": "gke-gcloud-auth-plugin"}})
    put()
    written = tmp_path / "state" / "kubeconfig"
    assert '"kube-token"' in written.read_text("utf-8")
    assert written.stat().st_mode & 0o077 == 0
    note = read_note(tmp_path / "state")
    assert note is not None
    assert (note.kubeconfig, note.made_from) == (str(written), str(tools.kubeconfig))
    # By the next deployment it is made anew, and it goes with the farm.
    written.write_text("{}")
    put(cluster={"kubeconfig": written})
    assert '"kube-token"' in written.read_text("utf-8")
    assert read_note(tmp_path / "state") == note
    take_down(settings(tools, tmp_path), [].append)
    assert not written.exists()


def test_a_farm_whose_making_failed_is_found_again_by_deploy_and_down(
    tools: FakeTools, put: Callable[..., Deployment], tmp_path: Path
) -> None:
    tools.refuse("helm upgrade show-pool-large", "Error: execution error at (x.yaml:1:4): no")
    with pytest.raises(ConfigError):
        put()
    assert sorted(tools.read()["releases"]) == ["show", "show-pool-small"]
    note = read_note(tmp_path / "state")
    assert note is not None
    assert (note.farm, note.context, note.namespace) == ("show", "here", "show")


def test_what_was_refused_before_anything_was_made_is_not_noted(
    tools: FakeTools, put: Callable[..., Deployment], tmp_path: Path
) -> None:
    tools.set(lacking=["create jobs"])
    with pytest.raises(ClusterDenied):
        put()
    assert read_note(tmp_path / "state") is None


def test_the_images_of_every_blender_that_a_pool_has_are_seen_to(
    tools: FakeTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, ...]] = []

    def ensure(images: ImageSettings, say: object, parts: tuple[str, ...]) -> None:
        seen.extend((part, images.image_blender) for part in parts)

    monkeypatch.setattr(deploy_module, "ensure_images", ensure)
    pools = {
        "a": PoolSettings(blender="bpy5.0.1"),
        "b": PoolSettings(),
        "c": PoolSettings(blender="bpy5.0.1"),
    }
    deploy(settings(tools, tmp_path, pools=pools), IMAGES, [].append)
    default = IMAGES.image_blender
    assert seen == [("manager", "bpy5.0.1"), ("worker", "bpy5.0.1"), ("worker", default)]


def test_taken_down_nothing_of_it_is_left_but_what_is_named(
    tools: FakeTools, put: Callable[..., Deployment], tmp_path: Path
) -> None:
    put()
    labels = {"burst/farm": "show"}
    tools.put("job", "show-small-1", metadata={"labels": labels})
    tools.put("pod", "show-shell-1", metadata={"labels": labels})
    tools.put("persistentvolumeclaim", "kept", metadata={"labels": labels})
    removal = take_down(settings(tools, tmp_path), [].append)
    assert removal.removed == ("show-pool-small", "show-pool-large", "show")
    assert removal.stays == ("persistentvolumeclaim/kept",)
    assert tools.read()["releases"] == {}
    assert read_note(tmp_path / "state") is None
    last = [call for call in tools.calls if call.startswith("helm uninstall")]
    assert last[-1].startswith("helm uninstall show ")
