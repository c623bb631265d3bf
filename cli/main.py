"""The `tutor` command.

    up, down, restart   start and stop the engine       cli/up.py
    status              what runs, and how it is        cli/status.py
    check               everything a client does, once  cli/check.py
    chat                talk with a tutor               cli/chat.py
    avatar              faces made of photos and clips  cli/avatar.py

Each command imports what it needs when it is called: `tutor --help` must not wait for codecs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import CommandError, StartFailed, WrongUsage
from cli.screen import complain
from cli.surroundings import PROJECT, api_key, settings_in_force
from deployments.settings import SettingsError

FAILED = 1
WRONG_USAGE = 2

app = typer.Typer(
    name="tutor",
    help="Start, stop, check and try the Virtual Tutor engine.",
    epilog="Exit codes: 0 fine, 1 failed, 2 wrong usage or wrong setting. "
    "Settings come from the environment or a file `.env`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

avatar_app = typer.Typer(help="Make faces of photos and clips.", no_args_is_help=True)
app.add_typer(avatar_app, name="avatar")

Config = Annotated[
    Path, typer.Option(help="The graph to start.", show_default="configs/serve.yaml")
]
PlainServe = Annotated[
    bool, typer.Option("--plain-serve", help="Serve's default mode: without HAProxy, slower.")
]
Foreground = Annotated[
    bool, typer.Option("--foreground", help="Stay attached and show the log; Ctrl-C stops it.")
]
Wait = Annotated[float, typer.Option(help="Seconds to wait until it is up.", min=1)]
Url = Annotated[
    str | None, typer.Option(help="The engine's address.", show_default="that of the settings")
]
Key = Annotated[
    str | None,
    typer.Option("--api-key", help="The engine's key.", show_default="ENGINE_API_KEY"),
]

DEFAULT_CONFIG = PROJECT / "configs" / "serve.yaml"
DEFAULT_WAIT_S = 180.0


def main() -> None:
    app()


@contextmanager
def _told() -> Iterator[None]:
    """Failures as sentences and exit codes; never a traceback for what a person can mend."""
    try:
        yield
    except SettingsError as wrong:
        complain(str(wrong))
        raise typer.Exit(WRONG_USAGE) from wrong
    except CommandError as failed:
        complain(failed.sentence)
        for line in failed.details if isinstance(failed, StartFailed) else []:
            complain(f"  {line}", "")
        if failed.remedy:
            complain(failed.remedy, "yellow")
        raise typer.Exit(failed.exit_code) from failed
    except KeyboardInterrupt as interrupted:
        complain("Interrupted.", "yellow")
        raise typer.Exit(FAILED) from interrupted


@app.command()
def up(
    config: Config = DEFAULT_CONFIG,
    foreground: Foreground = False,
    plain_serve: PlainServe = False,
    wait: Wait = DEFAULT_WAIT_S,
) -> None:
    """Start the engine in the background, and wait until it is ready."""
    with _told():
        from cli.engine import Engine, Wish
        from cli.up import up

        engine = Engine(settings_in_force())
        up(engine, Wish(config, plain_serve), foreground=foreground, limit_s=wait)


@app.command()
def down() -> None:
    """Stop the engine and everything that belongs to it."""
    with _told():
        from cli.engine import Engine
        from cli.up import down

        down(Engine(settings_in_force()))


@app.command()
def restart(
    config: Annotated[
        Path | None, typer.Option(help="The graph to start.", show_default="that of before")
    ] = None,
    foreground: Foreground = False,
    plain_serve: Annotated[
        bool | None,
        typer.Option("--plain-serve/--throughput", help="Serve's mode.", show_default="as before"),
    ] = None,
    wait: Wait = DEFAULT_WAIT_S,
) -> None:
    """Stop the engine and start it again, with the options it was started with."""
    with _told():
        from cli.engine import Engine, Wish
        from cli.up import restart

        engine = Engine(settings_in_force())
        before = engine.last_wish(Wish(DEFAULT_CONFIG))
        wish = Wish(
            config or before.config, before.plain_serve if plain_serve is None else plain_serve
        )
        restart(engine, wish, foreground=foreground, limit_s=wait)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what runs: applications, engines, sessions, ports and memory."""
    with _told():
        from cli import status as shown
        from cli.engine import Engine
        from cli.errors import EngineNotRunning

        try:
            found = shown.status(Engine(settings_in_force()))
        except EngineNotRunning:
            if not as_json:
                raise
            shown.show_json({"running": False})
            raise typer.Exit(FAILED) from None
        if as_json:
            shown.show_json(found.as_json())
        else:
            shown.show(found)


@app.command()
def check(
    webrtc: Annotated[
        bool,
        typer.Option(
            "--webrtc",
            help="Do what a browser does: connect over WebRTC, watch, ask, listen, interrupt.",
        ),
    ] = False,
    relay: Annotated[
        bool, typer.Option("--relay", help="With --webrtc: connect over the relay (TURN) only.")
    ] = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Do once everything that a client does, and say what is wrong."""
    with _told():
        from cli.check import Walk, check
        from cli.client import Client

        if relay and not webrtc:
            raise WrongUsage("--relay goes with --webrtc.")
        walk_of: Callable[..., Walk] = Walk
        if webrtc:
            from cli.check_webrtc import LiveWalk

            walk_of = partial(LiveWalk, relay_only=relay)
        settings = settings_in_force()
        with Client(url or settings.http_url, api_key(settings, key)) as client:
            if not check(client, walk_of):
                raise typer.Exit(FAILED)


@app.command()
def chat(  # noqa: PLR0913 - typer makes an option of each argument
    text: Annotated[
        str | None, typer.Argument(help="One question; without it a conversation.")
    ] = None,
    tutor: Annotated[int, typer.Option(help="The tutor's id.", min=0)] = 2,
    student: Annotated[int, typer.Option(help="The student's id.", min=0)] = 1,
    say: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Send this recording.")
    ] = None,
    video: Annotated[Path | None, typer.Option(help="Write the answer as MP4.")] = None,
    audio: Annotated[Path | None, typer.Option(help="Write the voice (.wav, .mp3, .ogg).")] = None,
    avatar: Annotated[str | None, typer.Option(help="The face: mei, anna or david.")] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Talk with a tutor in this terminal."""
    with _told():
        from cli.chat import ChatWish, chat
        from cli.client import Client

        settings = settings_in_force()
        wish = ChatWish(tutor, student, text, say, video, audio, avatar)
        with Client(url or settings.http_url, api_key(settings, key)) as client:
            if not chat(client, wish):
                raise typer.Exit(FAILED)


@avatar_app.command("add")
def avatar_add(
    name: Annotated[str, typer.Argument(help="What the face is to be called.")],
    file: Annotated[Path, typer.Argument(help="A photo, or a clip of up to 20 s, of one person.")],
    box: Annotated[
        str,
        typer.Option(
            help="Where the face is in the first frame, jaw to jaw and brows to chin: "
            "left,top,right,bottom, each from 0 to 1.",
            show_default="it is looked for",
        ),
    ] = "",
    shift: Annotated[int, typer.Option(help="For v1 weights: pixels; + opens the mouth.")] = 0,
    url: Url = None,
    key: Key = None,
) -> None:
    """Have a face made of a photo or a clip, and wait until it is ready."""
    with _told():
        from cli.avatar import AvatarClient, add

        settings = settings_in_force()
        with AvatarClient(url or settings.http_url, api_key(settings, key)) as client:
            add(client, name, file, box=box, shift=shift)


@avatar_app.command("list")
def avatar_list(url: Url = None, key: Key = None) -> None:
    """Show the faces there are, and those in the making."""
    with _told():
        from cli.avatar import AvatarClient, show

        settings = settings_in_force()
        with AvatarClient(url or settings.http_url, api_key(settings, key)) as client:
            show(client.avatars())


@avatar_app.command("remove")
def avatar_remove(
    name: Annotated[str, typer.Argument(help="The face's name.")],
    url: Url = None,
    key: Key = None,
) -> None:
    """Delete a face, also one that is in the making."""
    with _told():
        from cli.avatar import AvatarClient, remove

        settings = settings_in_force()
        with AvatarClient(url or settings.http_url, api_key(settings, key)) as client:
            remove(client, name)
