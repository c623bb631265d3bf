"""The real graph, around stub engines with set delays: what remains is what we cost."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import SETTLE_S
from cli.environment import THROUGHPUT
from engines.stub import StubAsr, StubAvatar, StubLlm, StubTts
from serve_app.settings import Settings
from tests.endurance.gateway import apart
from tests.live import Learner
from tests.running import (
    Running,
    Talk,
    application,
    free_port,
    graph,
    plain,
    serving,
    stub_engines,
)

MODES = ("plain", "default", "throughput")
"""`plain`: the gateway under uvicorn with the stubs in the same process, the control."""

LIMITS = {"MAX_SESSIONS": "100", "MAX_SESSIONS_PER_STUDENT": "100"}


@dataclass(frozen=True)
class Stubs:
    """What stands in for the engines. Without an avatar Serve shows its drawn faces."""

    asr: StubAsr = field(default_factory=StubAsr)
    llm: StubLlm = field(default_factory=StubLlm)
    tts: StubTts = field(default_factory=StubTts)
    avatar: StubAvatar | None = None

    def into(self, config: dict[str, Any]) -> None:
        """Put them into Serve's configuration."""
        named: dict[str, Any] = {"asr": self.asr, "llm-default": self.llm, "tts": self.tts}
        named["avatar"] = self.avatar
        for name, stub in named.items():
            if stub is not None:
                application(config, name)["args"] = {"engine": "stub", "stub": _plain(asdict(stub))}


@contextmanager
def running(mode: str, asr: StubAsr, llm: StubLlm, tts: StubTts) -> Iterator[Running]:
    """An engine whose verbs take exactly as long as the stubs say."""
    if mode != "plain":
        with _under_serve(mode, Stubs(asr, llm, tts)) as engine:
            yield engine
        return
    with TemporaryDirectory(prefix="tutor-bench-") as folder:
        settings = Settings(tutor_home=Path(folder), max_sessions=100, max_sessions_per_student=100)
        engines = stub_engines(hear=asr, think=lambda tutor: llm, speak=tts)
        with plain(settings, engines) as engine:
            yield engine


@contextmanager
def running_live(mode: str, stubs: Stubs, engines: str) -> Iterator[Running]:
    """The same for conversations over WebRTC, where learner and gateway each have much to do: the
    plain gateway is a process of its own, and `engines` names the function that makes its engines.
    """
    if mode != "plain":
        with _under_serve(mode, stubs) as engine:
            yield engine
        return
    with TemporaryDirectory(prefix="tutor-bench-") as folder, apart(Path(folder), engines) as own:
        yield own.running


@asynccontextmanager
async def conversing(engine: Running) -> AsyncIterator[Learner]:
    """A connected learner whose socket is read: one that is not would soon be held up."""
    async with (
        engine.conversation() as (session, talk),
        Learner(talk, session.student_id) as learner,
    ):
        await learner.connect()
        reading = asyncio.create_task(_read(talk), name="read")
        try:
            yield learner
        finally:
            reading.cancel()


async def _read(talk: Talk) -> None:
    async for _ in talk.socket:
        pass


@contextmanager
def _under_serve(mode: str, stubs: Stubs) -> Iterator[Running]:
    environ = {**LIMITS, **(THROUGHPUT if mode == "throughput" else {})}
    with (
        TemporaryDirectory(prefix="tutor-bench-") as folder,
        serving(Path(folder), graph(free_port(), stubs.into), environ) as engine,
    ):
        time.sleep(SETTLE_S)
        yield engine


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """YAML knows no tuples."""
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in options.items()
    }
