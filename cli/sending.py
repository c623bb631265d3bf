"""Files on their way to the engine, and the bar that shows how far they are."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from cli.client import REST_LIMIT_S, Client, refused, words
from cli.errors import CommandError, EngineNotRunning, Refused
from cli.screen import out, say
from wire.rest import AvatarPublic, DocumentPublic

UPLOAD_LIMIT_S = 120.0
"""For one piece, and for the first look at the file."""

PIECE_BYTES = 2**18

Told = Callable[[str, float], None]
"""What is being done, and how much of it, 0 to 1."""

Made = TypeVar("Made", AvatarPublic, DocumentPublic)


class SendingClient(Client):
    """Sends a file as a request's body."""

    def _send(self, path: str, file: Path, query: dict[str, str], told: Told) -> httpx.Response:
        """Raises `CommandError`."""
        size = file.stat().st_size
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        try:
            answer = self._http.post(
                path,
                params=query,
                content=_pieces(file, size, told),
                headers=headers,
                timeout=httpx.Timeout(UPLOAD_LIMIT_S, connect=REST_LIMIT_S),
            )
        except httpx.HTTPError as error:
            raise EngineNotRunning(
                f"The upload to {self.url} broke off ({words(error)}).",
                "`tutor status` shows whether the engine runs.",
            ) from error
        if answer.is_error:
            raise refused(answer)
        return answer


def settled(look: Callable[[], Made], told: Told, interval_s: float, removed: str) -> Made:
    """Look until it is ready or has failed; the engine goes on when this is interrupted. Raises
    `CommandError`, with the sentence `removed` when it is gone."""
    while True:
        try:
            made = look()
        except Refused as gone:
            if gone.status == 404:
                raise CommandError(removed) from gone
            raise
        if made.state in ("ready", "failed"):
            return made
        told(made.state, made.progress)
        time.sleep(interval_s)


def _pieces(file: Path, size: int, told: Told) -> Iterator[bytes]:
    sent = 0
    with file.open("rb") as opened:
        while piece := opened.read(PIECE_BYTES):
            yield piece
            sent += len(piece)
            told("sending", sent / size)


@contextmanager
def bar() -> Iterator[Told]:
    """A bar in a terminal; elsewhere a line for each step."""
    if not out.is_terminal:
        said: list[str] = []

        def say_once(step: str, _part: float) -> None:
            if step not in said:
                said.append(step)
                say(f"{step.capitalize()} …")

        yield say_once
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeRemainingColumn(), console=out, transient=True) as bars:
        shown = bars.add_task("", total=1.0)

        def draw(step: str, part: float) -> None:
            bars.update(shown, description=f"{step.capitalize()} …", completed=part)

        yield draw
