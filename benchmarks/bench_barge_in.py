"""Figure 4: how soon the tutor falls silent when the learner speaks, and when the client says so.

A learner speaks into a long answer. From the first loud sample to the last loud packet that
arrives, less the voice that is waited for (`BARGE_IN_HOLD_MS`), is what stopping costs; the same
for the last frame with a mouth. Whatever of the cut answer comes after the silence is stale.
`plain`, the control, hears a tone, Serve's two modes words, through the real detector.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Generic, TypeVar

from benchmarks.bench_live import loud_s, tone
from benchmarks.measure import percentile, report
from benchmarks.stubbed import MODES, Stubs, conversing, running_live
from engines.base import Pcm
from engines.stub import StubAsr, StubAvatar, StubLlm, StubTts, StubVad
from serve_app.services import Engines
from tests.endurance.gateway import Apart, apart
from tests.lip_sync import LOUD_RMS
from tests.live import Learner
from tests.running import Running, stub_engines
from tests.speech import say

HERE = "benchmarks.bench_barge_in"
ONSET_MS = 320.0
"""Of voice, which the engine waits for on purpose."""

WHITE = 225.0
"""Brightness of the stub's mouth, and brighter than every face's background."""

STUBS = Stubs(
    StubAsr(0.040, "Stop!"),
    StubLlm(tokens=("This ", "goes ", "on ", "and ", "on. ", "And ", "on."), gap_s=0.3),
    StubTts(piece_delay_s=0.1, pieces=20),
    StubAvatar(shows="loudness"),
)
"""Told to stop, the tutor answers nothing; and each stage is still at work when it is told."""

ROUNDS = 20
WARM_UP = 2
TONE_S = 0.7
STALE_AFTER_S = 0.1
"""Silence for so long is silence, and a mouth has closed by then."""

WATCHED_S = 1.0


@dataclass(frozen=True, slots=True)
class Stop:
    """What one interruption came to."""

    sound_ms: float
    """From the learner's onset, or from the message, to the last of it."""
    light_ms: float
    stale: int
    """Loud packets and open mouths after the silence had begun."""


Item = TypeVar("Item")


class Alive(Generic[Item]):
    """Counts an engine's streams that have begun and not ended."""

    count = 0

    def __init__(self, stream: Callable[..., AsyncIterator[Item]]) -> None:
        self._stream = stream

    async def __call__(self, *args: object) -> AsyncIterator[Item]:
        Alive.count += 1
        try:
            async for item in self._stream(*args):
                yield item
        finally:
            Alive.count -= 1


class Counted:
    """The three engines that stream, as one."""

    def __init__(self) -> None:
        self.reply = Alive(STUBS.llm.reply)
        self.speak = Alive(STUBS.tts.speak)
        self.animate = Alive((STUBS.avatar or StubAvatar()).animate)


def engines() -> Engines:
    counted = Counted()
    return stub_engines(
        hear=STUBS.asr,
        think=lambda tutor: counted,
        speak=counted,
        show=counted,
        detector=StubVad,
    )


def alive() -> int:
    """Asked in the gateway's process."""
    return Alive.count


@dataclass(frozen=True, slots=True)
class Begun:
    """An interruption: moments, monotonic."""

    at_s: float
    earliest_s: float
    """Before it nothing may stop."""
    over_s: float


async def stopped(learner: Learner, stop: Callable[[], Awaitable[Begun]]) -> Stop:
    """Ask for a long answer, and stop it in the middle."""
    asked_s = time.monotonic()
    await learner.ask("Tell me something.")
    await learner.until_loud(since_s=asked_s)
    await asyncio.sleep(random.uniform(0.3, 0.4))
    begun = await stop()
    await asyncio.sleep(max(0.0, begun.over_s + WATCHED_S - time.monotonic()))
    loud = [sound.at_s for sound in learner.sounds if sound.rms > LOUD_RMS]
    bright = [frame.at_s for frame in learner.frames if frame.corner > WHITE]
    silent_s = silence_s(loud, begun.earliest_s)
    closed_s = silent_s + STALE_AFTER_S
    last_light_s = max((at_s for at_s in bright if begun.at_s < at_s <= closed_s), default=0.0)
    stale = sum(at_s > silent_s for at_s in loud) + sum(at_s > closed_s for at_s in bright)
    light_s = max(last_light_s, begun.at_s)
    return Stop((silent_s - begun.at_s) * 1000, (light_s - begun.at_s) * 1000, stale)


def silence_s(loud: Sequence[float], since_s: float) -> float:
    """The last loud packet before the first silence."""
    last_s = since_s
    for at_s in loud:
        if at_s > last_s + STALE_AFTER_S:
            break
        last_s = max(last_s, at_s)
    return last_s


async def spoken(learner: Learner, speech: Pcm) -> Begun:
    said = learner.say(speech)
    onset_s = said.first_s + loud_s(speech)[0]
    return Begun(onset_s, onset_s + ONSET_MS / 1000, said.last_s)


async def told(learner: Learner) -> Begun:
    now_s = time.monotonic()
    await learner.talk.send(type="interrupt")
    return Begun(now_s, now_s, now_s)


async def measure(engine: Running, speech: Pcm) -> tuple[list[Stop], list[Stop]]:
    """By voice, and by message."""
    async with conversing(engine) as learner:
        for _ in range(WARM_UP):
            await stopped(learner, lambda: spoken(learner, speech))
            await stopped(learner, lambda: told(learner))
        by_voice = [await stopped(learner, lambda: spoken(learner, speech)) for _ in range(ROUNDS)]
        by_message = [await stopped(learner, lambda: told(learner)) for _ in range(ROUNDS // 2)]
    await asyncio.sleep(1.0)
    return by_voice, by_message


def figures(by_voice: Sequence[Stop], by_message: Sequence[Stop]) -> dict[str, float]:
    sound = [stop.sound_ms - ONSET_MS for stop in by_voice]
    light = [stop.light_ms - ONSET_MS for stop in by_voice]
    message = [stop.sound_ms for stop in by_message]
    return {
        "barge_in_sound_p50": percentile(sound, 50),
        "barge_in_sound_p95": percentile(sound, 95),
        "barge_in_light_p95": percentile(light, 95),
        "interrupt_sound_p95": percentile(message, 95),
    }


@contextmanager
def own_gateway() -> Iterator[Apart]:
    with (
        TemporaryDirectory(prefix="tutor-bench-") as folder,
        apart(Path(folder), f"{HERE}:engines") as gateway,
    ):
        yield gateway


def main() -> None:
    words = asyncio.run(say("Wait a moment please.")).samples
    control: dict[str, float] = {}
    for mode in MODES:
        if mode == "plain":
            with own_gateway() as gateway:
                stops = asyncio.run(measure(gateway.running, tone(TONE_S)))
                left = gateway.ask(f"{HERE}:alive")
            report("barge_in_engines_left", left, "streams", control=0, goal="0")
        else:
            with running_live(mode, STUBS, "") as engine:
                stops = asyncio.run(measure(engine, words))
        values = figures(*stops)
        control = control or values
        for name, value in values.items():
            report(f"{name}_{mode}", value, "ms", control=control[name], goal="p95 ≤ 60")
        stale = sum(stop.stale for part in stops for stop in part)
        report(f"barge_in_stale_{mode}", stale, "frames and packets", control=0, goal="0")


if __name__ == "__main__":
    main()
