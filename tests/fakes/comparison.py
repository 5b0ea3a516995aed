"""burst's trace of a .blend beside that of others: blender-asset-tracer alone, and the kernel.

Called by `scripts/trace-table` for any .blend and by tests for the generated ones. What
Blender opens while it loads and renders is the measure; see `burst.scene.trace`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burst.domain.workers import BlenderFacts
from burst.errors import BurstError
from burst.scene.asked import Asked
from burst.scene.trace import SceneTrace, TracedFile, trace
from burst.worker.asking import NoAnswerError, ask_for_files
from burst.worker.surroundings import command_line, prepare
from tests.fakes.strace import Seen, watch

OPEN_AND_RENDER = Path(__file__).with_name("open_and_render.py")
_SYSTEM = ("/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sys", "/usr", "/var")
_PROGRAMS = (".py", ".pyc", ".so")
_SECONDS = 120
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Look:
    """One .blend for a Blender to open and render."""

    blend: Path
    frames: tuple[int, ...] = ()
    """Which to render; none stands for two of the scene's own."""
    remap: dict[str, str] = field(default_factory=dict)


def look(
    program: Path, facts: BlenderFacts, looks: Sequence[Look], folder: Path, pictures: Path
) -> Seen:
    """Have one Blender open and render several .blends under strace.

    Args:
        program: the Blender.
        facts: what it is.
        looks: what to open, in this order.
        folder: for its home and for strace's log.
        pictures: folder for what is rendered, as ``<number of the look>_<frame>….png``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures.mkdir(parents=True, exist_ok=True)
    jobs = [
        {
            "blend": str(one.blend),
            "remap": one.remap,
            "frames": one.frames,
            "target": f"{pictures}/{number}_",
        }
        for number, one in enumerate(looks)
    ]
    order = folder / "jobs.json"
    order.write_text(json.dumps(jobs), encoding="utf-8")
    command = command_line(program, facts.kind, OPEN_AND_RENDER, (0, 0))[:-2]
    env = prepare(folder)
    return watch([*command, str(order)], folder / "strace", env, folder)


def opened_by_scene(seen: Seen, program: Path, folder: Path) -> set[Path]:
    """Return what was opened, but for what is Blender's, Python's, the system's and ours."""
    own = [folder, Path(__file__).parents[2], Path(sys.base_prefix)]
    own += [program.parent.parent, program.resolve().parent.parent, *map(Path, _SYSTEM)]
    found = {path for path in seen.opened_below(Path("/")) if path.suffix not in _PROGRAMS}
    return {path for path in found if not any(path.is_relative_to(one) for one in own)}


def files_of_tracer(blend: Path) -> tuple[set[Path], str]:
    """Return what blender-asset-tracer's own command lists, links followed, and how it died."""
    command = [sys.executable, "-m", "blender_asset_tracer", "list", "--json", str(blend)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    if done.returncode:
        last = (done.stderr.strip() or "it failed").splitlines()[-1]
        return set(), "dies: " + last.split(":")[0].rpartition(".")[2]
    found = {blend.resolve()}
    for names in json.loads(done.stdout or "{}").values():
        for name in map(Path, names):
            found |= set(name.rglob("*")) if name.is_dir() else {name} if name.exists() else set()
    return found, ""


@dataclass(slots=True)
class Row:
    """One .blend, as everybody sees it."""

    blend: Path
    burst: set[Path] = field(default_factory=set)
    traced: SceneTrace | None = None
    error: str = ""
    """Why burst can't trace it."""
    tracer: set[Path] = field(default_factory=set)
    tracer_error: str = ""
    asked: int = 0
    """How many files Blender's own list adds to what burst reads."""
    opened: dict[str, set[Path]] = field(default_factory=dict)
    """Blender → what it opened; a Blender that refuses the .blend or dies of it is not there."""
    known: dict[Path, str] = field(default_factory=dict)
    """Why some files are needed that no render opens, where that is known."""

    def missed(self) -> set[Path]:
        """Return what a Blender opens and burst does not find."""
        return _all(self.opened) - self.burst

    def missed_by_tracer(self) -> set[Path]:
        """Return what a Blender opens and blender-asset-tracer alone does not find."""
        return {path for path in _all(self.opened) if path.resolve() not in self.tracer}

    def superfluous(self) -> dict[Path, str]:
        """Return what burst sends and no Blender opened, with the reason."""
        if self.traced is None or not self.opened:
            return {}
        opened = _all(self.opened)
        files = [file for file in self.traced.files if file.path not in opened]
        return {file.path: self.known.get(file.path) or reason(file, opened) for file in files}


def trace_row(blend: Path, asking: Sequence[tuple[Path, BlenderFacts]]) -> Row:
    """Trace a .blend by burst and by blender-asset-tracer alone.

    Args:
        blend: the file.
        asking: Blenders whose own lists are joined.
    """
    row = Row(blend)
    row.tracer, row.tracer_error = files_of_tracer(blend)
    also = [one for program, facts in asking for one in _ask(program, facts, blend)]
    try:
        alone = trace(blend)
        row.traced = trace(blend, also) if also else alone
    except BurstError as error:
        row.error = error.message
        return row
    row.burst = {file.path for file in row.traced.files}
    row.asked = len(row.burst - {file.path for file in alone.files})
    return row


def _ask(program: Path, facts: BlenderFacts, blend: Path) -> list[Asked]:
    try:
        return ask_for_files(program, blend, facts.kind, _SECONDS)
    except NoAnswerError as error:
        print(f"{facts.label} was not asked what {blend} needs: {error}", file=sys.stderr)
        return []


_NUMBER = re.compile(r"\d+")
_SOUNDS = {".wav", ".mp3", ".ogg", ".flac", ".aac", ".m4a"}
_CACHES = {".bphys", ".uni", ".vdb", ".gz", ".bobj", ".json", ".blob", ".exr"}


def reason(file: TracedFile, opened: Iterable[Path]) -> str:
    """Say why a file is needed that was not opened for the frames that were rendered."""
    if file.path.suffix.lower() in _SOUNDS:
        return "a sound is mixed for a video only, not for pictures"
    shape = _NUMBER.sub("#", file.path.name)
    near = {_NUMBER.sub("#", path.name) for path in opened if path.parent == file.path.parent}
    if shape in near and "#" in shape:
        return "another frame or tile of the run"
    kinds = sorted({user.block.split(" ")[0] for user in file.users})
    if file.path.suffix.lower() in _CACHES and "Object" in kinds:
        return "of a cache: which of its files are read depends on the frame"
    named = ", ".join(sorted({user.block for user in file.users}))
    return f"named by {named or 'nobody'}, and shown by nothing that was rendered"


def _all(opened: dict[str, set[Path]]) -> set[Path]:
    return {path for found in opened.values() for path in found}


def rendered(seen: Seen, blend: Path) -> str:
    """Return what became of a look: ``rendered``, ``refused``, ``unrendered`` or nothing."""
    for line in seen.printed.splitlines():
        word, _, rest = line.partition(" ")
        if word in ("rendered", "refused", "unrendered") and rest.startswith(str(blend)):
            return word
    return ""


def table(rows: Iterable[Row], top: Path) -> list[str]:
    """Return the lines of a table in Markdown, and what was missed and what is superfluous."""
    lines = [
        "| scene | files by burst | of these by asking Blender alone | opened by | missed by burst "
        "| missed by blender-asset-tracer alone | superfluous |",
        "|---|---|---|---|---|---|---|",
    ]
    notes: list[str] = []
    for row in rows:
        name = _below(row.blend, top)
        opened = ", ".join(f"{kind}: {len(found)}" for kind, found in row.opened.items())
        spare = row.superfluous()
        tracer = row.tracer_error or str(len(row.missed_by_tracer()))
        files = row.error.replace(f"{row.blend} ", "") or len(row.burst)
        cells: list[Any] = [name, files, row.asked, opened or "nobody"]
        cells += [len(row.missed()), tracer, len(spare)]
        lines.append("| " + " | ".join(str(cell).replace("|", "/") for cell in cells) + " |")
        missed = sorted(row.missed())[:_NAMED]
        notes += [f"- **missed** {name}: {_below(path, top)}" for path in missed]
        by_reason: dict[str, list[Path]] = {}
        for path, why in sorted(spare.items()):
            by_reason.setdefault(why, []).append(path)
        for why, paths in by_reason.items():
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            notes.append(f"- superfluous {name}: {_below(paths[0], top)}{more} ({why})")
    return [*lines, "", *notes]


def _below(path: Path, top: Path) -> str:
    return str(path.relative_to(top)) if path.is_relative_to(top) else str(path)
