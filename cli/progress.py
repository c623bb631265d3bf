"""Waiting until the graph is up: what it looks like meanwhile, and when it has failed."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console

from cli.client import Client
from cli.dashboard import ANSI, Application, applications
from cli.engine import Engine
from cli.errors import CommandError, StartFailed
from cli.record import Record
from wire.rest import Health

UP_LIMIT_S = 180.0
"""The embedded engines need some 15 s; a large model from a slow disk a minute or two."""

UNAVAILABLE_AFTER_S = 30.0
"""An engine that says so long after the start that it is not available will not become it."""

LOOK_INTERVAL_S = 0.5
REASON_LINES = 12

_UNIMPORTANT = re.compile(
    r"^\s*$|\b(INFO|DEBUG|WARNING)\b|^\s*[|+~^-]+\s*$"
    r"|SIGTERM received|PC: @|^[^@]*@ (0x|\.\.\.)|^[^@]* @  +0x"  # a process that was told to end
    r"|^\(\w+ pid=\d+\)\s*(•.*)?$"  # Serve's list of what the throughput mode changes
)


@dataclass(frozen=True)
class Look:
    """The graph at one moment."""

    apps: list[Application] = field(default_factory=list)
    health: Health | None = None

    @property
    def failed(self) -> list[Application]:
        return [app for app in self.apps if app.status == "DEPLOY_FAILED"]

    def stages(self, state: str) -> list[str]:
        engines = self.health.engines if self.health else {}
        return [stage for stage, engine in engines.items() if engine.state == state]

    def is_up(self, waited_s: float) -> bool:
        # What waits for room in the cluster is not waited for; the health tells of it.
        if self.health is None or not all(app.running or app.waiting for app in self.apps):
            return False
        if self.stages("starting"):
            return False
        return not self.stages("unavailable") or waited_s > UNAVAILABLE_AFTER_S

    def __str__(self) -> str:
        up = [app.name for app in self.apps if app.running]
        waiting = [app.name for app in self.apps if not app.running]
        waiting += [stage for stage in self.stages("starting") if stage not in waiting]
        if not self.apps:
            return "Starting Ray …" if self.health is None else "Starting the engines …"
        if not waiting:
            return f"Up: {', '.join(up)}; the gateway does not answer yet …"
        done = f"Up: {', '.join(up)}; s" if up else "S"
        return f"{done}till starting: {', '.join(waiting)} …"


def look(engine: Engine, record: Record) -> Look:
    dashboard = engine.dashboard_of(record)
    apps = applications(dashboard) if dashboard else None
    try:
        with Client(record.url, None) as client:
            health = client.health()
    except CommandError:
        health = None
    return Look(apps or [], health)


def wait_until_up(engine: Engine, record: Record, console: Console, limit_s: float) -> Health:
    """Raises `StartFailed`."""
    deadline_s = time.monotonic() + limit_s
    with shown(console) as show:
        while True:
            now = look(engine, record)
            if now.health is not None and now.is_up(time.time() - record.started_s):
                return now.health
            _check(engine, record, now)
            show(str(now))
            if time.monotonic() > deadline_s:
                raise StartFailed(
                    f"The engine was not up after {limit_s:.0f} s. {now}",
                    telling_lines(engine.log_end(record)),
                )
            time.sleep(LOOK_INTERVAL_S)


def _check(engine: Engine, record: Record, now: Look) -> None:
    if now.failed:
        failed = now.failed[0]
        details = telling_lines(failed.message)
        raise StartFailed(f"The application {failed.name!r} could not be started:", details)
    if engine.files.record() != record:
        raise StartFailed("The engine was stopped while it was starting.")
    if not record.alive:
        details = telling_lines(engine.log_end(record))
        raise StartFailed("The engine ended while it was starting:", details)


@contextmanager
def shown(console: Console) -> Iterator[Callable[[str], None]]:
    """A line that changes in a terminal; elsewhere a new line for each change."""
    if console.is_terminal:
        with console.status("") as line:
            yield lambda text: line.update(text)
        return
    said: list[str] = []

    def say_once(text: str) -> None:
        if text not in said[-1:]:
            said.append(text)
            console.print(text, markup=False, soft_wrap=True)

    yield say_once


def telling_lines(log: str) -> list[str]:
    """The last lines that may say why something failed."""
    lines = [line.rstrip() for line in ANSI.sub("", log).splitlines()]
    telling = [line for line in lines if not _UNIMPORTANT.search(line)]
    return (telling or lines)[-REASON_LINES:]
