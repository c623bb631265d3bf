"""The `tutor` command.

    up, down, restart   start and stop all              cli/up.py
    status              what runs, and how it is        cli/status.py
    check               everything a client does, once  cli/check.py
    chat                talk with a tutor               cli/chat.py
    tutors              list, add and remove tutors     cli/tutors.py
    avatar              faces made of photos and clips  cli/avatar.py
    kb                  what tutors know of a course    cli/kb.py

Each command imports what it needs when it is called: `tutor --help` must not wait for codecs.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cli.avatar import avatar
from cli.errors import WrongUsage
from cli.kb import kb
from cli.options import Key, Url
from cli.surroundings import PROJECT, api_key, settings_in_force
from cli.telling import FAILED, told
from cli.tutors import tutors

app = typer.Typer(
    name="tutor",
    help="Start, stop, check and try Virtual Tutor.",
    epilog="Exit codes: 0 fine, 1 failed, 2 wrong usage or wrong setting. "
    "Settings come from the environment or a file `.env`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(tutors, name="tutors")
app.add_typer(avatar, name="avatar")
app.add_typer(kb, name="kb")

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

DEFAULT_CONFIG = PROJECT / "configs" / "serve.yaml"
DEFAULT_WAIT_S = 180.0


def main() -> None:
    app()


@app.command()
def up(  # noqa: PLR0913 - typer makes an option of each argument
    config: Config = DEFAULT_CONFIG,
    foreground: Foreground = False,
    plain_serve: PlainServe = False,
    wait: Wait = DEFAULT_WAIT_S,
    no_web: Annotated[
        bool, typer.Option("--no-web", help="The engine alone, without the web server.")
    ] = False,
    no_open: Annotated[
        bool, typer.Option("--no-open", help="Do not show the page in a browser.")
    ] = False,
    public: Annotated[
        str | None,
        typer.Option(
            metavar="HOST",
            help="Check that browsers elsewhere can use it under this name, and print what they "
            "and the firewall need.",
        ),
    ] = None,
    tunnel: Annotated[
        bool, typer.Option("--tunnel", help="Also open the tunnel of configs/frpc.toml.")
    ] = False,
) -> None:
    """Start engine and web server in the background, and wait until they are ready."""
    with told():
        from cli.engine import Wish
        from cli.house import House, Start
        from cli.up import up

        start = Start(
            Wish(config, plain_serve), not no_web, tunnel, public, not no_open, foreground, wait
        )
        up(House(settings_in_force()), start)


@app.command()
def down() -> None:
    """Stop the engine and everything that belongs to it."""
    with told():
        from cli.house import House
        from cli.up import down

        down(House(settings_in_force()))


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
    web: Annotated[
        bool | None, typer.Option(help="With the web server.", show_default="as before")
    ] = None,
    tunnel: Annotated[
        bool | None, typer.Option(help="With the tunnel.", show_default="as before")
    ] = None,
) -> None:
    """Stop all and start it again, with the options it was started with."""
    with told():
        from cli.engine import Wish
        from cli.house import House, Start
        from cli.up import restart

        house = House(settings_in_force())
        before = house.last_start(Start(Wish(DEFAULT_CONFIG)))
        graph = before.graph
        wish = Wish(
            config or graph.config, graph.plain_serve if plain_serve is None else plain_serve
        )
        start = Start(
            wish,
            web=before.web if web is None else web,
            tunnel=before.tunnel if tunnel is None else tunnel,
            opens=False,  # whoever had the page open has it still
            foreground=foreground,
            limit_s=wait,
        )
        restart(house, start)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what runs: applications, engines, sessions, ports and memory."""
    with told():
        from cli import status as shown
        from cli.errors import EngineNotRunning
        from cli.house import House

        house = House(settings_in_force())
        try:
            found = shown.status(house)
        except EngineNotRunning:
            shown.show_without_engine(house.seen(), as_json=as_json)
            if not as_json:
                raise
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
    with told():
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
    face: Annotated[
        str | None,
        typer.Option("--avatar", help="The face: mei, anna, david, or a prepared one."),
    ] = None,
    kb: Annotated[
        str | None,
        typer.Option(
            metavar="BASE",
            help="Knowledge base, see `tutor kb list`.",
            show_default="the tutor's own",
        ),
    ] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Talk with a tutor in this terminal."""
    with told():
        from cli.chat import ChatWish, chat
        from cli.client import Client

        settings = settings_in_force()
        wish = ChatWish(tutor, student, text, say, video, audio, face, kb)
        with Client(url or settings.http_url, api_key(settings, key)) as client:
            if not chat(client, wish):
                raise typer.Exit(FAILED)
