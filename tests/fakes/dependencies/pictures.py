"""Cases of pictures, movies, sounds and fonts; runs inside Blender."""

from __future__ import annotations

import shutil

import bpy
from dependencies.scenery import (
    Case,
    a_font,
    compositing_tree,
    image,
    quad,
    show,
    start,
    strips,
    tiles,
    two_tiles,
)

MIXED_LATER = "a sound is mixed for a video only, not for pictures"


def udim(case: Case) -> None:
    """Tiles, one of which the .blend does not list, and another kind of mark."""
    start()
    for tile in (1001, 1002, 1011):
        case.png(f"film/tex/skin.{tile}.png")
    case.png("film/tex/skin.small.1001.png", needed=False)
    case.png("film/tex/bark_u1_v1.png")
    case.save_main()
    skin = tiles(str(case.top / "film/tex/skin.<UDIM>.png"), 1002, 1011)
    bark = tiles(str(case.top / "film/tex/bark_<UVTILE>.png"))
    skin.filepath, bark.filepath = (
        case.name("film/tex/skin.<UDIM>.png"),
        case.name("film/tex/bark_<UVTILE>.png"),
    )
    two_tiles(quad("quad", skin, bark))
    case.save_main()


def sequence(case: Case) -> None:
    """Numbered pictures, of which the shot shows some; beside them a run of another name."""
    start()
    case.frames = [1, 3]
    for frame in range(1, 5):
        spare = "" if frame in (1, 3) else "another frame of the run"
        case.png(f"film/tex/run [a]/f_{frame:04}_left.png", spare=spare)
    case.png("film/tex/run [a]/f_0001_right.png", needed=False)
    quad("quad", image(case.name("film/tex/run [a]/f_0001_left.png"), "SEQUENCE"))
    case.save_main()


def multiview(case: Case) -> None:
    """A strip with a picture for each eye."""
    start()
    case.png("film/edit/wall_L.png")
    case.png("film/edit/wall_R.png")
    bpy.context.scene.render.use_multiview = True
    case.save_main()
    both = strips().new_image("both", str(case.top / "film/edit/wall_L.png"), 1, 1)
    both.use_multiview = True
    both.views_format = "INDIVIDUAL"
    both.directory = case.name("film/edit/")
    case.save_main()


def movie(case: Case) -> None:
    """A movie as a texture."""
    case.movie("film/tex/clip.mp4")
    start()
    case.frames = [1, 2]
    case.save_main()
    playing = image(case.name("film/tex/clip.mp4"), "MOVIE")
    quad("quad", playing)
    case.save_main()


def sequencer(case: Case) -> None:
    """Strips: pictures, a movie, a sound, and one inside of a meta strip."""
    case.movie("film/edit/clip.mp4")
    start()
    case.frames = [1, 2, 6]
    case.save_main()
    for name in ("one.png", "another.png", "inside.png"):
        case.png(f"film/edit/{name}")
    found = strips()
    pictures = found.new_image("pictures", str(case.top / "film/edit/one.png"), 1, 1)
    pictures.directory = case.name("film/edit/")
    pictures.elements.append("another.png")
    pictures.frame_final_duration = 2
    clip = found.new_movie("clip", str(case.top / "film/edit/clip.mp4"), 2, 5)
    clip.filepath = case.name("film/edit/clip.mp4")
    case.wav("film/edit/beep.wav", spare=MIXED_LATER)
    beep = found.new_sound("beep", str(case.top / "film/edit/beep.wav"), 3, 1)
    beep.sound.filepath = case.name("film/edit/beep.wav")
    meta = found.new_meta("meta", 4, 1)
    inner = meta.strips if hasattr(meta, "strips") else meta.sequences
    last = inner.new_image("inside", str(case.top / "film/edit/inside.png"), 1, 1)
    last.directory = case.name("film/edit/")
    last.frame_final_duration = 2
    case.save_main()


def speaker(case: Case) -> None:
    """A speaker in the scene."""
    start()
    case.wav("film/sound/drums.wav", spare=MIXED_LATER)
    quad("quad", image(str(case.png("film/shot/quad.png"))))
    bpy.data.images["quad.png"].filepath = case.name("film/shot/quad.png")
    data = bpy.data.speakers.new("speaker")
    data.sound = bpy.data.sounds.load(str(case.top / "film/sound/drums.wav"))
    data.sound.filepath = case.name("film/sound/drums.wav")
    show(bpy.data.objects.new("speaker", data))
    case.save_main()


def font(case: Case) -> None:
    """A text in a font of its own."""
    start()
    case.save_main()
    source = a_font()
    path = case.need(f"film/fonts/own{source.suffix}")
    shutil.copyfile(source, path)
    curve = bpy.data.curves.new("text", "FONT")
    curve.body = "burst"
    curve.font = bpy.data.fonts.load(str(path))
    curve.font.filepath = case.name(f"film/fonts/own{source.suffix}")
    show(bpy.data.objects.new("text", curve))
    bpy.context.scene.world = bpy.data.worlds.new("white")
    case.save_main()


def compositor(case: Case) -> None:
    """A picture, a run of pictures and a clip in the compositor."""
    start()
    case.frames = [1, 2]
    case.save_main()
    case.png("film/comp/plate.png")
    for number in (1, 2, 3):
        spare = "" if number < 3 else "another frame of the run"
        case.png(f"film/comp/over_{number:02}.png", spare=spare)
        case.png(f"film/comp/clip.{number:03}.png", spare=spare)
    tree, output = compositing_tree()
    plate = tree.nodes.new("CompositorNodeImage")
    plate.image = image(case.name("film/comp/plate.png"))
    over = tree.nodes.new("CompositorNodeImage")
    over.image = image(case.name("film/comp/over_01.png"), "SEQUENCE")
    over.frame_duration, over.frame_start = 3, 1
    over.use_auto_refresh = True
    clip = tree.nodes.new("CompositorNodeMovieClip")
    clip.clip = bpy.data.movieclips.load(str(case.top / "film/comp/clip.001.png"))
    clip.clip.filepath = case.name("film/comp/clip.001.png")
    total = plate.outputs[0]
    for node in (over, clip):
        mix = tree.nodes.new("CompositorNodeAlphaOver")
        colours = [socket for socket in mix.inputs if socket.type == "RGBA"]
        factor = next(socket for socket in mix.inputs if socket.type == "VALUE")
        factor.default_value = 0.5
        tree.links.new(total, colours[0])
        tree.links.new(node.outputs[0], colours[1])
        total = mix.outputs[0]
    tree.links.new(total, output.inputs[0])
    case.save_main()


def unused(case: Case) -> None:
    """Pictures that no object shows: kept by a fake user, for a brush, and of an old node."""
    start()
    kept = "in the .blend, and shown by nothing that is rendered"
    case.png("film/tex/shown.png")
    case.png("film/tex/kept.png", spare=kept)
    case.png("film/tex/loose.png", spare=kept)
    thing = quad("quad", image(case.name("film/tex/shown.png")))
    image(case.name("film/tex/kept.png")).use_fake_user = True
    loose = thing.data.materials[0].node_tree.nodes.new("ShaderNodeTexImage")
    loose.image = image(case.name("film/tex/loose.png"))
    case.save_main()


CASES = (
    udim,
    sequence,
    multiview,
    movie,
    sequencer,
    speaker,
    font,
    compositor,
    unused,
)
