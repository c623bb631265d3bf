"""Documents on their way into a base: uploads, and how far each of them is.

    uploads/
    ├── {order}-{id}/    upload      the file as it was sent
    │                    job.json    what it is, and how far it is
    │                    attempt-1   who reads it touches this; the next one to try makes attempt-2
    ├── .{id}/           being received, or put away
    └── .dropped/{…}     jobs that nobody wants any more, for whoever is still at them

The files are the truth: any process can tell how far a document is, and end it by taking its folder
away. An attempt that is not touched any more has lost its process; of those who then make the next
one only one succeeds, and whoever finds a newer attempt than its own keeps its hands off. One that
failed through no fault of the document is called attempt-1.excused, and does not count.
"""

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal
from uuid import uuid4

from engines.errors import EngineBusy, EngineUnavailable

HEARTBEAT_S = 3.0
GONE_S = 20.0
"""Several heartbeats: a loaded machine must not take a living reader for dead."""

MAX_ATTEMPTS = 3
"""What ends its process three times will do so again."""

MAX_EXCUSED = 4_000
"""A day of attempts, one in `GONE_S`: by then somebody should have mended what is away."""

MAX_JOBS = 500
"""Those that wait and those that have failed. Each may be 100 MB while it waits."""

LEAST_FREE_BYTES = 1_000_000_000
"""What an upload must leave of the disk, for the index and for everything else."""

UPLOAD_GONE_S = 3600.0
"""An upload may be slow; after an hour nobody is sending any more."""

FAILED_KEPT_S = 7 * 86400.0
"""A week should do to be told why a document is not there."""

GIVEN_UP = (
    f"Reading the document was broken off {MAX_ATTEMPTS} times, as its process ended. Divide it"
    " into several files, or add it again."
)
CROWDED = (
    f"{MAX_JOBS} documents wait or have failed already. Try again in a while, or remove those that"
    " have failed."
)

_UPLOAD, _JOB, _DROPPED = "upload", "job.json", ".dropped"
_ATTEMPT, _EXCUSED = "attempt-", ".excused"
_ATTEMPT_NAME = re.compile(rf"{_ATTEMPT}(\d+)({re.escape(_EXCUSED)})?")

State = Literal["waiting", "reading", "indexing", "failed"]


@dataclass(frozen=True, slots=True)
class Job:
    """A document that is not yet in its base, or could not be put there."""

    id: str
    kb_id: str
    name: str
    bytes: int
    state: State = "waiting"
    progress: float = 0.0
    """0 to 1."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """A job in the hands of one process."""

    job: Job
    folder: Path
    attempt: int

    @property
    def upload(self) -> Path:
        return self.folder / _UPLOAD

    @property
    def sent_s(self) -> float:
        """Unix time at which all of it had been received."""
        return int(self.folder.name.partition("-")[0]) / 1e9


class Abandoned(Exception):
    """Nobody wants this document any more, or another process has taken it over."""


class Spool:
    """Of all bases. Every process and node that receives or reads documents sees the same folder.
    Blocks for milliseconds: to be called in threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    # ── Receiving ────────────────────────────────────────────────────────────────────────────

    def place(self) -> Path:
        """A file to be written, and then given to `order` or `discard`. Raises `EngineBusy`, and
        `EngineUnavailable` when it cannot be stored."""
        if sum(1 for _ in self._folders()) >= MAX_JOBS:
            raise EngineBusy(CROWDED)
        folder = self._folder / f".{uuid4().hex}"
        with _stored():
            folder.mkdir(parents=True)
            free = shutil.disk_usage(folder).free
        if free < LEAST_FREE_BYTES:
            shutil.rmtree(folder, ignore_errors=True)
            raise EngineUnavailable(
                f"Only {free / 1e9:.1f} GB of disk are free. Make room for the documents."
            )
        return folder / _UPLOAD

    def order(self, upload: Path, kb_id: str, name: str) -> Job:
        """Have a file of `place` read, in the place of any other of that name which is not yet
        read. Raises `EngineUnavailable`."""
        folder = upload.parent
        job = Job(folder.name.removeprefix("."), kb_id, name, upload.stat().st_size)
        before = [older for older, _ in self._of(kb_id, name)]
        with _stored():
            _write(folder, job)
            folder.rename(self._folder / f"{time.time_ns():019d}-{job.id}")
        for older in before:
            _put_away(older)
        return job

    def discard(self, upload: Path) -> None:
        shutil.rmtree(upload.parent, ignore_errors=True)

    # ── Looking ──────────────────────────────────────────────────────────────────────────────

    def jobs(self, kb_id: str) -> list[Job]:
        """Of a base, the oldest first."""
        return [job for _, job in self._of(kb_id)]

    def drop(self, kb_id: str, name: str | None = None) -> bool:
        """Take away the jobs of a document, or of a whole base; whether there were any. Who is
        still at one of them learns that it is not wanted any more."""
        found = [folder for folder, _ in self._of(kb_id, name)]
        for folder in found:
            with contextlib.suppress(OSError):
                (self._folder / _DROPPED).mkdir(exist_ok=True)
                (self._folder / _DROPPED / folder.name).touch()
            _put_away(folder)
        return bool(found)

    # ── Reading ──────────────────────────────────────────────────────────────────────────────

    def take(self) -> Taken | None:
        """The oldest job that nobody is at."""
        for folder in self._folders():
            job = _read(folder)
            if job is None or job.state == "failed":
                continue
            made = _attempts(folder)
            last = max(made, default=0)
            if last and not _is_gone(made[last]):
                continue
            if sum(not _is_excused(path) for path in made.values()) >= MAX_ATTEMPTS:
                self.fail(Taken(job, folder, last), GIVEN_UP)
            elif last >= MAX_EXCUSED:
                self.fail(Taken(job, folder, last), job.reason or GIVEN_UP)
            else:
                with contextlib.suppress(OSError):  # another one was quicker, or it is gone
                    (folder / f"{_ATTEMPT}{last + 1}").touch(exist_ok=False)
                    _remove_excused(made)
                    return Taken(job, folder, last + 1)
        return None

    def waits(self) -> bool:
        """Whether there is one that nobody has been at yet."""
        return any(
            (job := _read(folder)) and job.state != "failed" and not _last_attempt(folder)
            for folder in self._folders()
        )

    def beat(self, taken: Taken) -> None:
        """Say that its process lives; every `HEARTBEAT_S`. Raises `Abandoned`."""
        self.hold(taken)
        with contextlib.suppress(OSError):
            os.utime(taken.folder / f"{_ATTEMPT}{taken.attempt}")

    def hold(self, taken: Taken) -> None:
        """Raises `Abandoned` when it is not wanted any more, or in other hands."""
        if _last_attempt(taken.folder) != taken.attempt:
            raise Abandoned

    def tell(self, taken: Taken, state: State, progress: float) -> None:
        """How far it is. Raises `Abandoned`, and `EngineUnavailable` when it cannot be written."""
        self.hold(taken)
        _write_if_there(taken.folder, replace(taken.job, state=state, progress=progress))

    def finish(self, taken: Taken) -> None:
        """It is in its base."""
        _put_away(taken.folder)

    def fail(self, taken: Taken, reason: str) -> None:
        """Keep nothing but the reason. Where it cannot be written, as on a full disk, the document
        stays, and this comes again at its next turn."""
        with contextlib.suppress(Abandoned, EngineUnavailable):
            self.hold(taken)
            _write_if_there(taken.folder, replace(taken.job, state="failed", reason=reason))
            (taken.folder / _UPLOAD).unlink(missing_ok=True)

    def postpone(self, taken: Taken, reason: str) -> None:
        """It was not the document's fault: another attempt is made in `GONE_S`."""
        with contextlib.suppress(Abandoned, EngineUnavailable):
            self.beat(taken)
            attempt = taken.folder / f"{_ATTEMPT}{taken.attempt}"
            with contextlib.suppress(OSError):
                attempt.rename(f"{attempt}{_EXCUSED}")  # needs no room on a full disk
            _write_if_there(taken.folder, replace(taken.job, reason=reason))

    def release(self, taken: Taken) -> None:
        """This process ends: the next one may begin at once."""
        with contextlib.suppress(OSError):
            os.utime(taken.folder / f"{_ATTEMPT}{taken.attempt}", (0, 0))

    def is_dropped(self, taken: Taken) -> bool:
        """Whether somebody has removed the document since it was taken."""
        return (self._folder / _DROPPED / taken.folder.name).exists()

    def sweep(self) -> None:
        """Remove what processes that have gone left behind, and failures that are old."""
        for folder in (*self._folder.glob(".*"), *(self._folder / _DROPPED).glob("*")):
            if folder.name != _DROPPED and _age_s(folder) > UPLOAD_GONE_S:
                _remove(folder)
        for folder in self._folders():
            job = _read(folder)
            # What cannot be read may only be so for now, or for this version of the engine.
            if (job is None or job.state == "failed") and _age_s(folder / _JOB) > FAILED_KEPT_S:
                _put_away(folder)

    def _of(self, kb_id: str, name: str | None = None) -> list[tuple[Path, Job]]:
        found = ((folder, _read(folder)) for folder in self._folders())
        return [
            (folder, job)
            for folder, job in found
            if job is not None and job.kb_id == kb_id and name in (None, job.name)
        ]

    def _folders(self) -> Iterator[Path]:
        """The oldest first."""
        yield from sorted(self._folder.glob("[!.]*-*"))


def _last_attempt(folder: Path) -> int:
    """0: there was none, or the job has gone."""
    return max(_attempts(folder), default=0)


def _attempts(folder: Path) -> dict[int, Path]:
    """By their numbers."""
    found = ((_ATTEMPT_NAME.fullmatch(path.name), path) for path in folder.glob(f"{_ATTEMPT}*"))
    return {int(name[1]): path for name, path in found if name}


def _is_excused(attempt: Path) -> bool:
    return attempt.name.endswith(_EXCUSED)


def _remove_excused(attempts: Mapping[int, Path]) -> None:
    """Those before the newest attempt tell nothing any more."""
    for path in filter(_is_excused, attempts.values()):
        path.unlink(missing_ok=True)


def _is_gone(attempt: Path) -> bool:
    return _age_s(attempt) > GONE_S


def _age_s(path: Path) -> float:
    """0 for what is not there."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _read(folder: Path) -> Job | None:
    try:
        return Job(**json.loads((folder / _JOB).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _write(folder: Path, job: Job) -> None:
    """As a whole, so that no reader sees half of it. Raises `OSError` when the folder has gone."""
    note = folder / f"{_JOB}.{uuid4().hex}"
    note.write_text(json.dumps(asdict(job), ensure_ascii=False), "utf-8")
    note.replace(folder / _JOB)


def _write_if_there(folder: Path, job: Job) -> None:
    """Raises `Abandoned`, `EngineUnavailable`."""
    try:
        with _stored():
            _write(folder, job)
    except EngineUnavailable as error:
        if folder.exists():
            raise
        raise Abandoned from error


def _put_away(folder: Path) -> None:
    """At once for all who look, then from the disk. May be gone already."""
    gone = folder.parent / f".{uuid4().hex}"
    with contextlib.suppress(OSError):
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _stored() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EngineUnavailable(
            f"The document cannot be stored: {error.strerror}. Make room, or see that the engine"
            " may write to TUTOR_HOME."
        ) from error
