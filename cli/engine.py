"""Starting and stopping the graph: one `serve run` with all its children."""

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from cli.dashboard import dashboard_url
from cli.ending import Round, end
from cli.environment import STATS_PORT, engine_environment, uses_haproxy
from cli.errors import CommandError
from cli.gpus import demand_room, lack_under_load
from cli.graph_file import Graph, read_graph, resolved, tutors_file, written
from cli.log import last_of, rotated, written_since
from cli.ports import demand_free, holder, is_free
from cli.record import Record, RunFolder
from cli.surroundings import PROJECT, run_folder
from serve_app.settings import Settings
from serve_app.tutor_store import given_tutors
from serve_app.tutors import read_tutors

ROUNDS = (
    # `serve run` takes its cluster down in three to five seconds; with all asked at once, it takes
    # longer.
    Round(signal.SIGTERM, 10.0, everyone=False),
    Round(signal.SIGTERM, 10.0, everyone=True),
    Round(signal.SIGKILL, 5.0, everyone=True),
)
"""How the engine is ended."""

PORT_LIMIT_S = 5.0
LOOK_INTERVAL_S = 0.2


@dataclass(frozen=True)
class Wish:
    """What `tutor up` was asked for."""

    config: Path
    plain_serve: bool = False


class Engine:
    """The engine of one `TUTOR_HOME`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.url = settings.http_url
        self.files = RunFolder(run_folder(settings))

    def last_wish(self, otherwise: Wish) -> Wish:
        """What the engine that runs, or ran last, was started with."""
        record = self.files.record()
        return Wish(Path(record.config), record.plain_serve) if record else otherwise

    def start(self, wish: Wish) -> Record:
        """Start it, unless it cannot be. Raises `CommandError` or `SettingsError`.

        The caller holds `files.locked()`.
        """
        graph = self._graph(wish.config)  # first, because nothing is touched when it is wrong
        demand_room(graph)
        demand_free(*self._address, "MANAGEMENT_API")
        if (old := self.files.record()) is not None:
            end(old, ROUNDS)  # what a killed engine has left behind
            self.files.forget()
        environment = engine_environment(plain_serve=wish.plain_serve)
        environment["TUTOR_HOME"] = str(self.files.folder.parent)
        self.files.graph_file.write_text(written(graph), "utf-8")
        log_offset = rotated(self.files.log_file)
        process = self._spawn(environment)
        record = Record(
            pid=process.pid,
            started_s=process.create_time(),
            url=self.url,
            config=str(wish.config.resolve()),
            plain_serve=wish.plain_serve,
            log_offset=log_offset,
            haproxy_stats_port=int(environment[STATS_PORT]) if uses_haproxy(environment) else None,
        )
        self.files.write(record)
        return record

    def _spawn(self, environment: dict[str, str]) -> psutil.Process:
        with self.files.log_file.open("ab") as log:
            return psutil.Popen(
                [str(_serve_script()), "run", str(self.files.graph_file)],
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # outlives this terminal, and can be found as a whole
            )

    def _graph(self, config: Path) -> Graph:
        graph = read_graph(config)
        tutors = read_tutors(PROJECT / tutors_file(graph), self._settings)
        tutors.give(given_tutors(self._settings.database))
        return resolved(graph, self._address, tutors.llm_models)

    @property
    def _address(self) -> tuple[str, int]:
        return self._settings.management_api_host, self._settings.management_api_port

    def lack_of_gpus(self) -> str | None:
        """What of the graph that runs cannot be had at once under load; None: nothing."""
        return lack_under_load(read_graph(self.files.graph_file))

    def dashboard_of(self, record: Record) -> str | None:
        return dashboard_url(written_since(self.files.log_file, record.log_offset))

    def log_end(self, record: Record) -> str:
        """The last of what this run has written."""
        return last_of(self.files.log_file, record.log_offset)

    def stop(self) -> Record | None:
        """Stop what runs, and forget it; what was stopped, or None. Raises `CommandError`.

        The caller holds `files.locked()`.
        """
        record = self.files.record()
        if record is None:
            self.files.forget()
            return None
        ran = bool(record.processes())
        if left := end(record, ROUNDS):
            names = ", ".join(f"pid {process.pid}" for process in left)
            raise CommandError(f"These processes of the engine do not end: {names}.")
        self.files.forget()
        if not ran:
            return None
        self._wait_for_port(record)
        return record

    def _wait_for_port(self, record: Record) -> None:
        host, port = self._address
        if record.url != self.url:
            return  # the settings have changed since; the processes are gone, that must do
        deadline_s = time.monotonic() + PORT_LIMIT_S
        while not is_free(host, port):
            if time.monotonic() > deadline_s:
                by = holder(port) or "another program"
                raise CommandError(f"The engine has ended, but port {port} is still held by {by}.")
            time.sleep(LOOK_INTERVAL_S)


def _serve_script() -> Path:
    script = Path(sys.executable).with_name("serve")
    if not script.exists():
        raise CommandError(f"Ray Serve's command {script} is missing.", "Run `make install`.")
    return script
