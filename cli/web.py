"""The web server as a companion of the engine: how it is started, and when it is up."""

import os
import sys
import time

import httpx
from rich.console import Console

from cli.companion import Companion, Kept, Program
from cli.errors import CompanionFailed
from cli.keeper import ENDED
from cli.ports import demand_free
from cli.progress import shown, telling_lines
from cli.screen import say, typed
from cli.surroundings import take_env_files
from serve_app.settings import ALL_INTERFACES, Settings
from web_server.settings import WebSettings, read_settings

UP_LIMIT_S = 90.0
"""It needs some five seconds, and on a busy machine several times as many."""

ASK_LIMIT_S = 5.0
LOOK_INTERVAL_S = 0.3

ADD_ADMIN = ".venv/bin/python -m web_server add-admin EMAIL"

NOT_BUILT = (
    "The page is not built, so only the API is there. Install Node.js 20.19 or newer (or run `make "
    "install`, which brings one) and run `make page`."
)


def web_settings_in_force() -> WebSettings:
    """Raises `SettingsError` naming every wrong setting."""
    take_env_files()
    return read_settings()


def web_url(settings: WebSettings) -> str:
    """Where a browser on this machine finds it."""
    host = "localhost" if settings.web_host in ALL_INTERFACES else settings.web_host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.web_port}"


def demand_port(settings: WebSettings) -> None:
    """Raises `CommandError` or `SettingsError`."""
    demand_free(settings.web_host, settings.web_port, "WEB", ", or leave it out with --no-web")


def web_program(settings: Settings, own: WebSettings, dashboard: str | None) -> Program:
    """It shares the engine's settings; what it needs to know of the engine is told where the user
    has not said it."""
    known = {"ENGINE_URL": settings.http_url, "RAY_DASHBOARD_URL": dashboard or ""}
    environment = {**known, **{name: value for name, value in os.environ.items() if value}}
    # Absolute, because its working folder is another one than this command's.
    environment["TUTOR_HOME"] = str(settings.tutor_home.expanduser().resolve())
    return Program((sys.executable, "-m", "web_server"), web_url(own), environment)


def web_answers(url: str) -> bool:
    try:
        # `trust_env`: a proxy of the company knows nothing of this machine's loopback.
        with httpx.Client(trust_env=False, timeout=ASK_LIMIT_S) as http:
            answer = http.get(f"{url}/health")
            return answer.status_code == 200 and answer.json() == {"status": "ok"}
    except (httpx.HTTPError, ValueError):
        return False


def wait_for_web(companion: Companion, kept: Kept, console: Console) -> None:
    """Raises `CompanionFailed` when it ends first, or takes too long."""
    if web_answers(kept.url):
        return
    deadline_s = time.monotonic() + UP_LIMIT_S
    with shown(console) as show:
        show("Starting the web server …")
        while not web_answers(kept.url):
            if companion.watch().last_end or not kept.alive:
                raise _failed("The web server ended while it was starting:", companion, kept)
            if time.monotonic() > deadline_s:
                sentence = f"The web server was not up after {UP_LIMIT_S:.0f} s:"
                raise _failed(sentence, companion, kept)
            time.sleep(LOOK_INTERVAL_S)


def tell_web(own: WebSettings, kept: Kept) -> None:
    if not (own.frontend_dist / "index.html").is_file():
        say(NOT_BUILT, "yellow")
    if own.demo:
        from web_server.demo import ADMIN, STUDENT

        logins = " · ".join(f"{one.email} / {one.password}" for one in (STUDENT, ADMIN))
        say(f"Demo logins: {logins}")
    else:
        say(f"Make an administrator: {ADD_ADMIN}", "dim")
    say(f"Open {kept.url}", "bold green")


def _failed(sentence: str, companion: Companion, kept: Kept) -> CompanionFailed:
    # The keeper's own word says only that it is tried again, which it is not.
    lines = [line for line in telling_lines(companion.log_end(kept)) if not line.startswith(ENDED)]
    again = typed("tutor up")
    return CompanionFailed(
        sentence, lines, f"The engine is left as it is. Mend it, and start it with `{again}`."
    )
