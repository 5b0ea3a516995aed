"""Where files go in a scene; names only, no disk."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burst.scene.placing import Claim, place

MAIN = "/srv/art/proj/shots/s1.blend"


def relative(owner, *files, up=0):
    return Claim(owner, files[0], None, files, up)


def absolute(owner, *files, name=None):
    return Claim(owner, name or files[0], name or files[0], files)


def places(placed):
    return dict(placed.files)


def test_a_lone_blend_is_its_own_root():
    placed = place(MAIN, [])
    assert (placed.root, places(placed)) == (Path("/srv/art/proj/shots"), {"s1.blend": MAIN})


def test_the_root_is_the_deepest_folder_of_all_that_is_named_relatively():
    placed = place(
        MAIN,
        [relative(MAIN, "/srv/art/proj/tex/a.png"), relative(MAIN, "/srv/art/proj/shots/b.png")],
    )
    assert placed.root == Path("/srv/art/proj")
    assert sorted(placed.files) == ["shots/b.png", "shots/s1.blend", "tex/a.png"]
    assert placed.outside == {}


def test_an_absolute_name_below_the_root_keeps_its_place():
    claims = [
        relative(MAIN, "/srv/art/proj/tex/a.png"),
        absolute(MAIN, "/srv/art/proj/tex/b.png"),
    ]
    placed = place(MAIN, claims)
    assert placed.outside == {"/srv/art/proj/tex/b.png": "tex/b.png"}
    assert "tex/b.png" in placed.files


def test_an_absolute_name_elsewhere_goes_outside_without_its_folders_name():
    placed = place(MAIN, [absolute(MAIN, "/home/ada/secret/a.png")])
    where = placed.outside["/home/ada/secret/a.png"]
    first, digest, name = where.split("/")
    assert (first, len(digest), name) == ("outside", 8, "a.png")
    assert places(placed)[where] == "/home/ada/secret/a.png"
    assert placed.root == Path("/srv/art/proj/shots")


def test_files_of_one_folder_stay_together_and_equal_names_of_two_do_not_clash():
    names = ["/a/x.png", "/a/y.png", "/b/x.png"]
    outside = place(MAIN, [absolute(MAIN, name) for name in names]).outside
    x, y, other = (outside[name] for name in names)
    assert x.rpartition("/")[0] == y.rpartition("/")[0] != other.rpartition("/")[0]


def test_a_pattern_elsewhere_is_one_name_for_its_files():
    claim = absolute(MAIN, "/t/a.1001.png", "/t/a.1002.png", name="/t/a.<UDIM>.png")
    placed = place(MAIN, [claim])
    pattern = placed.outside["/t/a.<UDIM>.png"]
    assert pattern.endswith("/a.<UDIM>.png")
    folder = pattern.rpartition("/")[0]
    assert {f"{folder}/a.1001.png", f"{folder}/a.1002.png"} < set(placed.files)


def test_a_folder_elsewhere_keeps_its_tree():
    claim = absolute(MAIN, "/c/sim/data/1.vdb", "/c/sim/mesh/1.gz", name="/c/sim/")
    placed = place(MAIN, [Claim(claim.owner, "/c/sim", "/c/sim/", claim.files)])
    folder = placed.outside["/c/sim/"]
    assert {f"{folder}/data/1.vdb", f"{folder}/mesh/1.gz"} < set(placed.files)


def test_a_library_elsewhere_keeps_what_it_names_around_it():
    library = "/lib/chars/bob.blend"
    placed = place(MAIN, [absolute(MAIN, library), relative(library, "/lib/tex/skin.png", up=1)])
    where = placed.outside[library]
    # Nothing climbs down into the folder of the library, so that nobody needs its name.
    assert where.endswith("/_/bob.blend")
    assert where.replace("_/bob.blend", "tex/skin.png") in placed.files


def test_a_library_below_the_root_may_push_the_root_up():
    library = "/srv/art/proj/lib/a.blend"
    claims = [
        relative(MAIN, "/srv/art/proj/tex.png", up=1),
        absolute(MAIN, library),
        relative(library, "/srv/art/b.png", up=2),
    ]
    placed = place(MAIN, claims)
    assert placed.root == Path("/srv/art")
    assert sorted(placed.files) == [
        "b.png", "proj/lib/a.blend", "proj/shots/s1.blend", "proj/tex.png"
    ]  # fmt: skip


def test_a_name_that_climbs_out_of_the_project_tells_no_folder_that_it_climbs_through():
    main = "/home/ada/secret/shots/s1.blend"
    claims = [
        relative(main, "/srv/wood/a.png", up=4),
        relative(main, "/home/ada/secret/tex/b.png", up=1),
        relative(main, "/home/ada/secret/shots/_/c.png"),
        absolute(main, "/opt/hdri/d.exr"),
        absolute(main, "/home/ada/secret/tex/b.png"),
    ]
    placed = place(main, claims)
    assert placed.root == Path("/")
    own, other = "_/_/_/_/", placed.outside["/opt/hdri/d.exr"]
    assert other.startswith("outside/")
    assert places(placed) == {
        f"{own}s1.blend": main,
        "srv/wood/a.png": "/srv/wood/a.png",
        "_/_/_/tex/b.png": "/home/ada/secret/tex/b.png",
        f"{own}_/c.png": "/home/ada/secret/shots/_/c.png",
        other: "/opt/hdri/d.exr",
    }
    assert placed.outside["/home/ada/secret/tex/b.png"] == "_/_/_/tex/b.png"


def test_a_nameless_folder_is_not_taken_for_one_that_is_called_so():
    main, library = "/home/ada/a/s.blend", "/home/ada/b/l.blend"
    claims = [
        relative(main, "/home/x.png", up=2),
        relative(main, "/home/ada/_/y.png", up=1),
        relative(main, library, up=1),
        relative(library, "/home/ada/z.png", up=1),
    ]
    assert sorted(places(place(main, claims))) == [
        "_/_/y.png", "_/_2/s.blend", "_/b/l.blend", "_/z.png", "x.png"
    ]  # fmt: skip


@pytest.mark.parametrize("folder", ["/srv/art/proj/shots", "/srv/art/proj", "/srv"])
def test_a_folder_around_the_blend_can_be_a_cache_of_its_own_name(folder):
    claim = absolute(MAIN, f"{folder}/x_1.vdb", name=folder)
    placed = place(MAIN, [claim, relative(MAIN, "/srv/art/proj/shots/t.png")])
    assert f"{placed.outside[folder]}/x_1.vdb" in placed.files


def test_missing_files_do_not_widen_the_root():
    claims = [Claim(MAIN, "/gone/a.png", None, ()), Claim(MAIN, "/b", "/b", ())]
    placed = place(MAIN, claims)
    assert (placed.root, placed.outside) == (Path("/srv/art/proj/shots"), {})


def test_names_that_differ_by_case_are_two_files():
    claims = [
        relative(MAIN, "/srv/art/proj/shots/Tex.png"),
        relative(MAIN, "/srv/art/proj/shots/tex.png"),
    ]
    assert {"Tex.png", "tex.png"} < set(place(MAIN, claims).files)


def test_a_name_that_climbs_and_comes_back_keeps_room_to_climb():
    claims = [relative(MAIN, "/srv/art/proj/shots/a.png", up=2)]
    placed = place(MAIN, claims)
    assert placed.root == Path("/srv/art")
    assert sorted(placed.files) == ["proj/shots/a.png", "proj/shots/s1.blend"]


def test_a_name_may_climb_on_at_the_top_of_the_disk():
    claims = [relative(MAIN, "/mnt/a.png", up=6), relative(MAIN, "/mnt/b.png", up=4)]
    placed = place(MAIN, claims)
    main = next(where for where, path in placed.files.items() if path == MAIN)
    assert main == "_/_/_/_/_/_/s1.blend"
    assert placed.files["mnt/a.png"] == "/mnt/a.png"
    assert placed.files["_/_/mnt/b.png"] == "/mnt/b.png"


FOLDERS = st.lists(st.sampled_from(["a", "_", "home", "work"]), max_size=4)
NAMES = st.tuples(st.integers(0, 6), FOLDERS, st.sampled_from(["x.png", "_", "l.blend"]))


@settings(max_examples=300, deadline=None)
@given(FOLDERS, st.lists(NAMES, max_size=6), st.lists(NAMES, max_size=4), st.booleans())
def test_every_name_leads_in_the_scene_to_the_file_that_it_led_to(
    folder, names, names_of_library, is_absolute
):
    main = "/" + "/".join([*folder, "s.blend"])
    library = "/".join(["", *folder, "lib", "own.blend"])
    claims = [absolute(main, library) if is_absolute else relative(main, library)]
    for owner, named in ((main, names), (library, names_of_library)):
        for up, down, name in named:
            # One name is a file or a folder, not both.
            path = os.path.normpath(
                f"{owner.rpartition('/')[0]}/{'../' * up}{'/'.join(down)}/f-{name}"
            )
            claims.append(relative(owner, "/" + path.lstrip("/"), up=up))
    placed = place(main, claims)
    of = {path: where for where, path in placed.files.items() if path in (main, library)}
    for claim, (up, down, name) in zip(claims[1:], names + names_of_library, strict=True):
        start = of[claim.owner].rpartition("/")[0]
        asked = os.path.normpath("/".join([start or ".", *[".."] * up, *down, f"f-{name}"]))
        assert placed.files[asked] == claim.named
