"""One session on a socket: its messages are answered one at a time, in order, while other sessions
on the same socket have lanes of their own."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial

from engines.base import Message
from serve_app.complaint import complaint
from serve_app.media import recording_bytes
from serve_app.outbox import Outbox
from serve_app.reply import Shape, reply_events
from serve_app.services import Services
from serve_app.sessions import Session
from serve_app.store import MessageRow
from serve_app.turn import Turn
from serve_app.tutors import Tutor
from wire.events import (
    MAX_MESSAGE_BYTES,
    AudioDeltaEvent,
    AudioMessage,
    BadMessage,
    ErrorEvent,
    InterruptedEvent,
    ServerEvent,
    StateEvent,
    TextMessage,
    TextWebRtcMessage,
    TurnMetricsEvent,
)

Question = TextMessage | AudioMessage | TextWebRtcMessage

WAITING_MESSAGES = 16
"""Questions a session may have waiting while one is answered."""

HISTORY_MESSAGES = 40
"""What a language model is told of the conversation: the last twenty exchanges."""

NO_PEER = ErrorEvent(
    code="no_peer",
    content="There is no WebRTC connection, so the answer comes as text with audio on this socket.",
)


class Lane:
    """The turns of one session on one socket."""

    def __init__(
        self, services: Services, session: Session, outbox: Outbox, *, name_session: bool
    ) -> None:
        self.session = session
        self._services = services
        self._outbox = outbox
        self._name_session = name_session
        self._waiting: asyncio.Queue[Question] = asyncio.Queue(WAITING_MESSAGES)
        self._turn: Turn | None = None
        self._answering: asyncio.Task[None] | None = None
        self._interrupted = False
        self._message_id: int | None = None
        self._next_frame = 0

    def ask(self, question: Question) -> None:
        """Queue a question. Raises `BadMessage` when too many are waiting."""
        try:
            self._waiting.put_nowait(question)
        except asyncio.QueueFull as full:
            raise BadMessage(
                "too_many_pending",
                f"{WAITING_MESSAGES} messages of this session are waiting already. Wait for an "
                "answer, or interrupt.",
            ) from full

    async def run(self) -> None:
        """Answer what is asked, until cancelled."""
        while True:
            question = await self._waiting.get()
            async with asyncio.TaskGroup() as tasks:
                self._answering = tasks.create_task(self._answer(question), name="answer")

    async def emit(self, event: ServerEvent) -> None:
        if self._name_session:
            event = event.model_copy(update={"engine_session_id": self.session.id})
        await self._outbox.put(event)

    async def interrupt(self) -> None:
        """Stop the turn at once, and answer with what had been heard of it."""
        began_s = time.monotonic()
        turn, task = self._turn, self._answering
        if turn is None:
            await self.emit(InterruptedEvent(heard="", stop_ms=0))
            return
        heard, was_playing = turn.playout.heard(began_s), turn.playout.is_playing(began_s)
        if task is not None and not task.done():
            self._interrupted = True
            task.cancel()
            await asyncio.wait([task])
        elif was_playing and self._message_id is not None:
            await self._services.sessions.cut_message(self._message_id, heard)
        self._turn = None
        stop_ms = round((time.monotonic() - began_s) * 1000, 2)
        await self.emit(InterruptedEvent(turn_id=turn.id, heard=heard, stop_ms=stop_ms))
        await self.emit(StateEvent(state="idle"))

    async def _answer(self, question: Question) -> None:
        try:
            turn = self._start(question)
            await self._take(turn, question)
            await self._close(turn, question)
        except Exception as error:  # whatever went wrong, the session goes on
            await self.emit(complaint(error))
        await self.emit(StateEvent(state="idle"))

    def _start(self, question: Question) -> Turn:
        tutor = self._services.tutors.get(self.session.tutor_id)
        engines = self._services.engines
        avatar_id = None if isinstance(question, TextWebRtcMessage) else question.avatar_id
        face = avatar_id and self._services.tutors.face_of(avatar_id, engines.faces)
        self._interrupted = False
        self._message_id = None
        self._turn = Turn(engines.for_tutor(tutor), tutor, self.emit, face=face or None)
        return self._turn

    async def _take(self, turn: Turn, question: Question) -> None:
        """Understand the question, and have it answered."""
        if isinstance(question, TextWebRtcMessage):
            await self.emit(NO_PEER)
        try:
            words = await self._words(turn, question)
            earlier = await self._services.sessions.messages(self.session.id, last=HISTORY_MESSAGES)
            async with asyncio.TaskGroup() as tasks:
                # Storing takes a millisecond or two; the model starts meanwhile.
                tasks.create_task(self._services.sessions.add_question(self.session.id, words))
                tasks.create_task(turn.speak(_told(turn.tutor, earlier, words), self._next_frame))
        except BaseException:
            await self._keep(turn)
            raise

    async def _words(self, turn: Turn, question: Question) -> str:
        if not isinstance(question, AudioMessage):
            return question.content
        decode = partial(recording_bytes, question.data, MAX_MESSAGE_BYTES)
        recording = await asyncio.to_thread(decode)
        async with asyncio.TaskGroup() as tasks:
            hearing = tasks.create_task(turn.hear(recording), name="hear")
            tasks.create_task(self._services.sessions.touch(self.session.id))
        return hearing.result()

    async def _keep(self, turn: Turn) -> None:
        """A cut-off answer is remembered: as heard when the learner cut it, else as written."""
        said = turn.playout.heard(time.monotonic()) if self._interrupted else turn.answer.text
        if said.strip():
            await self._services.sessions.add_answer(self.session.id, said, interrupted=True)

    async def _close(self, turn: Turn, question: Question) -> None:
        """Store the whole answer and send it."""
        answer = turn.answer
        self._next_frame += answer.frames
        if answer.text.strip():
            self._message_id = await self._services.sessions.add_answer(
                self.session.id, answer.text, interrupted=answer.cut_off
            )
        for failure in answer.failures:
            await self.emit(ErrorEvent(code=failure.code, content=failure.sentence))
        if not self._outbox.wants(AudioDeltaEvent):
            turn.playout.restart(time.monotonic())
        pack = partial(reply_events, _shape(question), answer, self._outbox.audio_format)
        for event in await asyncio.to_thread(pack):
            await self.emit(event)
        if self._outbox.wants(TurnMetricsEvent):
            states = await self._services.engines.states()
            engines = {stage: state.engine for stage, state in states.items()}
            await self.emit(turn.metrics(engines))


def _told(tutor: Tutor, earlier: Sequence[MessageRow], words: str) -> list[Message]:
    """The conversation as the language model sees it."""
    told = [Message("system", tutor.prompt)]
    for row in earlier:
        told.append(Message("user" if row.role == "user" else "assistant", row.content))
    return [*told, Message("user", words)]


def _shape(question: Question) -> Shape:
    if isinstance(question, TextWebRtcMessage):
        return "text"
    if question.avatar_id is not None:
        return "video"
    return "audio" if isinstance(question, AudioMessage) else "text"
