"""The PID file: which engine runs here, in a way that neither a dead process nor another one that
got its PID can pretend to be it."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from cli.errors import CommandError

CLOCK_SLACK_S = 2.0
"""psutil derives start times from the time of day, which may be set meanwhile. No PID comes round
again within two seconds."""


@dataclass(frozen=True)
class Leader:
    """A started process that leads a session of its own, and all that it has started."""

    pid: int
    started_s: float
    """When that process began, in seconds since 1970."""

    @property
    def alive(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            # A zombie has ended; only its parent has not noticed.
            return self._is_mine(process) and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def processes(self) -> list[psutil.Process]:
        """Every process of this session that is left, also when its leader has died."""
        if self.started_s < psutil.boot_time() - CLOCK_SLACK_S:
            return []  # of before a reboot: whoever has that number now is somebody else
        try:
            if not self._is_mine(psutil.Process(self.pid)):
                return []  # the PID is another's, so none of the old session is left
        except psutil.NoSuchProcess:
            pass
        return [process for process in psutil.process_iter() if self._is_member(process)]

    def _is_mine(self, leader: psutil.Process) -> bool:
        return abs(leader.create_time() - self.started_s) < CLOCK_SLACK_S

    def _is_member(self, process: psutil.Process) -> bool:
        try:
            return (
                os.getsid(process.pid) == self.pid
                and process.create_time() > self.started_s - CLOCK_SLACK_S
                and process.status() != psutil.STATUS_ZOMBIE
            )
        except (OSError, psutil.Error):
            return False


@dataclass(frozen=True)
class Record(Leader):
    """A started engine; its leader is `serve run`."""

    url: str
    config: str
    plain_serve: bool
    log_offset: int
    """Where in the log this run begins."""
    haproxy_stats_port: int | None = None


def write_whole(file: Path, record: Leader) -> None:
    """A reader sees the old file or the new one, never half of it."""
    half = file.with_suffix(".new")
    half.write_text(json.dumps(asdict(record), indent=1), "utf-8")
    half.replace(file)


class RunFolder:
    """Where the PID file, the log and the resolved graph of one `TUTOR_HOME` lie."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record_file = folder / "engine.json"
        self.graph_file = folder / "serve.yaml"
        self.log_file = folder / "engine.log"

    def create(self) -> None:
        try:
            # Conversations and tokens' hashes lie there: for this person's eyes only.
            self.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise CommandError(
                f"The folder {self.folder} cannot be made: {error.strerror}.", "Set TUTOR_HOME."
            ) from error

    def record(self) -> Record | None:
        """What the PID file says, be it true or not; None when there is none to read."""
        try:
            return Record(**json.loads(self.record_file.read_text("utf-8")))
        except (OSError, ValueError, TypeError):  # TypeError: written by another version
            return None

    def running(self) -> Record | None:
        """The engine that really runs."""
        record = self.record()
        return record if record is not None and record.alive else None

    def write(self, record: Record) -> None:
        write_whole(self.record_file, record)

    def forget(self) -> None:
        self.record_file.unlink(missing_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One `tutor up` or `tutor down` at a time. Raises `CommandError`."""
        self.create()
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as busy:
                raise CommandError(
                    "Another `tutor up` or `tutor down` is at work here.", "Wait for it."
                ) from busy
            yield
