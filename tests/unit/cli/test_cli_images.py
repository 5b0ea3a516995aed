"""``burst images`` as it is typed: what it prints, its settings, and its exits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from burst.cli import console, images
from burst.cli.main import app
from burst.config.images import DEFAULT_BLENDER, ImageSettings
from burst.errors import EXIT_DONE, EXIT_FAILURE, EXIT_USAGE
from tests.fakes.image_tool import make_image_tools, read_state


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker, and nobody else's settings."""
    folder = make_image_tools(tmp_path / "tools", "docker")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    return folder


def test_images_are_built_listed_and_pushed(
    tools: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = ["--registry", "registry.example/farm"]
    assert console.exit_status(app, ["images", "build", "--push", *registry]) == EXIT_DONE
    built = capsys.readouterr().out.split()
    assert built == [
        "registry.example/farm/burst-manager:0.1.0",
        f"registry.example/farm/burst-worker:0.1.0-{DEFAULT_BLENDER}",
    ]
    assert read_state(tools)["registry"] == built
    assert console.exit_status(app, ["images", "list", *registry]) == EXIT_DONE
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1:] for line in lines[1:]] == [["yes", "300", "B", "yes"]] * 2


def test_a_list_for_programs(tools: Path, capsys: pytest.CaptureFixture[str]) -> None:
    console.exit_status(app, ["images", "build", "manager"])
    capsys.readouterr()
    assert console.exit_status(app, ["images", "list", "--json"]) == EXIT_DONE
    manager, worker = json.loads(capsys.readouterr().out)
    assert manager == {
        "part": "manager",
        "image": "localhost/burst-manager:0.1.0",
        "here": True,
        "id": "0123",
        "up_to_date": True,
        "bytes": 300,
        "published": None,
    }
    assert (worker["here"], worker["id"], worker["published"]) == (False, None, None)


def test_settings_come_from_the_file_the_environment_and_options(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "burst.toml").write_text(
        '[images]\nregistry = "of.file/x"\nimage_blender = "5.0.1"\nimage_base = "debian:12"\n'
    )
    monkeypatch.setenv("BURST_REGISTRY", "of.environment/x")
    command = ["images", "build", "worker", "--blender", "bpy5.0.1"]
    assert console.exit_status(app, command) == EXIT_DONE
    assert capsys.readouterr().out == "of.environment/x/burst-worker:0.1.0-bpy5.0.1\n"
    (build,) = [call for call in read_state(tools)["calls"] if call[1] == "build"]
    assert {"BASE=debian:12", "BPY=5.0.1"} <= set(build)


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        (["build", "--blender", "newest"], EXIT_USAGE, "image_blender (--blender)"),
        (["build", "--tool", "kaniko"], EXIT_USAGE, "kaniko"),
        (["push"], EXIT_USAGE, "no registry to push to"),
        (["push", "--registry", "registry.example/x"], EXIT_FAILURE, "was not built yet"),
        (["build", "--tool", "podman"], EXIT_FAILURE, "there is no podman"),
        (["build", "--tool", "cloud-build"], EXIT_USAGE, "localhost is none"),
    ],
)
def test_what_can_not_be_done_says_why(
    tools: Path,
    command: list[str],
    status: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tools / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tools))
    assert console.exit_status(app, ["images", *command]) == status
    assert said in capsys.readouterr().err


def test_the_tools_of_options_are_those_of_settings() -> None:
    from typing import get_args

    field = ImageSettings.model_fields["image_tool"].annotation
    assert set(get_args(images.ToolName)) == set(get_args(get_args(field)[0]))
