"""How something that was started is ended: asked first, made in the end."""

import contextlib
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from cli.record import Leader

LOOK_INTERVAL_S = 0.2


@dataclass(frozen=True)
class Round:
    """One try to end a session of processes."""

    signal: signal.Signals
    limit_s: float
    everyone: bool
    """Whether every process gets it, or only the leader."""


def end(leader: Leader, rounds: Iterable[Round]) -> list[psutil.Process]:
    """Go through the rounds until all have ended; returns what lives on."""
    for round_ in rounds:
        asked = [one for one in leader.processes() if round_.everyone or one.pid == leader.pid]
        for process in asked:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(round_.signal)
        if asked and not _left_after(leader, round_.limit_s):
            break
    return leader.processes()


def _left_after(leader: Leader, limit_s: float) -> list[psutil.Process]:
    deadline_s = time.monotonic() + limit_s
    # Looked up anew each time: a dying cluster may still start a worker.
    while (left := leader.processes()) and time.monotonic() < deadline_s:
        time.sleep(LOOK_INTERVAL_S)
    return left
