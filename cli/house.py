"""All that `tutor up` starts, of one `TUTOR_HOME`: the engine, the web server and the tunnel."""

from dataclasses import dataclass
from pathlib import Path

from cli.companion import Companion, Kept, Program, Seen
from cli.engine import Engine, Wish
from cli.errors import CommandError, WrongUsage
from cli.public import PublicAddress, demand_public
from cli.record import Record
from cli.tunnel import tunnel_program
from cli.web import demand_port, web_answers, web_settings_in_force, web_url
from serve_app.settings import Settings
from web_server.settings import WebSettings


@dataclass(frozen=True)
class Start:
    """What `tutor up` was asked for."""

    graph: Wish
    web: bool = True
    tunnel: bool = False
    public: str | None = None
    """The host by which browsers elsewhere find this machine."""
    opens: bool = True
    """Whether the page is shown in a browser, where there is one."""
    foreground: bool = False
    limit_s: float = 180.0


@dataclass(frozen=True)
class Plan:
    """What was asked for, once nothing is known to stand in its way."""

    web: WebSettings | None
    tunnel: Program | None
    public: PublicAddress | None


class House:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.engine = Engine(settings)
        folder = self.engine.files.folder
        self.web = Companion("web server", "web", folder)
        self.tunnel = Companion("tunnel", "tunnel", folder)
        self.companions = (self.web, self.tunnel)

    @property
    def logs(self) -> list[Path]:
        return [self.engine.files.log_file, *(one.log_file for one in self.companions)]

    def plan(self, start: Start, *, anew: bool = False) -> Plan:
        """Raises `CommandError` or `SettingsError`; nothing has been started then. `anew`: what
        runs is about to be stopped."""
        public = PublicAddress.of(start.public) if start.public else None
        if public and not start.web:
            raise WrongUsage("--public is about the page, and does not go with --no-web.")
        web = web_settings_in_force() if start.web else None
        if public and web:
            demand_public(public, self.settings, web)
        tunnel = tunnel_program(self.settings) if start.tunnel else None
        if web and not self._left_behind(web) and (anew or self.web.running() is None):
            demand_port(web)
        return Plan(web, tunnel, public)

    def _left_behind(self, web: WebSettings) -> bool:
        """Whether a web server whose keeper has died holds the port; it is ended at the start."""
        kept = self.web.record()
        return kept is not None and kept.url == web_url(web) and bool(kept.processes())

    def last_start(self, otherwise: Start) -> Start:
        """With the options that what runs, or ran last, was started with."""
        if self.engine.files.record() is None and self.web.record() is None:
            return otherwise
        return Start(
            self.engine.last_wish(otherwise.graph),
            web=self.web.record() is not None,
            tunnel=self.tunnel.record() is not None,
        )

    def stop(self) -> list[str]:
        """What was stopped, in sentences. Raises `CommandError` after all has been tried."""
        failed = []
        stopped: list[tuple[str, Kept | Record | None]] = []
        # Who uses the engine goes first.
        for name, stop in (
            (self.tunnel.name, self.tunnel.stop),
            (self.web.name, self.web.stop),
            ("engine", self.engine.stop),
        ):
            try:
                stopped.append((name, stop()))
            except CommandError as failure:
                failed.append(failure)
        if failed:
            raise failed[0]
        return [f"The {name} at {one.url} has stopped." for name, one in stopped if one]

    def seen(self) -> list[Seen]:
        """How those are that were started beside the engine."""
        return [
            Seen(one.key, one.name, kept, one.watch(), self._works(one, kept))
            for one in self.companions
            if (kept := one.record()) is not None
        ]

    def _works(self, companion: Companion, kept: Kept) -> bool:
        """As far as that can be seen from here."""
        return companion is not self.web or web_answers(kept.url)
