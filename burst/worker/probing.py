"""Questions to one Blender, answered in a process that is thrown away.

A Blender that crashes, aborts or hangs over a question is an answer; for the next question
it is started again. Called by `burst.worker.discovery` to find out what a Blender can do,
and by the agent when it doubts that one still can.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, get_args

from burst.domain.workers import BLENDER_OLDEST, BlenderFacts, GpuKind
from burst.errors import BlenderNotFound
from burst.worker.faults import signal_name
from burst.worker.process import Child, Exited, Line, ask
from burst.worker.surroundings import command_line, prepare

PROBE = Path(__file__).with_name("inside") / "probe.py"

NEWEST_BPY = "5.0.1"
OLDEST = ".".join(map(str, BLENDER_OLDEST))
HINT = (
    "apt-get install blender, or make an environment for the bpy wheel: "
    f"python3.11 -m venv ~/.cache/burst/bpy-{NEWEST_BPY} && "
    f"~/.cache/burst/bpy-{NEWEST_BPY}/bin/pip install bpy=={NEWEST_BPY}"
)
_VERSION_SECONDS = 30.0
_START_SECONDS = 120.0
"""A wheel of 800 MB on a cold disk takes its time."""
_ANSWER_SECONDS = 60.0
"""For one tiny image or one kind of GPU; a GPU compiles its kernels then."""
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one question."""

    reason: str
    """Why it does not work; empty if it does."""
    found: tuple[str, ...] = ()
    """Names of devices, if it was asked for them."""
    fatal: bool = False
    """The question took the process down."""


def examine(program: Path, scratch: Path, doubted: str = "") -> BlenderFacts:
    """Find out what a Blender is and what works in it. Blocks for some seconds.

    Args:
        program: a ``blender``, or the ``python`` of an environment with bpy.
        scratch: folder for its home and temporary files.
        doubted: a kind of GPU on which it could not render lately; it is tried, which may
            take longer, and counts as not there if it fails.

    Raises:
        BlenderNotFound: it is no Blender, too old, or does not start.
        OSError: the scratch folder can't be made.
    """
    with Probe(program, scratch) as probe:
        return _examine(probe, doubted)


def _examine(probe: Probe, doubted: str) -> BlenderFacts:
    said = probe.introduction
    engines: dict[str, str] = {}
    features = dict(said["features"])
    if "CYCLES" in said["engines"]:
        engines["CYCLES"] = probe.render("CYCLES").reason
        features["oidn"] = engines["CYCLES"] or probe.render("CYCLES", denoise=True).reason
    answers = {kind: probe.devices(kind) for kind in get_args(GpuKind)}
    if doubted in answers and answers[doubted].found:
        tried = probe.render("CYCLES", doubted)
        if tried.reason:
            answers[doubted] = tried
    graphics = ""
    for engine in said["engines"]:
        if engine in engines:
            continue
        if graphics:
            # What took the process down holds for those behind it: they need the same
            # graphics.
            engines[engine] = graphics
            continue
        answer = probe.render(engine)
        engines[engine] = answer.reason
        if answer.fatal:
            graphics = answer.reason
    return BlenderFacts(
        version=said["version"],
        kind=probe.kind,
        engines=engines,
        features=features,
        devices={kind: answer.found for kind, answer in answers.items() if answer.found},
        device_troubles={kind: answer.reason for kind, answer in answers.items() if answer.reason},
    )


class Probe:
    """One Blender that is asked what works; it is started again if a question kills it."""

    def __init__(
        self,
        program: Path,
        scratch: Path,
        kind: str | None = None,
        stopped: Callable[[], bool] = lambda: False,
        wrap: Callable[[list[str], Mapping[str, str]], list[str]] = lambda command, env: command,
    ) -> None:
        """Start it and hear what it is.

        Args:
            program: a ``blender``, or the ``python`` of an environment with bpy.
            scratch: folder for its home and temporary files.
            kind: which of both, if that is known.
            stopped: whether nobody waits for answers any more; asked a few times a second.
            wrap: makes the command that is run of the one that starts it, and its environment.

        Raises:
            BlenderNotFound: it is no Blender, too old, or does not start.
            OSError: the scratch folder can't be made.
        """
        self._program = program
        self._scratch = scratch
        self._stopped = stopped
        self._wrap = wrap
        self._printed: deque[str] = deque(maxlen=10)
        self._child: Child | None = None
        self.kind = kind or kind_of(program, prepare(scratch))
        """``binary`` or ``bpy``."""
        self.introduction = self._start()
        """Its version, engines and features, as it says itself."""

    def __enter__(self) -> Probe:
        """Nothing more to do."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it at once."""
        self._end()

    def render(self, engine: str, device: str = "cpu", *, denoise: bool = False) -> Answer:
        """Render an image of a few pixels; Cycles does it on the device."""
        answer = self._ask({"try": "render", "engine": engine, "device": device,
                            "denoise": denoise})  # fmt: skip
        if answer.fatal and engine != "CYCLES" and "SIGABRT" in answer.reason:
            reason = "Blender aborted: no GPU, or its driver or libEGL is missing"
            return Answer(reason, fatal=True)
        return answer

    def devices(self, kind: GpuKind) -> Answer:
        """Look for the GPUs of a kind."""
        return self._ask({"try": "devices", "kind": kind})

    def _ask(self, question: Mapping[str, Any]) -> Answer:
        try:
            if self._child is None:
                self._start()
            assert self._child is not None  # noqa: S101 - it was started
        except BlenderNotFound as error:
            return Answer(error.message, fatal=True)
        self._child.send(question)
        said = self._hear(self._child, _ANSWER_SECONDS)
        if isinstance(said, str):
            self._end()
            return Answer(said, fatal=True)
        return Answer(said["reason"], tuple(said["found"]))

    def _start(self) -> dict[str, Any]:
        self._printed.clear()
        env = prepare(self._scratch)
        try:
            self._child = Child(
                lambda reads, writes: self._wrap(
                    command_line(self._program, self.kind, PROBE, (reads, writes)), env
                ),
                env=env,
                folder=self._scratch,
            )
        except OSError as error:
            raise BlenderNotFound(f"{self._program} can't be started: {error.strerror}") from error
        try:
            said = self._hear(self._child, _START_SECONDS)
            if isinstance(said, str):
                raise _no_blender(self._program, self.kind, said, self._printed)
            _check_age(self._program, tuple(said["version"]))
        except BlenderNotFound:
            self._end()
            raise
        return said

    def _hear(self, child: Child, seconds: float) -> dict[str, Any] | str:
        """Return the next message, or why there is none."""
        deadline = time.monotonic() + seconds
        while True:
            item = child.next_item(_LOOK_SECONDS)
            if self._stopped():
                return "it was stopped"
            if item is None:
                if time.monotonic() < deadline:
                    continue
                return f"Blender gave no answer within {seconds:.0f} seconds"
            if isinstance(item, Exited):
                return _why_gone(item.code)
            if not isinstance(item, Line):
                return item.body
            self._printed.append(item.text)

    def _end(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.close(0)
            self._child = None


def kind_of(program: Path, env: Mapping[str, str]) -> str:
    """Return which kind of Blender a program is, ``binary`` or ``bpy``.

    Raises:
        BlenderNotFound: it is neither, or a Blender that is too old.
    """
    said = ask([str(program), "--version"], env=env, timeout_seconds=_VERSION_SECONDS)
    if re.search(r"(?m)^Python 3", said):
        return "bpy"
    version = parse_version(said)
    if not version:
        raise BlenderNotFound(f"{program} is not a Blender", hint=HINT)
    _check_age(program, version)
    return "binary"


def parse_version(text: str) -> tuple[int, ...]:
    """Return the version that ``blender --version`` printed, or nothing."""
    match = re.search(r"(?m)^Blender (\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in match.groups()) if match else ()


def _check_age(program: Path, version: tuple[int, ...]) -> None:
    if version[:2] < BLENDER_OLDEST:
        named = ".".join(map(str, version))
        raise BlenderNotFound(
            f"{program} is Blender {named}, burst needs {OLDEST} or newer", hint=HINT
        )


def _no_blender(program: Path, kind: str, why: str, printed: Iterable[str]) -> BlenderNotFound:
    text = "\n".join(printed)
    if kind == "bpy" and "No module named 'bpy'" in text:
        return BlenderNotFound(f"{program} is a Python without bpy", hint=HINT)
    lines = text.splitlines()
    last = f" ({lines[-1].strip()})" if lines else ""
    return BlenderNotFound(f"{program} does not start: {why}{last}", hint=HINT)


def _why_gone(code: int) -> str:
    if code < 0:
        return f"Blender crashed ({signal_name(-code)})"
    return f"Blender left with exit status {code}"
