"""Terraform, or OpenTofu: the one module that knows how it is called.

python-terraform makes the arguments and nothing else: its own runners wait for the end before
they say anything, send options that were removed, and read the state as a local file. Changes
are always planned into a file first, and that very plan is applied.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from burst.cloud.terraform_errors import ERRORED_STATE, Ask, failure, read_errors
from burst.cloud.terraform_events import Diagnostic, Event, Events, Hear, Releasing
from burst.cloud.terraform_plan import Plan, Progress, read_plan
from burst.cloud.terraform_process import FOLDER, Call, Ended, Process
from burst.cloud.terraform_watch import GO_ON, Tell
from burst.errors import BurstError, RunInterrupted, StateError, ToolError, ToolMissing

PROGRAM = "terraform"
OLDEST = (1, 9)
"""Of OpenTofu as well: validations may speak of other variables."""

VARIABLES = "burst.auto.tfvars.json"
"""Read by every call by itself."""
LOCK_FILE = ".terraform.lock.hcl"
"""Which provider it is, with its checksums."""

_SAID = frozenset({"input", "lock"})
"""Options that are true or false; all others that are so are there or not."""
_CHANGES = 2
"""Exit status of a plan that is not empty."""
_FOREIGN = re.compile(r"TF_(CLI_ARGS.*|VAR_.*|WORKSPACE|DATA_DIR|INPUT|LOG_CORE)")
"""Variables of the artist's that would make another farm of it."""
_SETTINGS = {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
_STALE = re.compile(r"serial|lineage")
_OTHER_PROVIDER = re.compile(r"does not match configured version|terraform init -upgrade")


def nobody_hears(event: Event) -> None:
    """Hear an event, and do nothing about it."""


class Terraform:
    """One root, in a working copy of its own; all calls block."""

    release_seconds = 60.0
    """What giving back the lock may take. It would try for ever where the bucket is away, with
    all else written down; a lock that is left is freed by the next run."""

    def __init__(
        self,
        folder: Path,
        environ: Mapping[str, str],
        *,
        program: str = PROGRAM,
        project: str = "PROJECT",
        tell: Tell = lambda text: None,
        ask: Ask | None = None,
    ) -> None:
        """Use a root.

        Args:
            folder: of the root, which can be written.
            environ: variables for the program; some of them are not handed on.
            program: name or path of terraform or tofu.
            project: of Google Cloud, for messages.
            tell: hears sentences for the artist.
            ask: finds out why a resource failed, where nobody says.
        """
        self.folder = folder
        self._program = program
        self._project = project
        self._ask = ask
        self._tell = tell
        kept = {key: value for key, value in environ.items() if not _FOREIGN.fullmatch(key)}
        self._environ = {**kept, **_SETTINGS}
        self._process = Process(folder, tell)

    @property
    def last_call(self) -> Call | None:
        """The call that nobody saw the end of; None if there is none."""
        return self._process.last()

    @property
    def is_at_work(self) -> bool:
        """Whether a call is at work in the folder, whoever began it."""
        return self._process.is_at_work()

    def forget_last_call(self) -> None:
        """Forget it: what it left is in order again."""
        self._process.forget()

    def check_version(self) -> str:
        """Return the version of the program.

        Raises:
            ToolMissing: it is not there.
            ToolError: it is too old, or something else.
        """
        name = Path(self._program).name
        if shutil.which(self._program, path=self._environ.get("PATH", os.defpath)) is None:
            raise ToolMissing(
                f"there is no {self._program}, which the farm is made with",
                hint="fetch it: burst doctor --fix",
            )
        # Elsewhere: here may lie the note of a call that was killed, which has to be put in order.
        with tempfile.TemporaryDirectory() as folder:
            asked = Process(Path(folder), self._tell).run(
                "version", self._command("version", json=True), self._environ
            )
        told = _json(asked.output)
        version = str(told.get("terraform_version", ""))
        found = re.match(r"(\d+)\.(\d+)\.", version)
        if not found:
            raise ToolError(
                f"{self._program} is no terraform: it does not tell its version",
                hint="name another one, or fetch it: burst doctor --fix",
            )
        if (int(found[1]), int(found[2])) < OLDEST:
            wanted = ".".join(map(str, OLDEST))
            raise ToolError(
                f"{name} {version} is too old: {wanted} is needed",
                hint="fetch a newer one: burst doctor --fix",
            )
        return version

    def write_variables(self, variables: Mapping[str, Any]) -> None:
        """Write down the values of the root's variables, for all calls.

        Raises:
            StateError: the folder can't be written.
        """
        path = self.folder / VARIABLES
        try:
            # In here are no secrets, but names that nobody else has to read.
            path.touch(mode=0o600)
            path.write_text(json.dumps(variables, indent=2) + "\n", "utf-8")
        except OSError as error:
            raise StateError(f"can't write {path}: {error.strerror}") from error

    def init(self, backend: Mapping[str, str]) -> None:
        """Get the folder ready: backend, modules, provider.

        Args:
            backend: settings of the state's backend, such as bucket and prefix.

        Raises:
            BurstError: it does not work; the message says why.
        """
        options = {"backend_config": dict(backend), "reconfigure": True, "input": False}
        try:
            self._ask_for("init", **options)
        except ToolError as error:
            if not _OTHER_PROVIDER.search(error.message):
                raise
            # burst came with another version of the provider than the farm was made with.
            self._ask_for("init", upgrade=True, **options)

    def plan(self, hear: Hear = nobody_hears, *, destroy: bool = False, lock: bool = True) -> Plan:
        """Find out what would be changed.

        Args:
            hear: hears what Terraform says.
            destroy: plan to remove everything.
            lock: nobody else may change the state meanwhile; without, nothing is written at all.

        Raises:
            BurstError: it does not work; the message says why.
        """
        file = self.folder / FOLDER / "plan"
        options: dict[str, Any] = {"out": str(file), "input": False, "detailed_exitcode": True}
        options |= {"destroy": destroy, "lock": lock}
        ended, _ = self._follow("plan", hear, fine=(0, _CHANGES), **options)
        shown = self._ask_for("show", str(file), json=True)
        return read_plan(_json(shown.output), file, is_empty=ended.status == 0)

    def apply(self, plan: Plan, hear: Hear = nobody_hears) -> Progress:
        """Do what was planned, and return what was done.

        Raises:
            RunInterrupted: Ctrl-C; the message says what was under way.
            BurstError: it does not work; the message says why.
        """
        _, progress = self._follow("apply", hear, str(plan.file), input=False)
        return progress

    def destroy(self, hear: Hear = nobody_hears) -> Progress:
        """Remove everything that the state knows of, and return what was done.

        Raises:
            BurstError: as `apply`.
        """
        return self.apply(self.plan(hear, destroy=True), hear)

    def outputs(self) -> dict[str, Any]:
        """Return the root's outputs by name.

        Raises:
            BurstError: the state can't be read.
        """
        told = _json(self._ask_for("output", json=True).output)
        return {name: output["value"] for name, output in told.items()}

    def import_(self, address: str, import_id: str) -> None:
        """Take a resource that exists into the state.

        Raises:
            BurstError: it is not there, or can't be.
        """
        self._ask_for("import", address, import_id, input=False)

    def state_addresses(self) -> tuple[str, ...]:
        """Return the addresses of all resources in the state; none if there is no state.

        Raises:
            BurstError: the state can't be read.
        """
        ended = self._run("state list")
        if ended.status == 0:
            return tuple(ended.output.split("\n"))[:-1]
        if "No state file was found" in ended.errors:
            return ()
        raise self._failure("state list", ended, read_errors(ended.errors))

    def force_unlock(self, lock_id: str) -> None:
        """Free the state of a lock whose holder is gone.

        Raises:
            BurstError: it is not locked by that.
        """
        self._ask_for("force-unlock", lock_id, force=True)

    def push_errored_state(self) -> bool | None:
        """Write the state that a call before could not write.

        Returns:
            True if it was written, None if there is none, False if the state has changed since:
            then it is put aside, and what it knew of more is taken over as `adoption` finds it.

        Raises:
            BurstError: it can't be written now either.
        """
        left = self.folder / ERRORED_STATE
        if not left.exists():
            return None
        ended = self._run("state push", ERRORED_STATE)
        if ended.status == 0:
            left.unlink()
            return True
        if not _STALE.search(ended.errors):
            raise self._failure("state push", ended, read_errors(ended.errors))
        left.replace(left.with_name(f"{ERRORED_STATE}.{int(left.stat().st_mtime)}"))
        return False

    def wait(self, hear: Hear = nobody_hears) -> None:
        """Wait for a call of an earlier run that is still at work; mostly there is none.

        Raises:
            RunInterrupted: Ctrl-C was passed on to it.
        """
        events = Events()
        self._process.wait(lambda line: _pass_on(events, line, (self._end_releasing, hear)))

    def _follow(
        self,
        operation: str,
        hear: Hear,
        *arguments: str,
        fine: tuple[int, ...] = (0,),
        **options: Any,
    ) -> tuple[Ended, Progress]:
        events, progress = Events(), Progress()
        command = self._command(operation, *arguments, json=True, **options)
        try:
            ended = self._process.run(
                operation,
                command,
                self._environ,
                lambda line: _pass_on(events, line, (progress.hear, self._end_releasing, hear)),
            )
        except RunInterrupted as error:
            raise _interrupted(error, progress) from error
        if ended.status not in fine:
            errors = progress.errors or read_errors(ended.errors)
            raise self._failure(operation, ended, errors)
        return ended, progress

    def _end_releasing(self, event: Event) -> None:
        if isinstance(event, Releasing):
            self._process.end_within(self.release_seconds)

    def _ask_for(self, operation: str, *arguments: str, **options: Any) -> Ended:
        ended = self._run(operation, *arguments, **options)
        if ended.status != 0:
            raise self._failure(operation, ended, read_errors(ended.errors))
        return ended

    def _run(self, operation: str, *arguments: str, **options: Any) -> Ended:
        command = self._command(operation, *arguments, no_color=True, **options)
        if operation == "force-unlock":
            command.remove("-no-color")
        return self._process.run(operation.replace(" ", "-"), command, self._environ)

    def _failure(self, operation: str, ended: Ended, errors: list[Diagnostic]) -> BurstError:
        if ended.status < 0 and not errors:
            name = signal.Signals(-ended.status).name
            return ToolError(
                f"terraform {operation} was ended by {name}",
                hint=GO_ON,
            )
        if not errors and ended.errors.strip():
            last = ended.errors.strip().splitlines()[-1]
            errors = [Diagnostic(last, "error", last, "", None)]
        return failure(operation, errors, self._project, self._ask)

    def _command(self, operation: str, *arguments: str, **options: Any) -> list[str]:
        """Return a command line.

        Options are named as python-terraform has them, with ``_`` for ``-``.
        """
        from python_terraform import IsFlagged, IsNotFlagged
        from python_terraform import Terraform as Arguments

        flags = {True: IsFlagged, False: IsNotFlagged}
        given = {
            name: flags[value] if isinstance(value, bool) and name not in _SAID else value
            for name, value in options.items()
        }
        # It reads a state file when it is made: of a name that no file has.
        maker = Arguments(str(self.folder), state="none", terraform_bin_path=self._program)
        command: list[str] = maker.generate_cmd_string(operation, *arguments, **given)
        return command


def _pass_on(events: Events, line: str, hearers: tuple[Hear, ...]) -> None:
    event = events.read(line)
    if event is not None:
        for hear in hearers:
            hear(event)


def _interrupted(error: RunInterrupted, progress: Progress) -> RunInterrupted:
    left = [*progress.running, *progress.failed]
    what = f"; it was at {', '.join(left)}" if left else ""
    return RunInterrupted(f"{error.message}{what}", hint=error.hint)


def _json(text: str) -> dict[str, Any]:
    # OpenTofu's warnings of its own settings come before it.
    start = re.search(r"^\{", text, re.M)
    try:
        told = json.loads(text[start.start() :] if start else text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
