"""Commands on a farm that is on a cluster: a fake manager behind a stand-in for kubectl.

How it gets there is in tests/unit/operations/test_deploy.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from burst.cli import console
from burst.cli.main import app
from burst.cli.settings import cluster_farm
from burst.config.cluster import Note, write_note
from burst.errors import ClusterUnreachable
from burst.operations import deploy, reach
from burst.protocol.artist_messages import PoolView
from burst.protocol.client import ManagerClient
from tests.fakes.cluster_tools import FakeTools
from tests.fakes.manager import FakeManager

POOL = PoolView(
    name="cpu", running=1, starting=2, wanted=3, maximum=4, reason="3 tasks", failure=""
)


def run(*arguments: str) -> int:
    return console.exit_status(app, arguments)


@pytest.fixture
def manager() -> Iterator[FakeManager]:
    fake = FakeManager("gs://show")
    fake.pools = (POOL,)
    yield fake
    fake.stop()


@pytest.fixture
def tools(
    tmp_path: Path, manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeTools]:
    tools = FakeTools(tmp_path / "tools")
    tools.set(console_port=int(manager.url.rpartition(":")[2]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tools.bin))
    monkeypatch.setenv("BURST_STATE_DIR", str(tmp_path / "state"))
    write_note(tmp_path / "state", Note("show", str(tools.kubeconfig), "here", "studio"))
    yield tools
    for forward in reach._forwards.values():
        forward.close()
    reach._forwards.clear()


def test_commands_mean_the_farm_that_was_put_on_a_cluster(
    tools: FakeTools, manager: FakeManager, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("jobs", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["id"] == manager.job.id
    assert run("status", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["farm"], said["namespace"], said["storage_url"]) == ("show", "studio", "gs://show")
    assert run("workers", "--help") == 0
    forwards = [call for call in tools.calls if "port-forward" in call]
    assert len(forwards) == 1
    assert "statefulset/show-manager" in forwards[0]


def test_a_connection_made_again_is_there_when_it_is_next_used(
    tools: FakeTools, manager: FakeManager
) -> None:
    settings = cluster_farm()
    reach.reach_farm(settings)
    for _ in range(3):
        with ManagerClient(reach.reach_again(settings)) as client:
            assert client.jobs() == (manager.job,)


def test_local_means_this_machine_all_the_same(
    tools: FakeTools, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("jobs", "list", "--local", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert run("status", "--local", "--json") == 0
    assert tools.calls == []


def test_a_farm_that_is_not_there_is_said_to_be_missing(
    tools: FakeTools, capsys: pytest.CaptureFixture[str]
) -> None:
    tools.refuse("port-forward", 'Error from server (NotFound): statefulsets "x" not found')
    assert run("jobs", "list") == 1
    said = capsys.readouterr().err
    assert "there is no farm show in the namespace studio" in said
    assert "hint: make it: burst up" in said


def test_a_connection_that_takes_long_says_what_it_waits_for(
    tools: FakeTools, manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools.refuse("port-forward", "The connection to the server x was refused")
    monkeypatch.setattr(reach, "QUIET_SECONDS", 3.0)
    told = []

    def tell(text: str) -> None:
        told.append(text)
        tools.set(refusals=[])

    with ManagerClient(reach.find_farm(cluster_farm(), tell) or "") as client:
        assert client.jobs() == (manager.job,)
    assert told == [
        "the cluster does not answer: The connection to the server x was refused, trying for 60 s …"
    ]


def test_a_cluster_that_is_gone_for_good_can_be_forgotten(
    tools: FakeTools, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tools.refuse(
        "^(?!helm version)", 'Error: Kubernetes cluster unreachable: Get "https://x/version"'
    )
    assert run("down", "--yes") == 1
    assert f"forget it: rm {tmp_path / 'state' / 'cluster.json'}" in capsys.readouterr().err


def test_a_cluster_that_says_nothing_can_be_forgotten_too(
    tools: FakeTools, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def hang(*_: object) -> None:
        raise ClusterUnreachable("the cluster did not answer for 120 s")

    monkeypatch.setattr(deploy, "take_down", hang)
    assert run("down", "--yes") == 1
    assert "hint: if the cluster is gone for good" in capsys.readouterr().err


def test_pools_are_listed_with_why(tools: FakeTools, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pools", "list") == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[1].split()[:6] == ["cpu", "1", "2", "3", "0", "4"]
    assert "cpu: 3 tasks" in said.err


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        (("set", "cpu", "--max", "9"), {"maximum": 9}),
        (("set", "cpu", "--min", "1", "--max", "9"), {"minimum": 1, "maximum": 9}),
        (("set", "cpu", "--reset"), {"minimum": None, "maximum": None}),
        (("scale", "cpu", "7"), {"scale": 7}),
        (("scale", "cpu", "auto"), {"scale": None}),
    ],
)
def test_only_what_was_typed_is_changed(
    tools: FakeTools, manager: FakeManager, typed: tuple[str, ...], asked: dict[str, Any]
) -> None:
    assert run("pools", *typed) == 0
    assert manager.asked == [("/pools/cpu", asked)]


@pytest.mark.parametrize(
    "typed",
    [
        ("set", "cpu"),
        ("set", "cpu", "--reset", "--max", "2"),
        ("set", "cpu", "--min", "3", "--max", "2"),
        ("scale", "cpu", "many"),
        ("scale", "cpu", "-1"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anybody_is_asked(
    tools: FakeTools, typed: tuple[str, ...]
) -> None:
    assert run("pools", *typed) == 2
    assert tools.calls == []


def test_logs_are_a_pods_where_one_is_called_so(
    tools: FakeTools, capsys: pytest.CaptureFixture[str]
) -> None:
    tools.set(log="manager ready\n")
    assert run("logs", "manager") == 0
    assert capsys.readouterr().out == "manager ready\n"
    assert tools.calls == ["kubectl logs show-manager-0"]


def test_logs_of_a_worker_are_those_of_its_pod(
    tools: FakeTools, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = {"burst/farm": "show", "burst/worker": "cpu-1"}
    tools.put("pod", "cpu-1-x7k2p", metadata={"labels": labels})
    tools.set(log="worker ready\n")
    assert run("logs", "cpu-1") == 0
    assert capsys.readouterr().out == "worker ready\n"
    assert tools.calls[-1] == "kubectl logs cpu-1-x7k2p"


def test_a_pod_speaks_to_people_unless_a_program_reads(
    tools: FakeTools, capsys: pytest.CaptureFixture[str]
) -> None:
    said = (
        '{"time": "2026-01-02T03:04:05+00:00", "severity": "INFO", "program": "manager", '
        '"logger": "burst.manager.app", "message": "manager ready"}'
    )
    tools.set(log=f"{said}\nBlender says\n")
    assert run("logs", "manager") == 0
    read = capsys.readouterr().out.splitlines()
    assert read[0].endswith(" manager manager ready")
    assert read[1] == "Blender says"
    assert run("logs", "manager", "--json") == 0
    assert capsys.readouterr().out.splitlines() == [said, '{"text": "Blender says"}']


def test_what_nothing_is_called_is_said_of_jobs_workers_and_pods(
    tools: FakeTools, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("logs", "nobody") == 1
    said = capsys.readouterr().err
    assert "neither a job nor a worker nor a pod is called nobody" in said
    assert "burst logs manager" in said


@pytest.mark.parametrize("name", ["My Job", "a/b", "x=y,z"])
def test_what_can_be_no_pods_name_is_not_looked_for_among_pods(
    tools: FakeTools, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    tools.refuse("kubectl get", "error: unable to parse requirement")
    assert run("logs", name) == 1
    assert f"nor a pod is called {name}" in capsys.readouterr().err


def test_another_cluster_by_hand_is_not_the_one_that_was_noted(
    tools: FakeTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    monkeypatch.setenv("BURST_KUBECONFIG", str(other))
    cluster = cluster_farm().cluster
    assert (cluster.kubeconfig, cluster.farm, cluster.space) == (other, "burst", "burst")


def test_a_kubeconfig_is_known_by_its_name_when_a_copy_is_in_use(
    tools: FakeTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, copy = tmp_path / "named", tmp_path / "state" / "kubeconfig"
    note = Note("show", str(copy), "here", "studio", made_from=str(named))
    write_note(tmp_path / "state", note)
    monkeypatch.setenv("BURST_KUBECONFIG", str(named))
    cluster = cluster_farm().cluster
    assert (cluster.kubeconfig, cluster.context, cluster.space) == (copy, "here", "studio")
    # Who types it has it looked at anew, and another context is not in the copy.
    assert cluster_farm(kubeconfig=named).cluster.kubeconfig == named
    assert cluster_farm(context="there").cluster.kubeconfig == named
    monkeypatch.delenv("BURST_KUBECONFIG")
    assert cluster_farm().cluster.kubeconfig == copy
    assert cluster_farm(context="there").cluster.kubeconfig == named


def test_another_farm_of_the_same_cluster_has_a_namespace_of_its_own(
    tools: FakeTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURST_FARM", "other")
    cluster = cluster_farm().cluster
    assert (cluster.farm, cluster.space, cluster.context) == ("other", "other", "here")


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("[pools.cpu]\nmaximum = 'many'\n", "pools.cpu.maximum"),
        ("[pools.cpu]\nmaximun = 3\n", "pools.cpu.maximun"),
        ("[pools.CPU]\n", "pools.CPU"),
        ("[pools.cpu]\nmemory = '8 gigs'\n", "pools.cpu.memory"),
        ("[cluster]\nnamespace = 'My Space'\n", "namespace"),
        ("[cluster]\nkubeconfg = 'x'\n", "kubeconfg"),
    ],
)
def test_wrong_settings_are_named_with_their_keys(
    tools: FakeTools, capsys: pytest.CaptureFixture[str], text: str, trouble: str
) -> None:
    Path("burst.toml").write_text(text, encoding="utf-8")
    assert run("up") == 2
    assert trouble in capsys.readouterr().err
    assert tools.calls == []


def test_a_cluster_takes_no_workers_by_number(
    tools: FakeTools, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("up", "--workers", "3") == 2
    assert "[pools.NAME]" in capsys.readouterr().err
    assert run("up", "--local", "--namespace", "x") == 2


@pytest.mark.parametrize("command", ["up", "deploy"])
def test_settings_of_machines_that_burst_does_not_make_are_told(
    tools: FakeTools,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ClusterUnreachable("gone")

    monkeypatch.setattr(deploy, "deploy", refuse)
    Path("burst.toml").write_text("[pools.cpu]\ndisk_gib = 200\nspot = true\n", encoding="utf-8")
    assert run(command) == 1
    told = capsys.readouterr().err
    assert "as burst makes no machines of this cluster: pools.cpu.disk_gib\n" in told
