"""Names of the images for other eyes: ``wall_R.png`` beside ``wall_L.png``.

Blender makes them when a Blender scene is rendered in stereo, of the suffixes of its views.
"""

from __future__ import annotations

from collections.abc import Iterator

from blender_asset_tracer.blendfile import BlendFile, BlendFileBlock

from burst.scene.blend import number, string, target_of
from burst.scene.naming import Named
from burst.scene.sequences import Many

_MULTIVIEW = 1 << 21
"""R_MULTIVIEW"""
_INDIVIDUAL = 0
"""R_IMF_VIEWS_INDIVIDUAL"""
_IMAGE_VIEWS, _STRIP_VIEWS = 1 << 14, 1 << 29
"""IMA_USE_VIEWS, SEQ_USE_VIEWS"""


def with_views(user: BlendFileBlock, name: bytes, many: Many) -> Iterator[Named]:
    """Yield a name that an image or strip has, and the names for all other views."""
    yield Named(name, many)
    flag = _IMAGE_VIEWS if user.code == b"IM" else _STRIP_VIEWS
    if not number(user, b"flag") & flag or number(user, b"views_format") != _INDIVIDUAL:
        return
    stem, dot, suffix = name.rpartition(b".")
    views = _views(user.bfile)
    for own in views:
        if dot and stem.endswith(own):
            others = (stem.removesuffix(own) + other for other in views if other != own)
            yield from (Named(other + dot + suffix, many) for other in others)
            return


def _views(blend: BlendFile) -> list[bytes]:
    """Return the suffixes of the views of all Blender scenes that have several."""
    found: dict[bytes, None] = {}
    for scene in blend.find_blocks_from_code(b"SC"):
        view = target_of(scene, (b"r", b"views", b"first"))
        while view is not None and number(scene, (b"r", b"scemode")) & _MULTIVIEW:
            suffix = string(view, b"suffix")
            if suffix in found:
                break
            if suffix:
                found[suffix] = None
            view = target_of(view, b"next")
    return list(found)
