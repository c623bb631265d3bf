"""Run by Alembic; the connection comes from `web_server/database.py`."""

from alembic import context
from sqlalchemy import Connection

from web_server.tables import Table

VERSION_TABLE = "web_alembic_version"
"""The engine's tables may be in the same database."""


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    """Only the web server's own tables are looked at."""
    return kind != "table" or (name or "").startswith("web_")


def configured(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Table.metadata,
        version_table=VERSION_TABLE,
        include_name=include_name,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )


def run() -> None:
    connection: Connection = context.config.attributes["connection"]
    configured(connection)
    with context.begin_transaction():
        context.run_migrations()


run()
