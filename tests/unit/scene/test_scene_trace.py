"""What a .blend needs, from bytes made by hand; real files are in the integration tests."""

import pytest

from burst.errors import SceneUnreadable
from burst.scene import tracer
from burst.scene.blend import open_blend
from burst.scene.trace import MissingFile, trace
from tests.fakes.blend_bytes import STRUCTS, BlendBytes, needed

SEQUENCE = 2
TILED = 6


def test_images_are_found_relatively_to_the_blend(project):
    blend = BlendBytes()
    blend.image("//../tex/wood grain.png")
    blend.image("//ünï/ß.png")
    blend.image("//windows\\slashes.png")
    files = {"tex/wood grain.png": b"1", "shot/ünï/ß.png": b"2", "shot/windows/slashes.png": b"3"}
    top = project({"shot/a.blend": blend, **files})
    traced = trace(top / "shot/a.blend")
    assert (traced.root, traced.main) == (top, "shot/a.blend")
    assert needed(traced) == set(files)
    assert traced.missing == ()


def test_an_absolute_name_is_kept_as_the_blend_has_it(project, tmp_path_factory):
    far = tmp_path_factory.mktemp("far")
    (far / "a.png").write_bytes(b"1")
    blend = BlendBytes()
    name = f"{far}/./sub\\../a.png"
    blend.image(name)
    top = project({"a.blend": blend})
    traced = trace(top / "a.blend")
    [file] = [file for file in traced.files if file.as_named]
    assert (file.as_named, file.path) == (name, far / "a.png")
    assert traced.outside == {name: file.relative}
    assert file.relative.startswith("outside/")


def test_what_is_missing_is_named_once_as_the_blend_names_it(project):
    blend = BlendBytes()
    for name in ("//gone.png", "C:\\art\\gone.png", "/nowhere/gone.png", "//gone.png", "//folder"):
        blend.image(name)
    top = project({"a.blend": blend, "folder/x": b"1"})
    names = ["//gone.png", "C:/art/gone.png", "/nowhere/gone.png", "//folder"]
    assert trace(top / "a.blend").missing == tuple(MissingFile(n, "a.blend") for n in names)


def test_empty_and_packed_and_generated_images_need_nothing(project):
    blend = BlendBytes()
    blend.image("")
    blend.image("//packed.png", packedfile=blend.add("DATA", "raw_data"))
    blend.image("//generated.png", source=4)
    top = project({"a.blend": blend})
    traced = trace(top / "a.blend")
    assert (needed(traced), traced.missing) == (set(), ())


def test_sequences_and_tiles_bring_all_their_files(project):
    blend = BlendBytes()
    blend.image("//run/f_01.png", SEQUENCE)
    blend.image("//t.<UDIM>.png", TILED)
    blend.image("//lost/f_01.png", SEQUENCE)
    files = ["run/f_01.png", "run/f_02.png", "t.1001.png", "t.1002.png"]
    top = project({"a.blend": blend, **dict.fromkeys(files, b"1")})
    traced = trace(top / "a.blend")
    assert needed(traced) == set(files)
    assert [file.name for file in traced.missing] == ["//lost/f_01.png"]


@pytest.mark.parametrize("folder", [b"//", b"//strips", b"//strips/"])
def test_each_image_of_a_strip_and_a_movie_in_the_blends_own_folder_is_found(project, folder):
    blend = BlendBytes()
    images = blend.add("DATA", "StripElem", {"name": b"b.png"}, {"name": b"a.png"})
    movie = blend.add("DATA", "StripElem", name=b"m.mp4")
    strips = 0
    for kind, data in ((0, images), (3, movie), (8, 0)):
        source = blend.add("DATA", "Strip", stripdata=data, dir=folder)
        strips = blend.add("DATA", "Sequence", type=kind, strip=source, next=strips)
    blend.scene(ed=blend.add("DATA", "Editing", seqbase={"first": strips}))
    place = folder.decode().strip("/")
    files = {f"{place}/{name}".strip("/") for name in ("a.png", "b.png", "m.mp4")}
    top = project({"a.blend": blend, **dict.fromkeys(files, b"1")})
    traced = trace(top / "a.blend")
    assert (needed(traced), traced.missing) == (files, ())


def library_with_textured_material(version, texture):
    blend = BlendBytes(version=version, new_header=version >= 500)
    image = blend.image(texture)
    tree = blend.add("DATA", "bNodeTree", nodes={"first": blend.add("DATA", "bNode", id=image)})
    material = blend.add("MA", "Material", id={"name": b"MAwood"}, nodetree=tree)
    pointers = blend.add("DATA", "Pointer", to=material)
    mesh = blend.add("ME", "Mesh", id={"name": b"MEbox"}, mat=pointers, totcol=1)
    return blend, blend.add("OB", "Object", id={"name": b"OBbox"}, data=mesh)


@pytest.mark.parametrize("version", [304, 500, 502])
def test_textures_of_linked_materials_are_found_in_every_version(project, version):
    library, _ = library_with_textured_material(version, "//wood.png")
    library.structs["Pointer"] = [("void", "*to")]
    library.image("//needed by nobody.png")
    blend = BlendBytes(version=version, new_header=version >= 500)
    blend.link("//lib/props.blend", "OBbox")
    top = project({"a.blend": blend, "lib/props.blend": library, "lib/wood.png": b"1"})
    traced = trace(top / "a.blend")
    assert needed(traced) == {"lib/props.blend", "lib/wood.png"}
    assert traced.missing == ()
    assert {f.relative: f.used_by for f in traced.files}["lib/wood.png"] == "lib/props.blend"


def test_libraries_of_libraries_are_found_through_parents(project):
    deep, _ = library_with_textured_material(304, "//deep.png")
    deep.structs["Pointer"] = [("void", "*to")]
    props = BlendBytes()
    parent = props.link("//../deep.blend", "OBbox")
    props.add("OB", "Object", id={"name": b"OBprop"}, parent=parent)
    blend = BlendBytes()
    blend.link("//lib/props.blend", "OBprop")
    top = project(
        {"a.blend": blend, "lib/props.blend": props, "deep.blend": deep, "deep.png": b"1"}
    )
    assert needed(trace(top / "a.blend")) == {"lib/props.blend", "deep.blend", "deep.png"}


def test_a_missing_library_is_missing_and_the_rest_is_found(project):
    blend = BlendBytes()
    blend.link("//gone.blend", "OBx")
    blend.image("//a.png")
    top = project({"a.blend": blend, "a.png": b"1"})
    traced = trace(top / "a.blend")
    assert (needed(traced), [f.name for f in traced.missing]) == ({"a.png"}, ["//gone.blend"])


def test_libraries_that_link_each_other_end(project):
    one, two = BlendBytes(), BlendBytes()
    for blend, other in ((one, "two"), (two, "one")):
        linked = blend.link(f"//{other}.blend", f"OB{other}")
        own = "one" if blend is one else "two"
        blend.add("OB", "Object", id={"name": f"OB{own}".encode()}, parent=linked)
    top = project({"one.blend": one, "two.blend": two})
    assert needed(trace(top / "one.blend")) == {"two.blend"}


def test_a_damaged_library_is_refused_by_its_own_name(project):
    blend = BlendBytes()
    blend.link("//lib.blend", "OBx")
    top = project({"a.blend": blend, "lib.blend": BlendBytes().bytes()[:-60]})
    with pytest.raises(SceneUnreadable, match=r"lib\.blend is damaged"):
        trace(top / "a.blend")


def test_data_packed_into_the_file_does_not_need_its_library(project):
    blend = BlendBytes(version=500, new_header=True)
    blend.structs = {
        **STRUCTS, "Library": [*STRUCTS["Library"], ("void", "*archive_parent_library")]
    }  # fmt: skip
    parent = blend.add("LI", "Library", id={"name": b"LIa"}, name=b"//lib/gone.blend")
    archive = blend.add(
        "LI", "Library", id={"name": b"LIb"}, name=b"//lib/gone.blend", flag=1,
        archive_parent_library=parent,
    )  # fmt: skip
    blend.add("IM", "Image", id={"name": b"IMx", "lib": archive}, name=b"//a.png", source=1)
    top = project({"a.blend": blend, "lib/a.png": b"1"})
    traced = trace(top / "a.blend")
    assert (needed(traced), traced.missing) == ({"lib/a.png"}, ())


@pytest.mark.parametrize(("flag", "is_missing"), [(64, False), (64 | 1, True), (0, False)])
def test_a_lacking_point_cache_is_missing_only_if_it_was_baked(project, flag, is_missing):
    blend = BlendBytes()
    blend.add("DATA", "PointCache", flag=flag)
    traced = trace(project({"a.blend": blend}) / "a.blend")
    assert bool(traced.missing) is is_missing
    assert bool(traced.notes) is (flag == 64)


def test_point_caches_on_disk_are_found_beside_the_blend(project):
    blend = BlendBytes()
    blend.add("DATA", "PointCache", flag=64)
    cache = "blendcache_my shot/4F42_000001_00.bphys"
    top = project({"my shot.blend": blend, cache: b"1", "blendcache_other/x.bphys": b"2"})
    assert needed(trace(top / "my shot.blend")) == {cache}


def test_external_files_of_light_nodes_are_found(project):
    blend = BlendBytes()
    nodes = 0
    for mode, name in ((1, b"//lamp.ies"), (0, b"//text inside")):
        storage = blend.add("DATA", "NodeShaderTexIES", mode=mode, filepath=name)
        nodes = blend.add("DATA", "bNode", storage=storage, next=nodes)
    blend.add("NT", "bNodeTree", id={"name": b"NTx"}, nodes={"first": nodes})
    top = project({"a.blend": blend, "lamp.ies": b"1"})
    traced = trace(top / "a.blend")
    assert (needed(traced), traced.missing) == ({"lamp.ies"}, ())


def test_a_file_from_before_2_50_is_traced(project):
    blend = BlendBytes(version=248, pointer_bytes=4)
    blend.scene()
    blend.image("//tex.png")
    top = project({"a.blend": blend, "tex.png": b"1"})
    traced = trace(top / "a.blend")
    assert needed(traced) == {"tex.png"}
    [note] = traced.notes
    assert note.startswith("a.blend was saved by Blender 2.48, which is older than burst knows")


def test_links_are_kept_where_they_are_and_broken_ones_are_missing(project):
    blend = BlendBytes()
    blend.image("//link.png")
    blend.image("//broken.png")
    top = project({"shot/a.blend": blend, "real.png": b"1"})
    (top / "shot/link.png").symlink_to(top / "real.png")
    (top / "shot/broken.png").symlink_to(top / "gone.png")
    traced = trace(top / "shot/a.blend")
    assert (traced.root, needed(traced)) == (top / "shot", {"link.png"})
    assert [file.name for file in traced.missing] == ["//broken.png"]


def test_a_name_that_is_not_utf_8_is_found(project):
    """It is refused with all others that can't be used, by `check_names`."""
    blend = BlendBytes()
    blend.image(b"//caf\xe9.png")
    top = project({"a.blend": blend, "caf\udce9.png": b"1"})
    assert needed(trace(top / "a.blend")) == {"caf\udce9.png"}


def test_a_missing_file_is_a_list_of_its_users(project):
    blend = BlendBytes()
    for name in (b"IMa", b"IMb"):
        blend.add("IM", "Image", id={"name": name}, name=b"//gone.png", source=1)
    [missing] = trace(project({"a.blend": blend}) / "a.blend").missing
    assert missing.blocks == ("Image a", "Image b")


def chain_of_libraries(count):
    files = {}
    for number in range(count):
        blend = BlendBytes()
        image = blend.image(f"//{number}.png")
        linked = blend.link(f"//{number + 1}.blend", "OBx") if number + 1 < count else 0
        blend.add("OB", "Object", id={"name": b"OBx"}, data=image, parent=linked)
        blend.link("//0.blend", "OBx")
        files |= {f"{number}.blend": blend, f"{number}.png": b"1"}
    return files


@pytest.mark.parametrize(("open_files", "times"), [(200, 1), (1, 4)])
def test_each_library_is_read_once_and_few_are_open_at_a_time(
    project, monkeypatch, open_files, times
):
    opened = []

    def open_and_count(path):
        opened.append(path)
        return open_blend(path)

    monkeypatch.setattr(tracer, "open_blend", open_and_count)
    monkeypatch.setattr(tracer, "_OPEN_FILES", open_files)
    files = chain_of_libraries(12)
    top = project(files)
    assert needed(trace(top / "0.blend")) == set(files) - {"0.blend"}
    assert max(map(opened.count, opened)) <= times


def test_files_of_one_blender_share_what_describes_them(project):
    top = project(chain_of_libraries(2))
    with open_blend(top / "0.blend") as one, open_blend(top / "1.blend") as other:
        assert one.structs is other.structs
