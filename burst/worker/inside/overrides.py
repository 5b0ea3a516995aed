"""Setting any property of a scene by its path, e.g. ``scene.cycles.max_bounces`` to 4.

A path is a root, then attributes, names in brackets and numbers in brackets, as in Python;
it is parsed here and never evaluated. Each step must be a property that Blender declares
(or a custom property), and the value must be one that the property takes as it is: Blender
itself would cut a number to its range without a word.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from typing import Any

from burst.worker.inside.refusals import Refused

ROOTS = ("scene", "view_layer", "data", "world", "camera")
"""``view_layer`` is every view layer of the scene, ``camera`` every camera it renders from."""

_STEP = re.compile(
    r"""\.(?P<name>[A-Za-z][A-Za-z0-9_]*)
    |\[(?P<quote>["'])(?P<key>(?:(?!(?P=quote)).)+)(?P=quote)\]
    |\[(?P<index>-?\d{1,9})\]""",
    re.VERBOSE,
)
_ROOT = re.compile(r"[a-z_]+")
_SHOWN = 12
_OURS = {
    "filepath": "the farm chooses where frames go: --output",
    "frame_start": "the job's frames are chosen by --frames",
    "frame_end": "the job's frames are chosen by --frames",
    "frame_step": "the job's frames are chosen by --frames",
    "frame_current": "the job's frames are chosen by --frames",
    "threads": "each worker has its own number of threads",
    "threads_mode": "each worker has its own number of threads",
    "use_overwrite": "the farm needs it as it is",
    "use_placeholder": "the farm needs it as it is",
    "use_file_extension": "the farm needs it as it is",
    "file_format": "the image format is chosen by --format",
    "media_type": "the image format is chosen by --format",
    "engine": "the engine is chosen by --engine, so that a worker that has it is found",
    "device": "the device is chosen by --device, so that a worker that has it is found",
}
"""Properties of the scene, its render and image settings that the farm sets itself."""


def apply_overrides(bpy: Any, scene: Any, properties: dict[str, Any]) -> None:
    """Set properties in the given order.

    Raises:
        Refused: there is no such property, or it does not take the value.
    """
    for path, value in properties.items():
        root, steps = parse(path)
        for owner in _roots(bpy, scene, root):
            _Override(bpy, scene, path, steps).set_on(owner, value)


def parse(path: str) -> tuple[str, list[str | int | tuple[str]]]:
    """Split a path into its root and steps: attribute, ``(key,)`` or index.

    Raises:
        Refused: it is no path.
    """
    match = _ROOT.match(path)
    root = match[0] if match else ""
    if root not in ROOTS:
        raise Refused(f"can't set {path}: a property begins with {_either(ROOTS)}")
    steps: list[str | int | tuple[str]] = []
    position = len(root)
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            raise Refused(f'can\'t set {path}: {path[position:]!r} is no name, ["key"] or [number]')
        if step["name"]:
            steps.append(step["name"])
        else:
            steps.append((step["key"],) if step["key"] else int(step["index"]))
        position = step.end()
    if not steps:
        raise Refused(f"can't set {path}: name a property of it")
    return root, steps


def _roots(bpy: Any, scene: Any, root: str) -> list[Any]:
    if root == "view_layer":
        return list(scene.view_layers)
    if root == "camera":
        switched = (marker.camera for marker in scene.timeline_markers)
        found = {camera.name_full: camera for camera in (scene.camera, *switched) if camera}
        if not found:
            raise Refused("can't set a property of the camera: the scene has none")
        return list(found.values())
    if root == "world" and scene.world is None:
        raise Refused("can't set a property of the world: the scene has none")
    return [{"scene": scene, "data": bpy.data, "world": scene.world}[root]]


class _Override:
    """One property on its way to a value."""

    def __init__(self, bpy: Any, scene: Any, path: str, steps: list[Any]) -> None:
        self._bpy = bpy
        self._scene = scene
        self._path = path
        self._steps = steps

    def set_on(self, owner: Any, value: Any) -> None:
        """Walk to the property and set it."""
        *way, last = self._steps
        for step in way:
            owner = self._step(owner, step)
            if owner is None:
                raise self._refused(f"{_spelled(step)} is empty")
        if isinstance(last, str):
            self._set_attribute(owner, last, value)
        elif isinstance(last, tuple) and not _is_collection(owner):
            self._set_custom(owner, last[0], value)
        elif isinstance(last, int) and not _is_collection(owner):
            self._set_element(owner, last, value)
        else:
            raise self._refused("name a property of it")

    def _step(self, owner: Any, step: Any) -> Any:
        if isinstance(step, str):
            self._declared(owner, step)
            return getattr(owner, step)
        if isinstance(step, int):
            self._check_index(owner, step)
            return owner[step]
        if not hasattr(owner, "keys"):
            raise self._refused(f"nothing is named {_spelled(step)} there")
        if step[0] not in owner.keys():  # noqa: SIM118 - Blender's are no dicts
            raise self._unknown(f"no {_spelled(step)}", step[0], owner.keys())
        return owner[step[0]]

    def _declared(self, owner: Any, name: str) -> Any:
        """Return what Blender declares of a property."""
        declared = getattr(owner, "bl_rna", None)
        if declared is None:
            raise self._refused(f"a {type(owner).__name__} has no property {name}")
        known = [p.identifier for p in declared.properties]
        if name not in known or name == "rna_type":
            raise self._unknown(f"{declared.name} has no property {name}", name, known)
        return declared.properties[name]

    def _set_attribute(self, owner: Any, name: str, value: Any) -> None:
        declared = self._declared(owner, name)
        if self._is_ours(owner, name):
            raise self._refused(_OURS[name])
        if declared.is_readonly or declared.type == "COLLECTION":
            raise self._refused("Blender does not let it be changed")
        wanted = self._coerced(owner, declared, value)
        try:
            setattr(owner, name, wanted)
        except (TypeError, ValueError, AttributeError) as error:
            raise self._refused(_first_line(error)) from None
        self._check(getattr(owner, name), wanted)

    def _is_ours(self, owner: Any, name: str) -> bool:
        scene, render = self._scene, self._scene.render
        farms = [scene, render, render.image_settings]
        if name == "device":
            farms = [getattr(scene, "cycles", None)]
        return name in _OURS and any(owner == mine for mine in farms)

    def _coerced(self, owner: Any, declared: Any, value: Any) -> Any:
        if declared.type == "POINTER":
            return self._block(declared, value)
        if declared.type == "ENUM":
            return self._choice(owner, declared, value)
        if getattr(declared, "is_array", False):
            values = list(value) if isinstance(value, (list, tuple)) else None
            count = len(getattr(owner, declared.identifier))
            if values is None or len(values) != count:
                raise self._refused(f"it takes {count} values, not {_shown(value)}")
            return [self._plain(declared, one) for one in values]
        return self._plain(declared, value)

    def _plain(self, declared: Any, value: Any) -> Any:
        """Return one number, truth value or text as the property takes it."""
        made = _CONVERT[declared.type](value)
        if made is None:
            raise self._refused(f"it takes {_KINDS[declared.type]}, not {_shown(value)}")
        if declared.type in ("INT", "FLOAT"):
            low, high = declared.hard_min, declared.hard_max
            if not low <= made <= high:
                raise self._refused(f"it takes {low:g} to {high:g}, not {_shown(value)}")
        return made

    def _choice(self, owner: Any, declared: Any, value: Any) -> Any:
        known = [item.identifier for item in declared.enum_items]
        many = declared.is_enum_flag
        wanted = value if isinstance(value, (list, tuple)) else [value]
        if not many and isinstance(value, (list, tuple)):
            raise self._refused(f"it takes one of {_either(known)}")
        # Without a list in advance, Blender says when it is set what there is.
        wrong = next((one for one in wanted if known and one not in known), None)
        if wrong is not None or not all(isinstance(one, str) for one in wanted):
            raise self._unknown(f"no {_shown(value)}", str(value), known)
        return set(wanted) if many else wanted[0]

    def _block(self, declared: Any, value: Any) -> Any:
        if value is None:
            return None
        kind = declared.fixed_type
        blocks = next(
            (
                getattr(self._bpy.data, p.identifier)
                for p in self._bpy.data.bl_rna.properties
                if p.type == "COLLECTION" and p.fixed_type == kind
            ),
            None,
        )
        if blocks is None or not isinstance(value, str):
            raise self._refused(f"it takes the name of a {kind.name.lower()}")
        if value not in blocks:
            raise self._unknown(f"no {kind.name.lower()} {_shown(value)}", value, blocks.keys())
        return blocks[value]

    def _set_element(self, owner: Any, index: int, value: Any) -> None:
        self._check_index(owner, index)
        kind = type(owner[index])
        wanted = _like(kind, value)
        if wanted is None:
            raise self._refused(f"it takes a {kind.__name__}, not {_shown(value)}")
        owner[index] = wanted
        self._check(owner[index], wanted)

    def _check_index(self, owner: Any, index: int) -> None:
        try:
            count = len(owner)
        except TypeError:
            raise self._refused("it has no numbered parts") from None
        if not -count <= index < count:
            raise self._refused(f"there is no [{index}], it has {count}")

    def _set_custom(self, owner: Any, name: str, value: Any) -> None:
        """Set a custom property, which must be there and keeps its type."""
        before = self._step(owner, (name,))
        if hasattr(before, "__len__") and not isinstance(before, str):
            wanted = list(value) if isinstance(value, (list, tuple)) else None
            if wanted is None or len(wanted) != len(before):
                raise self._refused(f"it takes {len(before)} values, not {_shown(value)}")
        else:
            wanted = _like(type(before), value)
            if wanted is None:
                kind = type(before).__name__
                raise self._refused(f"it takes a {kind}, not {_shown(value)}")
        owner[name] = wanted
        self._check(owner[name], wanted)
        block = getattr(owner, "id_data", None) or owner
        if hasattr(block, "update_tag"):
            # What is computed from custom properties does not hear of them by itself.
            block.update_tag()

    def _check(self, found: Any, wanted: Any) -> None:
        """Make sure that Blender took the value, and not another."""
        if not _same(found, wanted):
            raise self._refused(f"Blender made {_shown(found)} of {_shown(wanted)}")

    def _refused(self, why: str) -> Refused:
        return Refused(f"can't set {self._path}: {why}")

    def _unknown(self, what: str, name: str, known: Iterable[str]) -> Refused:
        names = sorted(one for one in known if one != "rna_type")
        near = difflib.get_close_matches(name, names, _SHOWN, 0.5)
        shown = near or names[:_SHOWN]
        more = "" if near or len(names) <= _SHOWN else f" and {len(names) - _SHOWN} more"
        there = f"there is {', '.join(shown)}{more}" if shown else "there is nothing"
        return self._refused(f"{what}, {there}")


def _is_collection(owner: Any) -> bool:
    return hasattr(owner, "keys") and hasattr(owner, "foreach_get")


def _spelled(step: Any) -> str:
    return f'["{step[0]}"]' if isinstance(step, tuple) else str(step)


def _either(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _shown(value: Any) -> str:
    if hasattr(value, "__len__") and not isinstance(value, (str, list, tuple, set)):
        value = list(value)
    return getattr(value, "name", None) or repr(value)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, float):
        # Blender keeps most numbers in single precision.
        return isinstance(found, (int, float)) and abs(found - wanted) <= 1e-6 * max(
            1.0, abs(wanted)
        )
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    return bool(found == wanted)


def _truth(value: Any) -> bool | None:
    return bool(value) if isinstance(value, bool) or value in (0, 1) else None


def _integer(value: Any) -> int | None:
    whole = isinstance(value, float) and value.is_integer()
    good = whole or (isinstance(value, int) and not isinstance(value, bool))
    return int(value) if good else None


def _number(value: Any) -> float | None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if good else None


def _text(value: Any) -> str | None:
    good = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    return str(value) if good else None


def _like(kind: type, value: Any) -> Any:
    """Return a value as one of a Python type, or None."""
    convert = {bool: _truth, int: _integer, float: _number, str: _text}.get(kind)
    return convert(value) if convert else None


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "BOOLEAN": _truth,
    "INT": _integer,
    "FLOAT": _number,
    "STRING": _text,
}
_KINDS = {
    "BOOLEAN": "true or false",
    "INT": "a whole number",
    "FLOAT": "a number",
    "STRING": "a text",
}
