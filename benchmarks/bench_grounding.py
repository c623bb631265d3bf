"""What a course costs a spoken question: the time to the first piece of voice, with the sample
course (full text alone, in the gateway's process) and without, in pairs on the same engine.

The engines are stubs with set delays, as in bench_turn.py, and the recogniser hears questions to
the course. What a real model needs to read the passages is its own time, and not in here; how much
there is to read is printed in tokens.
"""

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.bench_course import KB, library, questions
from benchmarks.bench_turn import ASR_S, FIRST_PIECE_S, FIRST_SENTENCE, GAP_S, REST, one_turn
from benchmarks.bench_turn import FIRST_TOKEN_S as THINKS_S
from benchmarks.measure import median, percentile, report
from engines.base import Audio, Message, Transcript, Vocabulary
from engines.llm.context import Estimate, fitted, size
from engines.stub import StubLlm, StubTts
from serve_app.settings import Settings
from tests import course
from tests.media import wav
from tests.running import Running, plain, stub_engines

TURNS = 60
"""With and without, each."""

WARM_UP = 3
CONTEXT_TOKENS = 4096
"""Of a model's context, for the prompt."""


class Questions:
    """A recogniser that hears one question of the course after another."""

    def __init__(self) -> None:
        asked = [each.question for each in questions() if each.sections and not each.held_out]
        self._next = itertools.cycle(asked)

    async def transcribe(
        self, speech: Audio, language: str | None, vocabulary: Vocabulary = ()
    ) -> Transcript:
        await asyncio.sleep(ASR_S)
        return Transcript(next(self._next), language)


class Reader:
    """The stub of the model; keeps how much it was given to read."""

    def __init__(self) -> None:
        self._stub = StubLlm(FIRST_SENTENCE + REST, THINKS_S, GAP_S)
        self.tokens: list[int] = []
        """Of each question with passages, what they added."""

    def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        if messages[-1].sources:
            bare = [Message(m.role, m.content) for m in messages]
            told = fitted(messages, CONTEXT_TOKENS, Estimate())
            self.tokens.append(size(told, Estimate()) - size(bare, Estimate()))
        return self._stub.reply(messages)


async def pairs_ms(engine: Running) -> tuple[list[float], list[float]]:
    """Times to the first piece of voice, with the course and without."""
    question = json.dumps({"type": "audio", "data": base64.b64encode(wav(1.0)).decode()})
    async with (
        engine.conversation(kb_id=KB) as (_, knowing),
        engine.conversation() as (_, plain_talk),
    ):
        for talk in (knowing, plain_talk):
            await talk.ask(type="hello", features=["deltas"])
            for _ in range(WARM_UP):
                await one_turn(talk, question)
        with_course, without = [], []
        for _ in range(TURNS):
            with_course.append(await one_turn(knowing, question) * 1000)
            without.append(await one_turn(plain_talk, question) * 1000)
    return with_course, without


async def chapters(kb_id: str) -> list[str]:
    return list(course.documents())


def main() -> None:
    reader = Reader()
    tts = StubTts(first_piece_s=FIRST_PIECE_S, piece_delay_s=0.02, pieces=3, piece_seconds=0.2)
    with TemporaryDirectory(prefix="tutor-bench-") as folder:
        engines = stub_engines(
            hear=Questions(),
            think=lambda tutor: reader,
            speak=tts,
            knowledge=asyncio.run(library(Path(folder) / "knowledge")),
            chapters=chapters,
        )
        with plain(Settings(tutor_home=Path(folder)), engines) as engine:
            with_course, without = asyncio.run(pairs_ms(engine))
    costs = [one - other for one, other in zip(with_course, without, strict=True)]
    for percent in (50, 95):
        report(
            f"first_audio_with_course_p{percent}",
            percentile(with_course, percent),
            "ms",
            control=percentile(without, percent),
            goal="control + ≤ 20",
        )
    report("course_cost_p50", median(costs), "ms", control=0, goal="≤ 20")
    report(
        "turns_with_passages", len(reader.tokens), "turns", control=TURNS + WARM_UP, goal="nearly"
    )
    if reader.tokens:
        for percent in (50, 95):
            report(
                f"course_tokens_p{percent}",
                percentile(reader.tokens, percent),
                "tokens",
                control=CONTEXT_TOKENS,
                goal="ratio ≤ 0.5",
            )


if __name__ == "__main__":
    main()
