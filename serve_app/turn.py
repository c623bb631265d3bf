"""One answer, from what the learner said to what the tutor shows.

    recording ─ hear ─┐
    text ─────────────┴─ think ──tokens──► sentences ─► speak ──voice──► show ──mouths──► video
                           │                              │                 │
                           └ text_delta                   └ audio_delta     ├ frames of the MP4
                                                                            └ live: units of a stage

The stages run at once, joined by bounded queues: the first sentence is spoken while the second is
written, and frames are made while the voice is still coming. One TaskGroup owns them all, so that a
turn is cancelled as a whole.
"""

import asyncio
import base64
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from uuid import uuid4

from engines.base import Asr, Audio, Avatar, Backdrop, Llm, Message, Patch, Tts
from engines.errors import EngineError, EngineTimeout, UnusableSpeech
from engines.sound import part
from serve_app.errors import GatewayError
from serve_app.faces import Shown
from serve_app.framing import Framing, Stretch
from serve_app.media import decode_recording
from serve_app.patience import Patience, in_time
from serve_app.playout import Playout
from serve_app.recording import Mp4Recording, resampled
from serve_app.sentences import SentenceCutter
from serve_app.speakable import speakable
from serve_app.stage.performance import Performance
from serve_app.stage.reel import MediaUnit
from serve_app.stage.stage import Stage
from serve_app.to_the_end import to_the_end
from serve_app.tutors import Tutor
from wire.events import (
    AudioDeltaEvent,
    ServerEvent,
    StateEvent,
    TextDeltaEvent,
    TranscriptionEvent,
    TurnMetricsEvent,
)

logger = logging.getLogger(__name__)

SENTENCES_AHEAD = 4
"""Sentences written but not yet spoken; more would only be thrown away by an interruption."""

PIECES_AHEAD = 32
"""Pieces of voice (100–200 ms each) waiting for the face: some five seconds."""

MAX_ANSWER_CHARS = 8_000
"""A model that does not stop is stopped here, after about ten minutes of speech."""

MAX_VOICE_S = 180.0
"""Three minutes of speech in one answer; as WAV in base64 that is a message of some 10 MB."""

HEAR_LIMIT_S = 60.0
"""A recogniser that needs longer than the longest recording lasts is taken for dead."""

FIRST_TOKEN_LIMIT_S = 60.0
"""A large model loading from disk may need this long before its first word."""

TOKEN_GAP_LIMIT_S = 30.0
"""Silence in the middle of an answer: the model is taken for dead."""

VOICE_GAP_LIMIT_S = 20.0
FACE_GAP_LIMIT_S = 20.0

Emit = Callable[[ServerEvent], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Verbs:
    """The four engines of a turn; local, stub or behind a handle, it cannot tell."""

    hear: Asr
    think: Llm
    speak: Tts
    show: Avatar
    backdrop: Callable[[str], Backdrop]
    """The whole frames of a face, by its name."""
    shown: Shown


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in a stage that the turn could do without."""

    code: str
    sentence: str


VOICE_TOO_LONG = Failure(
    "voice_too_long",
    f"The answer is too long to be spoken whole; the voice ends after {MAX_VOICE_S / 60:.0f} "
    "minutes, the text is complete.",
)


@dataclass(slots=True)
class Answer:
    """What a turn has brought about so far."""

    text: str = ""
    voice: list[Audio] = field(default_factory=list)
    video: bytes | None = None
    frames: int = 0
    cut_off: bool = False
    """The model failed in the middle."""
    failures: list[Failure] = field(default_factory=list)


class Stopwatch:
    """When each stage had its first result, in milliseconds from the learner's message."""

    def __init__(self) -> None:
        self._start_s = time.perf_counter()
        self.ms: dict[str, float] = {}

    def mark(self, name: str) -> None:
        """Note the first time only."""
        if name not in self.ms:
            self.ms[name] = self.elapsed_ms()

    def elapsed_ms(self) -> float:
        return round((time.perf_counter() - self._start_s) * 1000, 2)


class Turn:
    """One answer in the making. Run its stages once, then read `answer`."""

    def __init__(
        self,
        verbs: Verbs,
        tutor: Tutor,
        emit: Emit,
        *,
        face: str | None,
        stage: Stage | None = None,
    ) -> None:
        """`face` alone: a film is made of the answer. With a `stage` it is spoken there, live."""
        self.id = uuid4().hex[:12]
        self.answer = Answer()
        self.playout = Playout()
        self.watch = Stopwatch()
        self._verbs = verbs
        self.tutor = tutor
        self._emit = emit
        self.written = asyncio.Event()
        """Set when the text is complete; its voice may still be on its way."""
        self._face = face
        self._stage = stage
        self._generation: int | None = None
        self._on_air = asyncio.Event()
        self._seq, self._sources = 0, 0
        if stage is not None:
            self.playout.live()

    @property
    def is_live(self) -> bool:
        return self._stage is not None

    def silence(self) -> None:
        """Nothing more of this turn leaves the stage, from this moment on."""
        if self._stage is not None and self._generation is not None:
            self._stage.cut(self._generation)

    async def hear(self, recording: bytes) -> str:
        """The learner's words. Raises `MediaError`, or `EngineError` when there are none."""
        await self._emit(StateEvent(state="listening"))
        speech = await decode_recording(recording)
        try:
            async with asyncio.timeout(HEAR_LIMIT_S):
                heard = await self._verbs.hear.transcribe(
                    speech, self.tutor.language, self.tutor.vocabulary
                )
        except TimeoutError as late:
            raise EngineTimeout("Speech recognition did not answer in time. Try again.") from late
        self.watch.mark("asr_ms")
        if not heard.text.strip():
            raise UnusableSpeech("No words were understood. Speak closer to the microphone.")
        await self._emit(TranscriptionEvent(content=heard.text))
        return heard.text

    async def speak(self, messages: Sequence[Message], first_frame: int = 0) -> None:
        """Think, speak and show, at once; fills `answer`. Raises `EngineError` when not even a
        word could be thought of."""
        await self._emit(StateEvent(state="thinking"))
        self._sources = max((len(message.sources) for message in messages), default=0)
        sentences: asyncio.Queue[str | None] = asyncio.Queue(SENTENCES_AHEAD)
        voice: asyncio.Queue[Audio | None] = asyncio.Queue(PIECES_AHEAD)
        async with asyncio.TaskGroup() as stages:
            stages.create_task(self._think(messages, sentences), name="think")
            stages.create_task(self._speak(sentences, voice), name="speak")
            if self._stage is not None:
                stages.create_task(self._perform(voice, self._stage), name="perform")
            elif self._face is not None:
                stages.create_task(self._show(voice, self._face, first_frame), name="show")

    async def _think(
        self, messages: Sequence[Message], sentences: asyncio.Queue[str | None]
    ) -> None:
        """Write the answer and hand it on sentence by sentence."""
        cutter = SentenceCutter()
        try:
            async with aclosing(self._tokens(messages)) as tokens:
                async for token in tokens:
                    self.answer.text += token
                    await self._emit(TextDeltaEvent(turn_id=self.id, content=token))
                    for sentence in cutter.feed(token):
                        self.watch.mark("first_sentence_ms")
                        await sentences.put(sentence)
        except EngineError as error:
            if not self.answer.text.strip():
                raise
            # What has been written is still spoken, and kept.
            self.answer.cut_off = True
            self.answer.failures.append(Failure(error.code, error.sentence))
        for sentence in cutter.flush():
            self.watch.mark("first_sentence_ms")
            await sentences.put(sentence)
        self.written.set()
        await sentences.put(None)

    async def _tokens(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        reply = self._verbs.think.reply(messages)
        limits = Patience(FIRST_TOKEN_LIMIT_S, TOKEN_GAP_LIMIT_S)
        async with aclosing(in_time(reply, limits, "The language model")) as tokens:
            async for token in tokens:
                if not token:
                    continue
                self.watch.mark("llm_first_token_ms")
                yield token
                if len(self.answer.text) >= MAX_ANSWER_CHARS:
                    return

    async def _speak(
        self, sentences: asyncio.Queue[str | None], voice: asyncio.Queue[Audio | None]
    ) -> None:
        """Give each sentence its voice. Without a voice the text still goes on."""
        mute = False
        while (sentence := await sentences.get()) is not None:
            self.playout.begin(sentence)
            words = speakable(sentence, self.tutor.voice.language, self._sources)
            if not words or mute:
                continue
            try:
                await self._voice(words, voice)
            except Exception as error:  # without a voice the text still goes on
                mute = True
                self.answer.failures.append(_failure(error, "The voice"))
            if self.playout.seconds > MAX_VOICE_S:
                mute = True
                self.answer.failures.append(VOICE_TOO_LONG)
        await self._pass_on(voice, None)

    async def _voice(self, words: str, voice: asyncio.Queue[Audio | None]) -> None:
        speech = self._verbs.speak.speak(words, self.tutor.voice)
        limits = Patience(VOICE_GAP_LIMIT_S, VOICE_GAP_LIMIT_S)
        async with aclosing(in_time(speech, limits, "The voice")) as pieces:
            async for piece in pieces:
                if len(piece.samples):
                    await self._say(piece, voice)
        if self.is_live and self.answer.voice:
            await voice.put(part(self.answer.voice[0], 0, 0))  # the sentence has ended

    async def _say(self, piece: Audio, voice: asyncio.Queue[Audio | None]) -> None:
        if not self.answer.voice:
            self.watch.mark("tts_first_audio_ms")
            if not self.is_live:
                await self._emit(StateEvent(state="speaking"))
        elif piece.rate_hz != (rate_hz := self.answer.voice[0].rate_hz):
            # Another engine took over in mid-answer; the learner's player keeps its rate.
            piece = resampled(piece, rate_hz)
        if not self.is_live:
            self.answer.voice.append(piece)
            await self._emit(self._audio_delta(piece))
        elif not self.answer.voice:
            self.answer.voice.append(piece)  # only its rate is needed: the rest has been heard
        self.playout.sent(piece.seconds, time.monotonic())
        await self._pass_on(voice, piece)

    def _audio_delta(self, piece: Audio) -> AudioDeltaEvent:
        data = base64.b64encode(piece.samples.astype("<i2").tobytes()).decode()
        event = AudioDeltaEvent(
            turn_id=self.id, seq=self._seq, data=data, sample_rate=piece.rate_hz
        )
        self._seq += 1
        return event

    async def _pass_on(self, voice: asyncio.Queue[Audio | None], piece: Audio | None) -> None:
        if self._face is not None or self.is_live:
            await voice.put(piece)

    async def _perform(self, voice: asyncio.Queue[Audio | None], stage: Stage) -> None:
        """Speak on the stage, as soon as it is free."""
        try:
            if (first := await voice.get()) is not None:
                async with stage.floor(self._face or stage.face, self._played) as generation:
                    self._generation = generation
                    await self._perform_until_heard(first, voice, stage)
        except Exception as error:  # the text still goes on
            self.answer.failures.append(_failure(error, "The stage"))
            await _drain(voice)

    async def _perform_until_heard(
        self, first: Audio, voice: asyncio.Queue[Audio | None], stage: Stage
    ) -> None:
        assert self._generation is not None

        def faceless(error: Exception) -> None:
            self.answer.failures.append(_failure(error, "The face"))

        performance = Performance(self._verbs.show, stage, self._generation, faceless)
        async with asyncio.TaskGroup() as tasks:
            announcing = tasks.create_task(self._announce(), name="announce")
            await performance.run(first, voice)
            announcing.cancel()

    async def _announce(self) -> None:
        await self._on_air.wait()
        await self._emit(StateEvent(state="speaking"))

    def _played(self, unit: MediaUnit) -> None:
        self.watch.mark("first_frame_ms")
        self.playout.released()
        self._on_air.set()

    async def _show(self, voice: asyncio.Queue[Audio | None], face: str, first_frame: int) -> None:
        """Draw the face to the voice into an MP4."""
        try:
            self.answer.video = await self._film(voice, face, first_frame)
        except Exception as error:  # without a face the voice still goes on
            self.answer.failures.append(_failure(error, "The face"))
            await _drain(voice)

    async def _film(
        self, voice: asyncio.Queue[Audio | None], face: str, first_frame: int
    ) -> bytes | None:
        face = await self._verbs.shown(face)
        backdrop = await asyncio.to_thread(self._verbs.backdrop, face)
        if (piece := await voice.get()) is None:
            return None
        framing = Framing(face, first_frame)
        film = Mp4Recording(rate_hz=piece.rate_hz)
        try:
            while piece is not None:
                await to_the_end(asyncio.to_thread(film.add_audio, piece.samples))
                framing.hear(piece)
                if not framing.wants_more or voice.empty():
                    for stretch in framing.stretches():
                        await self._draw(stretch, backdrop, film)
                        if framing.wants_more and not voice.empty():
                            break
                piece = await voice.get()
            for stretch in framing.flush():
                await self._draw(stretch, backdrop, film)
            self.answer.frames = framing.frames
            return await to_the_end(asyncio.to_thread(film.finish))
        finally:
            # Nobody is in the film any more: whoever leaves has waited for its thread.
            await to_the_end(asyncio.to_thread(film.close))

    async def _draw(self, stretch: Stretch, backdrop: Backdrop, film: Mp4Recording) -> None:
        patches = self._verbs.show.animate(stretch.speech, stretch.cue)
        limits = Patience(FACE_GAP_LIMIT_S, FACE_GAP_LIMIT_S)
        async with aclosing(in_time(patches, limits, "The face")) as drawn:
            async for patch in drawn:
                self.watch.mark("first_frame_ms")
                await to_the_end(asyncio.to_thread(_film_patch, film, backdrop, patch))

    def metrics(self, engines: dict[str, str]) -> TurnMetricsEvent:
        total_ms = self.watch.elapsed_ms()
        return TurnMetricsEvent.model_validate(
            {"turn_id": self.id, "total_ms": total_ms, "engines": engines, **self.watch.ms}
        )


def _film_patch(film: Mp4Recording, backdrop: Backdrop, patch: Patch) -> None:
    height, width = patch.pixels.shape[1:3]
    for offset, mouth in enumerate(patch.pixels):
        frame = backdrop.frame(patch.first_frame + offset).copy()
        frame[patch.y : patch.y + height, patch.x : patch.x + width] = mouth
        film.add_frame(frame)


def _failure(error: Exception, who: str) -> Failure:
    """What a stage that the answer can do without has died of."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, EngineError | GatewayError):
        return Failure(error.code, error.sentence)
    logger.error("%s failed in an unforeseen way", who, exc_info=error)
    return Failure(EngineError.code, f"{who} failed; the engine's log says why.")


async def _drain(voice: asyncio.Queue[Audio | None]) -> None:
    while await voice.get() is not None:
        pass
