"""Figure 1, live: how much later than it must the tutor's voice comes, after a learner has spoken
into an open microphone.

The ideal is T* = h + a + f + (n₁ − 1)·g + t₁ + 20 ms: the hang-over, which is the silence after
which a sentence counts as finished, the engines, and one packet of sound. It is counted from the
learner's last loud sample to the arrival of the first loud packet.

`plain`, the control, hears a tone, whose end is exact; `plain_speech` and Serve's two modes hear
words, through the real detector.
"""

import asyncio
import random

import numpy as np

from benchmarks.measure import percentile, report
from benchmarks.stubbed import Stubs, conversing, running_live
from engines.avatar.viseme.engine import VisemeAvatar
from engines.avatar.viseme.portrait import portrait
from engines.base import HEARING_RATE_HZ, Pcm
from engines.stub import StubAsr, StubLlm, StubTts, StubVad
from serve_app.services import Engines
from tests.lip_sync import LOUD_RMS
from tests.live import Learner
from tests.running import Running, stub_engines
from tests.speech import say

HERE = "benchmarks.bench_live"
HANG_OVER_S = 0.200
ASR_S, FIRST_TOKEN_S, GAP_S, FIRST_PIECE_S = 0.040, 0.080, 0.014, 0.060
PACKET_S = 0.020
FIRST_SENTENCE = ("This ", "is ", "the ", "first ", "sentence.")
REST = (" And", " this", " the", " second.")
IDEAL_S = (
    HANG_OVER_S
    + ASR_S
    + FIRST_TOKEN_S
    + (len(FIRST_SENTENCE) - 1) * GAP_S
    + FIRST_PIECE_S
    + PACKET_S
)

STUBS = Stubs(
    StubAsr(ASR_S, "What is a prime number?"),
    StubLlm(FIRST_SENTENCE + REST, FIRST_TOKEN_S, GAP_S),
    StubTts(FIRST_PIECE_S, piece_delay_s=0.02, pieces=1, piece_seconds=0.24),
)
TURNS = 24
WARM_UP = 3
TONE_S = 0.5
REST_S = 0.4
ANSWER_LIMIT_S = 5.0
WINDOW_S = 0.064
"""Questions begin anywhere within two windows of the detector, and two ticks of the clock."""

GOALS = {
    "plain": "control",
    "plain_speech": "p50 ≤ 60",
    "default": "p50 ≤ 60",
    "throughput": "p50 ≤ 60",
}


def engines() -> Engines:
    """For a tone."""
    return stub_engines(**_verbs(), detector=StubVad)


def hearing_engines() -> Engines:
    """With the real detector."""
    return stub_engines(**_verbs())


def _verbs() -> dict[str, object]:
    return {
        "hear": STUBS.asr,
        "think": lambda tutor: STUBS.llm,
        "speak": STUBS.tts,
        "show": VisemeAvatar(),
        "backdrop": portrait,
    }


def tone(seconds: float) -> Pcm:
    times = np.arange(int(seconds * HEARING_RATE_HZ)) / HEARING_RATE_HZ
    return np.asarray(8000 * np.sin(2 * np.pi * 330 * times), np.int16)


def loud_s(speech: Pcm) -> tuple[float, float]:
    """Where the first and the last loud sample are."""
    loud = np.flatnonzero(np.abs(speech) > LOUD_RMS)
    return float(loud[0]) / HEARING_RATE_HZ, float(loud[-1]) / HEARING_RATE_HZ


async def overhead_ms(learner: Learner, speech: Pcm) -> float | None:
    """Of one question; None when it was not answered."""
    await asyncio.sleep(random.uniform(0, WINDOW_S))
    said = learner.say(speech)
    ended_s = said.first_s + loud_s(speech)[1]
    try:
        answer = await learner.until_loud(since_s=ended_s, limit_s=ANSWER_LIMIT_S)
    except TimeoutError:
        return None
    await learner.until_quiet(REST_S, since_s=answer.at_s)
    return (answer.at_s - ended_s - IDEAL_S) * 1000


async def overheads_ms(engine: Running, speech: Pcm) -> list[float | None]:
    async with conversing(engine) as learner:
        for _ in range(WARM_UP):
            await overhead_ms(learner, speech)
        return [await overhead_ms(learner, speech) for _ in range(TURNS)]


def main() -> None:
    spoken = asyncio.run(say("What is this?")).samples
    control: dict[str, float] = {}
    for mode, goal in GOALS.items():
        made = "engines" if mode == "plain" else "hearing_engines"
        speech = tone(TONE_S) if mode == "plain" else spoken
        with running_live(mode.removesuffix("_speech"), STUBS, f"{HERE}:{made}") as engine:
            measured = asyncio.run(overheads_ms(engine, speech))
        answered = [value for value in measured if value is not None]
        figures = {f"p{percent}": percentile(answered, percent) for percent in (50, 95)}
        control = control or figures
        for name, value in figures.items():
            report(f"live_overhead_{name}_{mode}", value, "ms", control=control[name], goal=goal)
        left = len(measured) - len(answered)
        report(f"live_unanswered_{mode}", left, "questions", control=0, goal="0")


if __name__ == "__main__":
    main()
