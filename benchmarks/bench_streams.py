"""Figure 7: how many faces one core shows, silent and speaking, against aiortc alone with frames
that are ready (`benchmarks/bare_aiortc.py`).

A number of streams counts when every one of them gets 24.5 frames a second. What a frame costs is
the finer measure, and is taken with few streams, before anything is short.
"""

import argparse
import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.bare_aiortc import Flow, Viewer, answer, sender, watched
from benchmarks.measure import report
from engines.avatar.viseme.engine import VisemeAvatar
from engines.avatar.viseme.portrait import portrait
from engines.stub import StubLlm
from engines.tts.espeak import EspeakTts
from serve_app.services import Engines
from tests.endurance.gateway import apart
from tests.live import answered
from tests.running import Running, Talk, stub_engines

HERE = "benchmarks.bench_streams"
FEW = 4
"""Streams with which the cost of one is taken."""

SECONDS = 6.0
MOST_TRIES = 8
SENTENCE = "The quick brown fox jumps over the lazy dog, and then it sleeps until the evening. "
ANSWER = tuple(word + " " for word in (SENTENCE * 30).split())
"""Two minutes of speech, asked for again when it is over."""

Join = Callable[[Viewer], Awaitable[None]]
"""Connects one more viewer."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends: how one joins, and whose time it costs."""

    join: Join
    pid: int


@dataclass(frozen=True, slots=True)
class Capacity:
    streams: int
    """The most that all get enough."""
    frame_ms: float
    """Of a core, for one frame of one stream and its sound."""


def engines() -> Engines:
    """The drawn faces and the embedded voice, as they are without any model."""
    return stub_engines(
        think=lambda tutor: StubLlm(ANSWER),
        speak=EspeakTts(),
        show=VisemeAvatar(),
        backdrop=portrait,
    )


@asynccontextmanager
async def bare(core: int) -> AsyncIterator[Sender]:
    async with sender(core) as process:

        async def join(viewer: Viewer) -> None:
            await viewer.connect(lambda offer: answer(process, offer))

        yield Sender(join, process.pid)


@asynccontextmanager
async def gateway(core: int, *, speaking: bool) -> AsyncIterator[Sender]:
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="tutor-bench-")))
        own = stack.enter_context(apart(home, f"{HERE}:engines", core=core))
        tasks: list[asyncio.Task[None]] = []

        async def join(viewer: Viewer) -> None:
            await one_more(own.running, viewer, stack, tasks, speaking=speaking)

        try:
            yield Sender(join, own.pid)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def one_more(
    running: Running,
    viewer: Viewer,
    stack: AsyncExitStack,
    tasks: list[asyncio.Task[None]],
    *,
    speaking: bool,
) -> None:
    """A learner with a session of their own."""
    session, talk = await stack.enter_async_context(running.conversation())
    await talk.ask(type="hello", features=["state"])
    await viewer.connect(partial(answered, talk, user_id=session.student_id))
    if speaking:
        listening = listen(talk, session.student_id, viewer)
        tasks.append(asyncio.create_task(listening, name="listen"))


async def listen(talk: Talk, user_id: int, viewer: Viewer) -> None:
    """Let the tutor speak, again and again, as long as the viewer is there."""
    while viewer.peer.connectionState == "connected":
        await talk.send(type="text_webrtc", content="Go on.", user_id=user_id)
        while (await talk.receive()).get("state") != "idle":
            pass


async def capacity(sending: Sender, seconds: float) -> Capacity:
    """Guess from the cost of a few, and look around there."""
    async with AsyncExitStack() as stack:
        viewers: list[Viewer] = []
        flow = await _with(sending, viewers, FEW, seconds, stack)
        frame_ms = flow.cpu_s * 1000 / (sum(flow.fps) * flow.seconds)
        streams = max(1, int(0.95 * FEW * flow.seconds / flow.cpu_s))
        enough: dict[int, bool] = {0: True, FEW: flow.enough}
        for _ in range(MOST_TRIES):
            if streams not in enough:
                enough[streams] = await _is_enough(sending, viewers, streams, seconds, stack)
            if enough[streams] and enough.get(streams + 1) is False:
                break
            streams += 1 if enough[streams] else -1
        return Capacity(max(number for number, is_so in enough.items() if is_so), frame_ms)


async def _is_enough(
    sending: Sender, viewers: list[Viewer], streams: int, seconds: float, stack: AsyncExitStack
) -> bool:
    """Once more when it was not: something else may have been going on."""
    for _ in range(2):
        if (await _with(sending, viewers, streams, seconds, stack)).enough:
            return True
    return False


async def _with(
    sending: Sender, viewers: list[Viewer], streams: int, seconds: float, stack: AsyncExitStack
) -> Flow:
    """What so many viewers get."""
    while len(viewers) > streams:
        await viewers.pop().peer.close()
    while len(viewers) < streams:
        viewer = await stack.enter_async_context(Viewer())
        await sending.join(viewer)
        viewers.append(viewer)
    return await watched(viewers, sending.pid, seconds)


async def measured(seconds: float) -> dict[str, Capacity]:
    """One after another, each from a new process on the first core; viewers on the second."""
    sending, receiving, *_ = sorted(os.sched_getaffinity(0))
    variants = {
        "bare": bare(sending),
        "idle": gateway(sending, speaking=False),
        "speaking": gateway(sending, speaking=True),
    }
    found = {}
    for name, variant in variants.items():
        async with variant as sender_:
            os.sched_setaffinity(0, {receiving})
            try:
                found[name] = await capacity(sender_, seconds)
            finally:
                os.sched_setaffinity(0, {sending, receiving})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each number")
    wish: Any = parser.parse_args()
    found = asyncio.run(measured(wish.seconds))
    control = found.pop("bare")
    for name, ours in found.items():
        report(
            f"streams_per_core_{name}",
            ours.streams,
            "streams",
            control=control.streams,
            goal="ratio ≥ 0.9",
        )
        report(
            f"frame_cost_{name}",
            ours.frame_ms,
            "ms of a core a frame",
            control=control.frame_ms,
            goal="ratio ≤ 1.1",
        )


if __name__ == "__main__":
    main()
