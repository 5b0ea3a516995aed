"""Everything that can be found wrong with a render before anything is started or written."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from burst.config.farm import FarmSettings, default_cache_dir
from burst.config.machine import memory_limit_bytes
from burst.domain.workers import Capabilities, Requirements
from burst.errors import SceneError, StorageError, ToolError, ToolMissing, UsageError
from burst.manager.state_dir import check_storage, check_version
from burst.operations.asking import trace_with_blender
from burst.operations.matching import (
    check_baked,
    find_requirements,
    match_worker,
    version_notes,
)
from burst.operations.request import JobPlan, RenderRequest, plan_job, without_sound
from burst.protocol.artist_messages import SceneFacts
from burst.scene.facts import read_facts
from burst.scene.needs import read_needs
from burst.scene.trace import SceneTrace
from burst.scene.upload import check_complete, check_names
from burst.storage.urls import canonical
from burst.worker.discovery import Installed, find_blenders, probe_blenders
from burst.worker.ffmpeg import ffmpeg_version


@dataclass(frozen=True, slots=True)
class CheckedRender:
    """A render that nothing known speaks against."""

    request: RenderRequest
    name: str
    facts: SceneFacts
    trace: SceneTrace
    programs: tuple[Path, ...]
    """The Blenders that a farm which is started for it gets."""
    plan: JobPlan
    requirements: Requirements
    output: Path
    notes: tuple[str, ...]


def check_scene(
    path: Path, *, allow_missing: bool, installed: Sequence[Installed] = ()
) -> tuple[SceneTrace, tuple[str, ...]]:
    """Find all that a scene needs, and notes for people about what is not there.

    Args:
        path: of the .blend.
        allow_missing: go on without the files that are missing.
        installed: Blenders at hand, to be asked as well.

    Raises:
        UsageError: there is no such file.
        SceneError: it is no .blend, files are missing, or have names that can't be used.
    """
    must_be_file(path)
    traced, unasked = trace_with_blender(path.absolute(), installed, default_cache_dir())
    check_names(traced)
    missing = (f"{name} is missing" for name in check_complete(traced, allow_missing))
    return traced, (*missing, *unasked, *traced.notes)


def blenders_at_hand(settings: FarmSettings) -> tuple[Installed, ...]:
    """Return the Blenders of this machine, or none, for what can do without."""
    try:
        return probe_blenders(find_blenders(settings.blender), cache=default_cache_dir())
    except ToolError:
        return ()


def check_render(request: RenderRequest, settings: FarmSettings) -> CheckedRender:
    """Check a render as far as that can be done without doing it; leaves nothing behind.

    Raises:
        UsageError: what was typed makes no sense.
        SceneError: the .blend can't be rendered as it is.
        ToolError: there is no Blender that can, or no ffmpeg for its video.
        StorageError: the output folder can't be written.
        StateError: the state directory is another version's, or can't be read.
    """
    must_be_file(request.scene)
    facts = read_facts(request.scene.absolute(), request.blender_scene)
    name = request.name or request.scene.stem
    plan = plan_job(request, facts, name)
    output = (request.output or default_output(request.scene)).expanduser().absolute()
    if not facts.has_camera and request.camera is None:
        raise SceneError(
            f"the Blender scene {facts.blender_scene!r} has no camera",
            hint="add a camera in Blender, make it the active one, and save",
        )
    installed = _blenders_needed(settings)
    traced, missing = check_scene(
        request.scene, allow_missing=request.allow_missing, installed=installed
    )
    needs = read_needs(traced, request.blender_scene)
    simulations = check_baked(request, needs)
    if not settings.is_local:
        # Which of its pools can is the manager's to say.
        requirements = find_requirements(request, facts, needs)
        versions: tuple[str, ...] = ()
    else:
        machine = Capabilities(
            blenders=tuple(one.facts for one in installed), memory_bytes=memory_limit_bytes()
        )
        requirements, blender = match_worker(request, facts, needs, machine)
        versions = version_notes(facts, blender)
        _check_local_farm(settings, makes_video=bool(plan.commands))
    prove_writable(output)
    return CheckedRender(
        request=request,
        name=name,
        facts=facts,
        trace=traced,
        programs=tuple(one.program for one in installed),
        plan=plan if needs.has_sound else without_sound(plan),
        requirements=requirements,
        output=output,
        notes=(*plan.notes, *versions, *simulations, *missing),
    )


def _blenders_needed(settings: FarmSettings) -> tuple[Installed, ...]:
    """Return the Blenders here; only a farm elsewhere, which brings its own, does without."""
    if not settings.is_local:
        return blenders_at_hand(settings)
    return probe_blenders(find_blenders(settings.blender), cache=default_cache_dir())


def _check_local_farm(settings: FarmSettings, *, makes_video: bool) -> None:
    if makes_video and not ffmpeg_version():
        raise ToolMissing(
            "there is no ffmpeg, which the video is made with",
            hint="install ffmpeg, or render without a video: --video none",
        )
    check_version(settings.state_dir)
    if settings.storage_url is not None:
        check_storage(settings.state_dir, canonical(settings.storage_url))


def must_be_file(path: Path) -> None:
    """See to it that what was typed is a file.

    Raises:
        UsageError: it is not.
    """
    if not path.exists():
        raise UsageError(f"there is no file {path}")
    if not path.is_file():
        raise UsageError(f"{path} is not a file", hint="name the .blend itself")


def default_output(scene: Path) -> Path:
    """Return where the frames of a scene go if nothing was said."""
    return Path(f"{scene.stem}-frames")


def prove_writable(folder: Path) -> None:
    """Make the folder and a file in it, and take both away again.

    Raises:
        StorageError: it does not work.
    """
    try:
        with _made_for_now(folder):
            probe = folder / f".burst-{secrets.token_hex(4)}"
            probe.touch(exist_ok=False)
            probe.unlink()
    except OSError as error:
        raise StorageError(
            f"can't write frames to {folder}: {error.strerror}",
            hint="name another folder with --output",
        ) from error


@contextlib.contextmanager
def _made_for_now(folder: Path) -> Iterator[None]:
    made: list[Path] = []
    try:
        for path in reversed((folder, *folder.parents)):
            if not path.is_dir():
                path.mkdir()
                made.append(path)
        yield
    finally:
        for path in reversed(made):
            with contextlib.suppress(OSError):
                path.rmdir()
