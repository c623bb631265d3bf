"""The main job on real input: a recorded question goes in; the transcript, the answer, its voice
and a lip-synced video come out."""

import difflib

import numpy as np
import numpy.typing as npt
import pytest

from engines.avatar.viseme.portrait import portrait
from tests.engines.avatar.mouth import mouth_opening
from tests.media import Film, film, packed, unpacked
from tests.running import Running, base64_of
from tests.speech import recording

pytestmark = pytest.mark.parametrize("engine", ["default"], indirect=True)

FPS = 25
Floats = npt.NDArray[np.float64]
QUESTION = (
    "i want to learn english. what is the weather like. one two three four five six seven. "
    "we read a good book in the morning. thank you very much. eight nine ten."
)


async def test_a_ten_second_recording_is_heard_and_answered(engine: Running) -> None:
    question = await recording(QUESTION)
    assert 9 < len(unpacked(base64_of(question))[0]) / unpacked(base64_of(question))[1] < 20
    async with engine.conversation() as (_, talk):
        await talk.send(type="audio", data=base64_of(question))
        transcription, text, audio = [await talk.receive() for _ in range(3)]
        heard = transcription["content"].lower().split()
        wanted = QUESTION.replace(".", "").split()
        assert difflib.SequenceMatcher(None, heard, wanted).ratio() > 0.6, heard
        assert "language model" in text["content"], "the offline tutor says what is missing"
        samples, rate_hz = unpacked(audio["data"])
        assert len(samples) > 3 * rate_hz


async def test_the_mouth_of_the_video_follows_its_voice(engine: Running) -> None:
    """Correlation > 0.6 at a lag of at most one frame, and shut while the voice is silent."""
    async with engine.conversation() as (_, talk):
        answer = await talk.ask(
            type="text", content="Why is the sky blue in the morning?", avatar_id="anna"
        )
    shown = film(answer["video"])
    openings = np.array([mouth_opening(f, portrait("anna").mouth_box) for f in shown.frames])
    loudness = loudness_of(shown)[: len(openings)]
    correlations = {lag: shifted_correlation(openings, loudness, lag) for lag in range(-6, 7)}
    best = max(correlations, key=lambda lag: correlations[lag])
    assert abs(best) <= 1, correlations
    assert correlations[best] > 0.6, correlations
    silent = silent_frames(loudness)
    assert silent.any(), "there are pauses between the sentences"
    assert openings[silent].max() < 0.05 * openings.max()


def loudness_of(shown: Film) -> Floats:
    """RMS of each frame's 40 ms."""
    frame = shown.rate_hz // FPS
    count = len(shown.voice) // frame
    blocks = shown.voice[: count * frame].reshape(count, frame).astype(np.float64)
    return np.asarray(np.sqrt((blocks**2).mean(axis=1)))


def silent_frames(
    loudness: Floats,
) -> npt.NDArray[np.bool_]:
    """Frames in silence that also have a silent neighbour on either side: lips need a moment."""
    silent = loudness < 0.01 * loudness.max()
    inner: npt.NDArray[np.bool_] = silent.copy()
    inner[1:] &= silent[:-1]
    inner[:-1] &= silent[1:]
    return inner


def shifted_correlation(
    openings: Floats,
    loudness: Floats,
    lag: int,
) -> float:
    """Pearson's r when the mouth is taken to be `lag` frames late."""
    length = min(len(openings), len(loudness)) - abs(lag)
    mouth = openings[max(lag, 0) : max(lag, 0) + length]
    sound = loudness[max(-lag, 0) : max(-lag, 0) + length]
    return float(np.corrcoef(mouth, sound)[0, 1])


async def test_the_mouth_stays_shut_for_a_learner_who_said_nothing(engine: Running) -> None:
    """Silence is not an utterance: an error says so, and the next question is answered."""
    silence = packed(np.zeros(16_000 * 2, np.int16), 16_000)
    async with engine.conversation() as (_, talk):
        error = await talk.ask(type="audio", data=base64_of(silence), avatar_id="anna")
        assert (error["type"], error["code"]) == ("error", "unusable_speech")
        assert (await talk.ask(type="text", content="Hello"))["type"] == "text"
