"""Damaged and cut files: refused by a sentence or traced, never a traceback, never for ever."""

import gzip

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burst.errors import SceneError, SceneUnreadable
from burst.scene.trace import trace
from tests.fakes.blend_bytes import BlendBytes

MOST_SECONDS = 20


def of_all_kinds(new_header=False):
    """Return a .blend that has something for each reader to follow."""
    blend = BlendBytes(version=500 if new_header else 304, new_header=new_header)
    view = blend.add("DATA", "SceneRenderView", suffix=b"_L")
    elements = blend.add("DATA", "StripElem", {"name": b"a.png"}, {"name": b"b.png"})
    source = blend.add("DATA", "Strip", stripdata=elements, dir=b"//")
    strip = blend.add("DATA", "Sequence", type=0, strip=source)
    editor = blend.add("DATA", "Editing", seqbase={"first": strip})
    blend.add("GLOB", "FileGlobal", filename=b"C:\\x\\y\\z.blend")
    blend.image("//a_01.png", 2, flag=1 << 14)
    blend.image("C:\\x\\t.<UDIM>.png", 6)
    value = blend.add("DATA", "bNodeSocketValueString", value=b"//a.obj")
    socket = blend.add("DATA", "bNodeSocket", default_value=value)
    node = blend.add("DATA", "bNode", idname=b"GeometryNodeImportOBJ", inputs={"first": socket})
    blend.add("NT", "bNodeTree", id={"name": b"NTx"}, nodes={"first": node})
    bakes = blend.add("DATA", "NodesModifierBake", {"id": 1}, {"id": 2, "flag": 2})
    folder = blend.text(b"//bakes")
    blend.modifier(57, "NodesModifierData", simulation_bake_directory=folder, bakes=bakes)
    domain = blend.add("DATA", "FluidDomainSettings", cache_flag=2, cache_directory=b"//smoke")
    blend.modifier(56, "FluidModifierData", domain=domain, type=1)
    blend.add("DATA", "PointCache", flag=64)
    blend.link("//lib.blend", "OBx")
    blend.scene(ed=editor, r={"views": {"first": view}, "scemode": 1 << 21})
    return blend.bytes()


PLAIN = of_all_kinds()
VARIANTS = [PLAIN, of_all_kinds(new_header=True)]
LIBRARY = BlendBytes()
LIBRARY.add("OB", "Object", id={"name": b"OBx"}, data=LIBRARY.image("//b.png"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("damaged")
    (top / "lib.blend").write_bytes(LIBRARY.bytes())
    for name in ("a_01.png", "a.png", "b.png", "a.obj"):
        (top / name).write_bytes(b"1")
    return top


def traced_or_refused(path):
    try:
        traced = trace(path)
    except SceneError:
        return None
    assert traced.main
    return traced


def test_the_whole_file_is_traced(folder):
    for content in VARIANTS:
        (folder / "whole.blend").write_bytes(content)
        traced = traced_or_refused(folder / "whole.blend")
        assert traced is not None
        assert {file.path.name for file in traced.files} == {
            "whole.blend", "lib.blend", "a_01.png", "a.png", "b.png", "a.obj"
        }  # fmt: skip


@settings(
    max_examples=400, deadline=MOST_SECONDS * 1000,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(st.data())
def test_flipped_bytes_and_cuts_never_get_through_as_a_traceback(folder, data):
    content = bytearray(data.draw(st.sampled_from(VARIANTS)))
    for _ in range(data.draw(st.integers(0, 8))):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] = data.draw(st.sampled_from([0, 1, 2, 127, 128, 255, 65]))
    end = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    path = folder / "a.blend"
    path.write_bytes(content[:end])
    traced_or_refused(path)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.3, 0.7, 0.999, 1.0])
def test_a_compressed_file_that_is_cut_is_refused(folder, pack, kept):
    packed = pack(PLAIN)
    path = folder / "packed.blend"
    path.write_bytes(packed[: int(len(packed) * kept)])
    if kept == 1.0:
        assert traced_or_refused(path) is not None
        return
    with pytest.raises(SceneUnreadable, match=r"packed\.blend"):
        trace(path)


def test_lists_that_bite_their_tails_and_strips_that_hold_themselves_end(project):
    blend = BlendBytes()
    blend.structs["Sequence"] = [*blend.structs["Sequence"], ("ListBase", "seqbase")]
    strip = blend.add("DATA", "Sequence", type=1)
    blend.change(strip, next=strip, seqbase={"first": strip})
    blend.scene(ed=blend.add("DATA", "Editing", seqbase={"first": strip}))
    modifier = blend.add("DATA", "MeshCacheModifierData", modifier={"type": 46})
    blend.change(modifier, modifier={"type": 46, "next": modifier}, filepath=b"//gone.mdd")
    blend.add("OB", "Object", id={"name": b"OBx"}, modifiers={"first": modifier})
    traced = trace(project({"a.blend": blend}) / "a.blend")
    assert [file.name for file in traced.missing] == ["//gone.mdd"]


def test_an_array_that_counts_more_than_it_has_ends(project):
    blend = BlendBytes()
    bakes = blend.add("DATA", "NodesModifierBake", id=1)
    folder = blend.text(b"//bakes")
    blend.modifier(57, "NodesModifierData", simulation_bake_directory=folder, bakes=bakes)
    content = bytearray(blend.bytes())
    head = content.index(b"DATA")
    # The last number of a block's head is its count.
    content[head + 20 : head + 24] = (1 << 30).to_bytes(4, "little")
    traced = trace(project({"a.blend": bytes(content)}) / "a.blend")
    assert [note for note in traced.notes if "//bakes/1" in note]


def test_a_file_that_is_too_old_to_be_read_is_said_to_be_that(project):
    old = BlendBytes(version=241, pointer_bytes=4)
    old.scene()
    content = old.bytes()
    top = project({"a.blend": content[: content.index(b"DNA1")] + b"ENDB" + bytes(16)})
    with pytest.raises(
        SceneUnreadable, match=r"a\.blend was saved by Blender 2\.41, which is older"
    ):
        trace(top / "a.blend")
