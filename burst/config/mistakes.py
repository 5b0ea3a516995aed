"""All that is wrong in a ``burst.toml`` at once, each with its line and its key."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from burst.config.cluster import NAME, NAME_HINT, ClusterSettings, PoolSettings
from burst.config.farm import FarmSettings
from burst.config.google import GoogleSettings, name_mistakes, values_mistakes
from burst.config.google_rules import pool_mistakes
from burst.config.images import ImageSettings
from burst.config.lines import Key, key_lines, line_of
from burst.config.load import TABLES, Settings, config_file
from burst.errors import ConfigError

_MODELS: tuple[type[Settings], ...] = (
    FarmSettings,
    GoogleSettings,
    ClusterSettings,
    ImageSettings,
)
"""Those of the command line; the programs check their own as they start."""


_Model = TypeVar("_Model", bound=BaseModel)


def check_file(
    environ: Mapping[str, str], more: Iterable[str] = (), *, is_to_be_made: bool = False
) -> None:
    """Refuse a ``burst.toml`` with mistakes; no file is fine.

    Args:
        environ: the environment, which may name the file.
        more: mistakes that were found otherwise, as ``key: what is wrong``.
        is_to_be_made: a farm on Google Cloud is to be made of it, which has rules of its own.

    Raises:
        ConfigError: it has some; all of them are in the message.
    """
    path = config_file(environ)
    text = "" if path is None else _read(path)
    found = _mistakes(text)
    if is_to_be_made:
        known = {key for key, _ in found}
        refused = map(_parted, _refused(tomllib.loads(text)))
        # A value that makes no sense by itself is left out there, and not missing.
        found += [one for one in refused if one[0] not in known]
    found += [_parted(one) for one in more]
    if not found:
        return
    lines = key_lines(text)
    numbered = sorted({(line_of(key, lines) or 0, ".".join(key), said) for key, said in found})
    told = [
        f"{f'line {number}: ' if number else ''}{key}: {said}" for number, key, said in numbered
    ]
    where = str(path) if path else "the settings"
    if len(told) == 1:
        raise ConfigError(f"{where}, {told[0]}" if path else told[0])
    raise ConfigError("\n  ".join([f"{where} has {len(told)} mistakes:", *told]))


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
        tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"can't read {path}: {error}") from error
    return text


def _mistakes(text: str) -> list[tuple[Key, str]]:
    document = tomllib.loads(text)
    tables = ", ".join(TABLES)
    found: list[tuple[Key, str]] = [
        ((name,), f"is no table of burst's: those are {tables}")
        for name in document
        if name not in TABLES
    ]
    for model in _MODELS:
        found += _of_table((model.table,), document.get(model.table, {}), model)
    pools = document.get("pools", {})
    if not isinstance(pools, dict):
        return [*found, (("pools",), "is not a table")]
    for name, table in pools.items():
        if NAME.match(name):
            found += _of_table(("pools", name), table, PoolSettings)
        else:
            found.append((("pools", name), f"that is no name for a pool: {NAME_HINT}"))
    return found


def _refused(document: Mapping[str, Any]) -> list[str]:
    """Return what Google would refuse, of all that makes sense by itself.

    Pools of a farm on another cluster have other rules: it is one on Google if it has a project.
    """
    told = document.get("google")
    if not isinstance(told, dict) or "project" not in told:
        return []
    google = _made(told, GoogleSettings)
    cluster = _made(document.get("cluster", {}), ClusterSettings)
    tables = document.get("pools", {})
    pools = {
        name: _made(table, PoolSettings)
        for name, table in (tables if isinstance(tables, dict) else {}).items()
        if NAME.match(name)
    }
    zone = (google and google.zone) or ""
    refused = pool_mistakes(
        {name: pool for name, pool in pools.items() if pool is not None},
        region=(google and google.region) or zone.rpartition("-")[0],
        farm=cluster.farm if cluster else "",
    )
    project = (google and google.project) or ""
    named = name_mistakes(project, cluster.farm) if project and cluster else ()
    return [*named, *(values_mistakes(google) if google else ()), *refused]


def _made(table: Any, model: type[_Model]) -> _Model | None:
    """Return what of a table makes sense by itself; None if nothing does."""
    try:
        return model.model_validate(table)
    except ValidationError as error:
        if not isinstance(table, dict):
            return None
        if sound := _sound_part(table, error):
            return _made(sound, model)
    # Each key makes sense, and some do not together: what is left without those.
    for many in (1, 2):
        for keys in combinations(table, many):
            with contextlib.suppress(ValidationError):
                return model.model_validate({k: v for k, v in table.items() if k not in keys})
    return None


def _sound_part(table: Mapping[str, Any], error: ValidationError) -> dict[str, Any]:
    """Return the table without the keys that are wrong by themselves; empty if none is."""
    wrong = {problem["loc"][0] for problem in error.errors() if problem["loc"]}
    return {key: value for key, value in table.items() if key not in wrong} if wrong else {}


def _of_table(key: Key, table: Any, model: type[BaseModel]) -> list[tuple[Key, str]]:
    if not isinstance(table, dict):
        return [(key, "is not a table")]
    try:
        model.model_validate(table)
    except ValidationError as error:
        found = [
            ((*key, *map(str, problem["loc"])), _said(problem["type"], problem["msg"]))
            for problem in error.errors()
        ]
        # Whether keys fit together is looked at only where each makes sense.
        sound = _sound_part(table, error)
        return [*found, *_of_table(key, sound, model)] if sound else found
    return []


def _said(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "there is no such setting"
    return message.removeprefix("Value error, ")


def _parted(mistake: str) -> tuple[Key, str]:
    key, _, said = mistake.partition(": ")
    return tuple(key.split(".")), said
