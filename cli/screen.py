"""How the commands look: one console for answers, one for complaints, and the tables both share."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wire.rest import EngineHealth

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

COLOUR_OF = {
    "ready": "green",
    "RUNNING": "green",
    "HEALTHY": "green",
    "degraded": "yellow",
    "starting": "cyan",
    "DEPLOYING": "cyan",
    "UPDATING": "cyan",
    "unavailable": "red",
    "UNHEALTHY": "red",
    "DEPLOY_FAILED": "red",
}

FOLDED = ("reason", "remedy", "model")
"""Columns of sentences and of long names."""


def say(sentence: str, style: str = "") -> None:
    """One line as it is: never wrapped, so that a URL or a path can be copied."""
    out.print(Text(sentence, style=style), soft_wrap=True)


def complain(sentence: str, style: str = "red") -> None:
    err.print(Text(sentence, style=style), soft_wrap=True)


def state(word: str) -> Text:
    return Text(word, style=COLOUR_OF.get(word, ""))


def table(*columns: str) -> Table:
    shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        # Sentences fold; what stands before them is never cut.
        shown.add_column(column, overflow="fold", no_wrap=column not in FOLDED)
    return shown


def engines_table(engines: Mapping[str, EngineHealth], *, reasons: bool) -> Table:
    shown = table("stage", "engine", "state", *(["reason"] if reasons else []), "remedy")
    for stage, engine in engines.items():
        why = [Text(engine.reason)] if reasons else []
        shown.add_row(stage, Text(engine.engine), state(engine.state), *why, Text(engine.remedy))
    return shown


def typed(command: str) -> str:
    """A command as this person can type it: with its folder where the shell would not find it."""
    program, _, arguments = command.partition(" ")
    if shutil.which(program) is None:
        program = _short(Path(sys.executable).with_name(program))
    return f"{program} {arguments}".rstrip()


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
