"""What runs beside the engine, as the web server: a program in the background with a keeper that
starts it again, its PID file, its state and its log."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from cli.ending import Round, end
from cli.errors import CommandError
from cli.keeper import END_LIMIT_S, Watch, read_watch
from cli.log import last_of, rotated
from cli.record import Leader, write_whole
from cli.surroundings import PROJECT

ROUNDS = (
    Round(signal.SIGTERM, END_LIMIT_S + 3.0, everyone=False),  # the keeper, which ends the rest
    Round(signal.SIGTERM, 3.0, everyone=True),
    Round(signal.SIGKILL, 5.0, everyone=True),
)


@dataclass(frozen=True)
class Kept(Leader):
    """A started companion; its leader is the keeper."""

    url: str
    """Where it is found."""
    log_offset: int
    """Where in the log this run begins."""


@dataclass(frozen=True)
class Program:
    """What is to be run."""

    command: tuple[str, ...]
    url: str
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Seen:
    """How a companion is, at one moment."""

    key: str
    """In JSON; for people it is `name`."""
    name: str
    kept: Kept
    watch: Watch
    answers: bool
    """Whether its program does what it is there for, as far as that can be seen."""

    @property
    def state(self) -> str:
        if self.watch.pid is None or not self.kept.alive:
            return "unavailable"
        return "ready" if self.answers else "starting"

    @property
    def reason(self) -> str:
        """A sentence of what a person should know; empty: nothing."""
        watch, again = self.watch, self.watch.starts - 1
        if not self.kept.alive:
            return "Nobody starts it again any more. Do it with `tutor up`."
        if watch.next_start_s is not None:
            wait_s = max(0.0, watch.next_start_s - time.time())
            return f"It has ended ({watch.last_end}), and is started again in {wait_s:.0f} s."
        if again == 1:
            return f"Started again 1 time, because of {watch.last_end}."
        return f"Started again {again} times, last because of {watch.last_end}." * (again > 0)

    def as_json(self) -> dict[str, object]:
        return {
            "url": self.kept.url,
            "state": self.state,
            "reason": self.reason,
            "pid": self.watch.pid,
            "keeper_pid": self.kept.pid,
            "starts": self.watch.starts,
        }


class Companion:
    """One of a `TUTOR_HOME`. Who starts or stops it holds the lock of its `RunFolder`."""

    def __init__(self, name: str, key: str, folder: Path) -> None:
        self.name = name
        """For sentences, behind `the`."""
        self.key = key
        self.log_file = folder / f"{key}.log"
        self._record_file = folder / f"{key}.json"
        self._state_file = folder / f"{key}.state.json"

    def record(self) -> Kept | None:
        """What was started, be it alive or not; None when there is nothing to read."""
        try:
            return Kept(**json.loads(self._record_file.read_text("utf-8")))
        except (OSError, ValueError, TypeError):  # TypeError: written by another version
            return None

    def running(self) -> Kept | None:
        kept = self.record()
        return kept if kept is not None and kept.alive else None

    def watch(self) -> Watch:
        return read_watch(self._state_file)

    def start(self, program: Program) -> Kept:
        """Start it anew. Raises `CommandError` when what is left of an old one does not end."""
        self.stop()
        log_offset = rotated(self.log_file)
        with self.log_file.open("ab") as log:
            process = psutil.Popen(
                [sys.executable, "-m", "cli.keeper", str(self._state_file), *program.command],
                cwd=PROJECT,
                env=dict(program.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # outlives this terminal, and can be found as a whole
            )
        kept = Kept(process.pid, process.create_time(), program.url, log_offset)
        write_whole(self._record_file, kept)
        return kept

    def stop(self) -> Kept | None:
        """Stop and forget it; what was stopped, or None. Raises `CommandError`."""
        kept = self.record()
        ran = kept is not None and bool(kept.processes())
        if kept is not None and (left := end(kept, ROUNDS)):
            names = ", ".join(f"pid {process.pid}" for process in left)
            raise CommandError(f"These processes of the {self.name} do not end: {names}.")
        self._record_file.unlink(missing_ok=True)
        self._state_file.unlink(missing_ok=True)
        return kept if ran else None

    def log_end(self, kept: Kept) -> str:
        """The last of what this run has written."""
        return last_of(self.log_file, kept.log_offset)
