"""What the web server's proxy adds to a message, with 200 sockets open through it.

Engine, proxy and clients are three processes. Each student has a socket straight to the engine and
one through the proxy, and asks on one and then on the other, at a time of its own: so both ways are
measured under the same load. A ping is answered by the engine at once; a question with an answer
whose voice is 70 kB.
"""

import asyncio
import random
import time
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import percentile, report
from engines.stub import StubTts
from serve_app.services import Engines
from tests.endurance.gateway import apart
from tests.proxied import Web, web_apart
from tests.running import Running, Session, Talk, stub_engines

SOCKETS = 200
OPENED_AT_ONCE = 10
ROUNDS = 10
ROUND_S = 2.0
"""Each student asks once on each way in this time: 200 messages a second altogether."""

QUESTIONS = 2
QUESTION_ROUND_S = 20.0
WARM_UP = 1


def engines() -> Engines:
    """A voice of 1.6 s, without waiting."""
    return stub_engines(speak=StubTts(pieces=8))


Pair = tuple[Session, Talk, Talk]
"""A session, its socket straight to the engine, and the one through the proxy."""


async def timed_ms(talk: Talk, **message: Any) -> float:
    began = time.perf_counter()
    await talk.ask(**message)
    return (time.perf_counter() - began) * 1000


async def measured(
    pairs: list[Pair], message: dict[str, Any], rounds: int, round_s: float
) -> tuple[list[float], list[float]]:
    """Milliseconds straight, and through the proxy."""
    direct: list[float] = []
    proxied: list[float] = []

    async def ask(pair: Pair, round_number: int) -> None:
        session, straight, through = pair
        await asyncio.sleep(random.uniform(0, round_s))
        wish = {**message, "engine_session_id": session.id}
        for talk, times in random.sample([(straight, direct), (through, proxied)], 2):
            took_ms = await timed_ms(talk, **wish)
            if round_number >= WARM_UP:
                times.append(took_ms)

    for number in range(rounds + WARM_UP):
        await asyncio.gather(*(ask(pair, number) for pair in pairs))
    return direct, proxied


async def pairs_of(
    engine: Running, web: Web, sessions: list[Session], open_here: AsyncExitStack
) -> list[Pair]:
    gate = asyncio.Semaphore(OPENED_AT_ONCE)

    async def opened(session: Session) -> Pair:
        url = engine.socket_url(f"user_{session.student_id}", session.token)
        async with gate:
            straight = await open_here.enter_async_context(engine.talk(url, open_timeout=60))
            through = await open_here.enter_async_context(
                engine.talk(web.url(session.student_id), open_timeout=60)
            )
            await straight.ask(type="ping")
            await through.ask(type="ping")
        return session, straight, through

    return list(await asyncio.gather(*map(opened, sessions)))


async def measure(engine: Running, web: Web, sessions: list[Session]) -> None:
    async with AsyncExitStack() as open_here:
        pairs = await pairs_of(engine, web, sessions, open_here)
        ping = {"type": "ping"}
        told("ping", *await measured(pairs, ping, ROUNDS, ROUND_S), goal="added p50 ≤ 2")
        question = {"type": "text", "content": "Hello"}
        times = await measured(pairs, question, QUESTIONS, QUESTION_ROUND_S)
        told("answer", *times, goal="none")


def told(name: str, direct: list[float], proxied: list[float], *, goal: str) -> None:
    for percent in (50, 95):
        straight, through = percentile(direct, percent), percentile(proxied, percent)
        own = goal if percent == 50 else "none"
        report(f"proxy_{name}_p{percent}", through, "ms", control=straight, goal="none")
        report(
            f"proxy_{name}_added_p{percent}", through - straight, "ms", control=straight, goal=own
        )


async def sessions_of(engine: Running) -> list[Session]:
    return [await engine.session(student_id=number) for number in range(1, SOCKETS + 1)]


def main() -> None:
    with (
        TemporaryDirectory(prefix="tutor-bench-") as folder,
        apart(Path(folder), "benchmarks.bench_proxy:engines") as gateway,
    ):
        engine = gateway.running
        sessions = asyncio.run(sessions_of(engine))
        tokens = {session.student_id: [session.token] for session in sessions}
        with web_apart(engine.url, tokens) as web:
            asyncio.run(measure(engine, web, sessions))


if __name__ == "__main__":
    main()
