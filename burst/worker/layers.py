"""Takes the image out of a multi-layer OpenEXR that has several.

Up to 4.x Blender writes all layers into one part, where they lie by the alphabet, and shows
whichever comes first when it reads the file again. From 5.0 on each is a part of its own, the
image first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

COMPOSITE = "Composite"
"""Layer of what the compositor made; the image, where there is one."""
_COMBINED = ".Combined"


def main_layer(path: Path, view_layers: Sequence[str]) -> str | None:
    """Return the layer that is the image, if it must be told from others in the file.

    Args:
        path: a whole OpenEXR file.
        view_layers: those of the scene, in its order.
    """
    import OpenEXR

    parts = OpenEXR.File(str(path), header_only=True).parts
    if len(parts) > 1:
        return None
    names = {channel.name for channel in parts[0].header["channels"]}
    layers = {name.rpartition(_COMBINED)[0] for name in names if _COMBINED in name}
    if len(layers) < 2:
        return None
    return next((name for name in (COMPOSITE, *view_layers) if name in layers), min(layers))


def extract_layer(path: Path, layer: str, target: Path) -> None:
    """Write one layer of a file as an image of its own.

    Args:
        path: a whole OpenEXR file.
        layer: one that it has.
        target: where it goes.
    """
    import OpenEXR

    with OpenEXR.File(str(path)) as file:
        channels = file.parts[0].channels
        # With an eye's name behind it, where there is one for each: the left comes first.
        names = [name for name in channels if f"{name}.".startswith(f"{layer}{_COMBINED}.")]
        pixels = channels[min(names)].pixels
        header = {"compression": OpenEXR.NO_COMPRESSION, "type": OpenEXR.scanlineimage}
        alone = {"RGBA"[: pixels.shape[2]]: OpenEXR.Channel(pixels)}
        with OpenEXR.File(header, alone) as made:
            made.write(str(target))
