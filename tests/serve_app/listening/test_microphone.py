"""The microphone against a session that only notes what it is told."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from engines.base import HEARING_RATE_HZ, Pcm
from engines.errors import EngineError, EngineUnavailable
from engines.stub import StubVad
from serve_app.exchange import SpokenMessage
from serve_app.listening.barge_in import BargeInLimits
from serve_app.listening.endpointing import Pauses
from serve_app.listening.microphone import Microphone
from tests.speech import say

QUICK = Pauses(finished_ms=100, unsure_ms=200, hanging_ms=500)


@dataclass
class Notes:
    """A session that answers nothing, and writes down everything."""

    words: str = "What is a prime number?"
    is_answering: bool = False
    is_audible: bool = False
    withdraws: bool = True
    wants_partials: bool = False
    failure: Exception | None = None
    asr_s: float = 0.0
    notes: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    recognised_s: list[float] = field(default_factory=list)
    played: deque[Pcm] | None = None

    def ask(self, question: SpokenMessage) -> None:
        self.asked.append(question.content)

    def hold(self) -> None:
        self.notes.append("hold")

    def release(self) -> None:
        self.notes.append("release")

    async def withdraw(self) -> bool:
        self.notes.append("withdraw")
        self.is_answering = False
        return self.withdraws

    async def break_in(self) -> None:
        self.notes.append("break in")
        self.is_answering = False

    async def recognise(self, speech: Pcm) -> str:
        self.recognised_s.append(len(speech) / HEARING_RATE_HZ)
        await asyncio.sleep(self.asr_s)
        if self.failure is not None:
            raise self.failure
        return self.words

    async def understood(self, words: str) -> None:
        self.notes.append(f"understood {words}")

    async def listening(self) -> None:
        self.notes.append("listening")

    async def nothing_said(self) -> None:
        self.notes.append("nothing")

    async def complain(self, error: Exception) -> None:
        self.notes.append(f"complaint {error}")


@dataclass
class Alone:
    """A room with one session in it, or none."""

    session: Notes | None
    asked_for: int = 0

    def listener(self) -> Notes | None:
        return self.session

    async def find_listener(self) -> None:
        self.asked_for += 1


def sound(seconds: float, level: int = 3000) -> Pcm:
    times = np.arange(int(seconds * HEARING_RATE_HZ)) / HEARING_RATE_HZ
    return (level * np.sin(2 * np.pi * 300 * times)).astype(np.int16)


def silence(seconds: float) -> Pcm:
    return np.zeros(int(seconds * HEARING_RATE_HZ), np.int16)


@contextlib.asynccontextmanager
async def listening(session: Notes) -> AsyncIterator[Microphone]:
    microphone = Microphone(StubVad, Alone(session), QUICK, BargeInLimits(200, 600))
    task = asyncio.create_task(microphone.run())
    try:
        yield microphone
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def hear(microphone: Microphone, *sounds: Pcm) -> None:
    """As it would arrive, but ten times as fast."""
    for packet in np.array_split(np.concatenate(sounds), max(1, sum(map(len, sounds)) // 320)):
        microphone.feed(packet)
        await asyncio.sleep(0.002)
    await asyncio.sleep(0.05)


async def test_a_spoken_sentence_becomes_a_question() -> None:
    session = Notes()
    async with listening(session) as microphone:
        await hear(microphone, silence(0.5), sound(1.0), silence(0.5))
    assert session.asked == ["What is a prime number?"]
    assert session.notes == ["listening", "understood What is a prime number?"]
    assert session.recognised_s[0] == pytest.approx(1.0 + 0.3 + 0.1, abs=0.1), "with its onset"


async def test_a_hanging_sentence_is_waited_for_and_heard_whole() -> None:
    session = Notes(words="I would like to learn and")
    async with listening(session) as microphone:
        await hear(microphone, sound(0.6), silence(0.3))
        assert not session.asked
        session.words = "I would like to learn and to travel."
        await hear(microphone, sound(0.6), silence(0.4))
    assert session.asked == ["I would like to learn and to travel."]
    assert session.recognised_s[-1] > 1.4, "both parts together"


async def test_a_hanging_sentence_is_a_question_after_a_long_silence() -> None:
    session = Notes(words="I would like to learn and")
    async with listening(session) as microphone:
        await hear(microphone, sound(0.6), silence(0.8))
    assert session.asked == ["I would like to learn and"]
    assert len(session.recognised_s) == 1, "its words were known already"


async def test_a_slow_recogniser_loses_nothing() -> None:
    session = Notes(asr_s=0.4)
    async with listening(session) as microphone:
        await hear(microphone, sound(0.6), silence(0.6))
        await asyncio.sleep(0.5)
        assert session.asked == ["What is a prime number?"]


async def test_a_noise_without_words_is_no_question() -> None:
    session = Notes(words="")
    async with listening(session) as microphone:
        await hear(microphone, sound(0.4), silence(0.8))
    assert not session.asked
    assert session.notes[-1] == "nothing"


async def test_two_sentences_are_two_questions() -> None:
    session = Notes()
    async with listening(session) as microphone:
        for _ in range(2):
            await hear(microphone, sound(0.6), silence(0.5))
    assert len(session.asked) == 2


@pytest.mark.parametrize("words", ["mm-hm", "嗯", "", "Right."])
async def test_a_short_agreement_does_not_stop_the_tutor(words: str) -> None:
    session = Notes(words=words, is_answering=True, is_audible=True)
    async with listening(session) as microphone:
        await hear(microphone, sound(0.15), silence(0.8))
        await hear(microphone, sound(0.35), silence(0.8))
    assert not session.asked
    assert "break in" not in session.notes
    assert [note for note in session.notes if note in ("hold", "release")] == ["hold", "release"]


async def test_a_learner_who_speaks_on_stops_the_tutor_and_is_heard() -> None:
    session = Notes(is_answering=True, is_audible=True)
    async with listening(session) as microphone:
        await hear(microphone, sound(1.0), silence(0.5))
    assert session.notes[:2] == ["hold", "break in"]
    assert session.asked == ["What is a prime number?"]


async def test_a_short_stop_stops_and_asks_nothing() -> None:
    session = Notes(words="Stop!", is_answering=True, is_audible=True)
    async with listening(session) as microphone:
        await hear(microphone, sound(0.3), silence(0.6))
    assert "break in" in session.notes
    assert not session.asked


async def test_a_question_that_goes_on_before_it_is_answered_is_asked_whole() -> None:
    session = Notes(words="How many are there?")
    async with listening(session) as microphone:
        await hear(microphone, sound(0.6), silence(0.4))
        assert len(session.asked) == 1
        session.is_answering = True  # thinking: nothing has been heard of the answer
        session.words = "How many are there in the first ten?"
        await hear(microphone, sound(0.8), silence(0.5))
    assert "withdraw" in session.notes
    assert session.asked[-1] == "How many are there in the first ten?"
    assert session.recognised_s[-1] > 1.6, "with what was said before"


async def test_what_a_typed_question_is_interrupted_by_is_not_joined_to_anything() -> None:
    session = Notes(is_answering=True, withdraws=False)
    async with listening(session) as microphone:
        await hear(microphone, sound(0.8), silence(0.5))
    assert session.recognised_s[-1] < 1.5


async def test_a_failed_recognition_is_told_and_the_next_one_is_heard() -> None:
    session = Notes(failure=EngineError("no ears"))
    async with listening(session) as microphone:
        await hear(microphone, sound(0.6), silence(0.5))
        assert any("no ears" in note for note in session.notes)
        session.failure = None
        await hear(microphone, sound(0.6), silence(0.5))
    assert session.asked == ["What is a prime number?"]


async def test_a_missing_detector_is_told() -> None:
    session = Notes()

    def missing() -> StubVad:
        raise EngineUnavailable("no detector")

    microphone = Microphone(missing, Alone(session), QUICK, BargeInLimits())
    task = asyncio.create_task(microphone.run())
    await hear(microphone, sound(0.3))
    task.cancel()
    assert any("no detector" in note for note in session.notes)


async def test_while_the_key_is_down_everything_is_one_utterance() -> None:
    session = Notes()
    async with listening(session) as microphone:
        microphone.turn("held")
        await hear(microphone, sound(0.4), silence(1.5), sound(0.4))
        assert not session.asked
        microphone.turn("closed")
        await asyncio.sleep(0.1)
    assert session.asked == ["What is a prime number?"]
    assert session.recognised_s[-1] == pytest.approx(2.3, abs=0.1)


async def test_the_key_stops_the_tutor_at_once() -> None:
    session = Notes(is_answering=True, is_audible=True)
    async with listening(session) as microphone:
        microphone.turn("held")
        await asyncio.sleep(0.05)
        assert session.notes == ["break in", "listening"]


async def test_words_that_nobody_understood_are_asked_for_again_when_the_key_was_down() -> None:
    session = Notes(words="")
    async with listening(session) as microphone:
        microphone.turn("held")
        await hear(microphone, sound(0.6))
        microphone.turn("open")
        await asyncio.sleep(0.1)
    assert any("No words were understood" in note for note in session.notes)


async def test_a_closed_microphone_hears_nothing() -> None:
    session = Notes()
    async with listening(session) as microphone:
        microphone.turn("closed")
        await hear(microphone, sound(1.0), silence(0.5))
        assert not session.asked and not session.notes
        microphone.turn("open")
        await hear(microphone, sound(0.6), silence(0.5))
    assert len(session.asked) == 1


async def test_closing_in_mid_sentence_ends_the_sentence() -> None:
    session = Notes()
    async with listening(session) as microphone:
        await hear(microphone, sound(0.6))
        microphone.turn("closed")
        await asyncio.sleep(0.1)
    assert session.asked == ["What is a prime number?"]


async def test_a_line_that_goes_dead_in_mid_sentence_ends_it() -> None:
    session = Notes()
    async with listening(session) as microphone:
        await hear(microphone, sound(0.6))
        await asyncio.sleep(0.8)
    assert session.asked == ["What is a prime number?"]


async def test_a_long_speaker_is_told_what_has_been_understood_so_far() -> None:
    session = Notes(wants_partials=True)
    async with listening(session) as microphone:
        await hear(microphone, sound(0.5), silence(0.4))  # now the recogniser is known to be quick
        session.notes.clear()
        for _ in range(8):
            await hear(microphone, sound(1.0))
        assert session.notes.count("understood What is a prime number?") >= 1
        assert len(session.asked) == 1, "and nothing is asked before the end"


async def test_without_a_session_nothing_breaks_and_one_is_looked_for_once() -> None:
    room = Alone(None)
    microphone = Microphone(StubVad, room, QUICK, BargeInLimits())
    task = asyncio.create_task(microphone.run())
    for _ in range(2):
        await hear(microphone, sound(0.6), silence(0.5))
    microphone.turn("held")
    await asyncio.sleep(0.05)
    assert not task.done()
    assert room.asked_for == 1
    task.cancel()


@pytest.mark.parametrize(("known", "breaks_in"), [(True, False), (False, True)])
async def test_the_tutors_own_voice_from_the_loudspeaker_is_not_heard(
    known: bool, breaks_in: bool
) -> None:
    played: deque[Pcm] | None = deque(maxlen=16) if known else None
    session = Notes(is_answering=True, is_audible=True, played=played)
    voice = (await say("I will tell you all about the numbers that can not be divided.")).samples
    voice = voice[: len(voice) // 512 * 512]
    echo = np.concatenate([silence(0.2), voice // 3])
    async with listening(session) as microphone:
        for begin in range(0, len(voice), 512):
            if played is not None:
                played.append(voice[begin : begin + 512])
            microphone.feed(echo[begin : begin + 512])
            await asyncio.sleep(0.003)
        await asyncio.sleep(0.05)
    assert ("break in" in session.notes) == breaks_in
