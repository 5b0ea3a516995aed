"""What USD layers name, from bytes made by hand; Blender composes them in the integration tests."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burst.scene.sequences import Many
from burst.scene.trace import MissingFile, trace
from burst.scene.usd import names_in_layer
from tests.fakes.blend_bytes import BlendBytes, needed
from tests.fakes.crate_bytes import crate, literals

TEXT = b"""#usda 1.0
( subLayers = [ @./below.usda@, @../shared/base.usd:SDF_FORMAT_ARGS:a=b@<x> ] )
def "a" (
    prepend references = @parts/mesh.usdc@</mesh>
    payload = @@@odd @ name.usda@@@</p>
    clips = { dictionary c = { string templateAssetPath = "clips/c.###.usda"
        asset[] assetPaths = [@clips/first.usd@] } }
    references = @pack.usdz[inner.usda]@
) { asset inputs:file = @tex/t.<UDIM>.png@ (colorSpace = "raw")
    asset web = @https://example.org/a.usd@
    asset none = @@ }
"""


@pytest.fixture
def layer(tmp_path):
    def write(content):
        path = tmp_path / "layer.usd"
        path.write_bytes(content)
        return path

    return write


def names(path):
    return {named.name: (named.many, named.required) for named in names_in_layer(path)}


def test_a_text_layer_marks_what_it_needs(layer):
    assert names(layer(TEXT)) == {
        b"./below.usda": (Many.ONE, True),
        b"../shared/base.usd": (Many.ONE, True),
        b"parts/mesh.usdc": (Many.ONE, True),
        b"odd @ name.usda": (Many.ONE, True),
        b"clips/c.001.usda": (Many.FRAMES, True),
        b"clips/first.usd": (Many.ONE, True),
        b"pack.usdz": (Many.ONE, True),
        b"tex/t.<UDIM>.png": (Many.FRAMES, False),
    }


def test_a_name_at_the_seam_of_two_readings_is_found_whole(layer, monkeypatch):
    monkeypatch.setattr("burst.scene.usd._CHUNK_BYTES", 100)
    content = b"#usda 1.0\n" + b"".join(b"asset a = @dir/%03d.png@\n" % n for n in range(100))
    assert set(names(layer(content))) >= {b"dir/%03d.png" % n for n in range(100)}


WORDS = [b"", b"./below.usda", b"primvars:st", b"inputs:file", b"tex/wood.png", b"mesh", b"a.b.c/d"]


@pytest.mark.parametrize(("version", "chunks"), [((0, 8, 0), 0), ((0, 4, 0), 3), ((0, 3, 9), 0)])
def test_words_of_a_crate_that_look_like_files_are_guesses(layer, version, chunks):
    path = layer(crate(*WORDS, version=version, chunks=chunks))
    found = list(names_in_layer(path))
    assert {named.name for named in found} == {b"./below.usda", b"tex/wood.png"}
    assert all(named.is_guess and not named.required for named in found)


def test_repetitions_in_a_crate_are_unpacked(layer):
    # "tex/a.png", a zero, and nine bytes again from ten before; then the last word.
    block = b"\xa5tex/a.png\0" + b"\x0a\x00" + literals(b"x.png\0")
    plain = b"tex/a.png\0tex/a.pngx.png\0"
    section = struct.pack("<QQQ", 2, len(plain), len(block) + 1) + b"\0" + block
    head = b"PXR-USDC" + bytes((0, 8, 0)).ljust(8, b"\0") + struct.pack("<q", 24 + len(section))
    contents = struct.pack("<Q16sqq", 1, b"TOKENS", 24, len(section))
    assert set(names(layer(head + section + contents))) == {b"tex/a.png", b"tex/a.pngx.png"}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"#usd", b"PXR-USDC", b"\x89PNG", crate(b"a.png")[:-1], crate(b"a.png")[:60],
        crate(b"a.png").replace(b"TOKENS", b"SNEKOT"),
        b"PXR-USDC" + bytes(8) + struct.pack("<q", -5),
        b"PXR-USDC" + bytes(8) + struct.pack("<q", 1 << 62),
    ],
)  # fmt: skip
def test_what_is_no_whole_layer_is_said_to_be_none(layer, content):
    with pytest.raises((ValueError, OSError)):
        list(names_in_layer(layer(content)))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_crate_is_read_or_refused(tmp_path_factory, data):
    content = bytearray(crate(*WORDS * 9, chunks=data.draw(st.integers(0, 4))))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(8, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.usdc"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        found = list(names_in_layer(path))
    except (ValueError, OSError):
        return
    assert len(found) <= len(content)


def scene_with_layer():
    blend = BlendBytes()
    blend.add("CF", "CacheFile", id={"name": b"CFx"}, filepath=b"//usd/top.usda")
    return blend


def test_layers_are_followed_at_any_depth_and_in_circles(project):
    top = project(
        {
            "s/a.blend": scene_with_layer(),
            "s/usd/top.usda": b"#usda 1.0\n(subLayers = [@../../base/one.usd@])",
            "base/one.usd": crate(b"./parts/two.usda", b"tex/a.png", b"not/there.png"),
            "base/parts/two.usda": b"#usda 1.0\n@../one.usd@ @./c.#.usda@ @gone.usda@ @gone.png@",
            "base/parts/c.1.usda": b"#usda 1.0\n",
            "base/parts/c.2.usda": b"#usda 1.0\n",
            "base/tex/a.png": b"1",
        }
    )
    traced = trace(top / "s/a.blend")
    assert needed(traced) == {
        "s/usd/top.usda", "base/one.usd", "base/parts/two.usda", "base/parts/c.1.usda",
        "base/parts/c.2.usda", "base/tex/a.png",
    }  # fmt: skip
    assert traced.missing == (MissingFile("gone.usda", "base/parts/two.usda"),)
    users = {file.relative: [user.block for user in file.users] for file in traced.files}
    assert users["base/tex/a.png"] == ["USD layer one.usd"]


def test_a_damaged_layer_and_an_absolute_name_in_one_are_told_of(project):
    blend = scene_with_layer()
    blend.add("CF", "CacheFile", id={"name": b"CFy"}, filepath=b"//bad.usdc")
    top = project({"a.blend": blend, "bad.usdc": b"PXR-USDC", "far.png": b"1"})
    (top / "usd").mkdir()
    (top / "usd/top.usda").write_text(f"#usda 1.0\n@{top}/far.png@ @/nowhere/far.png@")
    traced = trace(top / "a.blend")
    assert needed(traced) == {"usd/top.usda", "bad.usdc"}
    assert len(traced.notes) == 2
    assert any("bad.usdc, which may need further files" in note for note in traced.notes)
    assert any(f"{top}/far.png, which is left out" in note for note in traced.notes)
