"""Workers as Jobs: what only they do, against a fake cluster that loses, refuses and goes away.

What they have in common with other workers is in ``test_provider_contract.py``; what pods say,
in ``test_pods.py``; the real thing, in ``tests/kubernetes``.
"""

from __future__ import annotations

import pytest
from worlds import ClusterWorld, find, order, wait_for

from burst.domain.transitions import AttemptStatus
from burst.errors import ToolError
from burst.manager.autoscaler.kubernetes import open_provider
from burst.manager.autoscaler.volley import AT_ONCE, FAILED_MAX, TRIES
from tests.fakes.kube_api import FARM, NAMESPACE, pool_map


def test_a_job_is_the_pools_template_with_a_name(cluster: ClusterWorld) -> None:
    cluster.provider.start([order("local-7", 3)])
    job = cluster.api.objects["jobs"]["local-7"]
    labels = {"burst/farm": FARM, "burst/pool": "local", "burst/worker": "local-7"}
    for described in (job["metadata"], job["spec"]["template"]["metadata"]):
        assert described["labels"] == {"app.kubernetes.io/part-of": "burst", **labels}
    (owner,) = job["metadata"]["ownerReferences"]
    pool = cluster.api.objects["configmaps"][owner["name"]]
    assert (owner["kind"], owner["uid"]) == ("ConfigMap", pool["metadata"]["uid"])
    sidecar, worker = job["spec"]["template"]["spec"]["containers"]
    assert sidecar == {"name": "sidecar"}
    assert {one["name"]: one["value"] for one in worker["env"]} == {
        "BURST_SCENES": "fetch",
        "BURST_WORKER_NAME": "local-7",
        "BURST_WORKER_POOL": "local",
        "BURST_THREADS": "3",
    }


def test_pools_come_change_and_go_without_a_restart(cluster: ClusterWorld) -> None:
    def maximums() -> dict[str, int]:
        return {pool.name: pool.maximum for pool in cluster.provider.pools()}

    cluster.api.put("configmaps", pool_map("gpu", maximum=9, device="gpu"))
    wait_for(lambda: maximums() == {"local": 4, "gpu": 9})
    cluster.api.put("configmaps", pool_map("gpu", maximum=2, device="gpu"))
    wait_for(lambda: maximums() == {"local": 4, "gpu": 2})
    cluster.api.delete("configmaps", f"{FARM}-pool-gpu")
    wait_for(lambda: maximums() == {"local": 4})
    assert "no worker pool gpu" in cluster.provider.start([order("gpu-1", pool="gpu")])["gpu-1"]


def test_another_farms_pools_and_jobs_are_none_of_ours(cluster: ClusterWorld) -> None:
    other = pool_map("theirs")
    other["metadata"]["labels"]["burst/farm"] = "other"
    cluster.api.put("configmaps", other)
    labels = {"burst/farm": "other", "burst/worker": "theirs-1"}
    cluster.api.put("jobs", {"metadata": {"name": "theirs-1", "labels": labels}})
    cluster.provider.start([order("one")])
    assert [pool.name for pool in cluster.restart().pools()] == ["local"]
    assert [worker.name for worker in cluster.restart().list()] == ["one"]


def test_a_job_whose_answer_was_lost_is_made_once_and_known(cluster: ClusterWorld) -> None:
    cluster.api.is_silent = True
    cluster.api.lost_answers = 1
    assert cluster.provider.start([order("one"), order("two")]) == {}
    assert sorted(cluster.api.made) == ["one", "two"]
    assert [worker.name for worker in cluster.provider.list()] == ["one", "two"]


def test_what_was_made_is_known_though_the_watch_is_late(cluster: ClusterWorld) -> None:
    cluster.provider.list()
    cluster.api.is_silent = True
    cluster.provider.start([order("one"), order("two")])
    assert [worker.name for worker in cluster.provider.list()] == ["one", "two"]
    cluster.provider.remove(["one"])
    assert [worker.name for worker in cluster.provider.list()] == ["two"]
    cluster.api.is_silent = False
    wait_for(lambda: find(cluster.provider, "two").running)
    assert [worker.name for worker in cluster.provider.list()] == ["two"]


def test_a_name_that_another_farm_has_is_not_ours(cluster: ClusterWorld) -> None:
    cluster.api.put("jobs", {"metadata": {"name": "one", "labels": {"burst/farm": "other"}}})
    assert cluster.provider.start([order("one")]) == {}
    assert list(cluster.provider.list()) == []


def test_a_refused_job_says_why_in_the_clusters_words(cluster: ClusterWorld) -> None:
    text = 'jobs.batch "one" is forbidden: exceeded quota: farm-quota, used: count/jobs.batch=9'
    cluster.api.refusal = (403, text)
    assert cluster.provider.start([order("one")]) == {"one": text}
    assert list(cluster.provider.list()) == []


def test_a_cluster_that_is_busy_is_asked_again_and_then_told_of(cluster: ClusterWorld) -> None:
    cluster.provider.list()
    cluster.api.refusal = (429, "too many requests")
    with pytest.raises(ToolError, match="too many requests"):
        cluster.provider.start([order("one")])
    cluster.api.refusal = None
    assert list(cluster.provider.list()) == []
    assert cluster.provider.start([order("one")]) == {}


def test_while_the_cluster_is_away_nobody_is_taken_for_gone(cluster: ClusterWorld) -> None:
    cluster.provider.start([order("one"), order("two")])
    cluster.api.is_away = True

    def is_told() -> bool:
        try:
            cluster.provider.list()
        except ToolError:
            return True
        return False

    wait_for(is_told)
    for call in (
        cluster.provider.list,
        lambda: cluster.provider.start([order("three")]),
        lambda: cluster.provider.remove(["one"]),
    ):
        with pytest.raises(ToolError, match="does not answer"):
            call()
    cluster.api.end("two")
    cluster.api.is_away = False
    wait_for(lambda: not is_told())
    assert [(w.name, w.running) for w in cluster.provider.list()] == [("one", True), ("two", False)]


def test_a_forgotten_history_is_listed_anew(cluster: ClusterWorld) -> None:
    cluster.provider.start([order("one")])
    cluster.api.forget_history()
    cluster.kill("one")
    cluster.api.put("configmaps", pool_map("late"))
    wait_for(lambda: len(cluster.provider.pools()) == 2)


def test_a_worker_that_gave_up_is_quoted_from_its_log(cluster: ClusterWorld) -> None:
    cluster.provider.start([order("one"), order("two")])
    cluster.api.logs["one"] = "starting\nerror: no Blender was found\n\nhint: install one\n"
    cluster.api.end("one", 1, reason="Error")
    cluster.api.end("two", 1, reason="Error", message="error: the storage can't be used\n")
    wait_for(lambda: not any(worker.running for worker in cluster.provider.list()))
    ended = [(w.failure, w.gave_up) for w in cluster.provider.list()]
    assert ended == [("no Blender was found", True), ("the storage can't be used", True)]


def test_why_a_job_has_no_pod_is_asked_of_the_events(cluster: ClusterWorld) -> None:
    cluster.provider.start([order("one")])
    assert find(cluster.provider, "one").holdup == "start"
    cluster.api.warn("Job", "one", "FailedCreate", "violates PodSecurity restricted")
    found = find(cluster.provider, "one")
    assert (found.holdup, found.waits) == (
        "broken",
        "FailedCreate: violates PodSecurity restricted",
    )
    cluster.api.pod("one", phase="Pending")
    cluster.api.warn("Pod", "one-x", "FailedMount", "driver is not found")
    wait_for(lambda: "FailedMount" in find(cluster.provider, "one").waits)
    assert find(cluster.provider, "one").holdup == "start"
    cluster.api.run("one")
    wait_for(lambda: find(cluster.provider, "one").holdup == "")


def test_an_event_without_words_harms_nobody(cluster: ClusterWorld) -> None:
    cluster.provider.start([order("one")])
    cluster.api.warn("Job", "one", "FailedCreate", "quota")
    (event,) = cluster.api.objects["events"].values()
    del event["message"]
    assert find(cluster.provider, "one").waits == "FailedCreate"


def test_a_cluster_that_takes_nothing_is_not_asked_for_each_of_hundreds(
    cluster: ClusterWorld,
) -> None:
    cluster.provider.list()
    cluster.api.refusal = (500, "failed calling webhook")
    with pytest.raises(ToolError, match="failed calling webhook"):
        cluster.provider.start([order(f"local-{number}") for number in range(300)])
    # Each that is on its way is asked for to the end.
    assert cluster.api.refused <= TRIES * (AT_ONCE + FAILED_MAX)


def test_a_log_that_can_not_be_read_is_asked_for_once_not_for_each(cluster: ClusterWorld) -> None:
    names = ["one", "two", "three"]
    cluster.provider.start([order(name) for name in names])
    cluster.api.logs_away = True
    for name in names:
        cluster.api.end(name, 1, reason="Error")
    wait_for(lambda: not any(worker.running for worker in cluster.provider.list()))
    cluster.api.logs_asked = 0
    assert {worker.failure for worker in cluster.provider.list()} == {"exit status 1"}
    assert cluster.api.logs_asked == 1


def test_a_pod_whose_memory_ran_out_says_so(cluster: ClusterWorld) -> None:
    cluster.provider.start([order("one")])
    cluster.api.end("one", 137, reason="OOMKilled")
    wait_for(lambda: not find(cluster.provider, "one").running)
    assert find(cluster.provider, "one").outcome is AttemptStatus.OUT_OF_MEMORY


def test_hundreds_are_started_and_removed_together(cluster: ClusterWorld) -> None:
    names = [f"local-{number}" for number in range(300)]
    assert cluster.provider.start([order(name) for name in names]) == {}
    assert sorted(cluster.api.made) == sorted(names)
    assert len(cluster.provider.list()) == 300
    cluster.provider.remove(names)
    assert cluster.api.objects["jobs"] == {}
    assert list(cluster.provider.list()) == []


def test_a_manager_that_leaves_may_still_make_and_remove(cluster: ClusterWorld) -> None:
    cluster.provider.start([order("local-1")])
    cluster.provider.stop_all()
    cluster.provider.remove(["local-1"])
    assert cluster.api.objects["jobs"] == {}
    assert cluster.provider.start([order("local-2")]) == {}
    assert list(cluster.api.objects["jobs"]) == ["local-2"]


def test_without_a_cluster_the_manager_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for named in ("/nowhere/config", ""):
        monkeypatch.setenv("KUBECONFIG", named)
        with pytest.raises(ToolError, match="no Kubernetes was found"):
            open_provider(NAMESPACE, FARM)
