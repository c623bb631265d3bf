"""`python -m cli.keeper STATE COMMAND…`: runs a command, and runs it again whenever it ends, after
a pause that grows. How it goes stands in the file STATE. SIGTERM ends both.

Nothing but the standard library is in it: it stays as long as what it keeps.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
"""Before it is started again; twice as long after each end, so that a wrong setting costs
little."""

STEADY_AFTER_S = 60.0
"""Who has lived for so long gets the first pause again: what was wrong has been mended."""

END_LIMIT_S = 12.0
"""How long the command has to end when it is told to: the web server gives open requests ten."""

ENDED = "It has ended"
"""How a line of the keeper begins in the log."""

WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


@dataclass(frozen=True)
class Watch:
    """What is known of the command."""

    pid: int | None = None
    """None: it does not run at the moment."""
    starts: int = 0
    last_end: str = ""
    """How it ended last, for a sentence: `exit code 1`, `SIGKILL`; empty: it never has."""
    next_start_s: float | None = None
    """When it is tried again, in seconds since 1970."""


def pause_s(ends_in_a_row: int) -> float:
    """How long to wait after the first, second, … end, each soon after its start."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(ends_in_a_row - 1, 30))


def read_watch(file: Path) -> Watch:
    """What the keeper has written last; as if nothing had been started when it has not yet."""
    try:
        return Watch(**json.loads(file.read_text("utf-8")))
    except (OSError, ValueError, TypeError):  # TypeError: written by another version
        return Watch()


class Keeper:
    """Of one command. The signals that it waits for are blocked while it lives."""

    def __init__(self, state_file: Path, command: list[str]) -> None:
        self._file = state_file
        self._command = command
        self._watch = Watch()
        self._ends_in_a_row = 0

    def run(self) -> None:
        """Until it is told to end."""
        signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        while True:
            began_s = time.monotonic()
            child = self._started()
            if child is not None and not _ended(child):
                _stop(child)
                return
            self._note_end(child, time.monotonic() - began_s)
            if _told_to_end(pause_s(self._ends_in_a_row)):
                return

    def _started(self) -> "subprocess.Popen[bytes] | None":
        """None: it cannot be started at all, which may change."""
        try:
            child = subprocess.Popen(self._command, preexec_fn=_unblock)
        except OSError as error:
            self._write(pid=None, last_end=f"cannot be started: {error.strerror}")
            return None
        self._write(pid=child.pid, starts=self._watch.starts + 1, next_start_s=None)
        return child

    def _note_end(self, child: "subprocess.Popen[bytes] | None", lived_s: float) -> None:
        self._ends_in_a_row = 1 if lived_s > STEADY_AFTER_S else self._ends_in_a_row + 1
        how = _how(child.returncode) if child is not None else self._watch.last_end
        pause = pause_s(self._ends_in_a_row)
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{ENDED} ({how}), and is started again in {pause:g} s.\n")
            sys.stderr.flush()
        self._write(pid=None, last_end=how, next_start_s=time.time() + pause)

    def _write(self, **changed: object) -> None:
        self._watch = replace(self._watch, **changed)  # type: ignore[arg-type] # fields of Watch
        half = self._file.with_suffix(".new")
        with contextlib.suppress(OSError):  # a full disk: what it keeps matters more
            half.write_text(json.dumps(asdict(self._watch)), "utf-8")
            half.replace(self._file)


def _unblock() -> None:
    """Between fork and exec: the command is to hear its signals."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)


def _ended(child: "subprocess.Popen[bytes]") -> bool:
    """Waits; False: it lives, and this process was told to end."""
    while child.poll() is None:
        if signal.sigwait(WATCHED) != signal.SIGCHLD:
            return False
    return True


def _told_to_end(limit_s: float) -> bool:
    """Waits; False: nobody has said anything for so long."""
    deadline_s = time.monotonic() + limit_s
    while (left_s := deadline_s - time.monotonic()) > 0:
        heard = signal.sigtimedwait(WATCHED, left_s)
        if heard is not None and heard.si_signo != signal.SIGCHLD:
            return True
    return False


def _stop(child: "subprocess.Popen[bytes]") -> None:
    child.terminate()
    try:
        child.wait(END_LIMIT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _how(returncode: int) -> str:
    if returncode >= 0:
        return f"exit code {returncode}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-returncode).name
    return f"signal {-returncode}"


def main() -> None:
    os.umask(0o077)  # states, and logs of what it starts, are for this person's eyes only
    Keeper(Path(sys.argv[1]), sys.argv[2:]).run()


if __name__ == "__main__":
    main()
