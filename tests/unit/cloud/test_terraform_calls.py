"""How Terraform is called, and what is made of how it ends: a script in its place.

Left out here: the real one (tests/integration/test_terraform_runs.py).
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from burst.cloud import terraform_watch
from burst.cloud.terraform import VARIABLES, Terraform
from burst.cloud.terraform_events import Event, Version
from burst.cloud.terraform_plan import Change, read_plan
from burst.cloud.terraform_process import Process
from burst.errors import BurstError, CloudAway, FarmBusy, StateError, ToolError, ToolMissing

PATIENCE_SECONDS = 120

SCRIPT = """\
#!{python}
import json, os, signal, sys, time
with open({calls!r}, "a") as log:
    print(json.dumps([sys.argv[1:], dict(os.environ)]), file=log)
def say(type_, **fields):
    print(json.dumps({{"@message": type_, "type": type_, **fields}}), flush=True)
{body}
"""
VERSION = 'say("version", terraform="1.11.4", ui="1.2")\n'
SHOWN: dict[str, Any] = {
    "resource_changes": [
        {"address": "a.one", "type": "a", "mode": "managed",
         "change": {"actions": ["create"], "before": None, "after": {"name": "one"}}},
        {"address": "a.two", "type": "a", "change": {"actions": ["delete", "create"]}},
        {"address": "a.same", "type": "a", "change": {"actions": ["no-op"]}},
        {"address": "a.taken", "type": "a",
         "change": {"actions": ["no-op"], "importing": {"id": "x"}}},
        {"address": "data.a.read", "type": "a", "mode": "data", "change": {"actions": ["read"]}},
    ],
    "resource_drift": [{"address": "a.one", "type": "a", "change": {"actions": ["update"]}}],
}  # fmt: skip


class Stub:
    """A program that is called in place of Terraform, and what it was called with."""

    def __init__(self, folder: Path) -> None:
        self.program = folder / "terraform"
        self.calls = folder / "calls"
        self.root = folder / "root"
        self.root.mkdir()
        self.told: list[str] = []
        self.does("")

    def does(self, body: str) -> None:
        text = SCRIPT.format(python=sys.executable, calls=str(self.calls), body=body)
        self.program.write_text(text, "utf-8")
        self.program.chmod(0o755)

    def terraform(self, **environ: str) -> Terraform:
        return Terraform(
            self.root, environ, program=str(self.program), project="film", tell=self.told.append
        )

    @property
    def asked(self) -> list[tuple[list[str], dict[str, str]]]:
        return [
            (one[0], one[1]) for one in map(json.loads, self.calls.read_text("utf-8").splitlines())
        ]


@pytest.fixture
def stub(tmp_path: Path) -> Stub:
    return Stub(tmp_path)


def test_arguments_are_those_of_today(stub: Stub) -> None:
    stub.does(
        VERSION + f"if 'show' in sys.argv or 'output' in sys.argv:\n  print({json.dumps('{}')})\n"
    )
    terraform = stub.terraform()
    terraform.init({"bucket": "b", "prefix": "farm"})
    plan = terraform.plan()
    terraform.plan(destroy=True, lock=False)
    terraform.apply(plan)
    terraform.import_('module.p["a b"].google_x.y', "film/z/c/p")
    terraform.force_unlock("179")
    terraform.state_addresses()
    file = str(stub.root / ".burst" / "plan")
    assert [arguments for arguments, _ in stub.asked] == [
        ["init", "-no-color", "-backend-config=bucket=b", "-backend-config=prefix=farm",
         "-reconfigure", "-input=false"],
        ["plan", "-json", f"-out={file}", "-input=false", "-detailed-exitcode", "-lock=true"],
        ["show", "-no-color", "-json", file],
        ["plan", "-json", f"-out={file}", "-input=false", "-detailed-exitcode", "-destroy",
         "-lock=false"],
        ["show", "-no-color", "-json", file],
        ["apply", "-json", "-input=false", file],
        ["import", "-no-color", "-input=false", 'module.p["a b"].google_x.y', "film/z/c/p"],
        ["force-unlock", "-force", "179"],
        ["state", "list", "-no-color"],
    ]  # fmt: skip


def test_variables_of_the_artist_that_would_make_another_farm_of_it_are_left_out(
    stub: Stub,
) -> None:
    stub.terraform(
        PATH="/bin", TF_WORKSPACE="other", TF_VAR_farm="other", TF_CLI_ARGS_plan="-target=x",
        TF_DATA_DIR="/x", TF_PLUGIN_CACHE_DIR="/cache", GOOGLE_PROJECT="film",
    ).init({})  # fmt: skip
    (_, environ) = stub.asked[0]
    assert {key for key in environ if key.startswith(("TF_", "GOOGLE", "CHECK"))} == {
        "TF_PLUGIN_CACHE_DIR", "GOOGLE_PROJECT", "TF_IN_AUTOMATION", "TF_INPUT",
        "CHECKPOINT_DISABLE",
    }  # fmt: skip


def test_variables_of_the_root_are_written_for_nobody_else(stub: Stub) -> None:
    stub.terraform().write_variables({"farm": "dune", "pools": {}})
    path = stub.root / VARIABLES
    assert json.loads(path.read_text("utf-8")) == {"farm": "dune", "pools": {}}
    assert path.stat().st_mode & 0o077 == 0


def test_a_plan_is_read_as_it_is_shown() -> None:
    plan = read_plan(SHOWN, Path("plan"), is_empty=False)
    assert plan.changes == (
        Change("a.one", "a", "create", {}, {"name": "one"}),
        Change("a.two", "a", "replace"),
        Change("a.taken", "a", "import"),
    )
    assert plan.drift == (Change("a.one", "a", "update"),)
    assert [change.address for change in plan.with_action("create", "import")] == [
        "a.one", "a.taken",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('print(\'{"terraform_version": "1.8.5"}\')', r"terraform 1\.8\.5 is too old: 1\.9 is"),
        ('print("some other program")', "is no terraform: it does not tell its version"),
        ("sys.exit(3)", "is no terraform"),
    ],
)
def test_a_program_that_wont_do_is_refused(stub: Stub, body: str, message: str) -> None:
    stub.does(body)
    with pytest.raises(ToolError, match=message) as refused:
        stub.terraform(PATH="/bin").check_version()
    assert "burst doctor --fix" in str(refused.value.hint)


def test_a_program_that_is_not_there_is_told(stub: Stub, tmp_path: Path) -> None:
    terraform = Terraform(stub.root, {"PATH": str(tmp_path / "empty")})
    with pytest.raises(ToolMissing, match="there is no terraform") as missing:
        terraform.check_version()
    assert "burst doctor --fix" in str(missing.value.hint)


@pytest.mark.parametrize("version", ["1.9.0", "1.11.4", "1.15.0-rc1", "2.0.0"])
def test_newer_ones_are_taken(stub: Stub, version: str) -> None:
    stub.does(f'print(json.dumps({{"terraform_version": {version!r}}}))')
    assert stub.terraform(PATH="/bin").check_version() == version


def test_a_warning_before_the_answer_does_not_matter(stub: Stub) -> None:
    stub.does(
        'print("\\nWarning: no {settings}\\n")\nprint(json.dumps({"terraform_version": "1.12.6"}))'
    )
    assert stub.terraform(PATH="/bin").check_version() == "1.12.6"


def test_to_ask_for_the_version_forgets_no_call_that_was_killed(stub: Stub) -> None:
    stub.does("os.kill(os.getpid(), signal.SIGKILL)\n")
    terraform = stub.terraform(PATH="/bin")
    with pytest.raises(ToolError, match="ended by SIGKILL"):
        terraform.plan()
    stub.does('print(json.dumps({"terraform_version": "1.11.4"}))')
    terraform.check_version()
    call = terraform.last_call
    assert call
    assert call.operation == "plan"


def test_a_farm_made_with_another_provider_is_brought_to_this_one(stub: Stub) -> None:
    stub.does(
        "if '-upgrade' not in sys.argv:\n"
        "  print('Error: Failed to query available provider packages\\n\\nlocked provider 7.44.0 "
        "does not match configured version constraint 7.45.0', file=sys.stderr)\n  sys.exit(1)\n"
    )
    stub.terraform().init({"bucket": "b"})
    assert "-upgrade" in stub.asked[1][0]


def test_other_trouble_of_init_is_told(stub: Stub) -> None:
    stub.does("print('Error: Backend is broken', file=sys.stderr)\nsys.exit(1)\n")
    with pytest.raises(ToolError, match="Backend is broken"):
        stub.terraform().init({"bucket": "b"})
    assert len(stub.asked) == 1


def test_a_crash_without_a_diagnostic_tells_its_last_line(stub: Stub) -> None:
    stub.does(VERSION + "print('panic: runtime error', file=sys.stderr)\nsys.exit(11)\n")
    with pytest.raises(ToolError, match="terraform plan: panic: runtime error"):
        stub.terraform().plan()


def test_no_state_has_no_addresses(stub: Stub) -> None:
    stub.does("print('No state file was found!', file=sys.stderr)\nsys.exit(1)\n")
    assert stub.terraform().state_addresses() == ()
    stub.does("print('Error: Denied', file=sys.stderr)\nsys.exit(1)\n")
    with pytest.raises(ToolError, match="Denied"):
        stub.terraform().state_addresses()


def test_an_errored_state_is_kept_while_it_cant_be_written(stub: Stub) -> None:
    stub.does("print('Error: Failed to write state: no network', file=sys.stderr)\nsys.exit(1)\n")
    terraform = stub.terraform()
    assert terraform.push_errored_state() is None
    (stub.root / "errored.tfstate").write_text("{}", "utf-8")
    with pytest.raises(BurstError, match="no network"):
        terraform.push_errored_state()
    assert (stub.root / "errored.tfstate").exists()


def test_one_that_says_nothing_any_more_is_ended(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Process, "silent_seconds", 0.5)
    stub.does(VERSION + "time.sleep(600)\n")
    with pytest.raises(CloudAway, match="terraform plan said nothing for"):
        stub.terraform().plan()


def test_one_that_does_not_heed_its_interrupt_is_killed(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Process, "silent_seconds", 0.5)
    monkeypatch.setattr(terraform_watch, "STOP_SECONDS", 0.2)
    stub.does("signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + VERSION + "time.sleep(600)\n")
    with pytest.raises(CloudAway):
        stub.terraform().plan()


def test_one_that_cant_give_its_lock_back_is_ended_and_its_error_told(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Terraform, "release_seconds", 0.2)
    stub.does(
        VERSION
        + 'say("diagnostic", diagnostic={"severity": "error", "summary": "Failed to save state"})\n'
        + 'say("state_lock_release")\ntime.sleep(600)\n'
    )
    terraform = stub.terraform()
    with pytest.raises(StateError, match="Failed to save state"):
        terraform.plan()
    call = terraform.last_call
    assert call
    assert call.operation == "plan"


def test_what_a_call_leaves_behind_is_ended(stub: Stub) -> None:
    stub.does(
        "if os.fork() == 0:\n"
        f"  open({str(stub.root / 'child')!r}, 'w').write(str(os.getpid()))\n  time.sleep(600)\n"
        f"while not os.path.exists({str(stub.root / 'child')!r}): time.sleep(0.01)\n"
        "while not open(" + repr(str(stub.root / "child")) + ").read(): time.sleep(0.01)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with pytest.raises(ToolError, match="ended by SIGKILL"):
        stub.terraform().init({})
    pid = int((stub.root / "child").read_text("utf-8"))
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert not stub.terraform().is_at_work


def test_two_calls_at_a_time_in_a_folder_are_refused(stub: Stub) -> None:
    refused: list[BurstError] = []

    def ask_meanwhile(event: Event) -> None:
        if not isinstance(event, Version):
            return
        with pytest.raises(FarmBusy, match=r"terraform plan \(process \d+\) is at work") as busy:
            stub.terraform().init({})
        refused.append(busy.value)

    gate = stub.root / "gate"
    stub.does(
        VERSION + f"print({json.dumps('{}')})\n"
        f"while 'plan' in sys.argv and not os.path.exists({str(gate)!r}): time.sleep(0.01)\n"
    )

    def open_gate(event: Event) -> None:
        ask_meanwhile(event)
        gate.touch()

    stub.terraform().plan(open_gate)
    assert len(refused) == 1


def test_a_line_is_heard_when_it_is_whole(stub: Stub) -> None:
    heard: list[tuple[str, float]] = []
    stub.does(
        VERSION + "print('half', end='', flush=True)\ntime.sleep(0.3)\nprint(' and half')\n"
        "print('no end', end='', flush=True)\n"
    )
    stub.terraform().plan(lambda event: heard.append((event.said, time.monotonic())))
    assert [said for said, _ in heard] == ["version", "half and half", "no end"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_handlers_of_signals_are_given_back(stub: Stub, number: signal.Signals) -> None:
    def handler(*_: object) -> None:
        """Nothing."""

    before: Callable[..., Any] | int | None = signal.signal(number, handler)
    try:
        stub.terraform().init({})
        assert signal.getsignal(number) is handler
    finally:
        signal.signal(number, before)
