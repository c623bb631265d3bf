"""One session on a socket: its messages are answered one at a time, in order, while other sessions
on the same socket have lanes of their own."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from engines.base import Message
from serve_app.complaint import complaint
from serve_app.errors import GatewayError
from serve_app.media import recording_bytes
from serve_app.outbox import Outbox
from serve_app.reply import Shape, reply_events
from serve_app.services import Services
from serve_app.sessions import Session
from serve_app.store import MessageRow
from serve_app.to_the_end import to_the_end
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

WAITING_BYTES = 2 * MAX_MESSAGE_BYTES
"""What they may weigh together: two of the longest recordings."""

HISTORY_MESSAGES = 40
"""What a language model is told of the conversation: the last twenty exchanges."""

NO_PEER = ErrorEvent(
    code="no_peer",
    content="There is no WebRTC connection, so the answer comes as text with audio on this socket.",
)


@dataclass(slots=True, eq=False)
class Exchange:
    """A question, and the turn that answers it."""

    question: Question
    turn: Turn
    task: asyncio.Task[None] | None = None
    message_id: int | None = None
    """The answer's, once it is stored."""
    reached_client: bool = False
    """Whether the client can have heard anything of it."""
    cut_at: str | None = None
    """What had been heard when the learner interrupted; None when nobody did."""

    def heard(self) -> str:
        """The part of the answer that the learner has heard by now."""
        return self.turn.playout.heard(time.monotonic()) if self.reached_client else ""


class Lane:
    """The turns of one session on one socket."""

    def __init__(
        self, services: Services, session: Session, outbox: Outbox, *, user_based: bool
    ) -> None:
        self.session = session
        self._services = services
        self._outbox = outbox
        self._user_based = user_based
        self._waiting: deque[Question] = deque()
        self._asked = asyncio.Event()
        self._current: Exchange | None = None
        self._next_frame = 0
        self._forgotten_id = 0
        """Newest message that the model is not told any more."""

    def ask(self, question: Question) -> None:
        """Queue a question. Raises `BadMessage` when too many are waiting."""
        weight = sum(map(_weight, self._waiting)) + _weight(question)
        if len(self._waiting) >= WAITING_MESSAGES or weight > WAITING_BYTES:
            raise BadMessage(
                "too_many_pending",
                f"{len(self._waiting)} messages of this session are waiting already. Wait for an "
                "answer, or interrupt.",
                self.session.id,
            )
        self._waiting.append(question)
        self._asked.set()

    async def run(self) -> None:
        """Answer what is asked, until cancelled."""
        if not self._user_based:
            await self._forget()
        while True:
            while not self._waiting:
                self._asked.clear()
                await self._asked.wait()
            await self._take(self._waiting.popleft())

    async def _forget(self) -> None:
        """By the contract the context of a session-based socket begins with the socket."""
        try:
            newest = await self._services.sessions.messages(self.session.id, last=1)
        except GatewayError as error:  # then the model is told more, which harms nobody
            complaint(error)
        else:
            self._forgotten_id = newest[-1].id if newest else 0

    async def emit(self, event: ServerEvent) -> None:
        if self._user_based:
            event = event.model_copy(update={"engine_session_id": self.session.id})
        await self._outbox.put(event)

    async def interrupt(self) -> None:
        """Stop the turn at once, and answer with what had been heard of it. What was asked before
        and is still waiting is stopped as well: it is kept, and not answered."""
        began_s = time.monotonic()
        dropped = [question for question in self._waiting if not isinstance(question, AudioMessage)]
        self._waiting.clear()
        current = self._current
        heard = await self._stop(current) if current else ""
        stop_ms = round((time.monotonic() - began_s) * 1000, 2)
        turn_id = current.turn.id if current else None
        for question in dropped:
            await self._services.sessions.add_question(self.session.id, question.content)
        await self.emit(InterruptedEvent(turn_id=turn_id, heard=heard, stop_ms=stop_ms))
        if current:
            await self.emit(StateEvent(state="idle"))

    async def _stop(self, current: Exchange) -> str:
        """End the exchange; returns what had been heard of its answer."""
        if self._current is current:
            self._current = None
        heard = current.heard()
        if current.task is not None and not current.task.done():
            current.cut_at = heard
            current.task.cancel()
            await asyncio.wait([current.task])
        elif current.turn.playout.is_playing(time.monotonic()) and current.message_id is not None:
            await self._services.sessions.cut_message(current.message_id, heard)
        return heard

    async def _take(self, question: Question) -> None:
        """Answer one question in a task that can be interrupted."""
        try:
            exchange = self._begin(question)
        except Exception as error:  # for example a face that does not exist
            await self.emit(complaint(error))
            await self.emit(StateEvent(state="idle"))
            return
        self._current = exchange
        async with asyncio.TaskGroup() as tasks:
            exchange.task = tasks.create_task(self._answer(exchange), name="answer")

    def _begin(self, question: Question) -> Exchange:
        tutor = self._services.tutors.get(self.session.tutor_id)
        engines = self._services.engines
        face = None
        if not isinstance(question, TextWebRtcMessage) and question.avatar_id is not None:
            face = self._services.tutors.face_of(question.avatar_id, engines.faces)
        turn = Turn(engines.for_tutor(tutor), tutor, self.emit, face=face)
        live = self._outbox.wants(AudioDeltaEvent)
        return Exchange(question, turn, reached_client=live)

    async def _answer(self, exchange: Exchange) -> None:
        try:
            await self._speak(exchange)
            await self._close(exchange)
        except asyncio.CancelledError:
            await to_the_end(self._keep(exchange))
            raise
        except Exception as error:  # whatever went wrong, the session goes on
            await self._keep_if_possible(exchange)
            await self.emit(complaint(error))
        await self.emit(StateEvent(state="idle"))

    async def _speak(self, exchange: Exchange) -> None:
        """Understand the question, and have it answered."""
        sessions, turn = self._services.sessions, exchange.turn
        if isinstance(exchange.question, TextWebRtcMessage):
            await self.emit(NO_PEER)
        async with asyncio.TaskGroup() as tasks:
            hearing = tasks.create_task(self._words(exchange), name="words")
            reading = tasks.create_task(
                sessions.messages(
                    self.session.id, last=HISTORY_MESSAGES, after_id=self._forgotten_id
                )
            )
        words = hearing.result()
        told = _told(turn.tutor, reading.result(), words)
        async with asyncio.TaskGroup() as tasks:
            # Storing takes a millisecond or two; the model starts meanwhile.
            tasks.create_task(to_the_end(sessions.add_question(self.session.id, words)))
            tasks.create_task(turn.speak(told, self._next_frame), name="speak")

    async def _words(self, exchange: Exchange) -> str:
        question = exchange.question
        if not isinstance(question, AudioMessage):
            return question.content
        decode = partial(recording_bytes, question.data, MAX_MESSAGE_BYTES)
        recording = await asyncio.to_thread(decode)
        async with asyncio.TaskGroup() as tasks:
            hearing = tasks.create_task(exchange.turn.hear(recording), name="hear")
            tasks.create_task(self._services.sessions.touch(self.session.id))
        return hearing.result()

    async def _close(self, exchange: Exchange) -> None:
        """Store the whole answer and send it."""
        answer = exchange.turn.answer
        self._next_frame += answer.frames
        await to_the_end(self._store(exchange))
        for failure in answer.failures:
            await self.emit(ErrorEvent(code=failure.code, content=failure.sentence))
        pack = partial(reply_events, _shape(exchange.question), answer, self._outbox.audio_format)
        for event in await asyncio.to_thread(pack):
            await self.emit(event)
        if not exchange.reached_client:
            exchange.turn.playout.restart(time.monotonic())
            exchange.reached_client = True
        if self._outbox.wants(TurnMetricsEvent):
            names = await self._services.engines.names()
            await self.emit(exchange.turn.metrics(names))

    async def _store(self, exchange: Exchange) -> None:
        answer = exchange.turn.answer
        if answer.text.strip():
            exchange.message_id = await self._services.sessions.add_answer(
                self.session.id, answer.text, interrupted=answer.cut_off
            )

    async def _keep(self, exchange: Exchange) -> None:
        """A cut-off answer is remembered: as heard when the learner cut it, else as written."""
        sessions = self._services.sessions
        said = exchange.turn.answer.text if exchange.cut_at is None else exchange.cut_at
        if exchange.message_id is None:
            if said.strip():
                await sessions.add_answer(self.session.id, said, interrupted=True)
        elif exchange.cut_at is not None:
            await sessions.cut_message(exchange.message_id, said)

    async def _keep_if_possible(self, exchange: Exchange) -> None:
        try:
            await self._keep(exchange)
        except Exception as error:  # the first failure is the one that is told
            complaint(error)


def _weight(question: Question) -> int:
    return len(question.data if isinstance(question, AudioMessage) else question.content)


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
