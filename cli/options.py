"""Options that commands of several files have."""

from typing import Annotated

import typer

Url = Annotated[
    str | None,
    typer.Option(help="The engine's address.", show_default="that of the settings"),
]
Key = Annotated[
    str | None,
    typer.Option("--api-key", help="The engine's key.", show_default="ENGINE_API_KEY"),
]
