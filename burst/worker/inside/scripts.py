"""What Python of a scene did: not run, or failed. Blender prints that and renders on."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any

_DRIVER = "<bpy driver>"
"""Blender's name for the code of a driver. One that failed once is not run again."""
_NAMED = 3
"""How many broken drivers are named."""


class Scripts:
    """Hears of every error in Python that a scene brings."""

    def __init__(self, bpy: Any) -> None:
        """Listen from now on: Blender prints an error by way of Python's own hook for that."""
        self._bpy = bpy
        self._pass_on = sys.excepthook
        self._lasting: dict[str, None] = {}
        self._passing: dict[str, None] = {}
        sys.excepthook = self._hear

    def loaded(self, used: set[Any]) -> None:
        """Take whatever failed until now for something that every frame may suffer from."""
        self._lasting.update(self._passing)
        self._lasting.update(dict.fromkeys(_broken_drivers(used)))
        self._passing.clear()

    def warnings(self) -> list[str]:
        """Return what the picture that was just made may suffer from, and forget what passed."""
        found = [*self._not_run(), *self._lasting, *self._passing]
        self._passing.clear()
        return list(dict.fromkeys(found))

    def _not_run(self) -> list[str]:
        if not self._bpy.app.autoexec_fail:
            return []
        what = self._bpy.app.autoexec_fail_message
        return [f"Python in the scene was not run: {what} (--trust-scripts runs it)"]

    def _hear(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        last = traceback.format_exception_only(kind, error)[-1].strip()
        places = [frame.filename for frame in traceback.extract_tb(trace)]
        if _DRIVER in places:
            self._lasting[f"a driver of the scene failed: {last}"] = None
        else:
            self._passing[f"a script of the scene failed: {last}"] = None
        self._pass_on(kind, error, trace)


def _broken_drivers(used: set[Any]) -> Iterator[str]:
    """Yield a sentence for the drivers that Blender gave up without a word, if there are any."""
    broken = sorted(
        f"{curve.data_path} of '{block.name}'"
        for block in used
        for curve in getattr(getattr(block, "animation_data", None), "drivers", ())
        # Where Python failed, or was not run, that is told with the reason.
        if not (curve.mute or curve.driver.is_valid) and _is_plain(curve.driver)
    )
    if broken:
        more = f" and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
        yield f"a driver of the scene is broken: {', '.join(broken[:_NAMED])}{more}"


def _is_plain(driver: Any) -> bool:
    return bool(driver.type != "SCRIPTED" or driver.is_simple_expression)
