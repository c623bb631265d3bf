"""Figures 8 and 9: how evenly the pictures come, and how well face and voice go together, while one
core sends 70 % of what it can.

One learner decodes what comes and is measured; viewers make the load. The tutor talks and rests in
turn, the voice beating in step with the mouth, and is interrupted three times. The load is set from
the cost of a few streams, measured first, with all of them speaking.

`--minutes 10` is the whole figure; without it, three.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.bare_aiortc import Viewer, cpu_time_s, watched
from benchmarks.bench_streams import FEW, listen
from benchmarks.measure import percentile, report
from benchmarks.stubbed import conversing
from engines.avatar.viseme.portrait import portrait
from engines.stub import StubAvatar, StubLlm, StubTts
from serve_app.services import Engines
from tests.endurance.gateway import Apart, apart
from tests.lip_sync import Skew, drift_ms_per_min, freezes, intervals_ms, skews
from tests.live import Learner, answered
from tests.running import Running, stub_engines

HERE = "benchmarks.bench_av"
MINUTES = 3.0
LOAD = 0.7
"""Of what one core can send."""

BEAT_S = 0.5
ANSWER_S = 12.0
REST_S = 2.0
INTERRUPTIONS = 3
CUT_AFTER_S = 4.2
FEW_SECONDS = 6.0
LOOK_S = 0.01


def engines() -> Engines:
    """A voice that beats, and a mouth that shows it, on a face that is really drawn."""
    return stub_engines(
        think=lambda tutor: StubLlm(("Listen.",)),
        speak=StubTts(pieces=round(ANSWER_S / 0.2), piece_delay_s=0.1, beat_s=BEAT_S),
        show=StubAvatar(shows="loudness"),
        backdrop=portrait,
    )


_stalls_ms: list[float] = []
_watching: set[asyncio.Task[None]] = set()


async def _watch() -> None:
    while True:
        due_s = time.monotonic() + LOOK_S
        await asyncio.sleep(LOOK_S)
        _stalls_ms.append((time.monotonic() - due_s) * 1000)


def watch_stalls() -> None:
    """Asked over there: notice from now on how late the event loop is."""
    _watching.add(asyncio.create_task(_watch(), name="watch stalls"))


def stalls_ms() -> list[float]:
    """Asked over there: the 99th percentile, and the longest."""
    return [percentile(_stalls_ms, 99), max(_stalls_ms)]


async def crowd(
    running: Running, streams: int, stack: AsyncExitStack, viewers: list[Viewer]
) -> None:
    """As many viewers as are still wanted, each with a tutor who speaks."""
    while len(viewers) < streams:
        session, talk = await stack.enter_async_context(running.conversation())
        await talk.ask(type="hello", features=["state"])
        viewer = await stack.enter_async_context(Viewer())
        await viewer.connect(partial(answered, talk, user_id=session.student_id))
        task = asyncio.create_task(listen(talk, session.student_id, viewer), name="listen")
        stack.callback(task.cancel)
        viewers.append(viewer)


async def talk_and_rest(learner: Learner, seconds: float) -> list[tuple[float, float]]:
    """The tutor answers again and again, three times not to the end; from when to when each
    answer was heard."""
    spoken: list[tuple[float, float]] = []
    end_s = time.monotonic() + seconds
    for number in count():
        if time.monotonic() >= end_s:
            break
        asked_s = time.monotonic()
        await learner.ask("Go on.")
        begun_s = (await learner.until_loud(since_s=asked_s)).at_s
        if number % 2 and number < 2 * INTERRUPTIONS:
            await asyncio.sleep(CUT_AFTER_S)
            await learner.talk.send(type="interrupt")
        ended_s = await learner.until_quiet(REST_S, since_s=begun_s)
        spoken.append((begun_s, ended_s))
    return spoken
    return spoken


def beats(learner: Learner, spoken: Sequence[tuple[float, float]]) -> list[Skew]:
    """Each beat but an answer's first, for which the mouth only fades in."""
    found: list[Skew] = []
    for begun_s, ended_s in spoken:
        low_s, high_s = begun_s + BEAT_S / 2, ended_s + BEAT_S
        frames = [frame for frame in learner.frames if low_s < frame.at_s < high_s]
        sounds = [sound for sound in learner.sounds if low_s < sound.at_s < high_s]
        found += skews(frames, sounds, learner.clocks)
    return found


async def measured(gateway: Apart, seconds: float) -> int:
    """Report all figures; returns how many streams there were."""
    async with AsyncExitStack() as stack:
        viewers: list[Viewer] = []
        await crowd(gateway.running, FEW, stack, viewers)
        few = await watched(viewers, gateway.pid, FEW_SECONDS)
        streams = max(1, int(LOAD * FEW * few.seconds / few.cpu_s))
        while len(viewers) > streams - 1:
            await viewers.pop().peer.close()
        await crowd(gateway.running, streams - 1, stack, viewers)
        learner = await stack.enter_async_context(conversing(gateway.running))
        await asyncio.sleep(3.0)
        gateway.ask(f"{HERE}:watch_stalls")
        began_s, cpu_s = time.monotonic(), cpu_time_s(gateway.pid)
        own_s = cpu_time_s(os.getpid())
        spoken = await talk_and_rest(learner, seconds)
        took_s = time.monotonic() - began_s
        tell(learner, began_s, spoken, streams)
        used = (cpu_time_s(gateway.pid) - cpu_s) / took_s
        report("av_core_used", used, "cores", control=LOAD, goal="about the control")
        own = (cpu_time_s(os.getpid()) - own_s) / took_s
        report("av_receiver_core_used", own, "cores", control=1.0, goal="< 0.9, else its limit")
        p99_ms, longest_ms = gateway.ask(f"{HERE}:stalls_ms")
        report("av_loop_stall_p99", p99_ms, "ms", control=LOOK_S * 1000, goal="-")
        report("av_loop_stall_longest", longest_ms, "ms", control=LOOK_S * 1000, goal="-")
        return streams


def tell(
    learner: Learner, since_s: float, spoken: Sequence[tuple[float, float]], streams: int
) -> None:
    frames = [frame for frame in learner.frames if frame.at_s >= since_s]
    intervals = intervals_ms(frames)
    found = beats(learner, spoken)
    late = [abs(skew.ms) for skew in found]
    report("av_streams", streams, "streams", control=0, goal="70 % of a core")
    report("av_interval_p99", percentile(intervals, 99), "ms", control=40.0, goal="≤ 60")
    report("av_freezes", len(freezes(intervals)), "freezes", control=0, goal="0")
    report("av_beats", len(found), "beats", control=0, goal="-")
    report("av_skew_p95", percentile(late, 95), "ms", control=0, goal="≤ 40")
    drift = abs(drift_ms_per_min(found))
    report("av_drift", drift, "ms/min", control=0, goal="≤ 1")


async def run(seconds: float) -> None:
    sending, receiving, *_ = sorted(os.sched_getaffinity(0))
    with (
        TemporaryDirectory(prefix="tutor-bench-") as folder,
        apart(Path(folder), f"{HERE}:engines", core=sending) as gateway,
    ):
        os.sched_setaffinity(0, {receiving})
        await measured(gateway, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    wish: Any = parser.parse_args()
    asyncio.run(run(wish.minutes * 60))


if __name__ == "__main__":
    main()
