"""Names that are spelled otherwise than the file, come from other systems, or go through links."""

import os
import unicodedata

import pytest

from burst.scene import disk
from burst.scene.naming import asked_path, is_absolute, moved_path
from burst.scene.trace import trace
from tests.fakes.blend_bytes import BlendBytes, needed

SEQUENCE, TILED = 2, 6


def where(traced):
    return {file.relative: file.path for file in traced.files}


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("//Tex/Wood.PNG", "tex/wood.png"),
        ("//TEX\\sub\\..\\wood.png", "tex/wood.png"),
        ("//tex/b\xe4rk.png", "tex/ba\u0308rk.png"),
        ("//tex/ba\u0308RK.png", "tex/b\xe4rk.png"),
        ("//tex/stra\xdfe.png", "tex/STRASSE.png"),
        ("//tex/wood.png", "tex /wood.png "),
        ("//tex./wood.png", "tex/wood.png"),
    ],
)  # fmt: skip
def test_another_spelling_is_found_and_lies_under_the_name_that_is_asked_for(project, name, file):
    blend = BlendBytes()
    blend.image(name)
    top = project({"a.blend": blend, file: b"1"})
    traced = trace(top / "a.blend")
    asked = os.path.normpath(name.removeprefix("//").replace("\\", "/"))
    assert where(traced)[asked] == top / file
    assert traced.missing == ()


@pytest.mark.parametrize("name", ["tex /wood .png ", " wood.png", "wood.png."])
def test_spaces_and_dots_at_the_end_are_part_of_a_name(project, name):
    blend = BlendBytes()
    blend.image(f"//{name}")
    top = project({"a.blend": blend, name: b"1", "wood.png": b"2", "tex/wood.png": b"3"})
    assert where(trace(top / "a.blend"))[name] == top / name


def test_two_files_that_differ_by_case_or_normal_form_alone_are_kept_apart(project):
    names = ["t/Wood.png", "t/wood.png", "T/wood.png"]
    names += [unicodedata.normalize(form, "t/\xe4.png") for form in ("NFC", "NFD")]
    blend = BlendBytes()
    for name in names:
        blend.image(f"//{name}")
    top = project({"a.blend": blend, **{name: name.encode() for name in names}})
    assert {place: path.read_bytes() for place, path in where(trace(top / "a.blend")).items()} == {
        "a.blend": blend.bytes(), **{name: name.encode() for name in names}
    }  # fmt: skip


def test_runs_and_tiles_are_found_under_other_spellings(project):
    blend = BlendBytes()
    blend.image("//Run/Shot_0001.PNG", SEQUENCE)
    blend.image("//T.<UDIM>.png", TILED)
    files = ["run/shot_0001.png", "run/SHOT_0002.png", "run/shot_1.png", "t.1001.PNG"]
    top = project({"a.blend": blend, **dict.fromkeys(files, b"1")})
    assert needed(trace(top / "a.blend")) == {
        "Run/Shot_0001.PNG", "Run/Shot_0002.PNG", "T.1001.png"
    }  # fmt: skip


def test_a_library_of_another_spelling_has_its_textures_around_the_name_that_is_asked_for(project):
    library = BlendBytes()
    image = library.image("//tex/skin.png")
    library.add("OB", "Object", id={"name": b"OBx"}, data=image)
    blend = BlendBytes()
    blend.link("//Lib/Props.blend", "OBx")
    top = project({"a.blend": blend, "lib/props.blend": library, "lib/Tex/skin.png": b"1"})
    traced = trace(top / "a.blend")
    assert needed(traced) == {"Lib/Props.blend", "Lib/tex/skin.png"}
    assert where(traced)["Lib/tex/skin.png"] == top / "lib/Tex/skin.png"
    assert {file.relative: file.used_by for file in traced.files}["Lib/tex/skin.png"] == (
        "Lib/Props.blend"
    )


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"//a/../b.png", "/here/b.png"),
        (b"b.png", "/here/b.png"),
        (b"//../../../../b.png", "/b.png"),
        (b"/x//y/./b.png", "/x/y/b.png"),
        (b"C:\\Art\\b.png", "/c/Art/b.png"),
        (b"c:/Art/b.png", "/c/Art/b.png"),
        (b"\\\\nas\\art\\b.png", "//nas/art/b.png"),
        (b"//C:/b.png", "/here/C:/b.png"),
    ],
)
def test_a_name_is_looked_for_where_blender_does(name, path):
    assert asked_path(name, "/here") == path
    assert is_absolute(name) is not path.startswith(("/here", "/b"))


@pytest.mark.parametrize(
    ("name", "saved_as", "moved"),
    [
        (b"C:\\ada\\film\\tex\\a.png", b"C:\\ada\\film\\shot\\s.blend", "/p/tex/a.png"),
        (b"c:/ADA/film/shot/a.png", b"C:\\ada\\film\\shot\\s.blend", "/p/shot/a.png"),
        (b"/Volumes/art/film/tex/a.png", b"/Volumes/art/film/shot/s.blend", "/p/tex/a.png"),
        (b"\\\\nas\\art\\tex\\a.png", b"\\\\nas\\art\\shot\\s.blend", "/p/tex/a.png"),
        (b"D:\\art\\a.png", b"C:\\art\\s.blend", None),
        (b"/a.png", b"/b/s.blend", None),
        (b"/srv/a.png", b"/srv/1/2/3/4/s.blend", None),
        (b"/p/tex/a.png", b"/p/shot/s.blend", None),
        (b"/srv/a.png", b"", None),
    ],
)  # fmt: skip
def test_what_moved_with_its_blend_is_where_it_was_beside_it(name, saved_as, moved):
    assert moved_path(name, saved_as, "/p/shot") == moved


@pytest.mark.parametrize(
    "name", ["C:\\Users\\ada\\film\\tex\\a.png", "C:/Users/ada/film/TEX/a.png"]
)
def test_a_project_that_came_from_windows_is_whole(project, name):
    blend = BlendBytes()
    blend.add("GLOB", "FileGlobal", filename=b"C:\\Users\\ada\\film\\shot\\s.blend")
    blend.image(name)
    blend.image("//../tex/b.png")
    blend.image("\\\\nas\\gone.png")
    top = project({"shot/s.blend": blend, "tex/a.png": b"1", "tex/b.png": b"2"})
    traced = trace(top / "shot/s.blend")
    assert top / "tex/a.png" in where(traced).values()
    assert [file.name for file in traced.missing] == ["//nas/gone.png"]
    [note] = traced.notes
    assert note.startswith(f"{name} is not on this machine; {top}")


def test_a_library_that_moved_is_looked_into(project):
    library = BlendBytes()
    library.add("OB", "Object", id={"name": b"OBx"}, data=library.image("//skin.png"))
    blend = BlendBytes()
    blend.add("GLOB", "FileGlobal", filename=b"C:\\film\\shot\\s.blend")
    blend.link("C:\\film\\lib\\l.blend", "OBx")
    top = project({"shot/s.blend": blend, "lib/l.blend": library, "lib/skin.png": b"1"})
    traced = trace(top / "shot/s.blend")
    assert {path.name for path in where(traced).values()} == {"s.blend", "l.blend", "skin.png"}
    assert traced.missing == ()


def test_drives_and_shares_of_windows_are_found_where_they_are_mounted(project, monkeypatch):
    blend = BlendBytes()
    blend.image("D:\\Art\\a.png")
    blend.image("\\\\NAS\\art\\sub\\b.png")
    top = project({"a.blend": blend, "my d/Art/a.png": b"1", "nas/sub/b.png": b"2"})
    mounts = top / "mounts"
    mounts.write_text(
        f"D:\\134 {top}/my\\040d 9p rw 0 0\n//nas/art {top}/nas cifs rw 0 0\n"
        f"//nas/art/other {top} ext4 rw 0 0\nproc /proc\n"
    )
    monkeypatch.setattr(disk, "_MOUNTS", mounts)
    traced = trace(top / "a.blend")
    assert traced.missing == ()
    assert {path.name for path in where(traced).values()} == {"a.blend", "a.png", "b.png"}


def test_links_to_folders_are_followed_and_rings_of_them_end(project):
    blend = BlendBytes()
    domain = blend.add("DATA", "FluidDomainSettings", cache_flag=2, cache_directory=b"//linked")
    blend.modifier(56, "FluidModifierData", domain=domain, type=1)
    blend.image("//tex/a.png")
    top = project({"p/a.blend": blend, "real/data/d_0001.vdb": b"1", "far/a.png": b"2"})
    (top / "p/linked").symlink_to(top / "real")
    (top / "p/tex").symlink_to("../far")
    (top / "real/data/ring").symlink_to(top / "real")
    (top / "real/self").symlink_to("self")
    assert needed(trace(top / "p/a.blend")) == {"linked/data/d_0001.vdb", "tex/a.png"}


def test_a_blend_that_is_a_link_is_traced_where_the_link_lies(project):
    blend = BlendBytes()
    blend.image("//a.png")
    top = project({"real/s.blend": blend, "work/a.png": b"1"})
    (top / "work/s.blend").symlink_to("../real/s.blend")
    traced = trace(top / "work/s.blend")
    assert (traced.root, needed(traced), traced.missing) == (top / "work", {"a.png"}, ())


def test_no_name_of_a_folder_gets_into_the_plan_that_nothing_needs(project, tmp_path_factory):
    far = tmp_path_factory.mktemp("secret client")
    (far / "tex").mkdir()
    (far / "tex/a.1001.png").write_bytes(b"1")
    blend = BlendBytes()
    blend.image(f"{far}/tex/a.1001.png", TILED)
    traced = trace(project({"s.blend": blend}) / "s.blend")
    plan = repr((sorted(traced.mapping.items()), [file.relative for file in traced.files]))
    assert "secret" not in plan
    # Blender from 3.0 on asks for the second.
    assert sorted(place.rpartition("/")[2] for place in traced.mapping.values()) == [
        "a.1001.png", "a.<UDIM>.png"
    ]  # fmt: skip
