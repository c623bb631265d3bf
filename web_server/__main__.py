"""`python -m web_server`: serve; and what an owner does by command."""

import asyncio
import sys
from datetime import UTC, datetime
from getpass import getpass
from typing import Annotated

import typer
from alembic import command
from sqlalchemy import select

from foundation.database import connected
from foundation.settings import SettingsError
from web_server.access import School
from web_server.accounts import folded_email
from web_server.app import opened, serve
from web_server.database import alembic_config, migrate
from web_server.errors import NotFound, WebError
from web_server.passwords import LEAST_CHARS, MAX_CHARS
from web_server.sentences import Sentence
from web_server.settings import WebSettings, read_settings
from web_server.students import add_account
from web_server.tables import UserRow

app = typer.Typer(add_completion=False, help="The web server of Virtual Tutor.")

NO_ACCOUNT = Sentence("There is no account {email}.")

Email = Annotated[str, typer.Argument(help="with which the person logs in")]


@app.callback(invoke_without_command=True)
def serving(context: typer.Context) -> None:
    """Serve, on WEB_HOST and WEB_PORT."""
    if context.invoked_subcommand is None:
        serve(read_settings())


@app.command("migrate")
def migrating() -> None:
    """Bring the database to the newest form; starting the server does it too."""
    migrate(read_settings().database)


@app.command()
def add_admin(email: Email, name: Annotated[str, typer.Option()] = "") -> None:
    """Make an administrator, who then has tutors and students of their own."""
    asyncio.run(_add_admin(read_settings(), folded_email(email), name, _asked_password()))


@app.command("password")
def new_password(email: Email) -> None:
    """Give an account another password, and end its logins."""
    asyncio.run(_set_password(read_settings(), folded_email(email), _asked_password()))


@app.command(hidden=True)
def revision(message: str) -> None:
    """Write the next migration, from the difference between tables.py and the database."""
    asyncio.run(_revise(read_settings(), message))


async def _add_admin(settings: WebSettings, email: str, name: str, password: str) -> None:
    async with opened(settings) as school:
        row = UserRow(
            email=email,
            name=name or email.partition("@")[0],
            password_hash=await school.passwords.hashed(password),
            created_at=datetime.now(UTC),
        )
        await add_account(school, row)
    typer.echo(f"{email} is an administrator now.")


async def _set_password(settings: WebSettings, email: str, password: str) -> None:
    async with opened(settings) as school:
        await _change(school, email, await school.passwords.hashed(password))
    typer.echo(f"{email} has a new password.")


async def _change(school: School, email: str, password_hash: str) -> None:
    async with school.database.writing() as rows:
        user = await rows.scalar(select(UserRow).where(UserRow.email == email))
        if user is None:
            raise NotFound(NO_ACCOUNT.about(email=email))
        user.password_hash = password_hash
        user.token_version += 1
        user.spared_login = None


async def _revise(settings: WebSettings, message: str) -> None:
    engine = connected(settings.database)
    async with engine.connect() as connection:
        await connection.run_sync(
            lambda sync: command.revision(alembic_config(sync), message, autogenerate=True)
        )
    await engine.dispose()


def _asked_password() -> str:
    """Typed, or the first line of what is piped in."""
    given = getpass("New password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not LEAST_CHARS <= len(given) <= MAX_CHARS:
        raise SettingsError(f"A password has {LEAST_CHARS} to {MAX_CHARS} characters.")
    return given


def main() -> None:
    try:
        app()
    except SettingsError as wrong:
        sys.exit(str(wrong))
    except WebError as refused:
        sys.exit(refused.sentence)


if __name__ == "__main__":
    main()
