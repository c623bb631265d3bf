"""Figures 1 and 3: what a turn costs beyond its engines, alone and with eight sessions at once.

A recording goes in over a real socket; the time until the first piece of voice is compared with the
ideal T* = a + f + (n₁ − 1)·g + t₁. The hang-over (200 ms) and the 20 ms packet of the figure's
definition belong to live audio; a whole recording over a socket has neither, so both are left out.
"""

import asyncio
import base64
import json
import time

from benchmarks.measure import percentile, report
from benchmarks.stubbed import MODES, running
from engines.stub import StubAsr, StubLlm, StubTts
from tests.media import wav
from tests.running import Running, Talk

ASR_S, FIRST_TOKEN_S, GAP_S, FIRST_PIECE_S = 0.040, 0.080, 0.014, 0.060
FIRST_SENTENCE = ("This ", "is ", "the ", "first ", "sentence.")
REST = (" And", " here", " comes", " the", " second", " one", ".")
IDEAL_S = ASR_S + FIRST_TOKEN_S + (len(FIRST_SENTENCE) - 1) * GAP_S + FIRST_PIECE_S

TURNS = 40
WARM_UP = 5
SESSIONS = 8
GOALS = {"plain": "control", "default": "p50 ≤ 60, p95 ≤ 120", "throughput": "p50 ≤ 25, p95 ≤ 60"}


async def one_turn(talk: Talk, question: str) -> float:
    """Seconds from the question to the first piece of voice."""
    began = time.perf_counter()
    await talk.socket.send(question)
    first = 0.0
    while True:
        event = await talk.receive()
        if event["type"] == "audio_delta" and not first:
            first = time.perf_counter() - began
        if event["type"] == "audio":
            return first


async def overheads_ms(engine: Running, turns: int) -> list[float]:
    """Overheads of one session's turns, one after another."""
    question = json.dumps({"type": "audio", "data": base64.b64encode(wav(1.0)).decode()})
    async with engine.conversation() as (_, talk):
        await talk.ask(type="hello", features=["deltas"])
        for _ in range(WARM_UP):
            await one_turn(talk, question)
        return [(await one_turn(talk, question) - IDEAL_S) * 1000 for _ in range(turns)]


async def measure(engine: Running) -> tuple[list[float], list[float]]:
    alone = await overheads_ms(engine, TURNS)
    together = await asyncio.gather(*(overheads_ms(engine, TURNS // 2) for _ in range(SESSIONS)))
    return alone, [value for values in together for value in values]


def main() -> None:
    asr = StubAsr(delay_s=ASR_S)
    llm = StubLlm(FIRST_SENTENCE + REST, FIRST_TOKEN_S, GAP_S)
    tts = StubTts(first_piece_s=FIRST_PIECE_S, piece_delay_s=0.02, pieces=3, piece_seconds=0.2)
    control: dict[str, float] = {}
    for mode in MODES:
        with running(mode, asr, llm, tts) as engine:
            alone, together = asyncio.run(measure(engine))
        figures = {
            "turn_overhead_p50": percentile(alone, 50),
            "turn_overhead_p95": percentile(alone, 95),
            "turn_overhead_8_sessions_p50": percentile(together, 50),
            "turn_overhead_8_sessions_p95": percentile(together, 95),
        }
        control = control or figures
        for name, value in figures.items():
            report(f"{name}_{mode}", value, "ms", control=control[name], goal=GOALS[mode])
        report(
            f"turn_overhead_scaling_p95_{mode}",
            figures["turn_overhead_8_sessions_p95"],
            "ms",
            control=figures["turn_overhead_p95"],
            goal="ratio ≤ 1.5",
        )


if __name__ == "__main__":
    main()
