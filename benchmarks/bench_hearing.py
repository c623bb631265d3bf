"""Eight learners who have finished speaking at the same moment: their utterances heard together,
against the same one after the other. With WHISPER_MODEL it is that model, else a small one that is
trained for the tests."""

import asyncio
import time
from collections.abc import Sequence

from benchmarks.measure import median, report
from deployments.settings import read_engine_settings
from engines.asr.whisper import WhisperAsr
from engines.base import Audio
from tests.trained_whisper import phrases, said, trained_whisper

LEARNERS = 8
ROUNDS = 9


async def one_by_one(ears: WhisperAsr, speeches: Sequence[Audio]) -> float:
    """Seconds until all are heard."""
    began = time.perf_counter()
    for speech in speeches:
        await ears.transcribe(speech, "en")
    return time.perf_counter() - began


async def together(ears: WhisperAsr, speeches: Sequence[Audio]) -> float:
    began = time.perf_counter()
    await asyncio.gather(*(ears.transcribe(speech, "en") for speech in speeches))
    return time.perf_counter() - began


async def measured(ears: WhisperAsr) -> tuple[list[float], list[float], list[float]]:
    speeches = [await said(phrase) for phrase in phrases(LEARNERS)]
    await together(ears, speeches)
    rounds = [
        (
            await one_by_one(ears, speeches[:1]),
            await one_by_one(ears, speeches),
            await together(ears, speeches),
        )
        for _ in range(ROUNDS)
    ]
    alone, singly, batched = zip(*rounds, strict=True)
    return list(alone), list(singly), list(batched)


def main() -> None:
    ears = WhisperAsr.load(read_engine_settings().whisper_model or str(trained_whisper()))
    alone, singly, batched = asyncio.run(measured(ears))
    report("hearing_alone", median(alone) * 1000, "ms", control=0, goal="as it is")
    ratio = median(singly) / median(batched)
    report(
        "hearing_together",
        LEARNERS / median(batched),
        "utterances/s",
        control=LEARNERS / median(singly),
        goal="ratio ≥ 2",
    )
    report(
        "hearing_last_of_eight",
        median(batched) * 1000,
        "ms",
        control=median(singly) * 1000,
        goal=f"ratio ≤ 0.5; {ratio:.2f} times as fast",
    )


if __name__ == "__main__":
    main()
