"""What a scene asks of Blender, from bytes made by hand: what no Blender here can make.

Real files, and simulations above all, are in `tests/integration/test_simulations.py`.
"""

import pytest

from burst.errors import SceneUnreadable, UsageError
from burst.scene.needs import read_needs
from burst.scene.trace import trace
from tests.fakes.blend_bytes import STRUCTS, BlendBytes

STRUCTS_MORE = {
    **STRUCTS,
    "CacheFile": [
        ("ID", "id"), ("char", "filepath[256]"), ("ListBase", "layers"), ("int", "is_sequence"),
    ],
    "Speaker": [("ID", "id"), ("void", "*sound"), ("short", "flag")],
    "bSound": [("ID", "id"), ("char", "name[256]"), ("void", "*packedfile")],
}  # fmt: skip


@pytest.fixture
def needs_of(tmp_path):
    def read(blend, name=None, **others):
        for place, content in {"shot.blend": blend, **others}.items():
            (tmp_path / place).write_bytes(content.bytes())
        return read_needs(trace(tmp_path / "shot.blend"), name)

    return read


def shown(blend, data, **scene):
    """Add an object that shows some data, and a scene with it as its camera."""
    thing = blend.add("OB", "Object", id={"name": b"OBThing"}, data=data)
    blend.scene(camera=thing, **scene)


@pytest.mark.parametrize(
    ("name", "features"),
    [("//a.abc", ("alembic",)), ("//a.USDC", ("usd",)), ("//a.usdz", ("usd",)), ("//a.txt", ())],
)
def test_a_cache_asks_for_what_can_read_it(needs_of, name, features):
    blend = BlendBytes(structs=STRUCTS_MORE)
    cache = blend.add("CF", "CacheFile", id={"name": b"CFx"}, filepath=name.encode())
    shown(blend, cache, r={"engine": b"BLENDER_EEVEE"})
    assert needs_of(blend).features == features


def test_what_no_scene_uses_asks_for_nothing(needs_of):
    blend = BlendBytes(structs=STRUCTS_MORE)
    blend.add("CF", "CacheFile", id={"name": b"CFx"}, filepath=b"//a.abc")
    blend.scene(r={"engine": b"BLENDER_EEVEE"})
    assert needs_of(blend).features == ()


@pytest.mark.parametrize(("version", "denoises"), [(279, False), (299, False), (304, True)])
def test_a_scene_that_says_nothing_is_denoised_since_three(needs_of, version, denoises):
    blend = BlendBytes(version=version)
    blend.scene()
    assert needs_of(blend).denoises is denoises


@pytest.mark.parametrize(
    ("sound", "flag", "heard"), [(True, 0, True), (True, 2, False), (False, 0, False)]
)
def test_a_speaker_is_heard_if_it_has_a_sound_and_is_not_muted(needs_of, sound, flag, heard):
    blend = BlendBytes(structs=STRUCTS_MORE)
    drums = blend.add("SO", "bSound", id={"name": b"SOdrums"}, name=b"//drums.wav") if sound else 0
    shown(blend, blend.add("SK", "Speaker", id={"name": b"SKx"}, sound=drums, flag=flag))
    assert needs_of(blend).has_sound is heard


def test_the_named_scene_is_looked_at(needs_of):
    blend = BlendBytes(structs=STRUCTS_MORE)
    drums = blend.add("SO", "bSound", id={"name": b"SOdrums"}, name=b"//drums.wav")
    speaker = blend.add("SK", "Speaker", id={"name": b"SKx"}, sound=drums)
    shown(blend, speaker, name="Loud")
    blend.scene("Silent")
    assert needs_of(blend, "Loud").has_sound
    assert not needs_of(blend, "Silent").has_sound
    with pytest.raises(UsageError, match="no Blender scene named 'Quiet'"):
        needs_of(blend, "Quiet")


def test_a_missing_library_is_no_error_here(needs_of):
    blend = BlendBytes()
    thing = blend.link("//gone.blend", "OBThing")
    blend.scene(camera=thing, r={"engine": b"BLENDER_EEVEE"})
    assert needs_of(blend).unbaked == ()


def test_a_library_that_was_cut_since_it_was_traced_is_unreadable(tmp_path):
    library = BlendBytes()
    library.add("OB", "Object", id={"name": b"OBThing"})
    blend = BlendBytes()
    blend.scene(camera=blend.link("//lib.blend", "OBThing"))
    (tmp_path / "shot.blend").write_bytes(blend.bytes())
    (tmp_path / "lib.blend").write_bytes(library.bytes())
    traced = trace(tmp_path / "shot.blend")
    (tmp_path / "lib.blend").write_bytes(library.bytes()[:-60])
    with pytest.raises(SceneUnreadable, match=r"lib\.blend is damaged"):
        read_needs(traced)
