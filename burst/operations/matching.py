"""Which Blender of this machine renders a scene, and what a worker must have for it: pure."""

from __future__ import annotations

from burst.domain.workers import FEATURE_NAMES, BlenderFacts, Capabilities, Requirements, check_fit
from burst.errors import EngineUnavailable, NoSuchDevice, SceneError
from burst.operations.request import RenderRequest, choose_engine, choose_memory
from burst.protocol.artist_messages import SceneFacts
from burst.scene.needs import SceneNeeds

_NAMED = 5
"""Simulations that a message names before it counts the others."""


def match_worker(
    request: RenderRequest, facts: SceneFacts, needs: SceneNeeds, machine: Capabilities
) -> tuple[Requirements, BlenderFacts]:
    """Return what the job needs of a worker, and the Blender here that has it.

    Args:
        request: what was typed.
        facts: what the .blend says of its rendering.
        needs: what it needs besides.
        machine: what a worker on this machine can do.

    Raises:
        UsageError: what was typed makes no sense.
        SceneTooNew: it was saved by a newer Blender than those here.
        ToolError: none of these can render it.
    """
    requirements = find_requirements(request, facts, needs)
    try:
        blender = check_fit(requirements, machine)
    except EngineUnavailable as error:
        # A node of the compositor stays, whatever Cycles does.
        if FEATURE_NAMES["oidn"] not in error.message or "oidn" in needs.features:
            raise
        hint = "render without it: --denoiser off"
        raise EngineUnavailable(error.message, hint=hint) from error
    if request.denoiser == "optix" and not blender.devices.get("optix"):
        raise NoSuchDevice(
            f"the OptiX denoiser needs an NVIDIA GPU, Blender {blender.label} finds none",
            hint="use another: --denoiser oidn",
        )
    return requirements, blender


def check_baked(request: RenderRequest, needs: SceneNeeds) -> tuple[str, ...]:
    """Refuse simulations that every worker would compute anew, each differently.

    Returns:
        Notes for people, where they are to be rendered all the same.

    Raises:
        SceneError: there are some, and they are not to be.
    """
    if request.force:
        if needs.unbaked:
            return (f"{_listed(needs.unbaked)}: not baked, so one worker renders every frame",)
        return ("no simulation lacks its bake; with --force one worker renders every frame",)
    if not needs.unbaked:
        return ()
    many = len(needs.unbaked) > 1
    raise SceneError(
        f"the simulation{'s' * many} of {_listed(needs.unbaked)} {'are' if many else 'is'} "
        "not baked",
        hint="bake it in Blender and save, or render the whole range as one task with --force",
    )


def version_notes(facts: SceneFacts, blender: BlenderFacts) -> tuple[str, ...]:
    """Say that a scene is rendered by another Blender than the one that saved it."""
    if blender.version[:2] == facts.blender:
        return ()
    saved = ".".join(map(str, facts.blender))
    return (f"saved by Blender {saved}, rendered by {blender.label}: pictures may differ",)


def _listed(names: tuple[str, ...]) -> str:
    named = list(names[:_NAMED])
    if len(names) > _NAMED:
        named.append(f"{len(names) - _NAMED} more")
    return f"{', '.join(named[:-1])} and {named[-1]}" if len(named) > 1 else named[0]


def find_requirements(request: RenderRequest, facts: SceneFacts, needs: SceneNeeds) -> Requirements:
    """Return what the job needs of a worker, wherever that is."""
    engine = choose_engine(request.engine, facts)
    features = set(needs.features)
    denoises = needs.denoises if request.denoiser is None else request.denoiser == "oidn"
    if denoises and engine == "CYCLES":
        features.add("oidn")
    return Requirements(
        blender=facts.blender,
        engine=engine,
        features=tuple(sorted(features)),
        device=request.device,
        memory_bytes=choose_memory(request.memory),
    )
