"""What can go wrong with Blender: each fault has its sentence for the artist and its outcome.

Decisions only, no process and no clock. `burst.worker.dialogue` recognises the faults;
``docs/reference/faults.md`` tells artists about every one of them.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal

from burst.worker.words import Ailment

Outcome = Literal["failed", "out_of_memory", "interrupted"]

_LINES = "its last lines are in the job's log"
_MORE_MEMORY = "a worker with more memory, smaller textures or less geometry help"

_CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSYS", "SIGTRAP")
"""Signals that a program brings on itself."""
_SHELL_SIGNALS = 128
"""A ``blender`` that is a shell script leaves with this much more than the signal's number."""


class Fault(Enum):
    """A kind of end that is no result; the value is the sentence for the artist."""

    CRASHED = f"Blender crashed ({{signal}}) while {{doing}}; {_LINES}"
    """It brought a signal on itself."""
    ENDED = (
        "Blender was ended by another program ({signal}) while {doing}; "
        "look on the worker's machine for what does so"
    )
    """A signal came, not from us and not from the kernel for lack of memory."""
    LEFT = f"Blender left with exit status {{status}} while {{doing}}; {_LINES}"
    """It left by itself, also with 0, in the middle of its work."""
    HUNG = (
        "Blender hung while {doing}: it neither said anything nor computed for {seconds:.0f} "
        "seconds; if that can be right, raise {setting}"
    )
    """Silent for too long without using the processor."""
    TOO_BIG = "Blender used {used:.1f} of {limit:.1f} GiB of memory while {doing}; " + _MORE_MEMORY
    """Close to the memory limit, so ended by us."""
    OUT_OF_MEMORY = f"Blender ran out of memory while {{doing}}; {_MORE_MEMORY}"
    """It asked for memory that it did not get, and said so."""
    KILLED_FOR_MEMORY = (
        f"the system killed Blender for lack of memory while {{doing}}; {_MORE_MEMORY}"
    )
    """By the kernel's out-of-memory killer, whose count has grown."""
    PROBABLY_MEMORY = (
        f"Blender was killed while {{doing}}, probably for lack of memory; {_MORE_MEMORY}"
    )
    """By a signal that nobody can catch, where the kernel does not say whether it was its own."""
    GPU_OUT_OF_MEMORY = (
        "the GPU ran out of memory while {doing}: {words}; "
        "smaller textures help, or computing on the processor: --device cpu"
    )
    """Cycles, or the GPU's driver, said so."""
    GPU_LOST = (
        "the GPU failed while {doing}: {words}; another worker tries, "
        "and --device cpu does without a GPU"
    )
    """A call to the GPU failed, or it is gone; no picture that it was part of is trusted."""
    DISK_FULL = (
        "the disk is full: Blender could not write to {folder}; "
        "it goes on by itself when there is space again"
    )
    """No room for the frame, or for Blender's own files."""
    NOT_WRITABLE = "Blender can't write to {folder}: {reason}; check the worker's disk"
    """A folder of the worker's own, for frames or for Blender's files, can't be made."""
    REFUSED = "Blender failed while {doing}: {reason}"
    """It said so itself, in its own words or in the driver's."""
    NO_FILE = "Blender wrote no file for frame {frame}; render it in Blender to see where it goes"
    """It claims to have rendered, and nothing is there."""
    STRAY_FILE = (
        "Blender wrote {path} outside of the folder that it was given; "
        "a script in the scene may have changed the output path"
    )
    """What it names is not in the frame's own folder."""
    GARBLED = (
        "Blender answered what burst does not understand while {doing}; "
        "a script in the scene may write where it must not"
    )
    """Something else came through the driver's pipe."""
    NOT_STARTED = "{program} can't be started: {reason}"
    """There is no such program, or it may not be run."""
    NOT_READABLE = "{blend} can't be read: {reason}"
    """The .blend is not where it was checked out to."""
    GONE = "Blender was gone before {doing}"
    """It died between two frames."""
    STUCK = (
        "Blender can't be ended: it waits for a disk or a mount that does not answer, "
        "while {doing}; its worker leaves"
    )
    """It was killed, and is still there."""
    STOPPED = "Blender was stopped while {doing}"
    """By burst: canceled, drained or preempted."""

    @property
    def outcome(self) -> Outcome:
        """What becomes of the attempt."""
        return _OUTCOMES.get(self, "failed")

    @property
    def suspect(self) -> Literal["device"] | None:
        """What of the machine may be broken, so that its next task would fare no better."""
        return "device" if self is Fault.GPU_LOST else None

    def sentence(self, **facts: Any) -> str:
        """Return the sentence with its gaps filled."""
        return self.value.format(**facts)


_OUTCOMES: Mapping[Fault, Outcome] = {
    Fault.TOO_BIG: "out_of_memory",
    Fault.OUT_OF_MEMORY: "out_of_memory",
    Fault.KILLED_FOR_MEMORY: "out_of_memory",
    Fault.PROBABLY_MEMORY: "out_of_memory",
    Fault.STUCK: "interrupted",
    Fault.STOPPED: "interrupted",
}
"""All others are "failed"; a full disk is made "interrupted" by the worker, which rests."""

_CERTAIN = (Fault.TOO_BIG, Fault.KILLED_FOR_MEMORY, Fault.STOPPED)
"""What no word of Blender explains better."""

CAUSES: Mapping[Ailment, Fault] = {
    Ailment.OUT_OF_MEMORY: Fault.OUT_OF_MEMORY,
    Ailment.GPU_OUT_OF_MEMORY: Fault.GPU_OUT_OF_MEMORY,
    Ailment.GPU_LOST: Fault.GPU_LOST,
    Ailment.DISK_FULL: Fault.DISK_FULL,
}
"""The cause behind a failure, by what Blender printed; the first one that it named counts."""


def deepest(fault: Fault, said: Mapping[Ailment, str]) -> tuple[Fault, str]:
    """Return the fault that explains most, and Blender's words for it.

    Args:
        fault: what was seen.
        said: what Blender printed of each cause.
    """
    if fault not in _CERTAIN:
        for ailment, deeper in CAUSES.items():
            if ailment in said:
                return deeper, said[ailment]
    return fault, ""


def how_it_ended(code: int, killed_for_memory: bool | None) -> tuple[Fault, dict[str, Any]]:
    """Return what the end of a process means, with the facts for its sentence.

    Args:
        code: as `subprocess` has it: the negative signal number if a signal ended it.
        killed_for_memory: whether the kernel ended a process of ours for lack of memory
            meanwhile; None if it does not tell.
    """
    name = _signal_name(code)
    if name is None:
        return Fault.LEFT, {"status": code}
    if name == "SIGKILL" and killed_for_memory is not False:
        fault = Fault.KILLED_FOR_MEMORY if killed_for_memory else Fault.PROBABLY_MEMORY
        return fault, {}
    return (Fault.CRASHED if name in _CRASHES else Fault.ENDED), {"signal": name}


def signal_name(number: int) -> str:
    """Return the name of a signal; of those without one, the number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _signal_name(code: int) -> str | None:
    number = -code if code < 0 else code - _SHELL_SIGNALS
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}" if code < 0 else None
