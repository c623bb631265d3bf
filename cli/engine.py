"""Starting and stopping the graph: one `serve run` with all its children."""

import contextlib
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from cli.dashboard import dashboard_url
from cli.environment import STATS_PORT, engine_environment, uses_haproxy
from cli.errors import CommandError
from cli.gpus import demand_room, lack_under_load
from cli.graph_file import Graph, read_graph, resolved, tutors_file, written
from cli.ports import holder, is_free
from cli.record import Record, RunFolder
from cli.surroundings import PROJECT, run_folder
from serve_app.settings import Settings
from serve_app.tutor_store import given_tutors
from serve_app.tutors import read_tutors

ROUNDS = (
    # `serve run` takes its cluster down in three to five seconds; with all asked at once, it takes
    # longer.
    (signal.SIGTERM, 10.0, False),
    (signal.SIGTERM, 10.0, True),
    (signal.SIGKILL, 5.0, True),
)
"""How the engine is ended: the signal, the seconds it is given, and whether everyone gets it or
only the leader."""

PORT_LIMIT_S = 5.0
LOOK_INTERVAL_S = 0.2

LOG_LIMIT_BYTES = 10 * 1000 * 1000
"""A start after this much log begins a new file and keeps the old one."""

LOG_LOOK_BYTES = 64 * 1024
"""Ray names its dashboard, and a failure its reason, well within so much."""


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
        self._check_port()
        if (old := self.files.record()) is not None:
            _end(old)  # what a killed engine has left behind
            self.files.forget()
        environment = engine_environment(plain_serve=wish.plain_serve)
        environment["TUTOR_HOME"] = str(self.files.folder.parent)
        self.files.graph_file.write_text(written(graph), "utf-8")
        log_offset = self._rotate_log()
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
        address = (self._settings.management_api_host, self._settings.management_api_port)
        return resolved(graph, address, tutors.llm_models)

    def _check_port(self) -> None:
        host, port = self._settings.management_api_host, self._settings.management_api_port
        if is_free(host, port):
            return
        by = holder(port)
        raise CommandError(
            f"Port {port} is taken{f' by {by}' if by else ''}.",
            "Stop that program, or choose another port with MANAGEMENT_API_PORT.",
        )

    def _rotate_log(self) -> int:
        """Where the new run begins in the log."""
        log = self.files.log_file
        size = log.stat().st_size if log.exists() else 0
        if size <= LOG_LIMIT_BYTES:
            return size
        log.replace(log.with_name(log.name + ".1"))
        return 0

    def lack_of_gpus(self) -> str | None:
        """What of the graph that runs cannot be had at once under load; None: nothing."""
        return lack_under_load(read_graph(self.files.graph_file))

    def dashboard_of(self, record: Record) -> str | None:
        return dashboard_url(self._log(record.log_offset))

    def log_end(self, record: Record) -> str:
        """The last of what this run has written."""
        try:
            size = self.files.log_file.stat().st_size
        except OSError:
            return ""
        return self._log(max(record.log_offset, size - LOG_LOOK_BYTES))

    def _log(self, offset: int) -> str:
        try:
            with self.files.log_file.open("rb") as log:
                log.seek(offset)
                return log.read(LOG_LOOK_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""

    def stop(self) -> Record | None:
        """Stop what runs, and forget it; what was stopped, or None. Raises `CommandError`.

        The caller holds `files.locked()`.
        """
        record = self.files.record()
        if record is None:
            self.files.forget()
            return None
        ran = bool(record.processes())
        if left := _end(record):
            names = ", ".join(f"pid {process.pid}" for process in left)
            raise CommandError(f"These processes of the engine do not end: {names}.")
        self.files.forget()
        if not ran:
            return None
        self._wait_for_port(record)
        return record

    def _wait_for_port(self, record: Record) -> None:
        host, port = self._settings.management_api_host, self._settings.management_api_port
        if record.url != self.url:
            return  # the settings have changed since; the processes are gone, that must do
        deadline_s = time.monotonic() + PORT_LIMIT_S
        while not is_free(host, port):
            if time.monotonic() > deadline_s:
                by = holder(port) or "another program"
                raise CommandError(f"The engine has ended, but port {port} is still held by {by}.")
            time.sleep(LOOK_INTERVAL_S)


def _end(record: Record) -> list[psutil.Process]:
    """Ask the engine to end, then what it leaves behind, then make them; returns what lives on."""
    for number, limit_s, everyone in ROUNDS:
        asked = [process for process in record.processes() if everyone or process.pid == record.pid]
        for process in asked:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        if asked and not _left_after(record, limit_s):
            break
    return record.processes()


def _left_after(record: Record, limit_s: float) -> list[psutil.Process]:
    deadline_s = time.monotonic() + limit_s
    # Looked up anew each time: a dying cluster may still start a worker.
    while (left := record.processes()) and time.monotonic() < deadline_s:
        time.sleep(LOOK_INTERVAL_S)
    return left


def _serve_script() -> Path:
    script = Path(sys.executable).with_name("serve")
    if not script.exists():
        raise CommandError(f"Ray Serve's command {script} is missing.", "Run `make install`.")
    return script
