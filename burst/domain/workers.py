"""What a worker can do, and which work it may be given."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from burst.errors import EngineUnavailable, SceneTooNew

BlenderVersion = tuple[int, int]
"""Major and minor; files are compatible within one minor version."""

BLENDER_OLDEST = (3, 4)
"""The oldest Blender that burst drives."""


class BlenderFacts(BaseModel):
    """The Blender at a worker's hand, as found by running it once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: tuple[int, int, int]
    """Major, minor, patch."""
    kind: str
    """``binary`` (a blender program) or ``bpy`` (the wheel, in a Python of its own)."""
    engines: dict[str, str] = Field(default_factory=dict)
    """Engine → empty if it can render here, else why not, in a sentence."""

    @property
    def label(self) -> str:
        """Version and kind for people, e.g. ``5.0.1 (bpy)``."""
        return ".".join(map(str, self.version)) + (" (bpy)" if self.kind == "bpy" else "")


class Requirements(BaseModel):
    """What a job needs of a worker."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    blender: BlenderVersion = BLENDER_OLDEST
    """The version that saved the scene; an older Blender can't be trusted with it."""
    engine: str = "CYCLES"
    """The render engine, after the job's own settings."""


def check_fit(needs: Requirements, blender: BlenderFacts) -> None:
    """Check that a Blender can render what is asked for.

    A Blender opens files of older versions. On files of newer ones it refuses, or dies:
    3.4 segfaults on every file of 4.0 to 4.3 that was tried.

    Raises:
        SceneTooNew: the scene was saved by a newer Blender.
        EngineUnavailable: the engine is unknown to it or can't run there.
    """
    if needs.blender > blender.version[:2]:
        saved = ".".join(map(str, needs.blender))
        raise SceneTooNew(
            f"the scene was saved by Blender {saved}, the Blender at hand is {blender.label}",
            hint=f"name a Blender {saved} or newer with BURST_BLENDER, "
            "or save the scene in the older version",
        )
    reason = blender.engines.get(needs.engine, f"Blender {blender.label} has no such engine")
    if reason:
        raise EngineUnavailable(
            f"{needs.engine} can't render here: {reason}",
            hint="render with Cycles: --engine CYCLES",
        )
