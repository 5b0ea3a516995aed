"""Every Blender that a worker has, of which one is open at a time.

Which one renders a task is decided by the job's requirements (`check_fit`); a change of
program closes the other one. Called by the worker's task runner.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burst.domain.jobs import RenderSettings
from burst.domain.workers import (
    BlenderFacts,
    Capabilities,
    Requirements,
    check_fit,
    choose_device,
)
from burst.worker.blender import Blender, LoadedScene, Progress, RenderedFrame
from burst.worker.dialogue import BlenderFailed, failed
from burst.worker.discovery import Installed
from burst.worker.faults import Fault


@dataclass(frozen=True, slots=True)
class Use:
    """What came of the last thing that a Blender was told to do."""

    installed: Installed
    engine: str
    device: str
    error: BlenderFailed | None
    """None if a frame came of it."""


class Blenders:
    """One warm Blender out of several; `load` and `render` are for one thread, `kill` for any."""

    def __init__(
        self,
        installed: Sequence[Installed],
        capabilities: Capabilities,
        make: Callable[[Installed], Blender],
        tell: Callable[[str], None],
    ) -> None:
        """Start nothing yet.

        Args:
            installed: all there are.
            capabilities: of the worker; its Blenders are the facts of ``installed``.
            make: makes the `Blender` of a program.
            tell: hears which Blender a scene is loaded in, for the job's log.
        """
        self._installed = tuple(installed)
        self._capabilities = capabilities
        self._make = make
        self._tell = tell
        self._told: tuple[object, ...] | None = None
        self._engine, self._device = "", "cpu"
        self._last_use: Use | None = None
        self._lock = threading.Lock()
        self._opened: tuple[Installed, Blender] | None = None

    @property
    def pid(self) -> int | None:
        """Process id, while a Blender is open."""
        opened = self._opened
        return opened[1].pid if opened else None

    def load(
        self,
        blend: Path,
        settings: RenderSettings,
        remap: Mapping[str, Path],
        requirements: Requirements,
        wanted: Callable[[], bool] = lambda: True,
    ) -> LoadedScene:
        """Have this very scene loaded, in the Blender that fits it; see `Blender.load`.

        Raises:
            BlenderFailed: it can't be loaded.
            ToolError: no Blender here fits.
        """
        facts = check_fit(requirements, self._capabilities)
        device = choose_device(settings.device, self._capabilities.device, facts)
        blender = self._switch_to(facts)
        engine = facts.engine_name(requirements.engine) or requirements.engine
        self._engine, self._device = engine, device
        if settings.engine is not None:
            settings = settings.model_copy(update={"engine": engine})
        what = (facts, device, blend)
        if what != self._told:
            self._told = what
            on = f", computing on {device}" if engine == "CYCLES" else ""
            self._tell(f"loading the scene in Blender {facts.label}{on}")
        try:
            graphics = engine != "CYCLES"
            return blender.load(blend, settings, remap, device, wanted, graphics)
        except BlenderFailed as error:
            self._note_use(error)
            raise

    def render(
        self, frame: int, folder: Path, on_progress: Callable[[Progress], None]
    ) -> RenderedFrame:
        """Render one frame of the loaded scene; see `Blender.render`.

        Raises:
            BlenderFailed: there is no frame.
        """
        opened = self._opened
        if opened is None:
            raise failed(Fault.GONE, doing=f"rendering frame {frame}")
        try:
            rendered = opened[1].render(frame, folder, on_progress)
        except BlenderFailed as error:
            self._note_use(error)
            raise
        self._note_use(None)
        return rendered

    def assist(
        self, doing: str, answer: str, ask: Callable[[Path], Mapping[str, Any]], folder: Path
    ) -> dict[str, Any]:
        """Have something done with the loaded scene; see `Blender.assist`.

        Raises:
            BlenderFailed: it can't be done.
        """
        opened = self._opened
        if opened is None:
            raise failed(Fault.GONE, doing=doing)
        try:
            return opened[1].assist(doing, answer, ask, folder)
        except BlenderFailed as error:
            self._note_use(error)
            raise

    def take_last_use(self) -> Use | None:
        """Return what came of the last load or frame, once; None if there was none since."""
        use, self._last_use = self._last_use, None
        return use

    def kill(self) -> None:
        """End whatever is open at once, from any thread; see `Blender.kill`."""
        with self._lock:
            if self._opened:
                self._opened[1].kill()

    def close(self) -> None:
        """Let the open Blender leave."""
        if self._opened:
            self._opened[1].close()

    def _note_use(self, error: BlenderFailed | None) -> None:
        assert self._opened is not None  # noqa: S101 - it was just used
        if error is not None:
            self._told = None
        self._last_use = Use(self._opened[0], self._engine, self._device, error)

    def _switch_to(self, facts: BlenderFacts) -> Blender:
        opened = self._opened
        if opened and opened[0].facts == facts:
            return opened[1]
        self.close()
        wanted = next(one for one in self._installed if one.facts == facts)
        blender = self._make(wanted)
        with self._lock:
            self._opened = wanted, blender
        return blender
