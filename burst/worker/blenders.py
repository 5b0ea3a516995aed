"""Every Blender that a worker has, of which one is open at a time.

Which one renders a task is decided by the job's requirements (`check_fit`); a change of
program closes the other one. Called by the worker's session.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from burst.domain.jobs import RenderSettings
from burst.domain.workers import (
    BlenderFacts,
    Capabilities,
    Requirements,
    check_fit,
    choose_device,
)
from burst.worker.blender import Blender, BlenderFailed, LoadedScene, Progress, RenderedFrame
from burst.worker.discovery import Installed


class Blenders:
    """One warm Blender out of several; `load` and `render` are for one thread, `kill` for any."""

    def __init__(
        self,
        installed: Sequence[Installed],
        capabilities: Capabilities,
        make: Callable[[Installed], Blender],
    ) -> None:
        """Start nothing yet.

        Args:
            installed: all there are.
            capabilities: of the worker; its Blenders are the facts of ``installed``.
            make: makes the `Blender` of a program.
        """
        self._installed = tuple(installed)
        self._capabilities = capabilities
        self._make = make
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
    ) -> LoadedScene:
        """Have this very scene loaded, in the Blender that fits it; see `Blender.load`.

        Raises:
            BlenderFailed: it can't be loaded.
            ToolError: no Blender here fits.
        """
        facts = check_fit(requirements, self._capabilities)
        device = choose_device(settings.device, self._capabilities.device, facts)
        return self._switch_to(facts).load(blend, settings, remap, device)

    def render(
        self, frame: int, folder: Path, on_progress: Callable[[Progress], None]
    ) -> RenderedFrame:
        """Render one frame of the loaded scene; see `Blender.render`.

        Raises:
            BlenderFailed: there is no frame.
        """
        opened = self._opened
        if opened is None:
            raise BlenderFailed(f"no Blender was open before rendering frame {frame}")
        return opened[1].render(frame, folder, on_progress)

    def kill(self) -> None:
        """End whatever is open at once, from any thread; see `Blender.kill`."""
        with self._lock:
            if self._opened:
                self._opened[1].kill()

    def close(self) -> None:
        """Let the open Blender leave."""
        if self._opened:
            self._opened[1].close()

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
