"""Photos and clips on their way to become faces, over the engine's REST API."""

from functools import partial
from pathlib import Path
from urllib.parse import quote

from pydantic import TypeAdapter
from rich.text import Text

from cli.errors import CommandError, WrongUsage
from cli.screen import complain, out, say, state, table
from cli.sending import SendingClient, Told, bar, settled
from engines.avatar.musetalk.footage import LIMIT_BYTES, too_many_bytes
from engines.base import FPS
from wire.rest import AvatarPublic

PATH = "/v1/avatars"

LOOK_INTERVAL_S = 0.5

_LIST = TypeAdapter(list[AvatarPublic])


class AvatarClient(SendingClient):
    """The engine's faces."""

    def avatars(self) -> list[AvatarPublic]:
        return _LIST.validate_json(self._ask("GET", PATH).content)

    def avatar(self, name: str) -> AvatarPublic:
        answer = self._ask("GET", f"{PATH}/{quote(name, safe='')}")
        return AvatarPublic.model_validate_json(answer.content)

    def remove(self, name: str) -> None:
        self._ask("DELETE", f"{PATH}/{quote(name, safe='')}")

    def add(self, file: Path, query: dict[str, str], told: Told) -> AvatarPublic:
        """Send a photo or clip. Raises `CommandError`."""
        answer = self._send(PATH, file, query, told)
        return AvatarPublic.model_validate_json(answer.content)


def add(client: AvatarClient, name: str, file: Path, *, box: str = "", shift: int = 0) -> None:
    """Send, wait until it is made, and say how it went. Raises `CommandError`."""
    if not file.is_file():
        raise WrongUsage(f"There is no file {file}.")
    if file.stat().st_size > LIMIT_BYTES:
        raise CommandError(too_many_bytes().sentence)
    query = {"name": name, "box": box, "shift": str(shift)}
    with bar() as told:
        client.add(file, query, told)
        removed = f"{name} was removed while it was being prepared."
        made = settled(partial(client.avatar, name), told, LOOK_INTERVAL_S, removed)
    if made.state == "failed":
        try:
            client.remove(name)  # nobody needs to be told twice
        except CommandError as error:
            raise CommandError(
                made.reason, f"`tutor avatar list` still shows it: {error}"
            ) from error
        raise CommandError(made.reason)
    say(f"{name} is ready: {made.frames} frames, {made.frames / FPS:.1f} s.", "green")
    for note in made.notes:
        complain(note, "yellow")


def show(avatars: list[AvatarPublic]) -> None:
    shown = table("name", "made of", "state", "reason")
    for avatar in avatars:
        how = state(avatar.state)
        if avatar.state == "preparing":
            how.append(f" {avatar.progress:.0%}")
        why = avatar.reason or " ".join(avatar.notes)
        shown.add_row(Text(avatar.name), avatar.kind or "", how, Text(why))
    out.print(shown)


def remove(client: AvatarClient, name: str) -> None:
    client.remove(name)
    say(f"{name} is removed.")
