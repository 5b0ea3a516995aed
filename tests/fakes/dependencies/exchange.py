"""Cases of files of other programs: volumes, Alembic, USD, point files; runs inside Blender."""

from __future__ import annotations

import struct

import bpy
from dependencies.scenery import Case, quad, sheet, show, start, write_vdb

RUN = "another frame of the run"


def volume(case: Case) -> bool | None:
    """A volume of its own, and one of a numbered run."""
    if not _has_vdb():
        return False
    start()
    case.frames = [1, 2]
    write_vdb(case.need("film/fx/cloud.vdb"), 1.0)
    for number in (1, 2, 3):
        place = f"film/fx/smoke/smoke_{number:04}.vdb"
        write_vdb(case.need(place, spare="" if number < 3 else RUN), 0.5)
    for name in (case.name("film/fx/cloud.vdb"), case.name("film/fx/smoke/smoke_0001.vdb")):
        data = bpy.data.volumes.new("volume")
        data.filepath = name
        if "smoke" in name:
            data.is_sequence, data.frame_duration = True, 3
        show(bpy.data.objects.new("volume", data))
    bpy.context.scene.world = bpy.data.worlds.new("white")
    case.save_main()
    return None


def _has_vdb() -> bool:
    return bpy.app.version >= (4, 4)


def alembic(case: Case) -> bool | None:
    """An Alembic cache, one with a layer over it, and a numbered run of them."""
    if not bpy.app.build_options.alembic:
        return False
    case.frames = [1, 2]
    export = bpy.ops.wm.alembic_export
    _moving_quad("cached")
    export(filepath=str(case.need("film/abc/cached.abc")), start=1, end=3)
    export(filepath=str(case.need("film/abc/layer.abc")), start=1, end=3)
    for number in (1, 2, 3):
        _moving_quad("run")
        path = case.need(f"film/abc/run_{number:03}.abc", spare="" if number < 3 else RUN)
        export(filepath=str(path), start=number, end=number)
    start()
    case.save_main()
    bpy.ops.wm.alembic_import(
        filepath=str(case.top / "film/abc/cached.abc"), always_add_cache_reader=True
    )
    cache = bpy.data.cache_files[0]
    cache.filepath = case.name("film/abc/cached.abc")
    cache.layers.new(filepath=case.name("film/abc/layer.abc"))
    bpy.ops.wm.alembic_import(
        filepath=str(case.top / "film/abc/run_001.abc"),
        is_sequence=True,
        always_add_cache_reader=True,
    )
    run = next(one for one in bpy.data.cache_files if one != cache)
    run.filepath = case.name("film/abc/run_001.abc")
    case.save_main()
    return None


def usd(case: Case) -> bool | None:
    """A USD cache whose layers are named in it: below, referenced, and of those in turn."""
    if not bpy.app.build_options.usd:
        return False
    case.frames = [1, 2]
    _moving_quad("cached")
    bpy.context.scene.frame_end = 3
    bpy.ops.wm.usd_export(
        filepath=str(case.need("film/usd/parts/mesh.usdc")), export_animation=True,
        export_materials=False, root_prim_path="", export_shapekeys=False,
    )  # fmt: skip
    case.text("film/usd/layers/below.usda", "#usda 1.0\n(\n  subLayers = [@./deeper.usda@]\n)\n")
    case.text("film/usd/layers/deeper.usda", "#usda 1.0\n")
    case.png("film/usd/tex/wood.png", spare="of a material, which a cache does not read")
    case.text("film/usd/top.usda", USD_TOP)
    start()
    case.save_main()
    bpy.ops.wm.usd_import(
        filepath=str(case.top / "film/usd/top.usda"), import_materials=False,
        create_collection=False,
    )  # fmt: skip
    for cache in bpy.data.cache_files:
        cache.filepath = case.name("film/usd/top.usda")
    assert len(bpy.data.cache_files) == 1, "USD was imported without a cache"
    case.save_main()
    return None


USD_TOP = """#usda 1.0
(
  subLayers = [@layers/below.usda@]
  startTimeCode = 1
  endTimeCode = 3
)
def Xform "set" (
  references = @./parts/mesh.usdc@</cached>
)
{
}
def Material "wood"
{
  def Shader "picture"
  {
    uniform token info:id = "UsdUVTexture"
    asset inputs:file = @./tex/wood.png@
  }
}
"""


def _moving_quad(name: str) -> None:
    start()
    thing = quad(name)
    key = thing.shape_key_add(name="Basis")
    del key
    moved = thing.shape_key_add(name="moved")
    moved.data[0].co.z = 1
    for frame, value in ((1, 0.0), (3, 1.0)):
        moved.value = value
        moved.keyframe_insert("value", frame=frame)


def mesh_cache(case: Case) -> None:
    """Points of a mesh from another program, in two formats."""
    start()
    points = (-1.0, -1, 0, 1, -1, 0, 1, 1, 0, -1, 1, 0)
    path = case.need("film/cache/points.pc2")
    head = struct.pack("<12siiffi", b"POINTCACHE2\0", 1, 4, 1.0, 1.0, 2)
    path.write_bytes(head + struct.pack("<12f", *points) * 2)
    path = case.need("film/cache/points.mdd")
    path.write_bytes(struct.pack(">ii2f", 2, 4, 0.0, 1.0) + struct.pack(">12f", *points) * 2)
    for kind, name in (("PC2", "points.pc2"), ("MDD", "points.mdd")):
        modifier = quad(kind).modifiers.new("cache", "MESH_CACHE")
        modifier.cache_format, modifier.filepath = kind, case.name(f"film/cache/{name}")
    case.save_main()


def multires(case: Case) -> None:
    """Sculpted levels in a file of their own."""
    start()
    case.save_main()
    thing = sheet("quad")
    modifier = thing.modifiers.new("levels", "MULTIRES")
    bpy.context.view_layer.objects.active = thing
    bpy.ops.object.multires_subdivide(modifier="levels")
    path = case.need("film/shot/levels.btx")
    bpy.ops.object.multires_external_save(filepath=str(path), modifier="levels")
    modifier.filepath = case.name("film/shot/levels.btx")
    thing.data.materials.append(quad("other").data.materials[0])
    case.save_main()


CASES = (volume, alembic, usd, mesh_cache, multires)
