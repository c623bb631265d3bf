"""Figures 11 and 12: start-up and idle cost of the whole engine, against a two-deployment
hello-world on the same Serve."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from benchmarks.echo import hello_world
from benchmarks.measure import SETTLE_S, median, report
from cli.environment import THROUGHPUT
from tests.running import free_port, graph, serve_run

ROUNDS = 5
IDLE_S = 15.0
"""Long enough to average over Serve's periodic work."""


def resident_mb() -> float:
    """Memory of everything that was started, shared pages counted once (PSS)."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total / 1e6


def cpu_seconds() -> float:
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


def start_s(config: dict[str, Any], environ: dict[str, str]) -> float:
    with TemporaryDirectory(prefix="tutor-bench-") as folder:
        began = time.perf_counter()
        with serve_run(Path(folder), config, environ):
            return time.perf_counter() - began


def idle(config: dict[str, Any], environ: dict[str, str]) -> tuple[float, float]:
    """Megabytes, and percent of one core."""
    with (
        TemporaryDirectory(prefix="tutor-bench-") as folder,
        serve_run(Path(folder), config, environ),
    ):
        time.sleep(SETTLE_S)
        before = cpu_seconds()
        time.sleep(IDLE_S)
        return resident_mb(), (cpu_seconds() - before) / IDLE_S * 100


def main() -> None:
    for mode, environ in (("default", {}), ("throughput", THROUGHPUT)):
        ours, control = [], []
        for _ in range(ROUNDS if mode == "default" else 1):
            control.append(start_s(hello_world(free_port()), environ))
            ours.append(start_s(graph(free_port()), environ))
        report(f"start_{mode}", median(ours), "s", control=median(control), goal="ratio ≤ 1.5")
        control_mb, control_cpu = idle(hello_world(free_port()), environ)
        our_mb, our_cpu = idle(graph(free_port()), environ)
        report(f"idle_memory_{mode}", our_mb, "MB", control=control_mb, goal="≤ 2000, ratio ≤ 1.5")
        report(f"idle_cpu_{mode}", our_cpu, "% of a core", control=control_cpu, goal="ratio ≤ 1.5")


if __name__ == "__main__":
    main()
