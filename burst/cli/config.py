"""``burst config``: every setting, its value, and where that came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from burst.cli import console, options

if TYPE_CHECKING:
    from burst.config.load import Loaded, Settings


def config(json: options.Json = False) -> None:
    """Show every setting, and where each value came from.

    burst.toml is overruled by the environment, and that by options.
    """
    from burst.config.cluster import ClusterSettings
    from burst.config.farm import FarmSettings
    from burst.config.google import GoogleSettings
    from burst.config.images import ImageSettings
    from burst.config.load import config_file, load, variables
    from burst.manager.settings import ManagerSettings
    from burst.worker.settings import WorkerSettings

    path = config_file()
    programs: list[type[Settings]] = [
        FarmSettings,
        ManagerSettings,
        WorkerSettings,
        ImageSettings,
        GoogleSettings,
        ClusterSettings,
    ]
    loaded = {model.table: load(model) for model in programs}
    if json:
        values = {table: _as_json(program) for table, program in loaded.items()}
        console.emit({"file": str(path) if path else None, **values})
        return
    console.tell(f"file: {path or 'none'}")
    named = {model.table: variables(model) for model in programs}
    rows = [
        (f"{table}.{field}", _plain(value), program.sources[field], named[table].get(field, "-"))
        for table, program in loaded.items()
        for field, value in program.settings
    ]
    console.table(("SETTING", "VALUE", "FROM", "VARIABLE"), rows)


def _as_json(program: Loaded[Any]) -> dict[str, dict[str, Any]]:
    return {
        field: {
            "value": value if isinstance(value, (int, float, type(None))) else _plain(value),
            "from": program.sources[field],
        }
        for field, value in program.settings
    }


def _plain(value: object) -> str:
    """Return a value for people; secrets print as stars by themselves."""
    return "-" if value is None else str(value)
