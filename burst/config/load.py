"""Loading of settings: ``burst.toml`` < environment < option, with the source of each value.

One loader for all programs. A program has a frozen model (`FarmSettings` here, the
manager's and the worker's beside them); its table in ``burst.toml`` has the model's name,
its environment variables are ``BURST_`` and the field's name in capitals. Everything is
read once, in the program's entry, and passed down.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from burst.errors import ConfigError

FILE_NAME = "burst.toml"
TABLES = ("farm", "manager", "worker", "google", "cluster", "pools", "images")
"""Tables that ``burst.toml`` may have: one a program, and four for a farm on a cluster."""


class Settings(BaseModel):
    """Base of every program's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    table: ClassVar[str]
    """The program's table in ``burst.toml``."""

    typed: ClassVar[Mapping[str, str]] = {}
    """Options of the command line that are called otherwise than their field."""


_Model = TypeVar("_Model", bound=Settings)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[_Model]):
    """Settings, and for each field where its value came from."""

    settings: _Model
    sources: Mapping[str, str]


def variable(field: str) -> str:
    """Return the environment variable of a field."""
    return f"BURST_{field.upper()}"


def variables(model: type[Settings]) -> dict[str, str]:
    """Return the environment variable of each field that has one: a table is no one text."""
    return {
        name: variable(name)
        for name, field in model.model_fields.items()
        if get_origin(field.annotation) is not dict
    }


def config_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the ``burst.toml`` in force: ``BURST_CONFIG``, this folder's, or the user's."""
    if named := environ.get("BURST_CONFIG"):
        path = Path(named).expanduser()
        if not path.is_file():
            raise ConfigError(f"BURST_CONFIG names {named}, which is not there")
        return path
    home = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    for path in (Path.cwd() / FILE_NAME, home / "burst" / FILE_NAME):
        if path.is_file():
            return path
    return None


def load(
    model: type[_Model],
    options: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Loaded[_Model]:
    """Load one program's settings.

    Args:
        model: what can be set.
        options: values from the command line; None means not given.
        environ: the environment.

    Raises:
        ConfigError: a key is unknown or a value is wrong; all of them are named at once.
    """
    path = config_file(environ)
    values: dict[str, Any] = {}
    sources = dict.fromkeys(model.model_fields, "default")
    for key, value in (read_table(path, model.table) if path else {}).items():
        values[key] = value
        sources[key] = str(path)
    for field, named in variables(model).items():
        if (text := environ.get(named)) is not None and text != "":
            values[field] = text
            sources[field] = named
    for field, value in (options or {}).items():
        if value is not None:
            values[field] = value
            sources[field] = model.typed.get(field, "--" + field.replace("_", "-"))
    try:
        return Loaded(model.model_validate(values), sources)
    except ValidationError as error:
        raise ConfigError(explain(error, sources)) from error


def read_table(path: Path, table: str) -> dict[str, Any]:
    """Return one table of a ``burst.toml``, empty if it is not there.

    Raises:
        ConfigError: the file can't be read, or has another table that burst does not know.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"can't read {path}: {error}") from error
    unknown = sorted(set(document) - set(TABLES))
    if unknown:
        raise ConfigError(
            f"{path}: unknown {', '.join(unknown)}", hint=f"tables are {', '.join(TABLES)}"
        )
    content = document.get(table, {})
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: {table} is not a table")
    return content


def explain(
    error: ValidationError, sources: Mapping[str, str] | None = None, prefix: str = ""
) -> str:
    """Return all that is wrong with settings, each with its key.

    Args:
        error: what pydantic found.
        sources: where each value came from, if that is to be said.
        prefix: the table that the keys are in, if that is to be said.
    """
    problems = []
    for problem in error.errors():
        key = ".".join(map(str, (prefix, *problem["loc"]) if prefix else problem["loc"]))
        source = (sources or {}).get(str(problem["loc"][0]) if problem["loc"] else "", "")
        where = f" ({source})" if source not in ("", "default") else ""
        text = problem["msg"].removeprefix("Value error, ")
        problems.append(f"{key}{where}: {text}" if key else text)
    return "; ".join(problems)
