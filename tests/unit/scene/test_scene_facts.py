"""What a .blend says, read from bytes made by hand; real files are in the integration tests."""

import gzip

import pytest

from burst.errors import SceneError, SceneUnreadable, UsageError
from burst.scene.facts import read_facts
from tests.fakes.blend_bytes import STRUCTS, BlendBytes


@pytest.fixture
def facts_of(tmp_path):
    def read(blend, name=None):
        path = tmp_path / "shot.blend"
        path.write_bytes(blend if isinstance(blend, bytes) else blend.bytes())
        return read_facts(path, name)

    return read


def one_scene(**values):
    blend = BlendBytes()
    blend.scene(**values)
    return blend


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"new_header": True, "version": 501},
        {"pointer_bytes": 4, "version": 279},
        {"pointer_bytes": 4, "big_endian": True, "version": 263},
    ],
)
def test_all_facts_are_read_from_every_form_of_file(facts_of, form):
    blend = BlendBytes(**form)
    camera = blend.add("OB", "Object")
    blend.scene(
        "Shot ü",
        camera=camera,
        r={
            "sfra": -5, "efra": 48, "frame_step": 3, "frs_sec": 30, "frs_sec_base": 1.001,
            "xsch": 2048, "ysch": 858, "size": 50, "pic": b"//out/shot_####",
            "im_format": {"imtype": 28},
        },
    )  # fmt: skip
    facts = facts_of(blend)
    assert facts.blender == divmod(blend.version, 100)
    assert (facts.blender_scene, facts.blender_scenes) == ("Shot ü", ("Shot ü",))
    assert (facts.frame_start, facts.frame_end, facts.frame_step) == (-5, 48, 3)
    assert facts.fps == pytest.approx(29.97, abs=0.001)
    assert (facts.resolution_x, facts.resolution_y) == (2048, 858)
    assert facts.resolution_percentage == 50
    assert facts.file_format == "OPEN_EXR_MULTILAYER"
    assert facts.output_name == "shot_####"
    assert facts.engine == "CYCLES"
    assert facts.has_camera


def test_the_scene_that_was_open_when_saved_is_taken(facts_of):
    blend = BlendBytes()
    blend.scene("First")
    second = blend.scene("Second", r={"sfra": 7})
    blend.add("GLOB", "FileGlobal", curscene=second)
    facts = facts_of(blend)
    assert (facts.blender_scene, facts.frame_start) == ("Second", 7)
    assert facts.blender_scenes == ("First", "Second")


def test_a_scene_can_be_asked_for_by_name(facts_of):
    blend = BlendBytes()
    blend.scene("First", r={"efra": 9})
    blend.add("GLOB", "FileGlobal", curscene=blend.scene("Second"))
    assert facts_of(blend, "First").frame_end == 9


def test_an_unknown_scene_name_is_answered_with_those_that_exist(facts_of):
    blend = BlendBytes()
    blend.scene("Shot")
    blend.scene("Preview")
    with pytest.raises(UsageError, match="no Blender scene named 'shot'") as caught:
        facts_of(blend, "shot")
    assert caught.value.hint == "it has Preview, Shot"


def test_a_file_without_scenes_is_refused(facts_of):
    blend = BlendBytes()
    blend.image("//x.png")
    with pytest.raises(SceneError, match="holds no Blender scene"):
        facts_of(blend)


@pytest.mark.parametrize(
    ("stored", "engine"),
    [
        (b"CYCLES", "CYCLES"),
        (b"BLENDER_EEVEE", "BLENDER_EEVEE"),
        (b"BLENDER_EEVEE_NEXT", "BLENDER_EEVEE"),
        (b"BLENDER_RENDER", "BLENDER_EEVEE"),
        (b"BLENDER_GAME", "BLENDER_EEVEE"),
        (b"BLENDER_WORKBENCH", "BLENDER_WORKBENCH"),
        (b"SOME_ADDON", "BLENDER_EEVEE"),
        (b"", "BLENDER_EEVEE"),
    ],
)
def test_the_engine_is_what_blender_makes_of_it(facts_of, stored, engine):
    assert facts_of(one_scene(r={"engine": stored})).engine == engine


@pytest.mark.parametrize(
    ("number", "name"),
    [(4, "JPEG"), (17, "PNG"), (22, "TIFF"), (23, "OPEN_EXR"), (24, "FFMPEG"), (35, "WEBP"),
     (31, "FFMPEG"), (0, "TARGA"), (99, "PNG")],
)  # fmt: skip
def test_image_formats_have_blenders_names(facts_of, number, name):
    assert facts_of(one_scene(r={"im_format": {"imtype": number}})).file_format == name


def test_a_file_from_before_2_50_has_no_engine_no_step_and_an_old_format(facts_of):
    blend = BlendBytes(version=248, pointer_bytes=4)
    blend.structs = dict(STRUCTS)
    blend.structs["RenderData"] = [
        member
        for member in STRUCTS["RenderData"]
        if member[1] not in ("engine[32]", "im_format", "frame_step", "frs_sec_base")
    ]
    # Such a name was written by accident, and stands in every file of the time.
    blend.structs["vec3f"] = [("float", "[3]")]
    blend.scene(r={"imtype": 4, "frs_sec": 25})
    facts = facts_of(blend)
    assert (facts.engine, facts.file_format, facts.frame_step) == ("BLENDER_EEVEE", "JPEG", 1)
    assert facts.fps == 25


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"/tmp/", ""),
        (b"/tmp\\", ""),
        (b"//", ""),
        (b"//tmp/shot_####", "shot_####"),
        (b"C:\\out\\shot_", "shot_"),
        (b"shot", "shot"),
        (b"", ""),
    ],
)
def test_the_output_name_is_the_last_part_of_the_output_path(facts_of, path, name):
    assert facts_of(one_scene(r={"pic": path})).output_name == name


def test_a_scene_without_a_camera_says_so(facts_of):
    assert not facts_of(one_scene()).has_camera


def test_a_marker_with_a_camera_is_a_camera(facts_of):
    blend = BlendBytes()
    camera = blend.add("OB", "Object")
    second = blend.add("DATA", "TimeMarker", camera=camera)
    first = blend.add("DATA", "TimeMarker", next=second)
    blend.scene(markers={"first": first, "last": second})
    assert facts_of(blend).has_camera


@pytest.mark.parametrize(
    ("mode", "strips", "has_camera"), [(1, True, True), (0, True, False), (1, False, False)]
)
def test_strips_need_no_camera_if_the_sequencer_is_rendered(facts_of, mode, strips, has_camera):
    blend = BlendBytes()
    strip = blend.add("DATA", "Sequence") if strips else 0
    editor = blend.add("DATA", "Editing", seqbase={"first": strip})
    blend.scene(ed=editor, r={"scemode": mode})
    assert facts_of(blend).has_camera is has_camera


@pytest.mark.parametrize("keep", [13, 40, 0.3, 0.9, -24, -30])
def test_a_cut_file_is_refused(facts_of, keep):
    whole = one_scene().bytes()
    end = int(len(whole) * keep) if isinstance(keep, float) else keep
    with pytest.raises(SceneUnreadable, match="damaged or cut off"):
        facts_of(whole[:end])


def test_a_cut_gzip_file_is_refused(facts_of):
    with pytest.raises(SceneUnreadable, match="damaged"):
        facts_of(gzip.compress(one_scene().bytes())[:-40])


def test_a_block_of_negative_size_does_not_send_the_reader_in_circles(facts_of):
    whole = bytearray(one_scene().bytes())
    whole[16:20] = (-24).to_bytes(4, "little", signed=True)
    with pytest.raises(SceneUnreadable, match="damaged or cut off"):
        facts_of(bytes(whole))


@pytest.mark.parametrize("seed", range(40))
def test_flipped_bytes_give_facts_or_a_refusal_and_nothing_else(facts_of, seed):
    whole = bytearray(one_scene().bytes())
    for step in range(8):
        place = (seed * 7919 + step * 104_729) % (len(whole) - 12) + 12
        whole[place] ^= 0xFF >> (seed % 5)
    try:
        facts_of(bytes(whole))
    except SceneError as error:
        assert error.message  # noqa: PT017  # any other error fails the test
