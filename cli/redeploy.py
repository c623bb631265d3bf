"""Bringing a change of the tutors into the engine that runs: its graph is written anew and given to
Serve, which starts and ends the applications of language models and leaves all else alone."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console

from cli.client import Client
from cli.dashboard import NO_DASHBOARD, Application, applications, deploy
from cli.engine import Engine
from cli.errors import CommandError, StartFailed
from cli.gpus import demand_room
from cli.graph_file import Graph, other_changes, read_graph, redeployed, resolved, written
from cli.progress import shown, telling_lines
from cli.record import Record
from serve_app.settings import TUTOR_MODEL_VARIABLE, Settings
from serve_app.tutors import Tutors

LOOK_INTERVAL_S = 0.5

TRY_AGAIN = (
    "The tutors' file is written; until this is mended, the default model answers. Mend it and run "
    "`tutor tutors deploy`, or take the tutor out again with `tutor tutors remove`."
)


@dataclass(frozen=True)
class Change:
    """What a deployment has done."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    left: tuple[str, ...]
    """Applications, but for language models, that the file has otherwise than the engine runs
    them."""


def settings_of(record: Record, settings: Settings) -> Settings:
    """Which models the engine that runs was told by its environment, which may be another one by
    now than this command's."""
    try:
        environment = psutil.Process(record.pid).environ()
    except psutil.Error:
        return settings
    default = Settings.model_fields["default_llm_model"].default
    found = {
        "default_llm_model": environment.get("DEFAULT_LLM_MODEL") or default,
        "tutor_llm_models": _tutor_models(environment),
    }
    return settings.model_copy(update=found)


def _tutor_models(environment: Mapping[str, str]) -> dict[int, str]:
    return {
        int(match[1]): model
        for name, model in environment.items()
        if model and (match := TUTOR_MODEL_VARIABLE.match(name))
    }


class Redeployment:
    """Of the engine of this record. The caller holds `files.locked()`."""

    def __init__(self, engine: Engine, record: Record, tutors: Tutors) -> None:
        self._engine = engine
        self._record = record
        self._tutors = tutors

    def run(self, console: Console, limit_s: float) -> Change:
        """Until every language model's application runs. Raises `CommandError`."""
        file = self._engine.files.graph_file
        running = read_graph(file)
        now = self._now(running)
        graph = redeployed(running, now)
        demand_room(graph)
        deploy(self._dashboard(), graph)
        file.write_text(written(graph), "utf-8")
        before, after = _models(running), _models(graph)
        change = Change(
            tuple(sorted(after - before)),
            tuple(sorted(before - after)),
            tuple(other_changes(running, now)),
        )
        self._wait(change, after, console, limit_s)
        return change

    def _now(self, running: Graph) -> Graph:
        """What a restart would run, at the address of the engine that runs."""
        options = running.get("http_options") or {}
        address = (str(options.get("host")), int(options.get("port", 0)))
        config = read_graph(Path(self._record.config))
        return resolved(config, address, self._tutors.llm_models)

    def _dashboard(self) -> str:
        if url := self._engine.dashboard_of(self._record):
            return url
        raise CommandError("Ray has not said where its dashboard is.", NO_DASHBOARD)

    def _wait(self, change: Change, wanted: set[str], console: Console, limit_s: float) -> None:
        deadline_s = time.monotonic() + limit_s
        with shown(console) as show:
            while waiting := self._waiting(change, wanted):
                show(f"Still to come: {', '.join(waiting)} …")
                if time.monotonic() > deadline_s:
                    raise StartFailed(
                        f"After {limit_s:.0f} s these are not there: {', '.join(waiting)}.",
                        remedy=TRY_AGAIN,
                    )
                time.sleep(LOOK_INTERVAL_S)

    def _waiting(self, change: Change, wanted: set[str]) -> list[str]:
        """What has not happened yet. Raises `StartFailed` when it never will."""
        apps = applications(self._dashboard())
        if apps is None:
            return ["Ray's dashboard"]
        listed = {app.name: app for app in apps}
        for name in sorted(wanted):
            _demand_not_failed(listed.get(name))
        starting = [name for name in wanted if name not in listed or not listed[name].running]
        leaving = [f"the end of {name}" for name in change.removed if name in listed]
        return sorted(starting) + leaving or self._unknown(change)

    def _unknown(self, change: Change) -> list[str]:
        """New applications that the gateway does not use yet."""
        try:
            with Client(self._record.url, None) as client:
                engines = client.health().engines
        except CommandError:
            return ["the gateway"]
        known = {name for name, engine in engines.items() if engine.state != "starting"}
        return [f"{name} in the gateway" for name in change.added if name not in known]


def _demand_not_failed(app: Application | None) -> None:
    if app is not None and app.status == "DEPLOY_FAILED":
        raise StartFailed(
            f"The application {app.name!r} could not be started:",
            telling_lines(app.message),
            TRY_AGAIN,
        )


def _models(graph: Graph) -> set[str]:
    return {entry["name"] for entry in graph["applications"] if entry["name"].startswith("llm-")}
