"""What the engine takes from the machine: main memory, and memory of the GPUs, by application."""

import contextlib
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psutil

from cli.record import Record

ASK_LIMIT_S = 5.0
"""nvidia-smi needs a second or two where it has to wake the driver."""

MIB = 2**20
"""nvidia-smi's "MiB", also where it leaves the unit out."""


@dataclass(frozen=True)
class Usage:
    """Of all processes of the engine."""

    processes: int
    memory_bytes: int
    measure: str
    """`PSS`: shared memory counted once; `RSS` where the system does not tell: counted often."""


@dataclass(frozen=True)
class ReplicaUsage:
    """Of the replicas of one application that run on this machine."""

    processes: int
    memory_bytes: int
    gpu_memory_bytes: int | None
    """None: it has taken none, or none that nvidia-smi knows of, which is blind to containers."""


@dataclass(frozen=True)
class Gpu:
    index: int
    name: str
    total_bytes: int
    free_bytes: int
    """That nobody has taken, be it the engine, Ollama or another program."""


def usage(record: Record | None) -> Usage:
    memory = [_memory(process) for process in (record.processes() if record else [])]
    measure = "PSS" if all(found == "PSS" for _, found in memory) else "RSS"
    return Usage(len(memory), sum(size for size, _ in memory), measure)


def replica_usage(
    replicas: Mapping[str, Iterable[int]], gpu_memory: Mapping[int, int]
) -> dict[str, ReplicaUsage]:
    """By application, from the PIDs of its replicas and `gpu_memory()`."""
    return {name: _replica_usage(name, pids, gpu_memory) for name, pids in replicas.items()}


def _replica_usage(name: str, pids: Iterable[int], gpu_memory: Mapping[int, int]) -> ReplicaUsage:
    # A replica on another node may have the PID of any process here.
    replicas = [process for pid in pids if (process := _replica(name, pid)) is not None]
    family = [member for replica in replicas for member in (replica, *_children(replica))]
    on_gpu = [gpu_memory[process.pid] for process in family if process.pid in gpu_memory]
    return ReplicaUsage(
        len(replicas),
        sum(_memory(process)[0] for process in family),
        sum(on_gpu) if on_gpu else None,
    )


def _replica(application: str, pid: int) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        if f"ServeReplica:{application}:" in " ".join(process.cmdline()):  # the title Ray gives it
            return process
    return None


def _children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return process.children(recursive=True)
    return []


def _memory(process: psutil.Process) -> tuple[int, str]:
    with contextlib.suppress(psutil.Error, AttributeError):
        return process.memory_full_info().pss, "PSS"
    with contextlib.suppress(psutil.Error):
        return process.memory_info().rss, "RSS"
    return 0, "PSS"  # it has ended meanwhile


def gpu_memory() -> dict[int, int]:
    """Bytes of GPU memory by PID; a process on two GPUs counts with both."""
    taken: dict[int, int] = {}
    for pid, mebibytes in _nvidia_smi("compute-apps", "pid", "used_memory"):
        if pid.isdigit() and mebibytes.isdigit():  # "[N/A]" where the driver does not tell
            taken[int(pid)] = taken.get(int(pid), 0) + int(mebibytes) * MIB
    return taken


def gpus() -> list[Gpu]:
    """Empty where there is no nvidia-smi."""
    listed = _nvidia_smi("gpu", "index", "memory.total", "memory.free", "name")
    return [
        Gpu(int(index), name, int(total) * MIB, int(free) * MIB)
        for index, total, free, name in listed
        if index.isdigit() and total.isdigit() and free.isdigit()
    ]


def _nvidia_smi(what: str, *fields: str) -> list[list[str]]:
    """The rows of its answer. Empty when it is not there, hangs or fails."""
    try:
        answer = subprocess.run(
            [
                "nvidia-smi",
                f"--query-{what}={','.join(fields)}",
                "--format=csv,noheader,nounits",
            ],
            capture_output=True,
            text=True,
            timeout=ASK_LIMIT_S,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.split(", ", len(fields) - 1) for line in answer.splitlines()]
    return [row for row in rows if len(row) == len(fields)]
