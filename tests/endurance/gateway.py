"""The gateway alone, with stub engines, in a process of its own: its memory, its tasks and its core
are nobody else's.

    with apart(home, "tests.endurance.test_cycles:engines") as gateway:
        gateway.ask("tests.endurance.test_cycles:tasks")

Both names are functions without arguments: the first makes the engines, the others are called on
the gateway's event loop, and what they return comes back as JSON.
"""

import asyncio
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import uvicorn

from serve_app.api import create_api
from serve_app.settings import read_settings
from serve_app.tutors import read_tutors
from tests.running import PROJECT, Running, free_port

ROOMY = {"MAX_SESSIONS": "1000", "MAX_SESSIONS_PER_STUDENT": "1000"}


@dataclass(frozen=True)
class Apart:
    """A gateway that runs."""

    running: Running
    process: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        return self.process.pid

    def ask(self, function: str) -> Any:
        """Call a function, named `module:function`, over there. Blocks for a few milliseconds."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(function + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@contextmanager
def apart(
    home: Path, engines: str, environ: Mapping[str, str] | None = None, core: int | None = None
) -> Iterator[Apart]:
    """On `core` alone from its first instruction on, when one is named."""
    ours, port = os.sched_getaffinity(0), free_port()
    if core is not None:
        os.sched_setaffinity(0, {core})
    process = subprocess.Popen(
        (sys.executable, "-m", "tests.endurance.gateway", str(port), engines),
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **ROOMY, "TUTOR_HOME": str(home), **(environ or {})},
    )
    os.sched_setaffinity(0, ours)
    assert process.stdin is not None and process.stdout is not None
    try:
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("The gateway did not start; its output says why.")
        yield Apart(Running(f"http://127.0.0.1:{port}", stubbed=True), process)
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def named(function: str) -> Callable[[], Any]:
    module, _, name = function.partition(":")
    found: Callable[[], Any] = getattr(importlib.import_module(module), name)
    return found


async def _serve(server: uvicorn.Server) -> None:
    """Until the input ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(), name="server")
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        _say("ready")
        while line := (await reader.readline()).decode().strip():
            _say(json.dumps(named(line)()))
        server.should_exit = True


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    port, engines = int(sys.argv[1]), sys.argv[2]
    cv2.setNumThreads(1)  # as the gateway does under Serve
    settings = read_settings(listening_on=("127.0.0.1", port))
    tutors = read_tutors(PROJECT / "configs/tutors.yaml", settings)
    api = create_api(settings, named(engines)(), tutors)
    config = uvicorn.Config(
        api, host="127.0.0.1", port=port, log_level="warning", ws="websockets-sansio"
    )
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_serve(uvicorn.Server(config)))


if __name__ == "__main__":
    main()
