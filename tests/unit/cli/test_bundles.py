"""Options written once as a dataclass: what Typer sees of them, and what a command gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer

from burst.cli import console
from burst.cli.bundles import unbundled

Size = Annotated[int, typer.Option("--size", min=1, help="How large.")]


@dataclass(frozen=True)
class Shape:
    """Two options."""

    size: Size = 1
    names: Annotated[list[str] | None, typer.Option("--named")] = None


@pytest.fixture
def app() -> typer.Typer:
    """A program whose command prints what it was called with."""
    made = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

    @made.command()
    @unbundled
    def draw(
        what: Annotated[str, typer.Argument()],
        *,
        dry: Annotated[bool, typer.Option("--dry")] = False,
        shape: Shape,
        colour: Annotated[str, typer.Option("--colour")] = "red",
    ) -> None:
        """Draw something."""
        console.say(f"{what} {dry} {shape} {colour}")

    return made


def test_fields_are_options_and_the_command_gets_them_as_one_value(
    app: typer.Typer, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["a", "--size", "3", "--named", "x", "--named", "y", "--colour", "blue"]
    assert console.exit_status(app, arguments) == 0
    said = capsys.readouterr().out
    assert said == f"a False {Shape(size=3, names=['x', 'y'])} blue\n"


def test_defaults_are_the_fields_own(app: typer.Typer, capsys: pytest.CaptureFixture[str]) -> None:
    assert console.exit_status(app, ["a", "--dry"]) == 0
    assert capsys.readouterr().out == f"a True {Shape()} red\n"


def test_limits_of_an_option_hold(app: typer.Typer) -> None:
    assert console.exit_status(app, ["a", "--size", "0"]) == 2


def test_help_lists_the_fields_where_the_dataclass_stands(
    app: typer.Typer, capsys: pytest.CaptureFixture[str]
) -> None:
    console.exit_status(app, ["--help"])
    said = capsys.readouterr().out
    assert "Draw something." in said
    places = [said.index(name) for name in ("--dry", "--size", "--named", "--colour")]
    assert places == sorted(places)
