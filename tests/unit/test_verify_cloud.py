"""What scripts/verify-cloud does when things go well, and that it comes down when they do not.

Its burst is a stand-in. Left out: a real account, which is what it is for.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import typer

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))

from verifycloud import guard, machines, main  # noqa: E402
from verifycloud.commands import LOG, FailedError  # noqa: E402
from verifycloud.main import Options, Report, Verification  # noqa: E402
from verifycloud.meter import Meter, known_hour, refusal  # noqa: E402

from burst.cli.main import app  # noqa: E402
from burst.cloud.google_api import GoogleApi  # noqa: E402
from tests.fakes.google_cloud import GoogleCloud  # noqa: E402

BURST = ROOT / "tests" / "fakes" / "burst_of_files.py"
ZONE = "europe-west4-a"
WAY_DOWN = ["down", "nothing left"]


@pytest.fixture
def preempted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have one spot machine, and note when it is taken back."""
    gone: list[str] = []
    machine = {"name": "spot-1", "zone": "z"}
    monkeypatch.setattr(main, "spot_machines", lambda *_: [machine])
    monkeypatch.setattr(main, "preempt", lambda _api, _project, one: gone.append(one["name"]))
    return gone


def verification(folder: Path, *, limit: float = 100.0, **script: Any) -> Verification:
    (folder / "script.json").write_text(json.dumps(script))
    options = Options("p", "z", "verify-1", limit, every=0.05, patience=60)
    return Verification(options, folder, {}, (sys.executable, str(BURST)))


def ran(one: Verification) -> dict[str, str]:
    """Return what became of each step."""
    assert one.begin() == ""
    report = one.run()
    kept = json.loads((one.folder / "report.json").read_text())
    assert [step["name"] for step in kept["steps"]] == [step.name for step in report.steps]
    return {step.name: step.status for step in report.steps}


def test_a_farm_goes_all_of_its_way(tmp_path: Path, preempted: list[str]) -> None:
    one = verification(tmp_path)
    steps = ran(one)
    assert list(steps) == ["up", "up again", "render", "preempt", "zero", *WAY_DOWN]
    assert set(steps.values()) == {"ok"}
    assert one.report.is_good
    assert preempted == ["spot-1"]
    assert one.meter.spent > 0
    calls = (tmp_path / "calls.log").read_text()
    assert "down --all --yes --farm verify-1" in calls
    # Its burst is a stand-in, and takes anything.
    commands = typer.main.get_command(app)
    assert isinstance(commands, typer.core.TyperGroup)
    for name, *arguments in {tuple(call.split()) for call in calls.splitlines()}:
        commands.commands[name].make_context(name, arguments)


@pytest.mark.parametrize(
    ("script", "failed"),
    [
        ({"fails": ["render"]}, "render"),
        ({"frames": 47}, "render"),
        ({"left": ["a disk"]}, "up again"),
    ],
)
def test_whatever_fails_the_farm_comes_down(
    tmp_path: Path, preempted: list[str], script: dict[str, Any], failed: str
) -> None:
    one = verification(tmp_path)
    assert one.begin() == ""
    (tmp_path / "script.json").write_text(json.dumps(script))
    steps = {step.name: step.status for step in one.run().steps}
    assert steps[failed] == "failed"
    # Nothing more is tried but the way down.
    assert list(steps)[list(steps).index(failed) + 1 :] == WAY_DOWN
    assert steps["down"] == "ok"
    assert not one.report.is_good
    assert not (tmp_path / "farm").exists()


def test_the_limit_stops_what_goes_on(tmp_path: Path, preempted: list[str]) -> None:
    one = verification(tmp_path, limit=1000.0, hour=1.0)
    assert one.begin() == ""
    # From now on an hour costs more than there is.
    (tmp_path / "script.json").write_text(json.dumps({"hangs": ["up"], "hour": 1e6}))
    steps = {step.name: step.status for step in one.run().steps}
    assert steps == {"up": "stopped", "down": "ok", "nothing left": "ok"}


def test_ctrl_c_goes_on_with_the_way_down(tmp_path: Path, preempted: list[str]) -> None:
    one = verification(tmp_path)
    assert one.begin() == ""
    (tmp_path / "script.json").write_text(json.dumps({"hangs": ["render"]}))
    timer = threading.Timer(2.0, one.burst.stopped.set)
    timer.start()
    steps = {step.name: step.status for step in one.run().steps}
    timer.cancel()
    assert "stopped" in steps.values()
    assert steps["down"] == "ok"


def test_a_way_down_that_fails_is_tried_again_and_told(
    tmp_path: Path, preempted: list[str]
) -> None:
    one = verification(tmp_path, fails=["down"])
    steps = ran(one)
    assert (steps["down"], steps["nothing left"]) == ("failed", "failed")
    assert (tmp_path / "calls.log").read_text().count("down --all") == 2


@pytest.mark.parametrize(
    ("script", "limit", "said"),
    [
        (
            {"findings": [{"verdict": "bad", "subject": "helm", "text": "none", "hint": "get it"}]},
            100.0,
            "burst doctor: helm: none; get it",
        ),
        ({"hour": None}, 100.0, "nobody says what it costs (unknown: a), so no limit can be kept"),
        ({"hour": 1.0}, 5.0, "a limit of 5.00 USD is too low: an hour of it all may take 6.00"),
        ({"fails": ["doctor"]}, 100.0, "burst doctor: it can't be; mend it"),
        ({"fails": ["up"]}, 100.0, "burst up --plan: it can't be; mend it"),
        ({"left": ["a disk"]}, 100.0, "there is something of a farm verify-1 in p already"),
    ],
)
def test_it_does_not_begin_where_it_could_not_end(
    tmp_path: Path, script: dict[str, Any], limit: float, said: str
) -> None:
    one = verification(tmp_path, limit=limit, **script)
    assert said in one.begin()
    assert "up --yes" not in (tmp_path / "calls.log").read_text()


def test_a_farm_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "farm").touch()
    one = verification(tmp_path)
    assert "give another --farm, or look at it: burst doctor --leftovers --project p" in one.begin()
    calls = (tmp_path / "calls.log").read_text()
    assert "up" not in calls.split()
    assert "down" not in calls.split()


def test_a_scene_that_is_not_there_is_told_before_anything_is_paid(tmp_path: Path) -> None:
    one = verification(tmp_path)
    one.options.scene = tmp_path / "no.blend"
    assert one.begin() == f"there is no scene {tmp_path / 'no.blend'}"


def test_nothing_of_the_shell_has_it_mean_another_farm(tmp_path: Path) -> None:
    options = Options("p", "z", "verify-1", 5.0)
    environ = {"BURST_FARM": "film", "BURST_PROJECT": "studio", "BURST_REGISTRY": "r", "HOME": "h"}
    used = Verification(options, tmp_path, environ, ("burst",)).burst.environ
    assert not {"BURST_FARM", "BURST_PROJECT"} & set(used)
    assert (used["BURST_REGISTRY"], used["HOME"]) == ("r", "h")


@pytest.mark.parametrize(
    "cost",
    [
        {"up": None, "nodes": {}, "hour_now": {"amount": 0.1, "at_least": 0.1, "unknown": []}},
        None,
        {"error": "a form nobody expected"},
    ],
)
def test_machines_that_nobody_could_count_are_not_zero(
    tmp_path: Path, preempted: list[str], cost: Any
) -> None:
    one = verification(tmp_path)
    one.options.patience = 0.3
    (tmp_path / "script.json").write_text(json.dumps({"cost": cost}))
    with pytest.raises(FailedError, match="machines are still there"):
        one._zero()


def test_a_price_that_can_not_be_read_counts_as_the_worst(tmp_path: Path) -> None:
    one = verification(tmp_path, cost=["a form nobody expected"])
    assert one._hour() is None
    assert verification(tmp_path, hour=0.2)._hour() == 0.2


def test_a_render_that_is_over_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "spot_machines", lambda *_: [])
    one = verification(tmp_path)
    with pytest.raises(FailedError, match="the render was over before a spot machine was seen"):
        one._preempt()


def started(folder: Path, *, reader: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """Start a verification in a process of its own, whose `up` hangs."""
    verification(folder)
    code = (
        "import json, signal, sys\n"
        "from pathlib import Path\n"
        "from verifycloud.main import Options, Verification\n"
        "folder = Path(sys.argv[1])\n"
        "options = Options('p', 'z', 'verify-1', 100.0, every=0.05, patience=60)\n"
        "one = Verification(options, folder, {}, (sys.executable, sys.argv[2]))\n"
        "assert one.begin() == ''\n"
        "signal.signal(signal.SIGTERM, lambda *_: one.burst.stopped.set())\n"
        "(folder / 'script.json').write_text(json.dumps({'hangs': ['render']}))\n"
        "one.run()\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder), str(BURST)],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'scripts'}{os.pathsep}{ROOT}"},
        stdout=reader,
        stderr=reader,
    )


def wait_for(folder: Path, word: str, many: int = 1) -> None:
    """Wait until a command was called."""
    ends = time.monotonic() + 60
    calls = folder / "calls.log"
    while not calls.exists() or calls.read_text().count(word) < many:
        assert time.monotonic() < ends, f"{word} was never called"
        time.sleep(0.05)


def test_when_it_is_killed_its_guard_takes_the_farm_down(tmp_path: Path) -> None:
    child = started(tmp_path)
    try:
        wait_for(tmp_path, "render")
        assert (tmp_path / "farm").exists()
    finally:
        child.kill()
        child.wait()
    ends = time.monotonic() + 60
    while "the farm is gone" not in (tmp_path / LOG).read_text():
        assert time.monotonic() < ends, (tmp_path / LOG).read_text()
        time.sleep(0.05)
    assert not (tmp_path / "farm").exists()
    calls = (tmp_path / "calls.log").read_text().splitlines()
    assert "down --all --yes --farm verify-1" in calls


def test_nobody_who_reads_keeps_the_farm_from_going_down(tmp_path: Path) -> None:
    child = started(tmp_path, reader=subprocess.PIPE)
    try:
        wait_for(tmp_path, "render")
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        child.stderr.close()
        child.terminate()
        child.wait(60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        child.wait()
    assert not (tmp_path / "farm").exists()
    report = json.loads((tmp_path / "report.json").read_text())
    steps = {step["name"]: step["status"] for step in report["steps"]}
    assert (steps["render"], steps["down"], steps["nothing left"]) == ("stopped", "ok", "ok")
    assert "doing down" in (tmp_path / LOG).read_text()


def test_a_guard_knows_what_runs_when_its_pipe_ends() -> None:
    assert guard.orphan(["12\n", "34\n"]) == (True, 34)
    assert guard.orphan([]) == (True, None)
    assert guard.orphan(["12\n", "done\n"]) == (False, None)


def test_a_guard_ends_what_runs_and_nobody_else() -> None:
    sleep = (sys.executable, "-c", "import time; time.sleep(60)")
    own = subprocess.Popen(sleep, start_new_session=True)
    other = subprocess.Popen(sleep)
    try:
        guard.end(own.pid, seconds=30)
        guard.end(other.pid, seconds=30)
        assert own.wait(30) == -signal.SIGINT
        assert other.poll() is None
    finally:
        for child in (own, other):
            child.kill()
            child.wait()


@pytest.mark.parametrize("limit", ["nan", "inf", "-1", "0", "much"])
def test_what_is_no_limit_is_refused(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main.read(["--project", "p", "--zone", "z", f"--limit={limit}"])
    assert stopped.value.code == 2
    assert f"--limit: {limit} is no limit, such as 5" in capsys.readouterr().err


def test_a_farm_that_may_be_there_still_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    steps = [main.Step("down", "failed"), main.Step("nothing left", "failed")]
    main.show(Report("verify-1", "p", 5.0, steps=steps))
    assert "burst down --all --project p --farm verify-1" in capsys.readouterr().out


def test_the_meter_counts_what_is_dearer_and_keeps_the_way_down_back() -> None:
    meter = Meter(limit=10.0, worst_hour=8.0)
    meter.note(1.0, 0.0)
    assert meter.spent == 0
    meter.note(2.0, 3600.0)
    assert meter.spent == 2.0
    meter.note(1.0, 7200.0)
    assert (meter.spent, meter.is_over) == (4.0, False)
    # Nobody could say: it may be as dear as it gets, of which half an hour is kept back.
    meter.note(None, 7920.0)
    assert (meter.spent, meter.is_over) == (5.6, False)
    meter.note(None, 8820.0)
    assert (round(meter.spent, 6), meter.is_over) == (7.6, True)


def test_what_nobody_could_say_is_passed_over_only_where_it_is_small() -> None:
    assert known_hour({"amount": 2.5, "at_least": 2.5, "unknown": []}) == 2.5
    assert known_hour({"amount": 0.0, "at_least": 0.0, "unknown": []}) == 0.0
    assert known_hour({"amount": None, "at_least": 1.5, "unknown": ["bucket"]}) == 1.5
    assert known_hour({"amount": None, "at_least": 1.5, "unknown": ["cores of cpu"]}) is None
    assert known_hour(None) is None


def test_a_limit_that_goes_far_enough_is_fine() -> None:
    costs = {"currency": "USD", "hour_idle": {"amount": 1.0}, "hour_full": {"amount": 4.0}}
    assert refusal(costs, 5.0) == ""
    assert "too low" in refusal(costs, 4.99)


def test_a_report_says_where_googles_own_bill_is(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("verify-1", "p", 5.0, spent=1.234, steps=[main.Step("up", "ok", 61.0)])
    main.show(report)
    said = capsys.readouterr().out
    assert "by list prices it cost 1.23 USD" in said
    assert "burst-farm=verify-1" in said


def test_what_is_typed_is_read() -> None:
    options, is_agreed = main.read(["--project", "p", "--zone", "z", "--limit", "5", "--yes"])
    assert (options.project, options.limit, is_agreed) == ("p", 5.0, True)
    assert options.farm.startswith("verify-")
    with pytest.raises(SystemExit):
        main.read(["--project", "p", "--zone", "z"])


def test_a_spot_machine_of_the_farm_is_taken_back() -> None:
    with GoogleCloud(operation_seconds=0.01) as cloud:
        for name, cluster, is_spot in (
            ("spot-1", "film", True),
            ("system-1", "film", False),
            ("other-1", "other", True),
        ):
            cloud.plant(
                "instances",
                {
                    "name": name,
                    "zone": ZONE,
                    "machineType": f"zones/{ZONE}/machineTypes/n2d-standard-8",
                    "labels": {"goog-k8s-cluster-name": cluster},
                    "scheduling": {"preemptible": is_spot},
                    "disks": [{"boot": True, "autoDelete": True, "initializeParams": {}}],
                },
            )
        api = GoogleApi(cloud.environ, project=cloud.project, pause=lambda _: None)
        [machine] = machines.spot_machines(api, cloud.project, "film")
        assert machine["name"] == "spot-1"
        machines.preempt(api, cloud.project, machine)
        assert machines.spot_machines(api, cloud.project, "film") == []
