"""What tutors remember of their students from one session to the next.

    session ends ─► notice: facts by patterns, the last messages ─┐
         └────────► sum up: one request to the tutor's own model ─┴─► memory ─► prompt of the next

Both happen beside the lessons, one memory at a time on each gateway. A model is asked while nobody
speaks with any tutor, and left alone as soon as somebody does.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NoReturn, TypeVar

from engines.base import Llm, Message
from engines.errors import EngineError
from engines.memory.base import RECENT, RECENT_CHARS, Fact, Note, Remembered, Said
from engines.memory.forgetting import asks_to_forget, since_forgotten
from engines.memory.noticing import merged, noticed
from engines.memory.plain import plain
from engines.memory.reminder import TOKENS, reminder
from engines.memory.summary import ANSWER_CHARS, believed, request, told
from serve_app.complaint import complaint
from serve_app.errors import GatewayError
from serve_app.memory_store import Due, Lease, MemoryStore, Reading, Unread, UnreadMessage
from serve_app.patience import Patience, in_time
from serve_app.sessions import Clock, Session, utc_clock
from serve_app.to_the_end import to_the_end

logger = logging.getLogger(__name__)

LOOK_INTERVAL_S = 5.0
"""A session that has ended is remembered within this time; a look costs two short queries."""

AT_ONCE = 8
"""Memories written in one look, one after the other."""

QUIET_S = 20.0
"""So long nobody has asked any tutor anything: then the model has time."""

STARVED_S = 600.0
"""What has waited for so long no longer waits for quiet: an engine may be busy all day, and one
request among many is not felt."""

DISTURBED_LOOK_S = 1.0
"""How soon a model is left alone when a student asks something."""

AWAY_S = 60.0
"""Between two tries while no model answers."""

ASK_LIMIT_S = 150.0
"""For a whole summary; well below the lease (memory_store.LEASE_S)."""

ASKING = Patience(60.0, 30.0)

FAILURE_PAUSE_S = 60.0
"""After the first answer that was no memory; each further one doubles it."""

GIVE_UP = 5
"""Such answers in a row: then what patterns have noted has to do."""

CONVERSATION_TOKENS = 3000
"""Told in one request, estimated with care; half of it after each answer that was no memory: the
model's context may be smaller than usual."""

MARK_BYTES = 8
"""Of the mark of a request: nobody guesses 64 bits."""

CLEAN_INTERVAL_S = 3600.0
"""Between two deletions of what is too old. It is told to nobody before that either."""


Answer = TypeVar("Answer")


class _Disturbed(Exception):
    """A student asks something."""


@dataclass(frozen=True, slots=True)
class Minds:
    """The language models, as far as memory needs them."""

    think: Callable[[int], Llm]
    """Of a tutor."""
    seems_there: Callable[[int], Awaitable[bool]]
    """Whether asking the tutor's model is worth trying."""


class Memory:
    """The memories of one gateway's tutors; the database is what gateways share."""

    def __init__(
        self,
        store: MemoryStore,
        minds: Minds,
        *,
        on: bool = True,
        tokens: int = TOKENS,
        clock: Clock = utc_clock,
    ) -> None:
        """`tokens` is what a reminder may have of a prompt; with `on` false nothing is written and
        nobody is reminded."""
        self.store = store
        self._minds = minds
        self._on = on
        self._tokens = tokens
        self._clock = clock
        self._away_until_s: dict[int, float] = {}
        """Tutors whose model did not answer, and when it is asked again."""

    async def recall(self, session: Session) -> tuple[Note, ...]:
        """What a session's tutor knows of its own student, and of nobody else; none when there is
        nothing. A database that fails costs a lesson its memory only."""
        if not self._on:
            return ()
        try:
            kept = await self.store.of(session.student_id, session.tutor_id)
        except GatewayError as error:
            complaint(error)
            return ()
        if not kept:
            return ()
        return await asyncio.to_thread(reminder, kept[0].remembered, self._tokens)

    async def heed(self, session: Session, words: str) -> None:
        """Forget the student who asks for it, also where memory is off. Raises `StorageFailed`."""
        if asks_to_forget(words):
            await self.store.forget(session.student_id, session.tutor_id)

    async def work(self) -> NoReturn:
        """Runs as long as the gateway. Facts do not wait for a model that is thinking."""
        jobs = [(self._forget_old, CLEAN_INTERVAL_S)]
        if self._on:
            jobs += [(self.take_notes, LOOK_INTERVAL_S), (self.sum_up, LOOK_INTERVAL_S)]
        async with asyncio.TaskGroup() as tasks:
            for job, interval_s in jobs:
                tasks.create_task(_again_and_again(job, interval_s), name="remember")
        raise AssertionError("they never end")

    async def _forget_old(self) -> None:
        await self.store.forget_old()

    async def look(self) -> None:
        """Write what wants to be written now."""
        await self.take_notes()
        await self.sum_up()

    async def take_notes(self) -> None:
        """Of the sessions that have ended, by patterns."""
        for due in await self.store.unnoticed(AT_ONCE):
            await self._notice(due)

    async def sum_up(self) -> None:
        """What wants to be written anew, by the tutors' models. One that is away keeps no other
        one waiting."""
        self._away_until_s = {t: s for t, s in self._away_until_s.items() if s > time.monotonic()}
        for due in await self.store.due(AT_ONCE, self._away_until_s):
            if due.pair.tutor_id not in self._away_until_s and not await self._sum_up(due):
                return

    async def _notice(self, due: Due) -> None:
        """Note what a student has said in so many words."""
        if (lease := await self.store.lease(due.pair)) is None:
            return
        unread = await self.store.unread(due.pair, newest=True)
        said = [m for m in since_forgotten(unread.messages) if m.session_id in unread.unnoticed]
        readings = {session_id: Reading(None, False, True) for session_id in unread.unnoticed}
        remembered = await asyncio.to_thread(_with_notes, lease.remembered, said)
        await self.store.write(lease, remembered, readings, failures=lease.failures)

    async def _sum_up(self, due: Due) -> bool:
        """Have the tutor's model write the memory anew. False: somebody is being taught, so not
        now, and no other one either."""
        starved = due.since <= self._clock() - timedelta(seconds=STARVED_S)
        newest_id, newest_at = await self.store.newest_question()
        if not starved and newest_at > self._clock() - timedelta(seconds=QUIET_S):
            return False
        if (lease := await self.store.lease(due.pair)) is None:
            return True
        unread = await self.store.unread(due.pair)
        said = since_forgotten(unread.messages)
        if not any(message.role == "user" for message in said):
            await self.store.write(lease, lease.remembered, _all_read(unread))
            return True
        return await self._ask(lease, unread, said, None if starved else newest_id)

    async def _undisturbed(self, asking: Awaitable[Answer], newest_id: int) -> Answer:
        """The model's answer. Raises `_Disturbed` as soon as a student asks something."""
        try:
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(self._watch(newest_id), name="watch")
                answer = await asking
                watching.cancel()
        except* _Disturbed as disturbed:
            raise _Disturbed from disturbed
        return answer

    async def _watch(self, newest_id: int) -> NoReturn:
        while True:
            await asyncio.sleep(DISTURBED_LOOK_S)
            if (await to_the_end(self.store.newest_question()))[0] > newest_id:
                raise _Disturbed

    async def _ask(
        self, lease: Lease, unread: Unread, said: Sequence[UnreadMessage], newest_id: int | None
    ) -> bool:
        """False: the model has no time."""
        mark = secrets.token_hex(MARK_BYTES)
        number, messages = await asyncio.to_thread(_request, lease, said, mark)
        asking = self._answer(lease.pair.tutor_id, messages)
        try:
            answer = await (asking if newest_id is None else self._undisturbed(asking, newest_id))
        except _Disturbed:
            await self._give_back(lease)
            return False
        if answer is None:
            self._away_until_s[lease.pair.tutor_id] = time.monotonic() + AWAY_S
            await self._give_back(lease)
            return True
        remembered = believed(answer, mark, lease.remembered)
        if remembered is None:
            await self._fail(lease, unread)
        else:
            await self._keep(lease, remembered, unread, said[:number])
        return True

    async def _keep(
        self,
        lease: Lease,
        remembered: Remembered,
        unread: Unread,
        told: Sequence[UnreadMessage],
    ) -> None:
        """The model has summed up what it was told, the oldest of what is unread."""
        if unread.is_all and told[-1].id == unread.messages[-1].id:
            await self.store.write(lease, remembered, _all_read(unread))
        else:
            recent = lease.remembered.recent
            await self.store.write(lease, replace(remembered, recent=recent), _read(unread, told))

    async def _answer(self, tutor_id: int, messages: Sequence[Message]) -> str | None:
        """None: there is nobody to answer, or it takes too long."""
        if not await self._minds.seems_there(tutor_id):
            return None
        answer = ""
        reply = in_time(self._minds.think(tutor_id).reply(messages), ASKING, "The language model")
        try:
            async with asyncio.timeout(ASK_LIMIT_S), aclosing(reply) as tokens:
                async for token in tokens:
                    answer += token
                    if len(answer) > ANSWER_CHARS:
                        break
        except (EngineError, TimeoutError) as absent:
            logger.info(
                "Memory: the language model of tutor %d did not answer: %s", tutor_id, absent
            )
            return None
        return answer

    async def _give_back(self, lease: Lease) -> None:
        await self.store.write(lease, lease.remembered, {}, failures=lease.failures)

    async def _fail(self, lease: Lease, unread: Unread) -> None:
        """Something else was answered: the offline tutor's words, an apology, or no JSON."""
        failures = lease.failures + 1
        if failures >= GIVE_UP:
            logger.warning(
                "The language model of tutor %d writes no memories; what patterns have noted stays",
                lease.pair.tutor_id,
            )
            await self.store.write(lease, lease.remembered, _all_read(unread))
        else:
            pause_s = FAILURE_PAUSE_S * 2**lease.failures
            await self.store.write(lease, lease.remembered, {}, pause_s=pause_s, failures=failures)


async def _again_and_again(job: Callable[[], Awaitable[None]], interval_s: float) -> NoReturn:
    while True:
        try:
            await job()
        except Exception:  # whatever it is, the next time may succeed
            logger.exception("What was said could not be remembered; trying again")
        await asyncio.sleep(interval_s)


def _request(lease: Lease, said: Sequence[UnreadMessage], mark: str) -> tuple[int, list[Message]]:
    """How many of the messages are told, and what is asked."""
    conversation = [Said(message.role == "user", message.content) for message in said]
    number = told(conversation, CONVERSATION_TOKENS >> lease.failures)
    return number, request(lease.remembered, conversation[:number], mark)


def _read(unread: Unread, messages: Sequence[UnreadMessage]) -> dict[str, Reading]:
    """That these have been read, and there are more."""
    newest = {message.session_id: message.id for message in messages}
    return {
        session_id: Reading(through_id, settled=False, noticed=session_id in unread.ended)
        for session_id, through_id in newest.items()
    }


def _all_read(unread: Unread) -> dict[str, Reading]:
    """That everything has been read which was looked at; of sessions that have ended no more is to
    come, when that was all."""
    newest = {message.session_id: message.id for message in unread.messages}
    return {
        session_id: Reading(
            newest.get(session_id),
            settled=session_id in unread.ended and unread.is_all,
            noticed=session_id in unread.ended,
        )
        for session_id in newest.keys() | unread.ended
    }


def _with_notes(known: Remembered, said: Sequence[UnreadMessage]) -> Remembered:
    """With the facts that patterns find, and the end of the last session."""
    facts = merged(known.facts, _facts(said))
    if not any(message.role == "user" for message in said):
        return known
    last = [message for message in said if message.session_id == said[-1].session_id]
    recent = tuple(
        Said(message.role == "user", text)
        for message in last[-RECENT:]
        if (text := plain(message.content, RECENT_CHARS))
    )
    return Remembered(known.summary, facts, recent)


def _facts(said: Sequence[UnreadMessage]) -> Iterator[Fact]:
    for message in said:
        if message.role == "user":
            yield from noticed(message.content)
