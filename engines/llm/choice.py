"""Which mind a tutor gets: the best that is there, and always somebody who speaks.

openai ──► ollama ──► transformers ──► the offline tutor, or an apology
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from engines.base import EngineState, Llm, Message
from engines.errors import (
    EngineError,
    EngineTimeout,
    EngineUnavailable,
    QuestionRefused,
    QuestionTooLong,
)
from engines.language import language_of
from engines.llm.breaker import Breaker
from engines.llm.course.answering import answer_from_course

logger = logging.getLogger(__name__)

PROBE_INTERVAL_S = 10.0
"""A model that comes up is used after at most this time; a probe costs one small request."""

PROBE_LIMIT_S = 2.0

SLOW_PROBES = 2
"""In a row, until a model that was there counts as stuck: a busy server may answer one late, and
questions have limits of their own."""

PROBE_AGAIN_S = 1.0
"""When nobody is there to answer a question, all are probed anew, but not more often than this."""

PREPARE_AGAIN_S = 30.0
"""After a model could not be loaded or downloaded."""

FIRST_WORD_LIMIT_S = 50.0
"""For all models together: the turn itself gives up after 60 s, and then in silence."""

LEAST_FIRST_WORD_S = 5.0
"""A model that would have less than this left is not asked."""

TOKEN_GAP_LIMIT_S = 20.0
"""Silence in the middle of an answer: less than the turn's own 30 s, so that it is known here."""

RESTING = "The language model failed several times, and is left alone for a moment."

APOLOGY_ENGLISH = (
    "I am sorry, my language model did not answer just now. Please ask me again in a moment."
)
APOLOGY_CHINESE = "对不起，我的语言模型刚才没有回答。请过一会儿再问我一次。"


class Model(Llm, Protocol):
    """A language model that may come and go."""

    name: str
    """Of the engine, as `/health` shows it."""
    model: str

    async def check(self) -> None:
        """Quick. Raises `EngineError` when it cannot be asked now."""
        ...

    async def prepare(self) -> None:
        """Have it loaded, which may take minutes. Raises `EngineError`; `EngineUnavailable` when
        there is nobody to load it."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a model has for its first word, and for its whole answer."""

    first_token_s: float = 30.0
    answer_s: float = 120.0


@dataclass(slots=True, eq=False)
class Candidate:
    """A model with what is known of it."""

    llm: Model
    expected: bool = True
    """Whether somebody asked for it; that another one is missing is then no defect."""
    problem: str | None = "It has not been looked for yet."
    """Why it cannot be asked, and what to do."""
    breaker: Breaker = field(default_factory=Breaker)
    slow_probes: int = 0
    """In a row."""
    prepared: bool = False
    preparing: asyncio.Task[None] | None = None
    prepare_from_s: float = float("-inf")
    waiting: set[object] = field(default_factory=set)
    """Questions whose first word has not come yet."""

    @property
    def on_trial(self) -> bool:
        """Somebody is just finding out whether it answers again."""
        return bool(self.waiting) and self.breaker.failures > 0

    def usable(self, now_s: float) -> bool:
        return self.problem is None and self.breaker.allows(now_s)

    def should_be_prepared(self, now_s: float) -> bool:
        waits = self.preparing is not None or now_s < self.prepare_from_s
        return not (self.prepared or waits) and self.breaker.allows(now_s)


class Apology:
    """Quotes the course that comes with the question; without one it says, in the learner's
    language, that there is no answer now."""

    async def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        if from_course := await asyncio.to_thread(answer_from_course, messages):
            yield from_course.text
            return
        question = next((m.content for m in reversed(messages) if m.role == "user"), "")
        yield APOLOGY_CHINESE if language_of(question) == "zh" else APOLOGY_ENGLISH


class BestLlm:
    """The first of its models that answers; who speaks when none does; looks again by itself."""

    def __init__(self, candidates: Sequence[Candidate], offline: Llm, limits: Limits) -> None:
        """`offline` speaks while no model is connected."""
        self._candidates = tuple(candidates)
        self._offline = offline
        self._limits = limits
        self._watching: asyncio.Task[None] | None = None
        self._looking = asyncio.Lock()
        self._looked_s = float("-inf")

    def start(self) -> None:
        """Begin to look for models, and to load the best one; any other call does it, too. To be
        called in the event loop that the answers come from."""
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch(), name="llm-watch")

    async def reply(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        """Never raises before the first word: then somebody else speaks. Raises `EngineError` when
        a model fails in the middle."""
        deadline_s = time.monotonic() + FIRST_WORD_LIMIT_S
        stand_in, begun = self._offline, False
        for candidate in await self._usable():
            try:
                async with aclosing(self._asked(candidate, messages, deadline_s)) as tokens:
                    async for token in tokens:
                        begun = True
                        yield token
                return
            except QuestionTooLong as refused:
                yield refused.sentence
                return
            except EngineError as error:
                if begun:
                    raise
                if not isinstance(error, EngineUnavailable):
                    stand_in = Apology()
        async for token in stand_in.reply(messages):
            yield token

    async def state(self) -> EngineState:
        await self._look_once()
        now_s = time.monotonic()
        chosen = next((c for c in self._candidates if c.usable(now_s) and not c.on_trial), None)
        wanted = next((c for c in self._candidates if c.expected), None)
        if chosen is None:
            remedy = (wanted or self._candidates[0]).problem or RESTING
            return EngineState("offline", "degraded", "No language model is connected.", remedy)
        reason = f"Answers with {chosen.llm.model}."
        if wanted is not None and not self._is_as_good(chosen, wanted):
            remedy = wanted.problem or RESTING
            return EngineState(chosen.llm.name, "degraded", reason, remedy)
        return EngineState(chosen.llm.name, "ready", reason)

    async def close(self) -> None:
        """Stop looking, and let go of all models."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        for candidate in self._candidates:
            await candidate.llm.close()

    def _is_as_good(self, chosen: Candidate, wanted: Candidate) -> bool:
        return self._candidates.index(chosen) <= self._candidates.index(wanted)

    async def _usable(self) -> list[Candidate]:
        """Who can be asked now, the best first."""
        await self._look_once()
        if not any(c.usable(time.monotonic()) for c in self._candidates):
            # One that has come back is used at once, not after the next probe.
            await self._look_if_older_than(PROBE_AGAIN_S)
        return _untried([c for c in self._candidates if c.usable(time.monotonic())])

    async def _asked(
        self, candidate: Candidate, messages: Sequence[Message], deadline_s: float
    ) -> AsyncGenerator[str, None]:
        """The answer, within its limits; a failure that is not the question's is noted."""
        left_s = deadline_s - time.monotonic()
        if left_s < LEAST_FIRST_WORD_S:
            raise EngineTimeout("The language models did not begin in time. Ask again.")
        first_s = min(self._limits.first_token_s, left_s)
        limits = Limits(first_s, self._limits.answer_s)
        try:
            answer = _counted(candidate, _in_time(candidate.llm.reply(messages), limits))
            async with aclosing(answer) as tokens:
                async for token in tokens:
                    yield token
        except QuestionTooLong:
            raise
        except QuestionRefused as refused:
            logger.warning("Language model: %s", refused.sentence)
            raise
        except EngineError as error:
            self._note_failure(candidate, error.sentence)
            raise
        except Exception as error:  # an engine's own fault: still somebody has to speak
            logger.exception("The language model %s failed", candidate.llm.name)
            self._note_failure(candidate, "The language model failed; the log says why.")
            raise EngineError("The language model failed. Ask again.") from error
        candidate.breaker = candidate.breaker.succeeded()

    def _note_failure(self, candidate: Candidate, problem: str) -> None:
        candidate.prepared = False
        candidate.breaker = candidate.breaker.failed(time.monotonic())
        _note(candidate, problem)

    async def _watch(self) -> None:
        """Look at the models from time to time, and prepare the best."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._look_if_older_than(PROBE_AGAIN_S)
                self._prepare(tasks)
                await asyncio.sleep(PROBE_INTERVAL_S)

    async def _look_once(self) -> None:
        """After the first look, which is waited for, the watch does the looking."""
        self.start()
        if self._looked_s == float("-inf"):
            await self._look_if_older_than(PROBE_AGAIN_S)

    async def _look_if_older_than(self, seconds: float) -> None:
        async with self._looking:
            if time.monotonic() - self._looked_s >= seconds:
                await asyncio.gather(*(_probe(candidate) for candidate in self._candidates))
                self._looked_s = time.monotonic()

    def _prepare(self, tasks: asyncio.TaskGroup) -> None:
        """Those down to the first that is there: what would not be asked is not loaded either."""
        now_s = time.monotonic()
        for candidate in self._candidates:
            if candidate.should_be_prepared(now_s):
                name = f"prepare-{candidate.llm.name}"
                candidate.preparing = tasks.create_task(_prepare(candidate), name=name)
            if candidate.usable(now_s):
                return


def _untried(usable: list[Candidate]) -> list[Candidate]:
    """Those that may be asked: of one that has failed one question at a time finds out whether it
    is back, and the others do not wait with it. Until it has failed several times they do where
    nobody else is there: one failure may have been the network's."""
    certain = [c for c in usable if not c.on_trial]
    return certain or [c for c in usable if not c.breaker.rests]


async def _probe(candidate: Candidate) -> None:
    """Find out whether it can be asked; one that is left alone is not even probed."""
    if not candidate.breaker.allows(time.monotonic()):
        return
    try:
        async with asyncio.timeout(PROBE_LIMIT_S):
            await candidate.llm.check()
    except EngineError as error:
        candidate.prepared = False
        _note(candidate, error.sentence)
    except TimeoutError:
        candidate.slow_probes += 1
        if candidate.problem is not None or candidate.slow_probes >= SLOW_PROBES:
            slow = f"{candidate.llm.name} is too slow to answer. Look whether it is stuck."
            _note(candidate, slow)
    except Exception:  # must not end the watch
        logger.exception("The language model %s could not be probed", candidate.llm.name)
        _note(candidate, f"{candidate.llm.name} could not be probed; the log says why.")
    else:
        candidate.slow_probes = 0
        # That a server lists its models does not mean that they answer.
        if not candidate.on_trial:
            _note(candidate, None)


async def _prepare(candidate: Candidate) -> None:
    try:
        await candidate.llm.prepare()
        candidate.prepared = True
    except EngineUnavailable:
        pass  # the probes tell of it
    except EngineError as error:
        candidate.prepare_from_s = time.monotonic() + PREPARE_AGAIN_S
        logger.warning("Language model: %s", error.sentence)
    except Exception:  # must not end the watch
        candidate.prepare_from_s = time.monotonic() + PREPARE_AGAIN_S
        logger.exception("The language model %s could not be prepared", candidate.llm.name)
    finally:
        candidate.preparing = None
    await _probe(candidate)


def _note(candidate: Candidate, problem: str | None) -> None:
    if problem != candidate.problem:
        logger.info("Language model: %s", problem or f"{candidate.llm.model} is ready")
    candidate.problem = problem


async def _counted(
    candidate: Candidate, answer: AsyncGenerator[str, None]
) -> AsyncGenerator[str, None]:
    """The answer, closed at its end; the candidate knows who waits for a first word."""
    question = object()
    candidate.waiting.add(question)
    try:
        async with aclosing(answer) as tokens:
            async for token in tokens:
                candidate.waiting.discard(question)
                yield token
    finally:
        candidate.waiting.discard(question)


async def _in_time(answer: AsyncIterator[str], limits: Limits) -> AsyncGenerator[str, None]:
    """The answer, closed at its end. Only the waiting for the model counts, not what is done with
    its words. Raises `EngineTimeout`, and `QuestionRefused` when it is empty."""
    limit_s, left_s, begun = limits.first_token_s, limits.answer_s, False
    try:
        while True:
            waiting_from_s = time.monotonic()
            try:
                async with asyncio.timeout(max(0.0, min(limit_s, left_s))):
                    token = await anext(answer)
            except StopAsyncIteration:
                break
            except TimeoutError as late:
                raise EngineTimeout(_too_late(begun)) from late
            left_s -= time.monotonic() - waiting_from_s
            limit_s, begun = TOKEN_GAP_LIMIT_S, True
            yield token
    finally:
        if isinstance(answer, AsyncGenerator):
            await answer.aclose()
    if not begun:
        raise QuestionRefused("The language model had nothing to say. Ask again.")


def _too_late(begun: bool) -> str:
    if begun:
        return "The language model did not finish in time. Ask again, or raise LLM_ANSWER_SECONDS."
    return (
        "The language model did not begin in time. Ask again, use a smaller model, or raise "
        "LLM_FIRST_TOKEN_SECONDS."
    )
