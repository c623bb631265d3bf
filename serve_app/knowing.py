"""What a turn is told of the course before it thinks, and what of it its answer stands on.

question ──► searched, if need be with the question before ──► the best passages ──► the model
answer ──► the passages that it cites, or quotes ──► `sources`
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from engines.base import Message
from engines.cancellation import raise_unless_cancelled
from engines.errors import EngineError
from engines.knowledge.base import Found, Search
from engines.knowledge.fusion import within
from engines.knowledge.quoting import ENOUGH, quote
from engines.knowledge.terms import question_words
from engines.language import language_of
from engines.llm.course.answering import answer_from_course, of_language
from engines.llm.course.manners import Manner, manner_of
from engines.memory.forgetting import asks_to_forget
from serve_app.citations import cited
from wire.events import SourceItem

logger = logging.getLogger(__name__)

Value = TypeVar("Value")

SEARCH_LIMIT_S = 0.150
"""The learner waits for it. A search takes some 10 ms; beyond this the turn goes on without."""

PREPARE_LIMIT_S = 30.0
"""A large base from object storage; nobody waits for it."""

SOURCES = 3
"""Passages that a turn is told: the right one is among the first three."""

SOURCES_TOKENS = 1800
"""Of all of them together, carefully reckoned: three passages of 200 English words or 350 Chinese
characters; a fifth of the usual context."""

CHAPTERS, CHAPTER_CHARS = 12, 80
"""More names nobody is told, and no longer ones."""

NAMES = 200
"""Of which those in the language of the question are told: a course may be in several."""

CHAPTERS_FRESH_S = 60.0
"""A document that has been added is searched at once, and named after this time."""

BEFORE = 3
"""Questions before this one among which a follow-up's subject is sought; "slower" is none."""

QUOTE_CHARS = 320
"""Of a source where no sentence stands out: what is read at a glance."""

_SHORT_WORDS, _SHORT_CHARACTERS = 8, 14
"""A question that is longer says itself what it is about."""

_LEANING = re.compile(
    r"^\W*(?:and|but|so|then|or|what about|how about)\b"
    r"|\b(?:it|its|they|them|their|this|that|these|those|he|she|him|her|his|one|ones|there)\b"
    r"|^(?:那|可是|但是|然后|还有|所以)|[它他她]|[这那](?:个|种|样|些|里|儿|时)|呢[？?]?$",
    re.I,
)
_WITH_BEFORE = (None, Manner.MORE, Manner.YES, Manner.NO)
"""Courtesies that go on with what was spoken about; the others ask for nothing."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the course has on a question."""

    sources: tuple[Found, ...] = ()
    chapters: tuple[str, ...] = ()
    lack: str = ""
    """Why the course could not be asked, and what to do; empty: it could."""


class Course:
    """The course of a session, as its turns ask it."""

    def __init__(
        self, knowledge: Search, chapters: Callable[[str], Awaitable[Sequence[str]]]
    ) -> None:
        self._knowledge = knowledge
        self._chapters = chapters
        self._lacked = False
        self._logged = ""
        """The last lack, which is not logged in each turn."""
        self._named: dict[str, tuple[float, tuple[str, ...]]] = {}
        """Of a base: when its chapters were told, and which."""

    def first_lack(self) -> bool:
        """Whether this is the first time that it could not be asked."""
        first, self._lacked = not self._lacked, True
        return first

    async def prepare(self, kb_id: str | None) -> None:
        """Have the base opened before it is first asked. A failure is left to the questions."""
        if kb_id:
            await asyncio.to_thread(question_words, "水 water")  # its tables are made once
            await self._tried(self._knowledge.search(kb_id, "", 1), PREPARE_LIMIT_S)
            await self._tried(self._names(kb_id), PREPARE_LIMIT_S)

    async def on(self, kb_id: str | None, question: str, before: Sequence[str]) -> Known:
        """What the base has on a question; `before` are the learner's earlier ones, oldest first.
        Never raises, and never takes longer than `SEARCH_LIMIT_S`, but for the tables of words
        that a process makes once."""
        if not kb_id:
            return Known()
        texts = await asyncio.to_thread(search_texts, question, before)
        async with asyncio.TaskGroup() as tasks:
            finding = tasks.create_task(
                self._tried(self._found(kb_id, texts), SEARCH_LIMIT_S), name="search"
            )
            naming = tasks.create_task(
                self._tried(self._names(kb_id), SEARCH_LIMIT_S), name="chapters"
            )
        found, lack = finding.result()
        if found is None:
            return Known(lack=lack)
        named, lack = naming.result()
        sources = tuple(within(found, SOURCES_TOKENS))
        chapters = of_language(named or (), language_of(question))[:CHAPTERS]
        return Known(sources, tuple(chapters), "" if sources else lack)

    async def _found(self, kb_id: str, texts: Sequence[str]) -> list[Found]:
        """The best passages of this base alone, for the first text that it has enough on."""
        async with asyncio.TaskGroup() as tasks:
            tries = [
                tasks.create_task(self._knowledge.search(kb_id, text, SOURCES), name="search")
                for text in texts
                if text
            ]
        found: list[Found] = []
        for each in tries:
            found = each.result() or found
            if found and found[0].score >= ENOUGH:
                break
        return [one for one in found[:SOURCES] if one.kb_id == kb_id]

    async def _names(self, kb_id: str) -> tuple[str, ...]:
        told_s, names = self._named.get(kb_id, (float("-inf"), ()))
        if time.monotonic() - told_s > CHAPTERS_FRESH_S:
            told = await self._chapters(kb_id)
            names = tuple(name[:CHAPTER_CHARS] for name in told[:NAMES])
            self._named = {kb_id: (time.monotonic(), names)}
        return names

    async def _tried(self, work: Awaitable[Value], limit_s: float) -> tuple[Value | None, str]:
        """Its value, or why there is none."""
        try:
            async with asyncio.timeout(limit_s):
                return await _own(work), ""
        except TimeoutError:
            lack = f"The course could not be searched within {limit_s * 1000:g} ms."
        except Exception as failed:  # whatever it was, the turn goes on
            lack = _why(failed)
        if lack != self._logged:
            logger.warning("%s Answers come without the course.", lack)
            self._logged = lack
        return None, lack


async def _own(work: Awaitable[Value]) -> Value:
    try:
        return await work
    except asyncio.CancelledError as stopped:
        raise_unless_cancelled(stopped, "The search")


def _why(failed: BaseException) -> str:
    while isinstance(failed, BaseExceptionGroup):
        failed = failed.exceptions[0]
    if isinstance(failed, EngineError):
        return failed.sentence
    logger.error("The search failed in an unforeseen way", exc_info=failed)
    return "The search of the course failed; the engine's log says why."


def search_texts(question: str, before: Sequence[str]) -> tuple[str, str]:
    """What is searched for a question: itself, and for one that leans on what was asked before,
    both together; empty: nothing."""
    manner = manner_of(question)
    words = question_words(question)
    alone = question if words and manner is None else ""
    if manner not in _WITH_BEFORE or not (not alone or _leans(question)):
        return alone, ""
    asked = [each for each in before if manner_of(each) is None]
    subject = next((each for each in asked[: -BEFORE - 1 : -1] if question_words(each)), "")
    if not subject:
        return alone, ""
    return alone, f"{subject}\n{question}" if alone else subject


def _leans(question: str) -> bool:
    """Whether it is short, and points at something that it does not name."""
    question = question.strip()
    if language_of(question) == "zh":
        is_short = len(question) <= _SHORT_CHARACTERS
    else:
        is_short = len(question.split()) <= _SHORT_WORDS
    return is_short and _LEANING.search(question) is not None


def stands_on(messages: Sequence[Message], answer: str) -> list[SourceItem]:
    """What an answer to these messages is from: the passage that the offline tutor quotes, the
    passages that a model cites by number, or without citations those that fit the question."""
    asked = next((m for m in reversed(messages) if m.role == "user"), None)
    if asked is None or not asked.sources or asks_to_forget(asked.content):
        return []
    told = answer_from_course(messages)
    if told is not None and told.text.split() == answer.split():
        return [_item(told.quoted, told.quote)] if told.quoted else []
    numbers = cited(answer, len(asked.sources))
    chosen = [asked.sources[number - 1] for number in numbers] if numbers else _fitting(asked)
    return [_item(found, _quoted(asked.content, found)) for found in chosen]


def _fitting(asked: Message) -> list[Found]:
    return [found for found in asked.sources if found.score >= ENOUGH]


def _quoted(question: str, found: Found) -> str:
    """What of a passage answers best, or how it begins."""
    best = quote(question, [found], language_of(question))
    if best is not None:
        return best.text
    text = " ".join(found.passage.text.split())
    return text if len(text) <= QUOTE_CHARS else f"{text[:QUOTE_CHARS].rstrip()}…"


def _item(found: Found, words: str) -> SourceItem:
    return SourceItem(
        kb_id=found.kb_id,
        document=found.document,
        page=found.passage.page,
        quote=words,
        score=round(found.score, 3),
    )
