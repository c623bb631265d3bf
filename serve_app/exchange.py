"""A question and its answer: heard, told to the model with what was said before, spoken, stored.

An exchange ends in one of three ways: answered, failed (the learner is told), or cut by the
learner, of which the history keeps what was heard.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from unicodedata import normalize

from engines.base import Message, Outside
from engines.memory.forgetting import since_forgotten
from serve_app.complaint import complaint
from serve_app.knowing import Course, Known, stands_on
from serve_app.media import recording_bytes
from serve_app.outbox import Outbox
from serve_app.reply import Shape, reply_events
from serve_app.services import Services
from serve_app.sessions import Session
from serve_app.stage.stage import Stage
from serve_app.store import MessageRow
from serve_app.to_the_end import to_the_end
from serve_app.turn import Turn
from wire.events import (
    MAX_MESSAGE_BYTES,
    AudioDeltaEvent,
    AudioMessage,
    ErrorEvent,
    ServerEvent,
    SourcesEvent,
    StateEvent,
    TextMessage,
    TextWebRtcMessage,
    TranscriptionEvent,
    TurnMetricsEvent,
)

HISTORY_MESSAGES = 40
"""What a language model is told of the conversation: the last twenty exchanges."""

NO_PEER = ErrorEvent(
    code="no_peer",
    content="There is no WebRTC connection, so the answer comes as text with audio on this socket.",
)


@dataclass(frozen=True, slots=True)
class SpokenMessage:
    """What the learner has said into the open microphone."""

    content: str
    asr_ms: float
    """How long its recognition took."""


Question = TextMessage | AudioMessage | TextWebRtcMessage | SpokenMessage


@dataclass(frozen=True, slots=True)
class Place:
    """Where exchanges happen: a session, and the socket it is on."""

    services: Services
    session: Session
    outbox: Outbox
    emit: Callable[[ServerEvent], Awaitable[None]]
    stage: Callable[[], Stage | None]
    """Where the learner sees and hears the tutor live; None without a WebRTC connection."""
    course: Course

    @property
    def kb_id(self) -> str | None:
        """The knowledge base of the session, or else of its tutor."""
        tutor = self.services.tutors.get(self.session.tutor_id)
        kb_id = self.session.kb_id or tutor.kb
        return normalize("NFC", kb_id) if kb_id else None  # as the bases' own names are


class Exchange:
    """One question, and the turn that answers it. Raises `EngineError` for an unknown face."""

    def __init__(self, place: Place, question: Question, first_frame: int, after_id: int) -> None:
        """Only messages after `after_id` are told to the model."""
        self.question = question
        self._place = place
        self._first_frame = first_frame
        self._after_id = after_id
        self.turn = self._turn()
        self._reached_client = place.outbox.wants(AudioDeltaEvent) or self.turn.is_live
        """Whether the client can have heard anything of it."""
        self._told: list[Message] = []
        """The conversation as the model sees it."""
        self._question_id: int | None = None
        self._answer_id: int | None = None
        self._cut_at: str | None = None
        """What had been heard when the learner interrupted; None when nobody did."""
        self._withdrawn = False
        self._answering: asyncio.Task[None] | None = None

    def _turn(self) -> Turn:
        services = self._place.services
        tutor = services.tutors.get(self._place.session.tutor_id)
        stage = self._place.stage() if wants_live(self.question) else None
        face = None
        if not isinstance(self.question, SpokenMessage) and self.question.avatar_id is not None:
            face = services.tutors.face_of(self.question.avatar_id, services.engines.faces)
        elif stage is not None:
            face = tutor.face
        if stage is None and isinstance(self.question, TextWebRtcMessage):
            face = None  # the answer comes as text with audio
        verbs = services.engines.for_tutor(tutor)
        return Turn(verbs, tutor, self._place.emit, face=face, stage=stage)

    @property
    def frames(self) -> int:
        """How many frames of film were made."""
        return self.turn.answer.frames

    @property
    def is_going_on(self) -> bool:
        """Being made, or still being played."""
        return (self._answering is not None and not self._answering.done()) or (
            self._reached_client and self.turn.playout.is_playing(time.monotonic())
        )

    def heard(self) -> str:
        """The part of the answer that the learner has heard by now."""
        return self.turn.playout.heard(time.monotonic()) if self._reached_client else ""

    @property
    def is_audible(self) -> bool:
        """Whether the learner has heard anything of the answer by now."""
        return self._reached_client and self.turn.playout.position_s(time.monotonic()) > 0

    def captions(self) -> list[tuple[str, float]]:
        """Sentences that have just begun to be heard, and when, in seconds of the voice."""
        return self.turn.playout.captions(time.monotonic()) if self._reached_client else []

    async def run(self) -> None:
        """Until the exchange has ended, in whichever way."""
        async with asyncio.TaskGroup() as tasks:
            self._answering = tasks.create_task(self._run(), name="answer")

    async def stop(self) -> str:
        """The learner interrupts; returns what had been heard of the answer."""
        self.turn.silence()
        heard = self.heard()
        if self._answering is not None and not self._answering.done():
            self._cut_at = heard
            self._answering.cancel()
            await asyncio.wait([self._answering])
        elif self.turn.playout.is_playing(time.monotonic()) and self._answer_id is not None:
            await self._place.services.sessions.cut_message(self._answer_id, heard)
        return heard

    async def withdraw(self) -> None:
        """The learner had not finished: forget the question, and whatever was thought of it."""
        self._withdrawn = True
        await self.stop()

    async def _run(self) -> None:
        try:
            await self._answer()
        except asyncio.CancelledError:
            await to_the_end(self._keep())
            raise
        except Exception as error:  # whatever went wrong, the session goes on
            await self._keep_if_possible()
            await self._place.emit(complaint(error))
        await self._place.emit(StateEvent(state="idle"))

    async def _answer(self) -> None:
        words = await self._understand()
        async with asyncio.TaskGroup() as tasks:
            # Storing takes a millisecond or two; the model starts meanwhile.
            storing = tasks.create_task(to_the_end(self._store_question(words)))
            tasks.create_task(self.turn.speak(self._told, self._first_frame), name="speak")
            if self.turn.is_live:
                await self.turn.written.wait()  # long before it has been spoken
                await storing
                await self._deliver()
        if not self.turn.is_live:
            await self._deliver()
        await self._close()

    async def _understand(self) -> str:
        """The learner's words; fills in the conversation with them."""
        if isinstance(self.question, TextWebRtcMessage) and not self.turn.is_live:
            await self._place.emit(NO_PEER)
        sessions, session = self._place.services.sessions, self._place.session
        async with asyncio.TaskGroup() as tasks:
            hearing = tasks.create_task(self._words(), name="words")
            reading = tasks.create_task(
                sessions.messages(session.id, last=HISTORY_MESSAGES, after_id=self._after_id)
            )
            recalling = tasks.create_task(self._place.services.memory.recall(session))
        words, earlier = hearing.result(), since_forgotten(reading.result())
        await self._place.services.memory.heed(session, words)
        asked = [row.content for row in earlier if row.role == "user"]
        known = await self._place.course.on(self._place.kb_id, words, asked)
        system = Message("system", self.turn.tutor.prompt, notes=recalling.result())
        self._told = [system, *_conversation(earlier, words, known, self.turn.tutor.outside)]
        if known.lack and self._place.outbox.wants(SourcesEvent):
            await self._tell_lack(known.lack)
        return words

    async def _tell_lack(self, lack: str) -> None:
        """Once in a conversation, and only to a client that knows of sources: the learner is
        answered all the same."""
        if self._place.course.first_lack():
            sentence = f"{lack} The answer comes without the course."
            await self._place.emit(ErrorEvent(code="degraded", content=sentence))

    async def _words(self) -> str:
        question = self.question
        if isinstance(question, SpokenMessage):
            self.turn.watch.ms["asr_ms"] = question.asr_ms
            await self._place.emit(TranscriptionEvent(content=question.content))
        if not isinstance(question, AudioMessage):
            return question.content
        decode = partial(recording_bytes, question.data, MAX_MESSAGE_BYTES)
        recording = await asyncio.to_thread(decode)
        async with asyncio.TaskGroup() as tasks:
            hearing = tasks.create_task(self.turn.hear(recording), name="hear")
            tasks.create_task(self._place.services.sessions.touch(self._place.session.id))
        return hearing.result()

    async def _store_question(self, words: str) -> None:
        sessions, session = self._place.services.sessions, self._place.session
        self._question_id = await sessions.add_question(session.id, words)

    async def _deliver(self) -> None:
        """Store the whole answer and send its text, or all of it."""
        answer, outbox = self.turn.answer, self._place.outbox
        await to_the_end(self._store_answer())
        if not self.turn.is_live:
            await self._tell_failures()
        await self._tell_sources()
        pack = partial(reply_events, self._shape(), answer, outbox.audio_format)
        for event in await asyncio.to_thread(pack):
            await self._place.emit(event)

    async def _tell_sources(self) -> None:
        if self._place.outbox.wants(SourcesEvent):
            items = await asyncio.to_thread(stands_on, self._told, self.turn.answer.text)
            if items:
                await self._place.emit(SourcesEvent(turn_id=self.turn.id, items=items))

    async def _close(self) -> None:
        """The answer has been delivered."""
        if self.turn.is_live:
            await self._tell_failures()
        if not self._reached_client:
            self.turn.playout.restart(time.monotonic())
            self._reached_client = True
        if self._place.outbox.wants(TurnMetricsEvent):
            names = await self._place.services.engines.names()
            await self._place.emit(self.turn.metrics(names))

    async def _tell_failures(self) -> None:
        for failure in self.turn.answer.failures:
            await self._place.emit(ErrorEvent(code=failure.code, content=failure.sentence))

    async def _store_answer(self) -> None:
        answer = self.turn.answer
        if answer.text.strip():
            self._answer_id = await self._place.services.sessions.add_answer(
                self._place.session.id, answer.text, interrupted=answer.cut_off
            )

    async def _keep(self) -> None:
        """A cut-off answer is remembered: as heard when the learner cut it, else as written."""
        sessions = self._place.services.sessions
        if self._withdrawn and self._question_id is not None:
            await sessions.withdraw(self._question_id)
        said = self.turn.answer.text if self._cut_at is None else self._cut_at
        if self._answer_id is None:
            if said.strip():
                await sessions.add_answer(self._place.session.id, said, interrupted=True)
        elif self._cut_at is not None:
            await sessions.cut_message(self._answer_id, said)

    async def _keep_if_possible(self) -> None:
        try:
            await self._keep()
        except Exception as error:  # the first failure is the one that is told
            complaint(error)

    def _shape(self) -> Shape:
        if self.turn.is_live:
            return "caption"
        if isinstance(self.question, TextWebRtcMessage):
            return "text"
        if not isinstance(self.question, SpokenMessage) and self.question.avatar_id is not None:
            return "video"
        return "audio" if isinstance(self.question, AudioMessage | SpokenMessage) else "text"


def wants_live(question: Question) -> bool:
    """Whether its answer is spoken on the stage, where there is one."""
    return isinstance(question, TextWebRtcMessage | SpokenMessage)


def _conversation(
    earlier: Sequence[MessageRow], words: str, known: Known, outside: Outside
) -> list[Message]:
    """What was said before, and what is asked now with what the course has on it."""
    told = [Message("user" if row.role == "user" else "assistant", row.content) for row in earlier]
    return [*told, Message("user", words, known.sources, known.chapters, outside)]
