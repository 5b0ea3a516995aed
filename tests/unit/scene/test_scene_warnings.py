"""What an artist is warned of before an upload, from bytes made by hand."""

import os

import pytest

from burst.scene.trace import trace
from burst.scene.warnings import UNUSED_BYTES
from tests.fakes.blend_bytes import BlendBytes

FLUID, NODES, CLOTH = 56, 57, 22
BAKED, ON_DISK = 1, 64


def object_name(name):
    return name.encode().hex().upper()


@pytest.fixture
def sparse(project):
    """Write a scene, and caches of so many bytes that take no room."""

    def write(blend, sizes, old=False):
        top = project({"s.blend": blend, **dict.fromkeys(sizes, b"")})
        for place, size in sizes.items():
            os.truncate(top / place, size)
            if old:
                os.utime(top / place, (1_000_000, 1_000_000))
        return trace(top / "s.blend").warnings

    return write


def with_point_cache(flag=BAKED | ON_DISK, **values):
    blend = BlendBytes()
    blend.scene(r={"sfra": 10, "efra": 20})
    blend.add("OB", "Object", id={"name": b"OBdust"})
    blend.add("DATA", "PointCache", flag=flag, **values)
    return blend


def cache(name, frame):
    return f"blendcache_s/{name}_{frame:06}_00.bphys"


def test_an_ordinary_scene_has_no_warning(sparse):
    blend = with_point_cache()
    blend.image("//a.png")
    assert sparse(blend, {cache(object_name("dust"), 10): 5, "a.png": UNUSED_BYTES * 9}) == ()


def test_gigabytes_of_frames_that_no_scene_shows_are_told_of(sparse):
    name = object_name("dust")
    sizes = {cache(name, 21): UNUSED_BYTES * 9, cache(name, 22): UNUSED_BYTES, cache(name, 8): 1}
    [warning] = sparse(with_point_cache(), sizes)
    assert warning == (
        "0.3 GB of the cache //blendcache_s are of frames outside of 10-20: "
        "delete them if nothing needs them"
    )


def test_a_few_megabytes_are_not_worth_a_word(sparse):
    assert sparse(with_point_cache(), {cache(object_name("dust"), 99): UNUSED_BYTES - 1}) == ()


def test_gigabytes_of_objects_that_are_gone_are_told_of(sparse):
    names = [object_name(name) for name in ("smoke", "fire", "ash", "ember")]
    sizes = {cache(name, 12): UNUSED_BYTES for name in names}
    [warning] = sparse(with_point_cache(), {**sizes, cache(object_name("dust"), 12): UNUSED_BYTES})
    assert warning == (
        "1.1 GB of the cache //blendcache_s belong to nothing in s.blend "
        "(ash, ember, fire and 1 more): delete them"
    )


def test_a_cache_with_a_name_of_its_own_is_no_stranger(sparse):
    assert sparse(with_point_cache(name=b"my bake"), {cache("my bake", 12): UNUSED_BYTES}) == ()


@pytest.mark.parametrize(
    "place", ["smoke/data/fluid_data_0031.vdb", "smoke/mesh/lMesh_0031.bobj.gz"]
)
def test_unused_frames_of_a_fluid_are_told_of(sparse, place):
    blend = with_point_cache(flag=0)
    domain = blend.add(
        "DATA", "FluidDomainSettings", cache_flag=42, cache_type=2, cache_directory=b"//smoke"
    )  # fmt: skip
    blend.modifier(FLUID, "FluidModifierData", domain=domain, type=1)
    [warning] = sparse(blend, {place: UNUSED_BYTES, "smoke/config/config_0012.uni": 1})
    assert "of the cache //smoke are of frames outside of 10-20" in warning


def with_bake_of_nodes(flag=0):
    blend = with_point_cache(flag=0)
    bakes = blend.add("DATA", "NodesModifierBake", id=7)
    folder = blend.text(b"//bakes")
    blend.modifier(NODES, "NodesModifierData", simulation_bake_directory=folder, bakes=bakes)
    return blend


@pytest.mark.parametrize(
    ("blend", "place", "name"),
    [
        (with_point_cache(), cache(object_name("dust"), 12), "//blendcache_s"),
        (with_bake_of_nodes(), "bakes/7/meta/000012.json", "//bakes/7"),
    ],
)
def test_a_baked_cache_that_is_older_than_its_blend_is_told_of(sparse, blend, place, name):
    assert sparse(blend, {place: 5}, old=True) == (
        f"the baked cache {name} is older than s.blend: bake it again if what it simulates "
        "was changed since",
    )


def test_a_cache_that_is_not_baked_may_be_as_old_as_it_likes(sparse):
    blend = with_point_cache(flag=ON_DISK)
    assert sparse(blend, {cache(object_name("dust"), 12): 5}, old=True) == ()


@pytest.mark.parametrize(("number", "kind"), [(24, "FFMPEG"), (16, "AVI_JPEG"), (17, "")])
def test_a_video_format_is_told_of(sparse, number, kind):
    blend = BlendBytes()
    blend.scene(r={"imtype": number, "im_format": {"imtype": number}})
    found = sparse(blend, {})
    assert [f"is a video ({kind})" in warning for warning in found] == [True] * bool(kind)


@pytest.mark.parametrize(
    ("output", "is_told"),
    [
        (b"/tmp/", False), (b"//out/", False), (b"//", False), (b"/home/ada/out/f_", True),
        (b"C:\\out\\f_", True), (b"\\\\nas\\out\\", True),
    ],
)  # fmt: skip
def test_an_absolute_output_path_is_told_of(sparse, output, is_told):
    blend = BlendBytes()
    blend.scene(r={"pic": output})
    assert [
        warning.startswith(f"the output path {output.decode()} of s.blend is absolute")
        for warning in sparse(blend, {})
    ] == [True] * is_told


def test_an_unbaked_simulation_is_told_of(sparse):
    blend = BlendBytes()
    cloth = [("ModifierData", "modifier"), ("void", "*point_cache")]
    blend.structs["ClothModifierData"] = cloth
    own = blend.add("DATA", "PointCache", flag=0)
    flag = blend.modifier(CLOTH, "ClothModifierData", point_cache=own)
    blend.scene(camera=flag)
    [warning] = sparse(blend, {})
    assert warning.startswith("Cloth on 'thing' is not baked")
    blend.change(own, flag=BAKED)
    assert sparse(blend, {}) == ()


def test_of_a_library_nothing_is_rendered_so_nothing_is_said(sparse):
    assert sparse(with_bake_of_nodes(), {}) == ()
    blend = BlendBytes()
    blend.modifier(NODES, "NodesModifierData")
    assert sparse(blend, {}) == ()
