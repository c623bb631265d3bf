"""One session on a socket: its messages are answered one at a time, in order, while other sessions
on the same socket have lanes of their own."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from engines.base import FRAME_S, HEARING_RATE_HZ, Audio, Pcm
from engines.errors import EngineTimeout
from serve_app.complaint import complaint
from serve_app.errors import GatewayError
from serve_app.exchange import Exchange, Place, Question, SpokenMessage, wants_live
from serve_app.knowing import Course
from serve_app.outbox import Outbox
from serve_app.services import Services
from serve_app.sessions import Session
from serve_app.stage.stage import Stage
from serve_app.turn import HEAR_LIMIT_S
from serve_app.webrtc.peer import Peer
from wire.events import (
    MAX_MESSAGE_BYTES,
    AudioMessage,
    BadMessage,
    CaptionEvent,
    InterruptedEvent,
    ServerEvent,
    StateEvent,
    TranscriptionDeltaEvent,
    TranscriptionEvent,
)

WAITING_MESSAGES = 16
"""Questions a session may have waiting while one is answered."""

WAITING_BYTES = 2 * MAX_MESSAGE_BYTES
"""What they may weigh together: two of the longest recordings."""


TIMED_WITH_PLAYOUT = CaptionEvent, StateEvent, InterruptedEvent, TranscriptionEvent
"""What a data channel of the peer carries as well."""


class Lane:
    """The turns of one session on one socket."""

    def __init__(
        self,
        services: Services,
        session: Session,
        outbox: Outbox,
        peer: Callable[[], Peer | None],
        *,
        user_based: bool,
    ) -> None:
        self.session = session
        self._services = services
        self._outbox = outbox
        self._peer = peer
        self._user_based = user_based
        self._place = Place(
            services,
            session,
            outbox,
            self.emit,
            self._stage,
            Course(services.engines.knowledge, services.engines.chapters),
        )
        self._waiting: deque[Question] = deque()
        self._asked = asyncio.Event()
        self._begun = asyncio.Event()
        """Set while there may be something to caption."""
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
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._caption(), name="captions")
            tasks.create_task(self._place.course.prepare(self._place.kb_id), name="course")
            if not self._user_based:
                await self._forget()
            while True:
                while not self._waiting:
                    self._asked.clear()
                    await self._asked.wait()
                if wants_live(self._waiting[0]):
                    await self._settled()
                if self._waiting:  # else it has been interrupted
                    await self._take(self._waiting.popleft())

    async def _settled(self) -> None:
        """A question right behind an offer waits for the connection."""
        if (peer := self._peer()) is not None and not peer.is_connected:
            await peer.settled()

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
        if isinstance(event, TIMED_WITH_PLAYOUT) and (peer := self._peer()) is not None:
            peer.tell(event)
        await self._outbox.put(event)

    def _stage(self) -> Stage | None:
        """Where the learner sees and hears the tutor live."""
        peer = self._peer()
        return peer.stage if peer is not None and peer.is_connected else None

    @property
    def _wants_captions(self) -> bool:
        peer = self._peer()
        return self._outbox.wants(CaptionEvent) or (peer is not None and peer.has_channel)

    async def _take(self, question: Question) -> None:
        """Answer one question in a task that can be interrupted."""
        try:
            exchange = Exchange(self._place, question, self._next_frame, self._forgotten_id)
        except Exception as error:  # for example a face that does not exist
            await self.emit(complaint(error))
            await self.emit(StateEvent(state="idle"))
            return
        self._current = exchange
        self._begun.set()
        await exchange.run()
        self._next_frame += exchange.frames

    async def _caption(self) -> None:
        """Tell the sentences when they are heard, also those that still play after their turn."""
        while True:
            await self._begun.wait()
            await asyncio.sleep(FRAME_S)
            exchange = self._current
            if exchange is None or not exchange.is_going_on:
                self._begun.clear()
            if exchange is None or not self._wants_captions:
                continue
            for sentence, at_s in exchange.captions():
                caption = CaptionEvent(
                    turn_id=exchange.turn.id, content=sentence, at_ms=round(at_s * 1000)
                )
                await self.emit(caption)

    # ── interruptions ───────────────────────────────────────────────────────────────────────────

    async def interrupt(self) -> None:
        """Stop the turn at once, and answer with what had been heard of it. What was asked before
        and is still waiting is stopped as well: it is kept, and not answered."""
        began_s = time.monotonic()
        dropped = [question for question in self._waiting if not isinstance(question, AudioMessage)]
        self._waiting.clear()
        current, self._current = self._current, None
        heard = await current.stop() if current else ""
        stop_ms = round((time.monotonic() - began_s) * 1000, 2)
        for question in dropped:
            await self._services.sessions.add_question(self.session.id, question.content)
        turn_id = current.turn.id if current else None
        await self.emit(InterruptedEvent(turn_id=turn_id, heard=heard, stop_ms=stop_ms))
        if current:
            await self.emit(StateEvent(state="idle"))

    # ── the open microphone ─────────────────────────────────────────────────────────────────────

    @property
    def is_answering(self) -> bool:
        """Whether there is anything that the learner could break into."""
        return self._current is not None and self._current.is_going_on

    @property
    def is_audible(self) -> bool:
        """Whether the learner has heard anything of the answer that is being given."""
        return self._current is not None and self._current.is_audible

    @property
    def played(self) -> deque[Pcm] | None:
        """The tutor's own voice as it leaves, which the microphone may hear again."""
        stage = self._stage()
        return stage.played if stage is not None else None

    def hold(self) -> None:
        """The learner has begun to speak: fall silent, without giving up."""
        if (stage := self._stage()) is not None:
            stage.hold("learner")

    def release(self) -> None:
        """It was nothing: go on."""
        if (stage := self._stage()) is not None:
            stage.release("learner")

    @property
    def wants_partials(self) -> bool:
        return self._outbox.wants(TranscriptionDeltaEvent)

    async def withdraw(self) -> bool:
        """The learner had not finished: a spoken question that was being answered, unheard so far,
        is taken back. False: it was no spoken one, and is only interrupted."""
        if self._current is None or not isinstance(self._current.question, SpokenMessage):
            await self.break_in()
            return False
        current, self._current = self._current, None
        await current.withdraw()
        self.release()
        await self._tell_interrupted(InterruptedEvent(turn_id=current.turn.id, heard="", stop_ms=0))
        return True

    async def break_in(self) -> None:
        """The learner speaks over the tutor."""
        began_s = time.monotonic()
        current, self._current = self._current, None
        heard = await current.stop() if current else ""
        self.release()
        if current is not None:
            stop_ms = round((time.monotonic() - began_s) * 1000, 2)
            await self._tell_interrupted(
                InterruptedEvent(turn_id=current.turn.id, heard=heard, stop_ms=stop_ms)
            )

    async def _tell_interrupted(self, event: InterruptedEvent) -> None:
        """Unasked, so not to a client that never said what it understands; a data channel that it
        opened says that too."""
        if self._outbox.features:
            await self.emit(event)
        elif (peer := self._peer()) is not None:
            peer.tell(event)

    async def recognise(self, speech: Pcm) -> str:
        """The words of live speech at 16 kHz; empty when there are none. Raises `EngineError`."""
        tutor = self._services.tutors.get(self.session.tutor_id)
        hear = self._services.engines.for_tutor(tutor).hear
        try:
            async with asyncio.timeout(HEAR_LIMIT_S):
                heard = await hear.transcribe(
                    Audio(speech, HEARING_RATE_HZ), tutor.language, tutor.vocabulary
                )
        except TimeoutError as late:
            raise EngineTimeout("Speech recognition did not answer in time. Try again.") from late
        return heard.text.strip()

    async def understood(self, words: str) -> None:
        """What the learner is saying, as far as it is understood."""
        await self.emit(TranscriptionDeltaEvent(content=words))

    async def listening(self) -> None:
        await self.emit(StateEvent(state="listening"))

    async def nothing_said(self) -> None:
        """It was a cough, or an "mm-hm"."""
        await self.emit(StateEvent(state="speaking" if self.is_answering else "idle"))

    async def complain(self, error: Exception) -> None:
        await self.emit(complaint(error))
        await self.emit(StateEvent(state="idle"))


def _weight(question: Question) -> int:
    if isinstance(question, SpokenMessage):
        return len(question.content)
    return len(question.data if isinstance(question, AudioMessage) else question.content)
