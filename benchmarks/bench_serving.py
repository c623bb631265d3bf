"""Figure 5: the same WebSocket application on bare uvicorn and under Serve, in both modes."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from websockets.asyncio.client import connect

from benchmarks.echo import hello_world
from benchmarks.measure import SETTLE_S, median, report
from cli.environment import THROUGHPUT
from tests.running import free_port, serve_run

MODES = ("bare", "default", "throughput")
ROUND_TRIPS = 300
MESSAGES = 3000
ROUNDS = 5
MESSAGE = "x" * 100


@contextmanager
def bare(port: int) -> Iterator[None]:
    """uvicorn in a process of its own, so that it shares no interpreter with the client."""
    command = (sys.executable, "-m", "uvicorn", "benchmarks.echo:create_echo", "--factory")
    process = subprocess.Popen([*command, "--port", str(port), "--log-level", "warning"])
    try:
        while not _listens(port):
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def echoing(mode: str) -> Iterator[int]:
    port = free_port()
    if mode == "bare":
        with bare(port):
            yield port
        return
    environ = THROUGHPUT if mode == "throughput" else {}
    with (
        TemporaryDirectory(prefix="tutor-bench-") as folder,
        serve_run(Path(folder), hello_world(port), environ),
    ):
        time.sleep(SETTLE_S)
        yield port


async def measure(port: int) -> tuple[float, float]:
    """Median milliseconds of a round trip, and messages a second when they are not waited for."""
    async with connect(f"ws://127.0.0.1:{port}/echo") as socket:
        trips, rates = [], []
        for _ in range(ROUNDS + 1):
            for _ in range(ROUND_TRIPS):
                began = time.perf_counter()
                await socket.send(MESSAGE)
                await socket.recv()
                trips.append((time.perf_counter() - began) * 1000)
            began = time.perf_counter()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_send(socket.send))
                for _ in range(MESSAGES):
                    await socket.recv()
            rates.append(MESSAGES / (time.perf_counter() - began))
        return median(trips[ROUND_TRIPS:]), median(rates[1:])


async def _send(send: object) -> None:
    assert callable(send)
    for _ in range(MESSAGES):
        await send(MESSAGE)


def main() -> None:
    control = (0.0, 0.0)
    for mode in MODES:
        with echoing(mode) as port:
            trip_ms, rate = asyncio.run(measure(port))
        control = control if control[0] else (trip_ms, rate)
        report(
            f"serving_tax_p50_{mode}",
            trip_ms - control[0],
            "ms",
            control=control[0],
            goal="≤ 3 more than bare",
        )
        report(f"serving_rate_{mode}", rate, "messages/s", control=control[1], goal="ratio ≥ 0.5")


if __name__ == "__main__":
    main()
