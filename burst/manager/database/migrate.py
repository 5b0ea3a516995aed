"""Brings the tables up to the version that this burst writes, by Alembic."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from burst.errors import StateVersionError

_FOLDER = Path(__file__).with_name("migrations")


def upgrade(connection: sa.Connection) -> None:
    """Run the migrations that the database has not seen, inside the caller's transaction.

    Raises:
        StateVersionError: the database was written by a later burst.
    """
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    if _is_current(config, connection):
        return
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StateVersionError(
            f"the database was written by a later burst ({error})",
            hint="use that burst, or another folder with --state-dir",
        ) from error


def _is_current(config: Config, connection: sa.Connection) -> bool:
    """Say whether there is nothing to do, without the cost of running Alembic's environment."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return False
    version = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return version == ScriptDirectory.from_config(config).get_current_head()
