"""`tutor status`: what runs, how it is, and what it takes."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.text import Text

from cli.client import Client
from cli.companion import Seen
from cli.dashboard import Application, applications
from cli.errors import CommandError, EngineNotRunning
from cli.house import House
from cli.memory import Gpu, ReplicaUsage, Usage, gpu_memory, gpus, replica_usage, usage
from cli.record import Record
from cli.screen import engines_table, out, say, state, table, typed
from wire.rest import Health

NOTHING = ReplicaUsage(0, 0, None)


@dataclass(frozen=True)
class Status:
    url: str
    record: Record | None
    """None: something answers that `tutor up` has not started."""
    dashboard: str | None
    apps: list[Application]
    health: Health | None
    usage: Usage
    usage_of: Mapping[str, ReplicaUsage] = field(default_factory=dict)
    """By application."""
    gpus: list[Gpu] = field(default_factory=list)
    beside: list[Seen] = field(default_factory=list)
    """The web server and the tunnel, if they were started."""

    def as_json(self) -> dict[str, Any]:
        record, health = self.record, self.health
        return {
            "running": True,
            "url": self.url,
            "pid": record.pid if record else None,
            "uptime_s": round(uptime_s(record), 1) if record else None,
            "ports": self.ports,
            "dashboard": self.dashboard,
            "applications": {app.name: self._app_as_json(app) for app in self.apps},
            "engines": {s: e.model_dump() for s, e in health.engines.items()} if health else None,
            "sessions": health.sessions.model_dump() if health else None,
            "processes": self.usage.processes,
            "memory_bytes": self.usage.memory_bytes,
            "memory_measure": self.usage.measure,
            "gpus": [asdict(gpu) for gpu in self.gpus],
            **_beside_as_json(self.beside),
        }

    def _app_as_json(self, app: Application) -> dict[str, Any]:
        taken = self.usage_of.get(app.name, NOTHING)
        return asdict(app) | {
            "memory_bytes": taken.memory_bytes,
            "gpu_memory_bytes": taken.gpu_memory_bytes,
        }

    @property
    def ports(self) -> dict[str, int]:
        found = {"http": _port(self.url)}
        if self.dashboard:
            found["dashboard"] = _port(self.dashboard)
        if self.record and self.record.haproxy_stats_port:
            found["haproxy_stats"] = self.record.haproxy_stats_port
        return found


def status(house: House) -> Status:
    """Raises `EngineNotRunning`."""
    engine = house.engine
    record = engine.files.running()
    url = record.url if record else engine.url
    try:
        with Client(url, None) as client:
            health = client.health()
    except CommandError:
        health = None
    if record is None and health is None:
        raise EngineNotRunning(
            f"No engine is running at {url}.", f"Start it with `{typed('tutor up')}`."
        )
    dashboard = engine.dashboard_of(record) if record else None
    apps = (applications(dashboard) if dashboard else None) or []
    usage_of = replica_usage({app.name: app.pids for app in apps}, gpu_memory())
    taken = usage(record)
    return Status(url, record, dashboard, apps, health, taken, usage_of, gpus(), house.seen())


def uptime_s(record: Record) -> float:
    return max(0.0, time.time() - record.started_s)


def show(found: Status) -> None:
    if found.record is None:
        say("This engine was not started by `tutor up`; only its own word is known.", "yellow")
    if found.apps:
        out.print(_applications_table(found))
        out.print()
    if found.health is None:
        say("The gateway does not answer (yet).", "yellow")
    else:
        out.print(engines_table(found.health.engines, reasons=True))
    out.print()
    if found.beside:
        out.print(_beside_table(found.beside))
        out.print()
    out.print(_facts(found))


def show_without_engine(beside: list[Seen], *, as_json: bool) -> None:
    """What runs though the engine does not."""
    if as_json:
        show_json({"running": False, **_beside_as_json(beside)})
    elif beside:
        out.print(_beside_table(beside))
        out.print()


def show_json(found: Mapping[str, Any]) -> None:
    # Not through rich's own JSON: a pipe wants no colours and no wrapping.
    say(json.dumps(found, indent=2, ensure_ascii=False))


def _applications_table(found: Status) -> Any:
    shown = table("application", "state", "replicas", "memory", "reason")
    for app in found.apps:
        replicas = ", ".join(f"{count} {word.lower()}" for word, count in app.replicas.items())
        shown.add_row(
            app.name,
            state(app.status),
            replicas or "none",
            _memory(found.usage_of.get(app.name, NOTHING)),
            Text(_reason(app)),
        )
    return shown


def _beside_table(beside: list[Seen]) -> Any:
    shown = table("beside it", "state", "address", "reason")
    for seen in beside:
        shown.add_row(seen.name, state(seen.state), seen.kept.url, Text(seen.reason))
    return shown


def _beside_as_json(beside: list[Seen]) -> dict[str, Any]:
    return {seen.key: seen.as_json() for seen in beside}


def _memory(taken: ReplicaUsage) -> str:
    if not taken.processes:
        return ""
    on_gpu = taken.gpu_memory_bytes
    return _gb(taken.memory_bytes) + ("" if on_gpu is None else f" + {_gb(on_gpu)} of GPU")


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.2f} GB"


def _reason(app: Application) -> str:
    if app.waiting or app.running:
        return app.waiting
    return (app.message.strip().splitlines() or [""])[-1]


def _facts(found: Status) -> Any:
    shown = table("", "")
    shown.show_header = False
    if found.health:
        sessions = found.health.sessions
        shown.add_row("sessions", f"{sessions.active} of {sessions.max}")
    ports = ", ".join(f"{name.replace('_', ' ')} {port}" for name, port in found.ports.items())
    shown.add_row("ports", ports)
    shown.add_row("address", f"{found.url}/docs")
    if found.dashboard:
        shown.add_row("dashboard", found.dashboard)
    if found.record:
        memory = f"{_gb(found.usage.memory_bytes)} {found.usage.measure}"
        shown.add_row("process", f"pid {found.record.pid} and {found.usage.processes - 1} more")
        shown.add_row("memory", memory)
        shown.add_row("up for", _span(uptime_s(found.record)))
    for gpu in found.gpus:
        free = f"{_gb(gpu.free_bytes)} free of {_gb(gpu.total_bytes)}"
        shown.add_row(f"GPU {gpu.index}", Text(f"{free} ({gpu.name})"))
    return shown


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    shown = [f"{count} {unit}" for count, unit in parts if count]
    return " ".join(shown[:2]) or "0 s"


def _port(url: str) -> int:
    return int(url.rstrip("/").rsplit(":", 1)[1])
