"""The steps one after another, the meter beside them, and the way down whatever happens."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from burst.cloud.google_api import GoogleApi
from verifycloud.commands import (
    Burst,
    FailedError,
    StoppedError,
    interrupt,
    without_another_farm,
)
from verifycloud.guard import Guard, take_down
from verifycloud.machines import preempt, spot_machines
from verifycloud.meter import Meter, known_hour, refusal

ROOT = Path(__file__).resolve().parents[2]
SCENE = ROOT / "scripts" / "demo-scene" / "burst.blend"
FRAMES = 48
"""Of each of the two renders."""

_SETTINGS = """[google]
project = "{project}"
zone = "{zone}"

[cluster]
farm = "{farm}"

[pools.cpu]
machine = "{machine}"
spot = true
maximum = {maximum}
"""
_LONGEST_QUESTION = 300.0
"""Seconds: what a question may take while machines are paid, as the limit does not cut it short."""
_REPORTS = "https://console.cloud.google.com/billing/reports?project={project}"


@dataclass
class Step:
    """What came of one step."""

    name: str
    status: str = "not tried"
    seconds: float = 0.0
    said: str = ""


@dataclass
class Report:
    """All of it; kept as a file."""

    farm: str
    project: str
    limit: float
    currency: str = "USD"
    spent: float = 0.0
    """By list prices; Google's own bill is there a day later."""
    steps: list[Step] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether every step went well."""
        return all(step.status == "ok" for step in self.steps)


@dataclass
class Options:
    """What was typed."""

    project: str
    zone: str
    farm: str
    limit: float
    machine: str = "n2d-standard-8"
    maximum: int = 4
    scene: Path = SCENE
    every: float = 30.0
    """Seconds between two looks at the price."""
    patience: float = 1800.0
    """Seconds that one step may take."""


class Verification:
    """One farm, from nothing to nothing."""

    def __init__(
        self,
        options: Options,
        folder: Path,
        environ: Mapping[str, str],
        program: Sequence[str] = (sys.executable, "-m", "burst"),
    ) -> None:
        self.options = options
        self.folder = folder
        own = {"BURST_STATE_DIR": str(folder / "state"), "PYTHONPATH": str(ROOT)}
        self.burst = Burst(program, folder, {**without_another_farm(environ), **own})
        self.api = GoogleApi(environ, project=options.project)
        self.report = Report(options.farm, options.project, options.limit)
        self.meter = Meter(options.limit, 0.0)
        (folder / "burst.toml").write_text(_SETTINGS.format(**asdict(options)), "utf-8")

    def begin(self) -> str:
        """Look whether it can be begun, and return why not; nothing is made yet."""
        if not self.options.scene.is_file():
            return f"there is no scene {self.options.scene}"
        told = self.burst.ask("doctor")
        bad = [
            "; ".join(filter(None, (f"{one['subject']}: {one['text']}", one["hint"])))
            for one in (told or {}).get("findings", ())
            if one["verdict"] == "bad"
        ]
        if told is None or bad:
            return f"burst doctor: {'; '.join(bad) or self.burst.trouble}"
        left = self.burst.ask("doctor", "--leftovers", seconds=_LONGEST_QUESTION)
        if left is None:
            return f"burst doctor --leftovers: {self.burst.trouble}"
        if left["left"] or left["kept"]:
            # All of it would go in the end, with somebody's frames.
            return (
                f"there is something of a farm {self.options.farm} in {self.options.project} "
                f"already: give another --farm, or look at it: {self._typed('doctor --leftovers')}"
            )
        plan = self.burst.ask("up", "--plan", seconds=self.options.patience)
        if not plan or "costs" not in plan:
            return f"burst up --plan: {self.burst.trouble}"
        costs = plan["costs"]
        self.report.currency = costs["currency"]
        self.meter = Meter(self.options.limit, known_hour(costs["hour_full"]) or 0.0)
        return refusal(costs, self.options.limit)

    def run(self) -> Report:
        """Do it all. The way down is gone whatever came before it."""
        over = threading.Event()
        guard = Guard(self.burst, self.options.farm, 2 * self.options.patience)
        self.burst.hear_of = guard.note
        watch = threading.Thread(target=self._watch, args=(over,), name="meter")
        watch.start()
        try:
            for name, step in self._steps().items():
                if not self._try(name, step):
                    break
        finally:
            self._try("down", self._down)
            self._try("nothing left", self._nothing_left)
            guard.dismiss()
            over.set()
            watch.join()
            self.report.spent = round(self.meter.spent, 4)
            path = self.folder / "report.json"
            path.write_text(json.dumps(asdict(self.report), indent=2) + "\n", "utf-8")
        return self.report

    def _steps(self) -> dict[str, Callable[[], str]]:
        return {
            "up": self._up,
            "up again": self._up_again,
            "render": self._render,
            "preempt": self._preempt,
            "zero": self._zero,
        }

    def _try(self, name: str, step: Callable[[], str]) -> bool:
        told, began = Step(name), time.monotonic()
        self.report.steps.append(told)
        try:
            told.said = step()
            told.status = "ok"
        except StoppedError:
            told.status, told.said = "stopped", f"{self.meter.spent:.2f} spent"
        except Exception as error:  # noqa: BLE001 - whatever it is, the farm has to go down
            told.status, told.said = "failed", str(error) or repr(error)
        told.seconds = round(time.monotonic() - began, 1)
        self.burst.say(f"\n== {name}: {told.status} in {told.seconds:.0f} s. {told.said}")
        return told.status == "ok"

    def _up(self) -> str:
        self.burst.do("up", "--yes", seconds=2 * self.options.patience)
        return ""

    def _up_again(self) -> str:
        plan = self.burst.ask("up", "--plan", seconds=_LONGEST_QUESTION)
        if plan is None or plan["changes"]:
            raise FailedError(f"there is something to change: {plan}")
        left = self.burst.ask("doctor", "--leftovers", seconds=_LONGEST_QUESTION)
        if not left or not left["zero"]:
            raise FailedError(f"something is there that does not belong: {left}")
        return "nothing to change"

    def _render(self) -> str:
        self.burst.do(*self._command("first"), seconds=self.options.patience)
        return self._count("first")

    def _preempt(self) -> str:
        child = self.burst.start(*self._command("second"))
        try:
            machine = self._working_machine(child)
            preempt(self.api, self.options.project, machine)
        except BaseException:
            interrupt(child)
            raise
        self.burst.follow(child, "render", self.options.patience)
        return f"{self._count('second')}, though {machine['name']} was taken back"

    def _working_machine(self, render: subprocess.Popen[bytes]) -> dict[str, Any]:
        """Return a spot machine while tasks run."""

        def look() -> dict[str, Any] | None:
            if render.poll() is not None:
                raise FailedError("the render was over before a spot machine was seen at work")
            status = self.burst.ask("status") or {}
            if not status.get("tasks_active"):
                return None
            found = spot_machines(self.api, self.options.project, self.options.farm)
            return found[0] if found else None

        return self._wait_for(look, "no spot machine came to work")

    def _zero(self) -> str:
        def look() -> bool:
            told = self.burst.ask("cost") or {}
            # Of nodes that nobody could count it says none, and that it does not know.
            return told.get("up") is True and not told["nodes"].get("cpu", 0)

        self._wait_for(look, "machines are still there with nothing to do")
        return "no machines of pools"

    def _down(self) -> str:
        take_down(self.burst, self.options.farm, 2 * self.options.patience)
        return ""

    def _nothing_left(self) -> str:
        left = self.burst.ask("doctor", "--leftovers", seconds=_LONGEST_QUESTION)
        if not left or not left["zero"] or left["kept"]:
            raise FailedError(f"look: burst doctor --leftovers says {json.dumps(left)}")
        return "0 left"

    def _command(self, name: str) -> tuple[str, ...]:
        output = str(self.folder / name)
        scene, frames = str(self.options.scene), f"1-{FRAMES}"
        return ("render", scene, "--frames", frames, "--new", "--name", name, "--output", output)

    def _count(self, name: str) -> str:
        frames = [
            one for one in (self.folder / name).iterdir() if re.search(r"\d+\.\w+$", one.name)
        ]
        if len(frames) != FRAMES:
            raise FailedError(f"{len(frames)} frames came, and not {FRAMES}")
        return f"{FRAMES} frames"

    def _wait_for(self, look: Callable[[], Any], trouble: str) -> Any:
        ends = time.monotonic() + self.options.patience
        while not (found := look()):
            if self.burst.stopped.wait(min(5.0, self.options.every)):
                raise StoppedError
            if time.monotonic() > ends:
                raise FailedError(f"{trouble}, after {self.options.patience / 60:.0f} minutes")
        return found

    def _watch(self, over: threading.Event) -> None:
        """Read the price now and then, until it is over; stop the farm at the limit."""
        while True:
            # The time of day: other clocks stand still while a laptop sleeps, and a farm does not.
            self.meter.note(self._hour(), time.time())
            if self.meter.is_over and not self.burst.stopped.is_set():
                self.burst.stopped.set()
                self.burst.say("\n== the limit is near: taking the farm down")
            if over.wait(self.options.every):
                return

    def _hour(self) -> float | None:
        """Return what an hour costs now; None if nobody could say."""
        try:
            return known_hour(self.burst.ask("cost")["hour_now"])
        except Exception:  # noqa: BLE001 - whatever it is, the meter has to run on
            return None

    def _typed(self, command: str) -> str:
        return f"burst {command} --project {self.options.project} --farm {self.options.farm}"


def show(report: Report) -> None:
    """Print what came of it."""
    width = max(len(step.name) for step in report.steps)
    print()
    for step in report.steps:
        print(f"{step.name:<{width}}  {step.status:<9}  {step.seconds:>7.0f} s  {step.said}")
    if any(step.name in ("down", "nothing left") and step.status != "ok" for step in report.steps):
        print("\nthe farm may be there still, and bill. From any machine with a login:")
        print(f"  burst down --all --project {report.project} --farm {report.farm}")
    print(f"\nby list prices it cost {report.spent:.2f} {report.currency}")
    print(f"Google's bill is there tomorrow, by the label burst-farm={report.farm}:")
    print(f"  {_REPORTS.format(project=report.project)}")


def read(arguments: Sequence[str]) -> tuple[Options, bool]:
    """Return what was typed, and whether not to ask."""
    parser = argparse.ArgumentParser(prog="scripts/verify-cloud", description=__doc__)
    parser.add_argument("--project", required=True)
    parser.add_argument("--zone", required=True)
    parser.add_argument("--limit", type=_money, required=True, help="money, in dollars")
    parser.add_argument("--farm", default=f"verify-{secrets.token_hex(2)}")
    parser.add_argument("--machine", default=Options.machine)
    parser.add_argument("--maximum", type=int, default=Options.maximum)
    parser.add_argument("--scene", type=Path, default=SCENE)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    told = vars(parser.parse_args(arguments))
    is_agreed = told.pop("yes")
    # Commands run in a folder of their own.
    told["scene"] = told["scene"].expanduser().absolute()
    return Options(**told), is_agreed


def _money(text: str) -> float:
    """Return an amount that a limit can be: what is no number is never reached."""
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not math.isfinite(amount) or amount <= 0:
        raise argparse.ArgumentTypeError(f"{text} is no limit, such as 5")
    return amount


def agreed(said: str) -> bool:
    """Ask a person; nobody there is no."""
    if not sys.stdin.isatty():
        print("error: there is no terminal to ask on; --yes does it unasked", file=sys.stderr)
        return False
    return input(f"Make {said}? [y/N] ").strip().lower() in ("y", "yes")


def main() -> int:
    """Ask, do it, and say what came of it."""
    options, is_agreed = read(sys.argv[1:])
    folder = ROOT / f"verify-cloud-{options.farm}"
    folder.mkdir(exist_ok=True)
    verification = Verification(options, folder, os.environ)
    if trouble := verification.begin():
        print(f"error: {trouble}", file=sys.stderr)
        return 1
    currency = verification.report.currency
    said = f"the farm {options.farm} in {options.project}, for at most {options.limit:g} {currency}"
    if not is_agreed and not agreed(said):
        return 2
    farm = f"--project {options.project} --farm {options.farm}"
    print(f"if this machine breaks down, take it down from another: burst down --all {farm}")
    # The first Ctrl-C ends the step and goes on with the way down; nothing ends that.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda *_: verification.burst.stopped.set())
    report = verification.run()
    show(report)
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
