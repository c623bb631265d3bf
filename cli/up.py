"""`tutor up`, `tutor down` and `tutor restart`: what is said around starting and stopping."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cli.client import Client
from cli.dashboard import wants_token
from cli.engine import Engine, Wish
from cli.errors import CommandError, StartFailed
from cli.progress import telling_lines, wait_until_up
from cli.record import Record
from cli.screen import engines_table, out, say, typed
from wire.rest import Health

FOLLOW_INTERVAL_S = 0.3


def up(engine: Engine, wish: Wish, *, foreground: bool, limit_s: float) -> None:
    with _stoppable(foreground):
        record, begun = _started(engine, wish)
        if not begun and _answers(record):
            return
        try:
            _tell_ready(engine, record, wait_until_up(engine, record, out, limit_s))
            if foreground and begun:
                _follow(engine, record)
        except (StartFailed, KeyboardInterrupt) as end:
            # Another command's engine is that command's to stop.
            if begun:
                _clear_away(engine, record)
            if not foreground or isinstance(end, StartFailed):
                raise
            say("The engine has stopped.")


def _started(engine: Engine, wish: Wish) -> tuple[Record, bool]:
    """The engine that runs, and whether it was this call that started it."""
    with engine.files.locked():
        if (record := engine.files.running()) is None:
            return engine.start(wish), True
    what = "already running" if _answers(record) else "being started already"
    say(f"The engine is {what}: {record.url}/docs")
    if record.url != engine.url:
        restart = typed("tutor restart")
        say(f"The settings say {engine.url} meanwhile: `{restart}` moves it there.", "yellow")
    return record, False


def _answers(record: Record) -> bool:
    try:
        with Client(record.url, None) as client:
            client.health()
    except CommandError:
        return False
    return True


def _tell_ready(engine: Engine, record: Record, health: Health) -> None:
    out.print()
    out.print(engines_table(health.engines, reasons=False))
    out.print()
    if lack := engine.lack_of_gpus():
        say(lack, "yellow")
    if dashboard := engine.dashboard_of(record):
        login = f"  (login token: `{typed('ray get-auth-token')}`)" if wants_token() else ""
        say(f"Ray dashboard: {dashboard}{login}", "dim")
    say(f"Log: {engine.files.log_file}", "dim")
    say(f"Try it: {typed('tutor chat --kb weather')}    Stop it: {typed('tutor down')}", "dim")
    say(f"Meet the tutor: {record.url}/demo", "bold")
    say(f"Virtual Tutor is ready: {record.url}/docs", "bold green")


def down(engine: Engine) -> bool:
    """Whether anything was stopped. Raises `CommandError`."""
    began_s = time.monotonic()
    record = _stop(engine)
    if record is None:
        say("Nothing runs: there was no engine to stop.")
        return False
    say(f"The engine at {record.url} has stopped ({time.monotonic() - began_s:.1f} s).")
    return True


def restart(engine: Engine, wish: Wish, *, foreground: bool, limit_s: float) -> None:
    down(engine)
    up(engine, wish, foreground=foreground, limit_s=limit_s)


def _stop(engine: Engine) -> Record | None:
    with engine.files.locked():
        return engine.stop()


def _clear_away(engine: Engine, record: Record) -> None:
    try:
        if engine.files.record() == record:
            _stop(engine)
    except CommandError:
        if record.alive:  # else a `tutor down` is at it already
            raise


def _follow(engine: Engine, record: Record) -> None:
    """Show the log until the engine ends. Raises `StartFailed`."""
    with engine.files.log_file.open("rb") as log:
        log.seek(0, os.SEEK_END)
        while record.alive:
            if lines := log.read():
                sys.stdout.write(lines.decode("utf-8", "replace"))
                sys.stdout.flush()
            else:
                time.sleep(FOLLOW_INTERVAL_S)
    raise StartFailed("The engine has ended:", telling_lines(engine.log_end(record)))


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
