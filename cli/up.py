"""`tutor up`, `tutor down` and `tutor restart`: what is said around starting and stopping."""

import os
import signal
import sys
import time
import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

from cli.client import Client
from cli.companion import Kept
from cli.dashboard import wants_token
from cli.engine import Engine, Wish
from cli.errors import CommandError, CompanionFailed, StartFailed
from cli.house import House, Plan, Start
from cli.progress import telling_lines, wait_until_up
from cli.public import tell_public
from cli.record import Record
from cli.screen import engines_table, out, say, typed
from cli.tunnel import socket_hint
from cli.web import tell_web, wait_for_web, web_program, web_url
from wire.rest import Health

FOLLOW_INTERVAL_S = 0.3
SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")


def up(house: House, start: Start) -> None:
    plan = house.plan(start)  # first, because nothing is touched when something is wrong
    with _stoppable(start.foreground):
        record, begun = _started(house.engine, start.graph)
        try:
            if begun or not _answers(record):
                health = wait_until_up(house.engine, record, out, start.limit_s)
                _tell_ready(house.engine, record, health)
            fresh = _open_up(house, plan, record)
            if fresh and start.opens:
                _show_page(fresh.url)
            if start.foreground and begun:
                _follow(house, record)
        except (StartFailed, KeyboardInterrupt) as end:
            # Another command's engine is that command's to stop, and one that is up may go on.
            stays = isinstance(end, CompanionFailed) and not start.foreground
            if begun and not stays:
                _clear_away(house, record)
            if not start.foreground or isinstance(end, StartFailed):
                raise
            say("All has stopped.")


def _started(engine: Engine, wish: Wish) -> tuple[Record, bool]:
    """The engine that runs, and whether it was this call that started it."""
    with engine.files.locked():
        if (record := engine.files.running()) is None:
            return engine.start(wish), True
    what = "already running" if _answers(record) else "being started already"
    say(f"The engine is {what}: {record.url}/docs")
    _tell_moved(record.url, engine.url)
    return record, False


def _tell_moved(url: str, wanted: str) -> None:
    if url != wanted:
        restart = typed("tutor restart")
        say(f"The settings say {wanted} meanwhile: `{restart}` moves it there.", "yellow")


def _answers(record: Record) -> bool:
    try:
        with Client(record.url, None) as client:
            client.health()
    except CommandError:
        return False
    return True


def _open_up(house: House, plan: Plan, record: Record) -> Kept | None:
    """The tunnel and the web server; the latter, if it was this call that started it. Raises
    `CompanionFailed`."""
    if plan.tunnel is not None:
        _open_tunnel(house, plan)
    if plan.web is None:
        return None
    kept, begun = _started_web(house, plan, record)
    try:
        wait_for_web(house.web, kept, out)
    except (CompanionFailed, KeyboardInterrupt):
        if begun:
            with house.engine.files.locked():
                house.web.stop()
        raise
    if plan.public is not None:
        tell_public(plan.public, house.settings)
    tell_web(plan.web, kept)
    return kept if begun else None


def _started_web(house: House, plan: Plan, record: Record) -> tuple[Kept, bool]:
    assert plan.web is not None
    with house.engine.files.locked():
        running = house.engine.files.running()
        if running is None or running.pid != record.pid:
            raise StartFailed("The engine was stopped meanwhile, so the web server is not started.")
        if (kept := house.web.running()) is None:
            dashboard = house.engine.dashboard_of(record)
            return house.web.start(web_program(house.settings, plan.web, dashboard)), True
    say(f"The web server is already running: {kept.url}")
    _tell_moved(kept.url, web_url(plan.web))
    return kept, False


def _open_tunnel(house: House, plan: Plan) -> None:
    assert plan.tunnel is not None
    with house.engine.files.locked():
        kept = house.tunnel.running()
        what = "open already" if kept else "open"
        kept = kept or house.tunnel.start(plan.tunnel)
    say(f"The tunnel is {what}: {kept.url}  (log: {house.tunnel.log_file})")
    if hint := socket_hint(house.settings, kept.url):
        say(hint, "yellow")


def _show_page(url: str) -> None:
    """Where somebody sits before it: at a terminal, on a screen."""
    on_screen = sys.platform == "darwin" or any(os.environ.get(name) for name in SCREENS)
    if on_screen and sys.stdout.isatty():
        webbrowser.open(url)


def _tell_ready(engine: Engine, record: Record, health: Health) -> None:
    out.print()
    out.print(engines_table(health.engines, reasons=False))
    out.print()
    if lack := engine.lack_of_gpus():
        say(lack, "yellow")
    if dashboard := engine.dashboard_of(record):
        login = f"  (login token: `{typed('ray get-auth-token')}`)" if wants_token() else ""
        say(f"Ray dashboard: {dashboard}{login}", "dim")
    say(f"Logs: {engine.files.folder}", "dim")
    say(f"Try it: {typed('tutor chat --kb weather')}    Stop it: {typed('tutor down')}", "dim")
    say(f"Meet the tutor: {record.url}/demo", "bold")
    say(f"Virtual Tutor is ready: {record.url}/docs", "bold green")


def down(house: House) -> bool:
    """Whether anything was stopped. Raises `CommandError`."""
    began_s = time.monotonic()
    stopped = _stop(house)
    for sentence in stopped or ["Nothing runs: there was no engine to stop."]:
        say(sentence)
    if stopped:
        say(f"All is down after {time.monotonic() - began_s:.1f} s.", "dim")
    return bool(stopped)


def restart(house: House, start: Start) -> None:
    house.plan(start, anew=True)  # before anything is stopped
    down(house)
    up(house, start)


def _stop(house: House) -> list[str]:
    with house.engine.files.locked():
        return house.stop()


def _clear_away(house: House, record: Record) -> None:
    try:
        if house.engine.files.record() == record:
            _stop(house)
    except CommandError:
        if record.alive:  # else a `tutor down` is at it already
            raise


def _follow(house: House, record: Record) -> None:
    """Show the logs until something ends that should not. Raises `StartFailed`."""
    kept = [one for companion in house.companions if (one := companion.running())]
    with ExitStack() as open_files:
        logs = [open_files.enter_context(file.open("rb")) for file in house.logs if file.is_file()]
        for log in logs:
            log.seek(0, os.SEEK_END)
        while record.alive and all(one.alive for one in kept):
            if lines := b"".join(log.read() for log in logs):
                sys.stdout.write(lines.decode("utf-8", "replace"))
                sys.stdout.flush()
            else:
                time.sleep(FOLLOW_INTERVAL_S)
    if record.alive:
        raise CompanionFailed("What runs beside the engine has ended; see the lines above.")
    raise StartFailed("The engine has ended:", telling_lines(house.engine.log_end(record)))


@contextmanager
def _stoppable(foreground: bool) -> Iterator[None]:
    """While attached, SIGTERM and SIGINT both mean: stop. Set for SIGINT as well, because a shell's
    `&` starts its jobs with that one ignored."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in signals:  # once is enough; stopping takes its time
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    signals = (signal.SIGTERM, signal.SIGINT) if foreground else ()
    before = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
