"""Figure 2: a six-sentence answer against the ideal in which each sentence is spoken as soon as it
is written and its predecessor has been spoken: s_k = max(LLM_done_k, TTS_done_{k−1})."""

import asyncio
import time
from itertools import pairwise

from benchmarks.measure import median, report
from benchmarks.stubbed import MODES, running
from engines.stub import StubAsr, StubLlm, StubTts
from tests.running import Running, Talk

SENTENCES = 6
WORDS = ("Here", " is", " one", " more", " sentence", " to", " speak.")
TOKENS = tuple(
    token if index or not number else f" {token}"
    for number in range(SENTENCES)
    for index, token in enumerate(WORDS)
)
FIRST_TOKEN_S, GAP_S = 0.080, 0.020
FIRST_PIECE_S, PIECE_DELAY_S, PIECES = 0.060, 0.030, 4
STALL_MS = 40.0
ROUNDS = 9


def ideal_s() -> list[float]:
    """When the first piece of each sentence, and at last the whole, is ready."""
    voice_s = FIRST_PIECE_S + (PIECES - 1) * PIECE_DELAY_S
    spoken = 0.0
    firsts = []
    for number in range(SENTENCES):
        written = FIRST_TOKEN_S + ((number + 1) * len(WORDS) - 1) * GAP_S
        begin = max(written, spoken)
        firsts.append(begin + FIRST_PIECE_S)
        spoken = begin + voice_s
    return [*firsts, spoken]


async def arrivals(talk: Talk) -> list[float]:
    """Seconds from the question to every piece of voice."""
    began = time.perf_counter()
    await talk.send(type="text", content="Tell me something.")
    times = []
    while (event := await talk.receive())["type"] != "text":
        if event["type"] == "audio_delta":
            times.append(time.perf_counter() - began)
    assert len(times) == SENTENCES * PIECES, "every sentence was spoken, each by itself"
    return times


async def rounds(engine: Running) -> list[list[float]]:
    async with engine.conversation() as (_, talk):
        await talk.ask(type="hello", features=["deltas"])
        await arrivals(talk)
        return [await arrivals(talk) for _ in range(ROUNDS)]


def stalls(times: list[float], ideal: list[float]) -> int:
    """Sentences that began more than STALL_MS later after their predecessor than they had to."""
    firsts = times[::PIECES]
    return sum(
        ((later - earlier) - (due_later - due_earlier)) * 1000 > STALL_MS
        for (earlier, later), (due_earlier, due_later) in zip(
            pairwise(firsts), pairwise(ideal[:-1]), strict=True
        )
    )


def main() -> None:
    ideal = ideal_s()
    llm = StubLlm(TOKENS, FIRST_TOKEN_S, GAP_S)
    tts = StubTts(FIRST_PIECE_S, PIECE_DELAY_S, PIECES, 0.3)
    for mode in MODES:
        with running(mode, StubAsr(), llm, tts) as engine:
            measured = asyncio.run(rounds(engine))
        wall = median([times[-1] for times in measured])
        report(f"overlap_{mode}", wall, "s", control=ideal[-1], goal="ratio ≤ 1.05")
        worst = max(stalls(times, ideal) for times in measured)
        report(f"overlap_stalls_{mode}", worst, "sentences", control=0, goal="0")


if __name__ == "__main__":
    main()
