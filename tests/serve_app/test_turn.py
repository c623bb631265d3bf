"""The stages of a turn: overlapped, bounded, cancelled as one, and able to lose one another."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from engines.base import Audio, Cue, Message, Patch, Transcript, Vocabulary, Voice
from engines.errors import EngineError, EngineUnavailable, UnusableSpeech
from engines.knowledge.base import Found, Passage
from engines.stub import StubAsr, StubAvatar, StubBackdrop, StubLlm, StubTts
from serve_app import turn as module
from serve_app.turn import Turn, Verbs
from serve_app.tutors import Tutor
from tests.media import wav
from tests.running import as_it_is
from wire.events import AudioDeltaEvent, ServerEvent, TextDeltaEvent, TranscriptionEvent

TUTOR = Tutor(
    id=1,
    name="Anna",
    language=None,
    prompt="Teach.",
    voice=Voice(),
    face="anna",
    llm_app="llm-default",
)
ASKED = [Message("system", "Teach."), Message("user", "Why?")]
TWO_SENTENCES = ("One ", "two ", "three.", " Four ", "five ", "six.")


@dataclass
class Made:
    """A turn and what it sent."""

    turn: Turn
    events: list[tuple[float, ServerEvent]] = field(default_factory=list)

    def times(self, kind: type[ServerEvent]) -> list[float]:
        return [at for at, event in self.events if isinstance(event, kind)]


def make(face: str | None = None, **replaced: Any) -> Made:
    verbs: dict[str, Any] = {
        "hear": StubAsr(),
        "think": StubLlm(TWO_SENTENCES),
        "speak": StubTts(),
        "show": StubAvatar(),
        "backdrop": lambda name: StubBackdrop(),
        "shown": as_it_is,
    }
    events: list[tuple[float, ServerEvent]] = []

    async def emit(event: ServerEvent) -> None:
        events.append((time.perf_counter(), event))

    return Made(Turn(Verbs(**{**verbs, **replaced}), TUTOR, emit, face=face), events)


async def test_an_answer_has_its_text_voice_and_video() -> None:
    made = make("anna")
    await made.turn.speak(ASKED, first_frame=100)
    answer = made.turn.answer
    assert answer.text == "".join(TWO_SENTENCES)
    assert sum(piece.seconds for piece in answer.voice) == pytest.approx(0.8)
    assert answer.frames == 20
    assert answer.video
    assert not answer.failures


async def test_the_first_sentence_is_spoken_while_the_second_is_written() -> None:
    made = make(think=StubLlm(TWO_SENTENCES, gap_s=0.05))
    await made.turn.speak(ASKED)
    assert made.times(AudioDeltaEvent)[0] < made.times(TextDeltaEvent)[-1]


async def test_frames_are_made_while_the_voice_is_still_coming() -> None:
    made = make("anna", speak=StubTts(pieces=6, piece_delay_s=0.1, piece_seconds=0.2))
    await made.turn.speak(ASKED)
    marks = made.turn.watch.ms
    assert marks["first_frame_ms"] < marks["tts_first_audio_ms"] + 400


class Endless:
    """Verbs that never end, and know whether they were stopped."""

    def __init__(self) -> None:
        self.stopped: list[str] = []

    async def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        try:
            while True:
                yield "One more sentence. "
                await asyncio.sleep(0.001)
        finally:
            self.stopped.append("think")

    async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
        try:
            while True:
                yield Audio(np.ones(1600, np.int16), 16_000)
                await asyncio.sleep(0.001)
        finally:
            self.stopped.append("speak")

    async def animate(self, speech: Audio, cue: Cue) -> AsyncIterator[Patch]:
        try:
            await asyncio.Event().wait()
            yield Patch(0, 0, 0, np.zeros((1, 1, 1, 3), np.uint8))
        finally:
            self.stopped.append("show")


async def test_a_turn_is_cancelled_as_a_whole_and_holds_back_what_nobody_takes() -> None:
    """Nobody takes the face's frames, so the voice waits, so the model waits: all are bounded."""
    endless = Endless()
    made = make("anna", think=endless, speak=endless, show=endless)
    running = asyncio.create_task(made.turn.speak(ASKED))
    await asyncio.sleep(0.3)
    written = len(made.times(TextDeltaEvent))
    spoken = len(made.times(AudioDeltaEvent))
    assert written <= module.SENTENCES_AHEAD + 3
    assert spoken <= module.PIECES_AHEAD + 10
    await asyncio.sleep(0.1)
    assert len(made.times(TextDeltaEvent)) == written
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert sorted(endless.stopped) == ["show", "speak", "think"]


@dataclass
class Failing:
    """Fails after so many items."""

    after: int = 0

    async def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        for _ in range(self.after):
            yield "Half a sentence "
        raise EngineUnavailable("The model is gone.")

    async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
        for _ in range(self.after):
            yield Audio(np.ones(1600, np.int16), 16_000)
        raise EngineUnavailable("The voice is gone.")

    async def animate(self, speech: Audio, cue: Cue) -> AsyncIterator[Patch]:
        raise EngineUnavailable("The face is gone.")
        yield


async def test_without_a_voice_the_text_still_comes() -> None:
    made = make("anna", speak=Failing())
    await made.turn.speak(ASKED)
    answer = made.turn.answer
    assert answer.text == "".join(TWO_SENTENCES)
    assert (answer.voice, answer.video) == ([], None)
    assert [failure.sentence for failure in answer.failures] == ["The voice is gone."]


async def test_without_a_face_the_voice_still_comes_whole() -> None:
    made = make("anna", show=Failing())
    await made.turn.speak(ASKED)
    assert len(made.turn.answer.voice) == 4
    assert made.turn.answer.video is None
    assert [failure.sentence for failure in made.turn.answer.failures] == ["The face is gone."]


async def test_a_model_that_dies_in_mid_answer_is_told_and_what_was_said_is_kept() -> None:
    made = make(think=Failing(after=1))
    await made.turn.speak(ASKED)
    answer = made.turn.answer
    assert (answer.text, answer.cut_off) == ("Half a sentence ", True)
    assert answer.voice
    assert [failure.code for failure in answer.failures] == ["engine_unavailable"]


async def test_a_model_that_says_nothing_is_a_failure() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await make(think=Failing()).turn.speak(ASKED)
    assert caught.group_contains(EngineUnavailable, match="The model is gone")


async def test_an_engine_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "VOICE_GAP_LIMIT_S", 0.05)
    made = make(speak=StubTts(first_piece_s=5))
    await made.turn.speak(ASKED)
    assert [failure.code for failure in made.turn.answer.failures] == ["engine_timeout"]


async def test_an_endless_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER_CHARS", 50)
    made = make(think=Endless())
    await made.turn.speak(ASKED)
    assert 50 <= len(made.turn.answer.text) < 80


async def test_pieces_of_another_rate_are_brought_to_the_first_ones() -> None:
    class TwoRates:
        async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
            yield Audio(np.ones(1600, np.int16), 16_000)
            yield Audio(np.ones(2400, np.int16), 24_000)

    made = make("anna", speak=TwoRates())
    await made.turn.speak(ASKED)
    assert {piece.rate_hz for piece in made.turn.answer.voice} == {16_000}
    assert sum(p.seconds for p in made.turn.answer.voice) == pytest.approx(0.4, abs=0.01)


async def test_markdown_is_written_but_not_spoken() -> None:
    spoken: list[str] = []

    class Listening(StubTts):
        async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
            spoken.append(sentence)
            yield Audio(np.ones(1600, np.int16), 16_000)

    made = make(think=StubLlm(("**Bold** words. ", "Then $x^2$ follows.")), speak=Listening())
    await made.turn.speak(ASKED)
    assert "**" in made.turn.answer.text
    assert spoken == ["Bold words.", "Then x squared follows."]


async def test_citations_are_written_but_not_spoken_where_there_are_sources() -> None:
    spoken: list[str] = []

    class Listening(StubTts):
        async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
            spoken.append(sentence)
            yield Audio(np.ones(1600, np.int16), 16_000)

    source = Found("kb", "water.md", Passage("Water boils.", 1, "", 0), 0.9)
    for sources in ((source, source), ()):
        made = make(think=StubLlm(("So it is [1, 2]. ",)), speak=Listening())
        await made.turn.speak([Message("user", "Why?", sources)])
        assert "[1, 2]" in made.turn.answer.text
    assert spoken == ["So it is.", "So it is [1, 2]."]


async def test_what_is_heard_is_told() -> None:
    made = make(hear=StubAsr(text="how are you"))
    assert await made.turn.hear(wav()) == "how are you"
    (_, event) = made.events[-1]
    assert isinstance(event, TranscriptionEvent)


async def test_a_recording_without_words_is_refused() -> None:
    with pytest.raises(UnusableSpeech):
        await make(hear=StubAsr(text=" ")).turn.hear(wav())


async def test_a_recogniser_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEAR_LIMIT_S", 0.05)

    class Deaf:
        async def transcribe(
            self, speech: Audio, language: str | None, vocabulary: Vocabulary = ()
        ) -> Transcript:
            await asyncio.Event().wait()
            raise AssertionError

    with pytest.raises(EngineError, match="in time"):
        await make(hear=Deaf()).turn.hear(wav())


async def test_interrupting_a_film_at_any_moment_harms_nobody() -> None:
    """Its thread is in the encoder at some of these moments; the file must not close under it."""
    for moment in range(40):
        made = make("anna", speak=StubTts(pieces=30))
        running = asyncio.create_task(made.turn.speak(ASKED))
        await asyncio.sleep(moment * 0.005)
        running.cancel()
        await asyncio.wait([running])
    whole = make("anna")
    await whole.turn.speak(ASKED)
    assert whole.turn.answer.video


async def test_a_voice_that_breaks_in_an_unforeseen_way_leaves_the_text() -> None:
    class Broken:
        async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
            raise ValueError("not an engine's error")
            yield

    made = make("anna", speak=Broken(), show=Broken())
    await made.turn.speak(ASKED)
    assert made.turn.answer.text == "".join(TWO_SENTENCES)
    assert [failure.code for failure in made.turn.answer.failures] == ["engine_failed"]


async def test_an_engine_that_is_stopped_from_outside_does_not_hang_the_turn() -> None:
    class Stopped:
        async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
            raise asyncio.CancelledError
            yield

    made = make("anna", think=StubLlm(("One. ",) * 20), speak=Stopped())
    async with asyncio.timeout(5):
        await made.turn.speak(ASKED)
    assert [failure.code for failure in made.turn.answer.failures] == ["engine_unavailable"]


async def test_a_voice_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_VOICE_S", 1.0)
    made = make(think=StubLlm(("One. ",) * 50))
    await made.turn.speak(ASKED)
    assert sum(piece.seconds for piece in made.turn.answer.voice) < 2
    assert made.turn.answer.text == "One. " * 50
    assert [failure.code for failure in made.turn.answer.failures] == ["voice_too_long"]


@dataclass
class Told:
    """A face that keeps what it was told."""

    stretches: list[tuple[Audio, Cue]] = field(default_factory=list)

    async def animate(self, speech: Audio, cue: Cue) -> AsyncIterator[Patch]:
        self.stretches.append((speech, cue))
        await asyncio.sleep(0.01)  # slower than the voice
        yield Patch(cue.first_frame, 0, 0, np.zeros((cue.frames, 2, 2, 3), np.uint8))


async def test_the_film_of_a_prepared_avatar_is_made_knowing_what_was_said_before() -> None:
    told = Told()
    made = make("Anna at home", show=told, speak=StubTts(pieces=10))
    await made.turn.speak(ASKED, first_frame=7)
    assert not made.turn.answer.failures
    assert made.turn.answer.frames == sum(cue.frames for _, cue in told.stretches) == 100
    assert [cue.begin for _, cue in told.stretches] == [
        (cue.first_frame - 7) * 640 for _, cue in told.stretches
    ]
    # What has come is known as far as it makes a difference; at the end nothing comes any more.
    ahead = [(len(s.samples) - c.begin) // 640 - c.frames for s, c in told.stretches]
    assert max(ahead) == 25
    assert min(ahead[2:-3]) >= 10
