"""A live conversation over a network that loses, delays and breaks off."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from benchmarks.measure import percentile
from engines.stub import StubAvatar, StubLlm, StubTts
from serve_app.settings import Settings
from tests.lip_sync import PACKET_S, intervals_ms, skews
from tests.live import Learner
from tests.running import Event, Running, Talk, plain, stub_engines
from tests.udp_relay import UdpRelay

BEAT_S = 0.5
ANSWER_S = 8.0
STANDSTILL_MS = 1000.0
SKEW_LIMIT_MS = 60.0
BACK_LIMIT_S = 3.0
PATIENCE_S = 0.5
"""With sound and without a picture, before a new one is asked for."""

TOLD_LIMIT_S = 10.0


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Its answer of eight seconds beats: face and voice together, twice in two seconds."""
    settings = Settings(tutor_home=tmp_path_factory.mktemp("network"), max_sessions=40)
    engines = stub_engines(
        think=lambda tutor: StubLlm(("Listen.",)),
        speak=StubTts(pieces=round(ANSWER_S / 0.2), beat_s=BEAT_S),
        show=StubAvatar(shows="loudness"),
    )
    with plain(settings, engines) as running:
        yield running


@asynccontextmanager
async def through(gateway: Running, relay: UdpRelay) -> AsyncIterator[tuple[Talk, Learner]]:
    """A learner behind a bad network."""
    async with (
        relay,
        gateway.conversation() as (session, talk),
        Learner(talk, session.student_id) as learner,
    ):
        await talk.ask(type="hello", features=["state"])
        await learner.connect(through=relay)
        async with asking_for_keyframes(learner):
            yield talk, learner


def skews_since(learner: Learner, since_s: float) -> list[float]:
    """Of the beats that came after this moment, by the sender's clock."""
    frames = [frame for frame in learner.frames if frame.at_s > since_s]
    sounds = [sound for sound in learner.sounds if sound.at_s > since_s]
    found = skews(frames, sounds, learner.clocks)
    # Sound goes on in mid-beat too, where packets in a row were lost.
    return [
        skew.ms
        for before, skew in zip([None, *found], found, strict=False)
        if before is None or skew.at_s - before.at_s > BEAT_S
    ]


async def answered_live(learner: Learner) -> float:
    """Ask, and wait for the answer's first sound; returns when it came."""
    asked_s = time.monotonic()
    await learner.ask("Hello")
    return (await learner.until_loud(since_s=asked_s)).at_s


@asynccontextmanager
async def asking_for_keyframes(learner: Learner) -> AsyncIterator[None]:
    """As a browser does, and aiortc does not: when pictures do not get whole for a while, because
    what is missing does not come any more, give that up and ask for a new beginning."""
    assert learner.peer is not None
    eyes: Any = next(t.receiver for t in learner.peer.getTransceivers() if t.kind == "video")
    buffer = vars(eyes)["_RTCRtpReceiver__jitter_buffer"]

    async def ask() -> None:
        while True:
            await asyncio.sleep(PATIENCE_S / 5)
            since_s = time.monotonic() - PATIENCE_S
            heard = sum(sound.at_s > since_s for sound in learner.sounds[-50:])
            if learner.frames[-1].at_s > since_s or heard < 0.8 * PATIENCE_S / PACKET_S:
                continue
            buffer.remove(buffer.capacity)
            buffer._origin = None
            for sync in eyes.getSynchronizationSources():
                await eyes._send_rtcp_pli(sync.source)

    asking = asyncio.create_task(ask(), name="ask for keyframes")
    try:
        yield
    finally:
        asking.cancel()


async def test_loss_and_jitter_are_borne(gateway: Running) -> None:
    async with through(gateway, UdpRelay(loss=0.05, jitter_s=0.03)) as (_, learner):
        loud_s = await answered_live(learner)
        await asyncio.sleep(ANSWER_S)
        assert max(intervals_ms(learner.frames)) < STANDSTILL_MS
        # Not the first beat: the mouth opens slowly after a rest.
        found = [abs(late_ms) for late_ms in skews_since(learner, loud_s + BEAT_S / 2)]
    assert len(found) >= 5
    assert percentile(found, 95) <= SKEW_LIMIT_MS


async def errors(talk: Talk) -> list[Event]:
    """What the socket has said is wrong; the rest is read as well."""
    found = []
    try:
        while True:
            async with asyncio.timeout(0.05):
                event = await talk.receive()
            if event["type"] == "error":
                found.append(event)
    except TimeoutError:
        return found


@pytest.mark.parametrize("cut_s", [2.0, 10.0])
async def test_the_conversation_outlives_a_cut(gateway: Running, cut_s: float) -> None:
    relay = UdpRelay()
    async with through(gateway, relay) as (talk, learner):
        await answered_live(learner)
        await asyncio.sleep(1.0)
        cut_at_s = time.monotonic()
        relay.cut(cut_s)
        lost = cut_s > BACK_LIMIT_S
        if lost:
            async with asyncio.timeout(TOLD_LIMIT_S):
                assert (await talk.until("error"))[-1]["code"] == "webrtc_lost"
        await asyncio.sleep(max(0.0, cut_at_s + cut_s - time.monotonic()))
        back_s = time.monotonic()
        await learner.until(lambda: learner.frames[-1].at_s > back_s, BACK_LIMIT_S)
        assert learner.frames[-1].at_s - back_s <= BACK_LIMIT_S
        await learner.until_quiet(1.0, since_s=back_s)  # the rest of the answer
        again_s = await answered_live(learner)
        await asyncio.sleep(3.0)
        found = skews_since(learner, again_s + BEAT_S / 2)
        assert abs(statistics.median(found)) <= SKEW_LIMIT_MS
        assert [error["code"] for error in await errors(talk)] == []
