"""Where files go in a scene; names only, no disk."""

from pathlib import Path

from burst.scene.placing import Claim, place

MAIN = Path("/proj/shots/s1.blend")


def relative(owner, *files):
    paths = tuple(Path(file) for file in files)
    return Claim(Path(owner), paths[0], None, paths)


def absolute(owner, *files, name=None):
    paths = tuple(Path(file) for file in files)
    return Claim(Path(owner), Path(name or files[0]), name or files[0], paths)


def places(placed):
    return {where: str(path) for where, path in placed.files.items()}


def test_a_lone_blend_is_its_own_root():
    placed = place(MAIN, [])
    assert (placed.root, places(placed)) == (Path("/proj/shots"), {"s1.blend": str(MAIN)})


def test_the_root_is_the_deepest_folder_of_all_that_is_named_relatively():
    placed = place(MAIN, [relative(MAIN, "/proj/tex/a.png"), relative(MAIN, "/proj/shots/b.png")])
    assert placed.root == Path("/proj")
    assert sorted(placed.files) == ["shots/b.png", "shots/s1.blend", "tex/a.png"]
    assert placed.outside == {}


def test_an_absolute_name_below_the_root_keeps_its_place():
    claims = [relative(MAIN, "/proj/tex/a.png"), absolute(MAIN, "/proj/tex/b.png")]
    placed = place(MAIN, claims)
    assert placed.outside == {"/proj/tex/b.png": "tex/b.png"}
    assert "tex/b.png" in placed.files


def test_an_absolute_name_elsewhere_goes_outside_without_its_folders_name():
    placed = place(MAIN, [absolute(MAIN, "/home/ada/secret/a.png")])
    where = placed.outside["/home/ada/secret/a.png"]
    first, digest, name = where.split("/")
    assert (first, len(digest), name) == ("outside", 8, "a.png")
    assert places(placed)[where] == "/home/ada/secret/a.png"
    assert placed.root == Path("/proj/shots")


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
    placed = place(MAIN, [Claim(claim.owner, Path("/c/sim"), "/c/sim/", claim.files)])
    folder = placed.outside["/c/sim/"]
    assert {f"{folder}/data/1.vdb", f"{folder}/mesh/1.gz"} < set(placed.files)


def test_a_library_elsewhere_keeps_what_it_names_around_it():
    library = "/lib/chars/bob.blend"
    placed = place(MAIN, [absolute(MAIN, library), relative(library, "/lib/tex/skin.png")])
    where = placed.outside[library]
    assert where.endswith("/chars/bob.blend")
    assert where.replace("chars/bob.blend", "tex/skin.png") in placed.files


def test_a_library_below_the_root_may_push_the_root_up():
    library = "/proj/lib/a.blend"
    claims = [
        relative(MAIN, "/proj/tex.png"),
        absolute(MAIN, library),
        relative(library, "/common/b.png"),
    ]
    placed = place(MAIN, claims)
    assert placed.root == Path("/")
    assert sorted(placed.files) == [
        "common/b.png", "proj/lib/a.blend", "proj/shots/s1.blend", "proj/tex.png"
    ]  # fmt: skip


def test_missing_files_do_not_widen_the_root():
    claims = [Claim(MAIN, Path("/gone/a.png"), None, ()), Claim(MAIN, Path("/b"), "/b", ())]
    placed = place(MAIN, claims)
    assert (placed.root, placed.outside) == (Path("/proj/shots"), {})


def test_names_that_differ_by_case_are_two_files():
    claims = [relative(MAIN, "/proj/shots/Tex.png"), relative(MAIN, "/proj/shots/tex.png")]
    assert {"Tex.png", "tex.png"} < set(place(MAIN, claims).files)
