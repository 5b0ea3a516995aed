"""A place where commands of a task run, and what they said there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripted_manager import assignment

from burst.domain.frames import RESULT_MIN
from burst.protocol.worker_messages import Assignment
from burst.scene.checkout import CheckedOut
from burst.worker.commands import Place
from burst.worker.held import Held
from burst.worker.talk import Talk


class Rig:
    """A task, its place, and what was said."""

    def __init__(self, folder: Path, *commands: dict[str, Any], scene: bool = True) -> None:
        task = assignment("a1", (RESULT_MIN,)) | {"commands": commands, "task_name": "after"}
        self.held = Held(Assignment.model_validate(task))
        self.lines: list[str] = []
        self.warnings: list[str] = []
        self.told: list[tuple[float | None, str]] = []
        self.checkout = folder / "checkout"
        (self.checkout / "shots").mkdir(parents=True)
        blend = self.checkout / "shots" / "a.blend"
        blend.write_text("blend")
        self.place = Place(
            held=self.held,
            talk=Talk(self._say, self._tell),
            scene=CheckedOut(blend, {}, self.checkout) if scene else None,
            output=folder / "task" / "output",
            own=folder / "task" / "own",
            threads=2,
        )

    def _say(self, level: str, text: str) -> None:
        (self.warnings if level == "warning" else self.lines).append(text)

    def _tell(self, percent: float | None, step: str) -> None:
        self.told.append((percent, step))

    def left(self) -> dict[str, bytes]:
        """Return what lies in the output folder."""
        found = (path for path in self.place.output.rglob("*") if path.is_file())
        return {p.relative_to(self.place.output).as_posix(): p.read_bytes() for p in found}
