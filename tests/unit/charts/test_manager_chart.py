"""The manager's chart: what is rendered from which values. No cluster; tests/kubernetes has one."""

from __future__ import annotations

import base64

import pytest
from chart_kit import CHARTS, Helm, Refused


def test_there_is_one_manager_with_its_state_on_a_volume(helm: Helm) -> None:
    rendered = helm.render("manager")
    manager = rendered.of("StatefulSet")
    assert manager["metadata"]["name"] == "studio-manager"
    assert manager["spec"]["replicas"] == 1
    volumes = {volume["name"]: volume for volume in rendered.pod["volumes"]}
    claim = rendered.of("PersistentVolumeClaim")
    assert volumes["state"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "10Gi"
    mounts = {mount["name"]: mount["mountPath"] for mount in rendered.container["volumeMounts"]}
    assert mounts["state"] == rendered.environment["BURST_STATE_DIR"]


def test_the_manager_is_told_what_it_needs(helm: Helm) -> None:
    rendered = helm.render("manager", {"leaseSeconds": "30"})
    told = rendered.environment
    assert told["BURST_PROVIDER"] == "kubernetes"
    assert told["BURST_FARM"] == "studio"
    assert told["BURST_STORAGE_URL"] == "gs://frames"
    assert told["BURST_LEASE_SECONDS"] == "30"
    assert told["BURST_KUBERNETES_NAMESPACE"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}
    secret = rendered.of("Secret")["metadata"]["name"]
    assert told["BURST_WORKER_TOKEN"] == {"secretKeyRef": {"name": secret, "key": "token"}}


def test_workers_find_the_manager_and_nobody_else_finds_the_console(helm: Helm) -> None:
    rendered = helm.render("manager")
    service = rendered.of("Service")
    assert service["metadata"]["name"] == "studio-manager"
    assert [port["port"] for port in service["spec"]["ports"]] == [8081]
    labels = rendered.of("StatefulSet")["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert rendered.environment["BURST_CONSOLE_LISTEN"] == "127.0.0.1:8080"
    assert rendered.environment["BURST_WORKER_LISTEN"] == "0.0.0.0:8081"
    assert [port["containerPort"] for port in rendered.container["ports"]] == [8081]


def test_the_manager_may_make_jobs_and_look_and_nothing_else(helm: Helm) -> None:
    rendered = helm.render("manager")
    allowed = {
        (group, resource, verb)
        for rule in rendered.of("Role")["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    jobs = {("batch", "jobs", verb) for verb in ("create", "list", "watch", "delete")}
    looks = {
        ("", resource, verb)
        for resource in ("configmaps", "pods", "events")
        for verb in ("get", "list", "watch")
    }
    assert allowed == jobs | looks | {("", "pods/log", "get")}
    (subject,) = rendered.of("RoleBinding")["subjects"]
    assert subject["name"] == rendered.pod["serviceAccountName"] == "studio-manager"
    assert not {"ClusterRole", "ClusterRoleBinding"} & rendered.kinds()


def test_workers_have_an_account_without_rights_or_token(helm: Helm) -> None:
    rendered = helm.render("manager")
    account = rendered.of("ServiceAccount", "studio-worker")
    assert account["automountServiceAccountToken"] is False
    assert len(rendered.of("RoleBinding")["subjects"]) == 1


def test_every_pod_may_run_under_the_strictest_pod_security(helm: Helm) -> None:
    rendered = helm.render("manager")
    for pod in (rendered.pod, rendered.hook("test")["spec"]["template"]["spec"]):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
    assert (
        rendered.hook("test")["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
    )


def test_health_is_asked_of_the_workers_listener_and_never_of_the_queue(helm: Helm) -> None:
    container = helm.render("manager").container
    asked = {
        probe: container[probe]["httpGet"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert {probe: get["path"] for probe, get in asked.items()} == {
        "startupProbe": "/healthz",
        "readinessProbe": "/readyz",
        "livenessProbe": "/healthz",
    }
    assert {get["port"] for get in asked.values()} == {"workers"}


def test_the_token_is_new_and_long_and_what_the_pod_is_restarted_by(helm: Helm) -> None:
    first = helm.render("manager")
    helm.forget()
    second = helm.render("manager")
    tokens = [base64.b64decode(one.of("Secret")["data"]["token"]) for one in (first, second)]
    assert tokens[0] != tokens[1]
    assert all(len(token) >= 32 for token in tokens)
    sums = [
        one.of("StatefulSet")["spec"]["template"]["metadata"]["annotations"][
            "checksum/worker-token"
        ]
        for one in (first, second)
    ]
    assert sums[0] != sums[1]


def test_a_token_of_ones_own_makes_no_secret(helm: Helm) -> None:
    rendered = helm.render("manager", {"workerToken.existingSecret": "mine"})
    assert "Secret" not in rendered.kinds()
    assert rendered.environment["BURST_WORKER_TOKEN"]["secretKeyRef"]["name"] == "mine"


def test_the_quota_bounds_workers_of_all_pools(helm: Helm) -> None:
    hard = helm.render("manager", {"quota.workers": "50"}).of("ResourceQuota")["spec"]["hard"]
    assert hard["pods"] == "60"
    assert int(hard["count/jobs.batch"]) > 60
    assert "requests.cpu" not in hard
    hard = helm.render("manager", {"quota.cpu": "400"}).of("ResourceQuota")["spec"]["hard"]
    assert hard["requests.cpu"] == "400"
    assert "ResourceQuota" not in helm.render("manager", {"quota.enabled": "false"}).kinds()


def test_workers_reach_the_manager_names_logins_and_storage_and_are_reached_by_none(
    helm: Helm,
) -> None:
    policy = helm.render("manager").of("NetworkPolicy", "studio-worker")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy
    assert policy["podSelector"]["matchLabels"]["burst/farm"] == "studio"
    addresses = {
        (to["ipBlock"]["cidr"], port["port"])
        for rule in policy["egress"]
        for to in rule["to"]
        if "ipBlock" in to
        for port in rule["ports"]
    }
    assert addresses == {
        ("169.254.20.10/32", 53),
        ("169.254.169.254/32", 80),
        ("169.254.169.254/32", 8080),
        ("169.254.169.252/32", 987),
        ("169.254.169.252/32", 988),
        ("199.36.153.4/30", 443),
        ("199.36.153.8/30", 443),
    }
    pods = [
        to["podSelector"] for rule in policy["egress"] for to in rule["to"] if "podSelector" in to
    ]
    assert [pod["matchLabels"]["app.kubernetes.io/component"] for pod in pods] == ["manager"]


def test_the_manager_is_reached_by_workers_only(helm: Helm) -> None:
    policy = helm.render("manager").of("NetworkPolicy", "studio-manager")["spec"]
    (rule,) = policy["ingress"]
    components = {
        one["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for one in rule["from"]
    }
    assert components == {"worker", "test"}
    assert rule["ports"] == [{"protocol": "TCP", "port": "workers"}]


def test_policies_that_nobody_enforces_can_be_left_out(helm: Helm) -> None:
    assert "NetworkPolicy" not in helm.render("manager", {"networkPolicy.enabled": "false"}).kinds()


def test_the_manager_keeps_off_spot_nodes_and_is_not_moved(helm: Helm) -> None:
    rendered = helm.render("manager")
    (term,) = rendered.pod["affinity"]["nodeAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [
        {"key": "cloud.google.com/gke-spot", "operator": "NotIn", "values": ["true"]}
    ]
    assert rendered.of("PodDisruptionBudget")["spec"]["maxUnavailable"] == 0
    annotations = rendered.of("StatefulSet")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"


def test_nothing_stays_after_an_uninstall_unless_it_is_asked_for(helm: Helm) -> None:
    kept = "helm.sh/resource-policy"
    for one in helm.render("manager").objects:
        assert kept not in one["metadata"].get("annotations", {}), one["metadata"]["name"]
    claim = helm.render("manager", {"volume.keep": "true"}).of("PersistentVolumeClaim")
    assert claim["metadata"]["annotations"][kept] == "keep"
    assert not helm.render("manager").of("StatefulSet")["spec"].get("volumeClaimTemplates")


def test_a_directory_is_mounted_where_its_path_says(helm: Helm) -> None:
    rendered = helm.render("manager", {"storage.url": "/storage", "storage.claim": "shared"})
    mounts = {mount["name"]: mount["mountPath"] for mount in rendered.container["volumeMounts"]}
    assert mounts["storage"] == "/storage"
    volumes = {volume["name"]: volume for volume in rendered.pod["volumes"]}
    assert volumes["storage"]["persistentVolumeClaim"] == {"claimName": "shared"}


def test_an_image_is_named_by_registry_and_by_digest(helm: Helm) -> None:
    assert helm.render("manager").container["image"] == "burst-manager:0.1.0"
    named = {"image.registry": "example.org:5000/burst/", "image.tag": "1.2"}
    assert (
        helm.render("manager", named).container["image"]
        == "example.org:5000/burst/burst-manager:1.2"
    )
    digest = f"sha256:{'0' * 64}"
    assert helm.render("manager", {**named, "image.digest": digest}).container["image"] == (
        f"example.org:5000/burst/burst-manager@{digest}"
    )


def test_all_is_named_after_the_farm(helm: Helm) -> None:
    rendered = helm.render("manager", {"farm": "other"})
    assert all(one["metadata"]["name"].startswith("other") for one in rendered.objects)
    assert {one["metadata"]["labels"]["burst/farm"] for one in rendered.objects} == {"other"}
    assert {one["metadata"]["namespace"] for one in rendered.objects} == {"farms"}


def test_labels_are_those_of_the_field(helm: Helm) -> None:
    for one in helm.render("manager").objects:
        labels = one["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "burst"
        assert labels["app.kubernetes.io/instance"] == "studio"
        assert labels["app.kubernetes.io/part-of"] == "burst"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["app.kubernetes.io/component"] in ("manager", "worker", "test")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"storage.url": ""}, "storage.url is missing"),
        ({"storage.url": "gs://frames/folder"}, "without a folder"),
        ({"storage.url": "s3://frames"}, "neither a bucket nor a directory"),
        ({"storage.url": "/storage"}, "nothing is mounted at"),
        ({"storage.claim": "shared"}, "leave one of them out"),
        ({"console.port": "8081"}, "is the workers'"),
        ({"farm": "My-Farm"}, "is no name for a farm"),
        ({"image.registry": "https://example.org"}, "is no address of a registry"),
        ({"volume.keep": "true", "volume.existingClaim": "mine"}, "leave one of them out"),
        ({"extraEnv[0].name": "BURST_STATE_DIR"}, "which the chart sets itself"),
        ({"podLabels.burst/farm": "x"}, "which the chart sets itself"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(
    helm: Helm, values: dict[str, str], sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        helm.render("manager", values)


@pytest.mark.parametrize(
    "values",
    [
        {"storage.adress": "x"},
        {"replicas": "2"},
        {"quota.workers": "many"},
        {"image.tag": "latest"},
        {"image.repository": "Burst"},
        {"volume.size": "large"},
        {"logLevel": "loud"},
        {"networkPolicy.enabled": "maybe"},
    ],
)
def test_unknown_keys_and_wrong_types_are_refused(helm: Helm, values: dict[str, str]) -> None:
    with pytest.raises(Refused, match="schema"):
        helm.render("manager", values)


def test_a_cluster_that_is_too_old_is_refused(helm: Helm) -> None:
    with pytest.raises(Refused, match=r"kubeVersion|incompatible"):
        helm.render("manager", options=["--kube-version", "1.28.0"])
    assert helm.render("manager", options=["--kube-version", "1.29.0-gke.1381000"]).objects


def test_every_value_can_be_set(helm: Helm) -> None:
    rendered = helm.render("manager", files=[CHARTS / "manager" / "all-values.yaml"])
    assert rendered.of("StatefulSet")["metadata"]["name"] == "studio-manager"
    assert rendered.environment["BURST_CONSOLE_HOSTS"] == "studio.example.org"
