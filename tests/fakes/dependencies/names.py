"""Cases of names: absolute, above the scene's folder, of Windows, of other case, by links."""

from __future__ import annotations

import shutil

import bpy
from dependencies.pictures import MIXED_LATER
from dependencies.scenery import Case, a_font, image, link, quad, show, start, tiles, two_tiles

LOST = "Blender itself does not find it here"


def absolute(case: Case) -> None:
    """Everything by an absolute path, far from the scene."""
    away = "home/anna/secret project"
    start()
    case.png(f"{away}/lib/tex/bärk.png")
    quad("tree", image("//tex/bärk.png"))
    case.save(f"{away}/lib/tree.blend")
    start()
    case.frames = [1, 2]
    case.save_main()
    library = case.top / away / "lib/tree.blend"
    show(link(library, "objects", "tree", str(library)))
    single = case.png(f"{away}/metal.png")
    for tile in (1001, 1002):
        case.png(f"{away}/tiles/t.{tile}.png")
    tiled = tiles(str(case.top / away / "tiles/t.<UDIM>.png"), 1002)
    for number in (1, 2, 3):
        spare = "" if number < 3 else "another frame of the run"
        case.png(f"{away}/run/r_{number:03}.png", spare=spare)
    run = image(str(case.top / away / "run/r_001.png"), "SEQUENCE")
    # A name of something else in the scene's own folder.
    inside = case.png("film/shot/own.png")
    two_tiles(quad("quad", image(str(single)), tiled, run, image(str(inside))))
    sound = case.wav(f"{away}/beep.wav", spare=MIXED_LATER)
    speaker = bpy.data.speakers.new("speaker")
    speaker.sound = bpy.data.sounds.load(str(sound))
    show(bpy.data.objects.new("speaker", speaker))
    source = a_font()
    own = case.need(f"{away}/own{source.suffix}")
    shutil.copyfile(source, own)
    curve = bpy.data.curves.new("text", "FONT")
    curve.body, curve.font = "burst", bpy.data.fonts.load(str(own))
    show(bpy.data.objects.new("text", curve))
    case.save_main()


def escaping(case: Case) -> None:
    """Names that leave the scene's folder by ``..``, also from a library in it."""
    case.main = "film/seq/shot/main.blend"
    start()
    case.png("common/tex/leaf.png")
    quad("leaf", image("//../../../common/tex/leaf.png"))
    case.save("film/seq/props/leaf.blend")
    start()
    case.save_main()
    path = case.top / "film/seq/props/leaf.blend"
    show(link(path, "objects", "leaf", "//../props/leaf.blend"))
    case.png("common/sky.png")
    case.png("film/tex/roundabout.png")
    there = image("//../../../common/sky.png")
    quad("quad", there, image("//../props/../../tex/./roundabout.png"))
    case.save_main()


def windows(case: Case) -> None:
    """Names as Windows writes them: relative ones that are here, absolute ones that are not."""
    start()
    case.png("film/props/tex/leaf.png")
    quad("leaf", image("//tex\\leaf.png"))
    case.save("film/props/leaf.blend")
    start()
    case.save_main()
    path = case.top / "film/props/leaf.blend"
    show(link(path, "objects", "leaf", "//..\\props\\leaf.blend"))
    case.png("film/tex/wood.png")
    gone = ["C:\\Users\\anna\\gone.png", "\\\\server\\share\\lost.png"]
    quad("quad", image("//..\\tex\\wood.png"), *map(image, gone))
    case.missing = ["C:/Users/anna/gone.png", "//server/share/lost.png"]
    case.save_main()


def moved(case: Case) -> None:
    """A project that was moved here, with names that tell where it was."""
    before = case.top / "Users/anna/project"
    start()
    path = before / "props/leaf.blend"
    path.parent.mkdir(parents=True)
    case.png("film/props/tex/leaf.png", spare=LOST)
    quad("leaf", image(str(before / "props/tex/leaf.png")))
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    start()
    main = before / "shot/main.blend"
    main.parent.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(main))
    show(link(path, "objects", "leaf", str(path)))
    case.png("film/tex/wood.png", spare=LOST)
    case.png("film/tex/near.png")
    quad("quad", image(str(before / "tex/wood.png")), image("//../tex/near.png"))
    bpy.ops.wm.save_as_mainfile(filepath=str(main), relative_remap=False)
    for folder in ("props", "shot"):
        for blend in (before / folder).iterdir():
            blend.rename(case.path(f"film/{folder}/{blend.name}"))
    shutil.rmtree(case.top / "Users")
    case.need("film/props/leaf.blend", spare=LOST)
    case.need(case.main)


def other_case(case: Case) -> None:
    """Names whose letters differ in case from the files, as Windows and macOS let them."""
    start()
    case.png("film/props/Tex/Leaf.png", spare=LOST)
    quad("leaf", image("//tex/leaf.PNG"))
    case.save("film/props/leaf.blend")
    start()
    case.save_main()
    path = case.top / "film/props/leaf.blend"
    show(link(path, "objects", "leaf", "//../props/leaf.blend"))
    case.png("film/tex/wood.png", spare=LOST)
    case.png("film/tex/plain.png")
    quad("quad", image("//../Tex/Wood.PNG"), image("//../tex/plain.png"))
    case.save_main()


def twins(case: Case) -> None:
    """Files whose names differ by case alone."""
    start()
    case.png("film/tex/Wood.png")
    case.png("film/tex/wood.png")
    case.png("film/Tex/wood.png")
    names = ("//../tex/Wood.png", "//../tex/wood.png", "//../Tex/wood.png")
    quad("quad", *map(image, names))
    case.save_main()


def links(case: Case) -> None:
    """A picture, a folder and a library by symbolic links."""
    start()
    disk = case.top / "disk"
    for place, to in (
        ("film/tex/by link.png", "really here.png"),
        ("film/linked folder", "folder"),
        ("film/props", "lib"),
    ):
        case.path(place).symlink_to(disk / to)
    for place in ("really here.png", "folder/in folder.png", "lib/tex/leaf.png"):
        case.png(f"disk/{place}", needed=False)
    for place in ("tex/by link.png", "linked folder/in folder.png", "props/tex/leaf.png"):
        case.need(f"film/{place}")
    quad("leaf", image("//tex/leaf.png"))
    case.save("film/props/leaf.blend")
    start()
    case.save_main()
    path = case.top / "film/props/leaf.blend"
    show(link(path, "objects", "leaf", "//../props/leaf.blend"))
    quad("quad", image("//../tex/by link.png"), image("//../linked folder/in folder.png"))
    case.save_main()


CASES = (absolute, escaping, windows, moved, other_case, twins, links)
