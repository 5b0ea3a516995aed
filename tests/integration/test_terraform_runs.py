"""Runs of Terraform that are interrupted, killed and cut off: the next one goes on.

The real terraform with a state in a real fake-gcs-server, and resources that need no provider.
Left out here: Google's own (test_terraform_roots.py), and what is decided
(tests/unit/cloud/test_terraform_*.py).
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from burst.cloud.state_bucket import ENDPOINT, StateBucket
from burst.cloud.terraform_watch import AGAIN_SECONDS
from tests.fakes.emulator import running_emulator
from tests.fakes.proxy import Proxy, running_proxy

PATIENCE_SECONDS = 120

ROOT = """
terraform {
  backend "gcs" {}
}
variable "gate" {
  type = string
}
resource "terraform_data" "quick" {
  input = "made"
}
resource "terraform_data" "slow" {
  input = "made"
  provisioner "local-exec" {
    command = <<-EOT
      echo made >> made
      test -z '${var.gate}' || until test -e '${var.gate}'; do sleep 0.05; done
    EOT
  }
}
"""


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


class Run:
    """One run of `tests.fakes.terraform_up`."""

    def __init__(self, farm: Farm, command: str, place: Path, gate: Path | None) -> None:
        self.log = farm.folder / f"run-{time.monotonic_ns()}"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "tests.fakes.terraform_up", command, str(place),
                    str(farm.source), "state", str(gate or ""),
                ],
                env=farm.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        farm.runs.append(self)

    @property
    def lines(self) -> list[str]:
        return self.log.read_text("utf-8").splitlines()

    def said(self, *parts: str) -> bool:
        return any(all(part in line for part in parts) for line in self.lines)

    def wait_for(self, *parts: str) -> None:
        def come() -> bool:
            assert self.process.poll() is None or self.said(*parts), self.lines
            return self.said(*parts)

        until(come, str(parts))

    def end(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)


@dataclass
class Farm:
    """A farm whose state lies in an emulator, behind a proxy that can cut it off."""

    folder: Path
    environ: dict[str, str]
    proxy: Proxy
    runs: list[Run]

    @property
    def source(self) -> Path:
        return self.folder / "source"

    @property
    def place(self) -> Path:
        return self.folder / "places" / "state"

    @property
    def root(self) -> Path:
        return self.place / "terraform" / "farm"

    @property
    def bucket(self) -> StateBucket:
        return StateBucket("state", self.environ)

    @property
    def times_made(self) -> int:
        return len((self.root / "made").read_text("utf-8").splitlines())

    def start(
        self, command: str = "up", place: Path | None = None, gate: Path | None = None
    ) -> Run:
        return Run(self, command, place or self.place, gate)

    def do(self, command: str = "up") -> Run:
        run = self.start(command)
        assert run.end() == 0, run.lines
        return run

    def terraform(self) -> psutil.Process:
        """Return the terraform that is at work."""
        return psutil.Process(json.loads((self.root / ".burst" / "call.json").read_text())["pid"])


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    program = os.environ.get("BURST_TEST_TERRAFORM") or shutil.which("terraform")
    if not program:
        pytest.skip("no terraform: scripts/setup --terraform could not get one here")
    root = tmp_path / "source" / "farm"
    root.mkdir(parents=True)
    (root / "main.tf").write_text(ROOT, "utf-8")
    settings = tmp_path / "terraform.rc"
    settings.touch()
    with (
        running_emulator(tmp_path / "gcs", "state") as emulator,
        running_proxy(emulator.endpoint) as proxy,
    ):
        environ = {
            **os.environ,
            ENDPOINT: f"{proxy.endpoint}/storage/v1/",
            "TF_CLI_CONFIG_FILE": str(settings),
            "BURST_TEST_TERRAFORM": program,
        }
        farm = Farm(tmp_path, environ, proxy, [])
        try:
            yield farm
        finally:
            proxy.heal()
            end_all(farm)


def is_at_work(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def end_all(farm: Farm) -> None:
    """End what a test that failed left, by its pid."""
    for run in farm.runs:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait(PATIENCE_SECONDS)
    for place in (farm.folder / "places").glob("*/terraform/farm/.burst/call.json"):
        pid = json.loads(place.read_text())["pid"]
        if pid and psutil.pid_exists(pid) and "terraform" in psutil.Process(pid).name():
            os.killpg(pid, signal.SIGKILL)


def test_up_makes_all_again_nothing_and_down_removes_it(farm: Farm) -> None:
    began = time.monotonic()
    first = farm.do()
    assert first.lines[-1] == "state terraform_data.quick terraform_data.slow"
    again = farm.do()
    assert again.said("planned 0")
    assert not again.said("started")
    assert farm.do("down").lines[-1] == "state"
    assert farm.bucket.read("run.json") is None
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"up, up, down: {time.monotonic() - began:.1f} s, {peak / 1024:.0f} MiB at most")


def test_a_living_run_is_not_disturbed_and_named(farm: Farm, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    living = farm.start(gate=gate)
    living.wait_for("started terraform_data.slow")
    here = farm.start("down")
    assert here.end() == 1
    elsewhere = farm.start("down", tmp_path / "others" / "state")
    assert elsewhere.end() == 1
    for refused in (here, elsewhere):
        assert refused.said("error FarmBusy burst up of", f"process {living.process.pid}")
        assert not refused.said("held")
    gate.touch()
    assert living.end() == 0
    assert farm.times_made == 1


def test_a_killed_burst_leaves_a_terraform_that_the_next_run_waits_for(
    farm: Farm, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    killed = farm.start(gate=gate)
    killed.wait_for("started terraform_data.slow")
    killed.process.kill()
    killed.end()
    pid = farm.terraform().pid
    following = farm.start()
    following.wait_for("tell terraform apply of an earlier run", f"process {pid}")
    assert following.said("tell freed the farm", f"process {killed.process.pid}")
    assert not following.said("planned")
    gate.touch()
    assert following.end() == 0
    assert following.said("completed terraform_data.slow")
    assert following.said("planned 0")
    assert farm.times_made == 1


def test_ctrl_c_while_waiting_for_anothers_terraform_stops_it(farm: Farm, tmp_path: Path) -> None:
    killed = farm.start(gate=tmp_path / "never")
    killed.wait_for("started terraform_data.slow")
    killed.process.kill()
    killed.end()
    following = farm.start()
    following.wait_for("tell terraform apply of an earlier run")
    following.wait_for("started terraform_data.slow")
    following.process.send_signal(signal.SIGINT)
    assert following.end() == 130
    assert farm.do().said("completed terraform_data.slow")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_ctrl_c_is_passed_on_once_and_waited_for(
    farm: Farm, tmp_path: Path, number: signal.Signals
) -> None:
    run = farm.start(gate=tmp_path / "never")
    run.wait_for("started terraform_data.slow")
    run.process.send_signal(number)
    assert run.end() == 130
    assert run.said("tell stopping: terraform apply ends what it is at")
    assert run.said("error RunInterrupted", "it was at terraform_data.slow")
    assert run.said("hint the same command goes on from there")
    said = (farm.root / ".burst" / "apply.out").read_text("utf-8")
    assert said.count("Interrupt received") == 1
    assert "Two interrupts received" not in said
    assert farm.bucket.read("run.json") is None
    assert farm.bucket.read("farm/default.tflock") is None
    following = farm.do()
    assert not following.said("freed")
    assert following.said("completed terraform_data.slow")


def test_a_second_ctrl_c_leaves_terraform_to_stop_by_itself(farm: Farm, tmp_path: Path) -> None:
    run = farm.start(gate=tmp_path / "never")
    run.wait_for("started terraform_data.slow")
    terraform = farm.terraform()
    terraform.suspend()
    run.process.send_signal(signal.SIGINT)
    run.wait_for("tell stopping")
    time.sleep(AGAIN_SECONDS + 0.2)
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 130
    assert run.said("was left to itself", f"process {terraform.pid}", "terraform_data.slow")
    following = farm.start()
    following.wait_for("tell terraform apply of an earlier run")
    terraform.resume()
    assert following.end() == 0
    assert following.said("completed terraform_data.slow")
    said = (farm.folder / "gcs" / "state" / "farm").iterdir()
    assert sorted(path.name for path in said) == ["default.tfstate"]


def test_a_killed_terraform_is_told_and_its_lock_freed(farm: Farm, tmp_path: Path) -> None:
    run = farm.start(gate=tmp_path / "never")
    run.wait_for("started terraform_data.slow")
    farm.terraform().kill()
    assert run.end() == 1
    assert run.said("error ToolError terraform apply was ended by SIGKILL")
    assert farm.bucket.read("farm/default.tflock") is not None
    following = farm.do()
    assert following.said("tell freed the state of the lock of terraform apply of")
    assert following.said("completed terraform_data.slow")


def test_burst_and_terraform_both_killed(farm: Farm, tmp_path: Path) -> None:
    run = farm.start(gate=tmp_path / "never")
    run.wait_for("started terraform_data.slow")
    terraform = farm.terraform()
    children = terraform.children(recursive=True)
    run.process.kill()
    run.end()
    terraform.kill()
    following = farm.do()
    assert following.said("tell freed the farm of the lock of burst up")
    assert following.said("tell freed the state of the lock of terraform apply of")
    assert following.said("completed terraform_data.slow")
    assert children
    assert not any(map(is_at_work, children))


def test_a_lock_of_somebody_else_is_left_and_its_holder_named(farm: Farm, tmp_path: Path) -> None:
    farm.do()
    theirs = {
        "ID": "a-b", "Operation": "OperationTypeApply", "Info": "", "Who": "ann@studio",
        "Version": "1.11.4", "Created": "2026-11-22T20:00:00.5Z", "Path": "gs://state/farm/default.tflock",
    }  # fmt: skip
    content = json.dumps(theirs).encode()
    farm.bucket.write("farm/default.tflock", content)
    refused = farm.start()
    assert refused.end() == 1
    assert refused.said("error FarmBusy terraform apply of ann@studio holds the farm's state since")
    assert refused.said("hint", "gcloud storage rm gs://state/farm/default.tflock")
    assert farm.bucket.read("farm/default.tflock") == content


def test_a_state_that_could_not_be_written_is_written_by_the_next_run(
    farm: Farm, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    run = farm.start(gate=gate)
    run.wait_for("started terraform_data.slow")
    farm.proxy.cut()
    gate.touch()
    assert run.end() == 1
    assert run.said("error StateError", "save state")
    assert run.said("hint it is kept in errored.tfstate on this machine")
    farm.proxy.heal()
    following = farm.do()
    assert following.said("tell wrote the state that an earlier run could not write")
    assert following.said("planned 0")
    assert not (farm.root / "errored.tfstate").exists()
    assert farm.times_made == 1


def test_a_left_state_that_is_out_of_date_is_put_aside(farm: Farm) -> None:
    farm.do()
    state = json.loads(farm.bucket.read("farm/default.tfstate") or b"")
    (farm.root / "errored.tfstate").write_text(json.dumps({**state, "serial": 0}), "utf-8")
    run = farm.do()
    assert run.said("tell the state has changed since errored.tfstate was left")
    assert run.said("planned 0")
    assert len(list(farm.root.glob("errored.tfstate.*"))) == 1
    assert not farm.do().said("errored")


def test_the_lock_file_of_the_bucket_is_what_counts(farm: Farm) -> None:
    text = b"# Which provider it is, as another laptop had it.\n"
    farm.bucket.write("farm/terraform.lock.hcl", text)
    farm.do()
    assert (farm.root / ".terraform.lock.hcl").read_bytes() == text
    assert farm.bucket.read("farm/terraform.lock.hcl") == text
