"""Every kind of file that a .blend names, from bytes made by hand, one test or case a kind.

Left out: images, libraries, strips and point caches (`test_scene_trace.py`), other spellings
(`test_scene_trace_spellings.py`), and what Blender opens (`tests/integration`).
"""

import pytest

from burst.scene.asked import Asked
from burst.scene.sequences import Many
from burst.scene.trace import MissingFile, User, trace
from tests.fakes.blend_bytes import BlendBytes, needed

ONE, RUN = ["f_01.x"], ["f_01.x", "f_02.x"]
MESH_CACHE, OCEAN, FLUID, NODES = 46, 39, 56, 57


def block(code, kind, **values):
    def add(blend):
        blend.add(code, kind, id={"name": f"{code}x".encode()}, **values)

    return add


def packed(code, kind, **values):
    def add(blend):
        inside = blend.add("DATA", "raw_data")
        blend.add(code, kind, id={"name": b"XXx"}, packedfile=inside, **values)

    return add


def modifier(kind, struct, **values):
    def add(blend):
        blend.modifier(kind, struct, **values)

    return add


def layered(blend):
    layer = blend.add("DATA", "CacheFileLayer", filepath=b"//f_02.x")
    blend.add("CF", "CacheFile", id={"name": b"CFx"}, filepath=b"//f_01.x", layers={"first": layer})


def multires(blend):
    external = blend.add("DATA", "CustomDataExternal", filename=b"//f_01.x")
    blend.add("ME", "Mesh", id={"name": b"MEx"}, ldata={"external": external})


def script_node(mode, owner="NT", kind="bNodeTree"):
    def add(blend):
        storage = blend.add("DATA", "NodeShaderScript", mode=mode, filepath=b"//f_01.x")
        node = blend.add("DATA", "bNode", storage=storage)
        if owner == "NT":
            blend.add("NT", "bNodeTree", id={"name": b"NTx"}, nodes={"first": node})
        else:
            tree = blend.add("DATA", "bNodeTree", nodes={"first": node})
            blend.add(owner, kind, id={"name": b"MAx"}, nodetree=tree)

    return add


def import_node(is_linked):
    def add(blend):
        value = blend.add("DATA", "bNodeSocketValueString", value=b"//f_01.x")
        socket = blend.add("DATA", "bNodeSocket", default_value=value)
        node = blend.add("DATA", "bNode", idname=b"GeometryNodeImportOBJ", inputs={"first": socket})
        link = blend.add("DATA", "bNodeLink", tosock=socket) if is_linked else 0
        blend.add(
            "NT", "bNodeTree", id={"name": b"NTx"}, nodes={"first": node}, links={"first": link}
        )

    return add


NAME = b"//f_01.x"


@pytest.mark.parametrize(
    ("add", "found"),
    [
        pytest.param(block("SO", "bSound", name=NAME), ONE, id="sound"),
        pytest.param(packed("SO", "bSound", name=NAME), [], id="packed sound"),
        pytest.param(block("VF", "VFont", name=NAME), ONE, id="font"),
        pytest.param(packed("VF", "VFont", name=NAME), [], id="packed font"),
        pytest.param(block("VF", "VFont", name=b"<builtin>"), [], id="built-in font"),
        pytest.param(block("MC", "MovieClip", name=NAME, source=2), ONE, id="movie clip"),
        pytest.param(block("MC", "MovieClip", name=NAME, source=1), RUN, id="clip of images"),
        pytest.param(block("VO", "Volume", filepath=NAME), ONE, id="volume"),
        pytest.param(block("VO", "Volume", filepath=NAME, is_sequence=1), RUN, id="volumes"),
        pytest.param(packed("VO", "Volume", filepath=NAME), [], id="packed volume"),
        pytest.param(block("CF", "CacheFile", filepath=NAME), ONE, id="cache file"),
        pytest.param(
            block("CF", "CacheFile", filepath=NAME, is_sequence=1), RUN, id="run of cache files"
        ),
        pytest.param(layered, RUN, id="layers of a cache file"),
        pytest.param(multires, ONE, id="multires"),
        pytest.param(
            block("CA", "Camera", type=3, custom_mode=1, custom_filepath=NAME), ONE, id="lens"
        ),
        pytest.param(
            block("CA", "Camera", type=3, custom_mode=0, custom_filepath=NAME), [], id="lens text"
        ),
        pytest.param(
            block("CA", "Camera", type=0, custom_mode=1, custom_filepath=NAME), [], id="plain lens"
        ),
        pytest.param(script_node(1), ONE, id="script"),
        pytest.param(script_node(0), [], id="text as script"),
        pytest.param(script_node(1, "MA", "Material"), ONE, id="script in a material"),
        pytest.param(import_node(is_linked=False), ONE, id="import node"),
        pytest.param(
            modifier(MESH_CACHE, "MeshCacheModifierData", filepath=NAME), ONE, id="mesh cache"
        ),
    ],
)  # fmt: skip
def test_a_kind_of_data_block_brings_its_files(project, add, found):
    blend = BlendBytes()
    add(blend)
    top = project({"a.blend": blend, "f_01.x": b"1", "f_02.x": b"2", "g_01.x": b"3"})
    traced = trace(top / "a.blend")
    assert (needed(traced), traced.missing) == (set(found), ())


def test_an_import_node_that_is_told_its_file_lacks_nothing(project):
    blend = BlendBytes()
    import_node(is_linked=True)(blend)
    traced = trace(project({"a.blend": blend}) / "a.blend")
    assert (traced.missing, traced.notes) == ((), ())


@pytest.mark.parametrize(("cached", "found"), [(1, {"sea/d_0001.exr"}), (0, set())])
def test_a_baked_ocean_brings_its_folder(project, cached, found):
    blend = BlendBytes()
    blend.modifier(OCEAN, "OceanModifierData", cachepath=b"//sea", cached=cached)
    top = project({"a.blend": blend, "sea/d_0001.exr": b"1"})
    assert needed(trace(top / "a.blend")) == found


@pytest.mark.parametrize(("flag", "is_missing"), [(2, True), (0, False)])
def test_a_fluid_brings_its_folder_and_must_have_it_once_baked(project, flag, is_missing):
    blend = BlendBytes()
    for folder in (b"//smoke", b"//gone"):
        domain = blend.add(
            "DATA", "FluidDomainSettings", cache_flag=flag, cache_type=2, cache_directory=folder
        )
        blend.modifier(FLUID, "FluidModifierData", domain=domain, type=1)
    top = project({"a.blend": blend, "smoke/config/c.uni": b"1", "smoke/data/d_0001.vdb": b"2"})
    traced = trace(top / "a.blend")
    assert needed(traced) == {"smoke/config/c.uni", "smoke/data/d_0001.vdb"}
    assert [file.name for file in traced.missing] == ["//gone"] * is_missing


def test_each_bake_of_nodes_brings_its_own_folder_and_packed_ones_nothing(project):
    blend = BlendBytes()
    bakes = blend.add(
        "DATA", "NodesModifierBake",
        {"id": 7}, {"id": 8, "flag": 2, "directory": blend.text(b"//own place")},
        {"id": 9, "packed": blend.add("DATA", "raw_data")}, {"id": 10, "bake_target": 1},
        {"id": 11, "bake_target": 2},
    )  # fmt: skip
    blend.modifier(
        NODES, "NodesModifierData", simulation_bake_directory=blend.text(b"//bakes/"), bakes=bakes
    )
    found = {f"{folder}/meta/000001.json" for folder in ("bakes/7", "own place", "bakes/11")}
    others = {f"bakes/{number}/meta/000001.json" for number in (8, 9, 10, 12)}
    top = project({"a.blend": blend, **dict.fromkeys(found | others, b"1")})
    traced = trace(top / "a.blend")
    assert (needed(traced), traced.missing) == (found, ())


def test_up_to_4_0_all_simulation_zones_of_a_modifier_have_one_folder(project):
    blend = BlendBytes()
    blend.structs["NodesModifierData"] = [
        ("ModifierData", "modifier"), ("void", "*simulation_bake_directory")
    ]  # fmt: skip
    blend.modifier(NODES, "NodesModifierData", simulation_bake_directory=blend.text(b"//sim"))
    top = project({"a.blend": blend, "sim/meta/000001.json": b"1", "sim/bdata/b.bdata": b"2"})
    assert needed(trace(top / "a.blend")) == {"sim/meta/000001.json", "sim/bdata/b.bdata"}


def test_an_external_point_cache_is_where_it_says(project):
    blend = BlendBytes()
    blend.add("DATA", "PointCache", flag=512, path=b"//caches")
    top = project({"a.blend": blend, "caches/x_000001_00.bphys": b"1", "caches/note.txt": b"2"})
    assert needed(trace(top / "a.blend")) == {"caches/x_000001_00.bphys"}


def test_a_linked_object_may_have_its_point_cache_beside_the_main_blend(project):
    library = BlendBytes()
    library.add("OB", "Object", id={"name": b"OBx"})
    library.add("DATA", "PointCache", flag=64 | 1 << 11)
    library.add("DATA", "PointCache", flag=64)
    blend = BlendBytes()
    blend.link("//lib/l.blend", "OBx")
    found = {"lib/blendcache_l/x_000001_00.bphys", "blendcache_a/x_000001_00.bphys"}
    others = {"lib/blendcache_a/x_000001_00.bphys", "blendcache_l/x_000001_00.bphys"}
    files = dict.fromkeys(found | others, b"1")
    top = project({"a.blend": blend, "lib/l.blend": library, **files})
    assert needed(trace(top / "a.blend")) == found | {"lib/l.blend"}


@pytest.mark.parametrize(("flag", "found"), [(1 << 14, {"w_L.png", "w_R.png"}), (0, {"w_L.png"})])
def test_a_stereo_image_has_one_for_each_eye(project, flag, found):
    blend = BlendBytes()
    blend.structs["Image"] = [*blend.structs["Image"], ("char", "views_format"), ("char", "_p[7]")]
    second = blend.add("DATA", "SceneRenderView", suffix=b"_R")
    first = blend.add("DATA", "SceneRenderView", suffix=b"_L", next=second)
    blend.scene(r={"scemode": 1 << 21, "views": {"first": first}})
    blend.image("//w_L.png", flag=flag)
    top = project({"a.blend": blend, "w_L.png": b"1", "w_R.png": b"2"})
    assert needed(trace(top / "a.blend")) == found


def test_a_script_brings_what_it_includes_and_blenders_own_headers_are_not_missing(project):
    blend = BlendBytes()
    script_node(1)(blend)
    blend.change(blend.blocks[0][2], filepath=b"//osl/a.osl")
    top = project(
        {
            "s/a.blend": blend,
            "s/osl/a.osl": b'#include <stdosl.h>\n # include "lib/b.h"\n// "c.h"\n',
            "s/osl/lib/b.h": b'#include "../deep.h"\n#include "b.h"',
            "s/osl/deep.h": b"",
            "s/osl/c.h": b"",
        }
    )
    traced = trace(top / "s/a.blend")
    assert needed(traced) == {"osl/a.osl", "osl/lib/b.h", "osl/deep.h"}
    assert (traced.missing, traced.notes) == ((), ())


def test_what_blender_names_is_joined_and_what_is_known_is_not_doubled(project):
    blend = BlendBytes()
    blend.image("//a_01.png", 2)
    top = project({"a.blend": blend, "a_01.png": b"1", "a_02.png": b"2", "new/kind.x": b"3"})
    main = top / "a.blend"
    asked = [
        Asked(main, b"//a_01.png", Many.ONE, "Image x"),
        Asked(main, b"//new/kind.x", Many.ONE, "Novelty x"),
        Asked(main, b"//gone.x", Many.ONE, "Novelty y"),
        Asked(main, b"//never baked", Many.FOLDER, "Novelty z"),
    ]
    traced = trace(main, asked)
    assert needed(traced) == {"a_01.png", "a_02.png", "new/kind.x"}
    assert traced.missing == (MissingFile("//gone.x", "a.blend"),)
    users = {file.relative: file.users for file in traced.files}
    assert users["new/kind.x"] == (User("a.blend", "Novelty x"),)
    assert users["a_02.png"] == (User("a.blend", "Image x"),)
    assert users["a.blend"] == ()


def test_all_users_of_a_file_are_known(project):
    blend = BlendBytes()
    for name in ("wood", "bark"):
        blend.add("IM", "Image", id={"name": f"IM{name}".encode()}, name=b"//t.png", source=1)
    top = project({"a.blend": blend, "t.png": b"1"})
    [file] = [file for file in trace(top / "a.blend").files if file.relative == "t.png"]
    assert file.users == (User("a.blend", "Image wood"), User("a.blend", "Image bark"))


@pytest.mark.parametrize(("kind", "found"), [(2, {"old/f_0001.bobj.gz"}), (4, set())])
def test_a_fluid_of_before_2_82_brings_the_folder_of_its_domain(project, kind, found):
    blend = BlendBytes(version=279)
    blend.structs["FluidsimModifierData"] = [("ModifierData", "modifier"), ("void", "*fss")]
    blend.structs["FluidsimSettings"] = [("short", "type"), ("char", "surfdataPath[240]")]
    settings = blend.add("DATA", "FluidsimSettings", type=kind, surfdataPath=b"//old/")
    blend.modifier(26, "FluidsimModifierData", fss=settings)
    top = project({"a.blend": blend, "old/f_0001.bobj.gz": b"1"})
    assert needed(trace(top / "a.blend")) == found


def test_the_point_cache_that_no_fluid_uses_is_not_told_of(project):
    blend = BlendBytes()
    blend.add("DATA", "PointCache", flag=64 | 1 << 12)
    traced = trace(project({"a.blend": blend}) / "a.blend")
    assert (traced.missing, traced.notes) == ((), ())


def test_a_sound_strip_counts_by_its_sound(project):
    blend = BlendBytes()
    blend.structs["Sequence"] = [*blend.structs["Sequence"], ("void", "*sound")]
    inside = blend.add("DATA", "raw_data")
    sound = blend.add("SO", "bSound", id={"name": b"SOx"}, name=b"//gone.wav", packedfile=inside)
    elements = blend.add("DATA", "StripElem", name=b"gone.wav")
    source = blend.add("DATA", "Strip", stripdata=elements, dir=b"//")
    strip = blend.add("DATA", "Sequence", type=4, strip=source, sound=sound)
    blend.scene(ed=blend.add("DATA", "Editing", seqbase={"first": strip}))
    assert trace(project({"a.blend": blend}) / "a.blend").missing == ()


def test_a_folder_that_is_closed_is_empty_and_a_file_is_no_folder(project):
    blend = BlendBytes()
    for folder in (b"//file", b"//file/in it"):
        domain = blend.add("DATA", "FluidDomainSettings", cache_flag=2, cache_directory=folder)
        blend.modifier(56, "FluidModifierData", domain=domain, type=1)
    blend.image("//file/f_01.png", 2)
    blend.image("//FILE/a.png")
    traced = trace(project({"a.blend": blend, "file": b"1"}) / "a.blend")
    assert len(traced.missing) == 4
