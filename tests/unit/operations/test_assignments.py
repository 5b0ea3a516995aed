"""What ``--set`` takes. What Blender makes of it: tests/integration."""

from __future__ import annotations

from typing import Any

import pytest

from burst.domain.jobs import RenderSettings
from burst.errors import UsageError
from burst.operations.assignments import ROOTS, parse_assignments
from burst.worker.inside import overrides


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("scene.cycles.max_bounces=4", "scene.cycles.max_bounces", 4),
        ("scene.render.film_transparent=true", "scene.render.film_transparent", True),
        ("scene.view_settings.exposure = -0.5", "scene.view_settings.exposure", -0.5),
        ("scene.view_settings.look=High Contrast", "scene.view_settings.look", "High Contrast"),
        ('scene["shot"]="12"', 'scene["shot"]', "12"),
        ("scene['a=b']=1", "scene['a=b']", 1),
        ('data.objects["Cube"].location[-1]=2', 'data.objects["Cube"].location[-1]', 2),
        ("scene.world=null", "scene.world", None),
        ("world.color=[1, 0.5, 0]", "world.color", (1, 0.5, 0)),
        ("scene.name=a=b", "scene.name", "a=b"),
        ("scene.name=", "scene.name", ""),
        ("scene.view_layers[0].use=false", "scene.view_layers[0].use", False),
    ],
)
def test_a_value_is_json_or_else_the_text_itself(text: str, path: str, value: Any) -> None:
    parsed = parse_assignments([text])
    assert parsed == {path: value}
    assert type(parsed[path]) is type(value)
    kept = RenderSettings(properties=parsed).model_dump_json()
    assert RenderSettings.model_validate_json(kept).properties == parsed
    assert overrides.parse(path)[0] in ROOTS


def test_where_a_property_may_begin_is_what_the_driver_knows() -> None:
    assert ROOTS == overrides.ROOTS


def test_the_order_is_kept() -> None:
    typed = ["scene.b=1", "scene.a=2", "scene.c=3"]
    assert list(parse_assignments(typed)) == ["scene.b", "scene.a", "scene.c"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no ="),
        ("scene.cycles.samples", "has no ="),
        ("=4", "names no property"),
        ("scene=4", "names no property"),
        ("scene..x=4", "names no property"),
        ("scene.x()=4", "names no property"),
        ("scene.x[a]=4", "names no property"),
        ("__import__('os').x=4", "names no property"),
        ("bpy.context.scene.x=4", "begins with bpy"),
        ("scene.x=[1, 2", "looks like JSON"),
        ('scene.x="half', "looks like JSON"),
        ('scene.x={"a": 1}', "an object"),
        ("scene.x=[[1]]", "a list may hold"),
        ("scene.x=[null]", "a list may hold"),
        ("scene.x=NaN", "NaN"),
        ("scene.x=-Infinity", "-Infinity"),
        ("scene.x=1e999", "1e999"),
    ],
)
def test_what_is_malformed_is_refused_with_what_was_typed(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_assignments([text])
    assert words in caught.value.message
    assert repr(text) in caught.value.message


def test_the_same_property_twice_is_a_mistake() -> None:
    with pytest.raises(UsageError, match=r"scene\.x twice"):
        parse_assignments(["scene.x=1", "scene.y=1", "scene.x=2"])


def test_what_the_farm_must_know_of_goes_by_its_own_option() -> None:
    with pytest.raises(UsageError) as caught:
        parse_assignments(["scene.frame_start=1"])
    assert "--frames" in (caught.value.hint or "")
