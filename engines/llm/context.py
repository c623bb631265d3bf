"""What of a conversation fits into a model: the question, what the course has on it, and of what
was said before whole messages, the newest first. Pure, but for the code around the material."""

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from engines.base import Message
from engines.errors import QuestionRefused, QuestionTooLong
from engines.language import language_of
from engines.llm.grounding import (
    CODE_CHARS,
    grounded,
    has_course,
    material,
    noted,
    rules,
    unmarked,
)

Counter = Callable[[str], int]
"""How many tokens a text has: a tokenizer's own count, or an `Estimate`."""

MESSAGE_TOKENS = 8
"""What a model's template puts around each message: role and end marks."""

DEFAULT_CONTEXT_TOKENS = 8192
"""A lesson's last twenty exchanges fit; a model's full window costs gigabytes of GPU memory."""

ANSWER_SHARE = 0.5
"""At most this part of the context is kept free for the answer."""

QUESTION_TOO_LONG_ENGLISH = (
    "That is too long for me to take in at once. Please ask about a shorter part of it."
)
QUESTION_TOO_LONG_CHINESE = "这个问题太长了，我一次读不完。请缩短一些，或者分几次问我。"


def answer_tokens(context: int, wanted: int) -> int:
    """How long an answer may become in a context of so many tokens; the rest is for the prompt."""
    return min(wanted, int(context * ANSWER_SHARE))


def fitted(messages: Sequence[Message], room: int, count: Counter) -> list[Message]:
    """What a model is told: the messages that fit into `room` tokens, without marks of templates,
    and with notes and what the course has on the question as marked data. Raises as `cut` does."""
    return grounded(cut(unmarked(messages), room, count), secrets.token_hex(CODE_CHARS // 2))


def cut(messages: Sequence[Message], room: int, count: Counter) -> list[Message]:
    """The messages that fit into `room` tokens: every system message, the newest question with as
    many of the notes and of its sources as possible, the best first, and of what lies between as
    many whole messages as possible, the oldest left out first.

    Raises `QuestionTooLong`, or `QuestionRefused` when the tutor's prompt alone is too long.
    """
    system = [message for message in messages if message.role == "system"]
    talk = [message for message in messages if message.role != "system"]
    newest = next((i for i in reversed(range(len(talk))) if talk[i].role == "user"), 0)
    bare = [replace(message, sources=(), chapters=()) for message in talk[newest:]]
    kept = _with_notes_that_fit(system, room - size(bare, count), count)
    room -= size(kept, count)
    if room <= 0 and kept:
        raise QuestionRefused(
            "The tutor's prompt is longer than the language model's context. Shorten the prompt, "
            "or raise LLM_CONTEXT_TOKENS."
        )
    asked = _with_sources_that_fit(talk[newest:], room, count)
    room -= size(asked, count)
    if room < 0:
        raise _too_long(talk[newest].content if talk else "")
    first = _first_that_fits(talk[:newest], room, count)
    return kept + talk[first:newest] + asked


def size(messages: Sequence[Message], count: Counter) -> int:
    """Tokens of these messages in a model's prompt, with what the course has on them, and notes."""
    return sum(
        count(message.content)
        + MESSAGE_TOKENS
        + _material_size(message, count)
        + _notes_size(message, count)
        for message in messages
    )


def _notes_size(system: Message, count: Counter) -> int:
    return sum(map(count, noted(system.notes))) + MESSAGE_TOKENS if system.notes else 0


def _material_size(question: Message, count: Counter) -> int:
    if not has_course(question):
        return 0
    data = material(question, "0" * CODE_CHARS)
    return count(data) + MESSAGE_TOKENS + count(rules(question))


def _with_notes_that_fit(system: Sequence[Message], room: int, count: Counter) -> list[Message]:
    """The system's messages with less and less of what is remembered of the student."""
    kept = list(system)
    while any(message.notes for message in kept) and size(kept, count) > room:
        kept = [replace(message, notes=message.notes[:-1]) for message in kept]
    return kept


def _with_sources_that_fit(asked: Sequence[Message], room: int, count: Counter) -> list[Message]:
    """The question, and whatever stands behind it, with less and less of the course: of one whose
    passages do not fit nothing is told, as that it has none would be wrong."""
    if not asked:
        return []
    question, *behind = asked
    while has_course(question) and size([question, *behind], count) > room:
        fewer = question.sources[:-1]
        question = replace(question, sources=fewer, chapters=question.chapters if fewer else ())
    return [question, *behind]


def _first_that_fits(earlier: Sequence[Message], room: int, count: Counter) -> int:
    """Where the end of the history that fits begins; when anything is left out, at a question,
    as many templates demand."""
    first = len(earlier)
    while first and (tokens := size([earlier[first - 1]], count)) <= room:
        room -= tokens
        first -= 1
    while 0 < first < len(earlier) and earlier[first].role == "assistant":
        first += 1
    return first


def _too_long(question: str) -> QuestionTooLong:
    if language_of(question) == "zh":
        return QuestionTooLong(QUESTION_TOO_LONG_CHINESE)
    return QuestionTooLong(QUESTION_TOO_LONG_ENGLISH)


LATIN_TOKENS = 1 / 3
"""Of an ASCII letter or space. English has some 4 characters a token, German and code fewer."""

WIDE_TOKENS = 2.0
"""Of any other character. Models made for Chinese need 0.7, those that know none 3 (its bytes)."""

LEARNING_TOKENS = 200
"""Shorter prompts are mostly template, and teach nothing."""

SHARE_TO_LEARN = 0.8
"""A prompt teaches about the kind of characters that has this part of its tokens."""

LEAST_FACTOR, MOST_FACTOR = 0.3, 4.0
"""A count below the least comes from a server that left out what it had cached."""

MARGIN = 1.1
"""What is learnt is raised by this, since the next text is another one."""

DOWN_RATE = 0.2
"""A factor falls slowly, and rises at once: too low a count loses the beginning of the prompt."""

_LATIN = re.compile(r"[A-Za-z ]")
_SINGLE = re.compile(r"[\x00-\x1f!-@\[-`{-\x7f]")  # digits, marks and line ends: a token each


@dataclass(frozen=True, slots=True)
class Estimate:
    """A `Counter` for models whose tokenizer is elsewhere: careful at first, then calibrated by
    what the server counts."""

    latin: float = 1.0
    """Factor on the tokens of ASCII text."""
    wide: float = 1.0
    """Factor on the tokens of all other characters."""

    def __call__(self, text: str) -> int:
        latin, wide = _parts(text)
        return int(latin * self.latin + wide * self.wide) + 1

    def learned(self, messages: Sequence[Message], counted: int) -> "Estimate":
        """The estimate after a server has counted `counted` tokens in these messages."""
        latin, wide = _parts("".join(message.content for message in messages))
        counted -= MESSAGE_TOKENS * len(messages)
        if counted < LEARNING_TOKENS or not latin + wide:
            return self
        if wide * self.wide >= SHARE_TO_LEARN * (latin * self.latin + wide * self.wide):
            return replace(self, wide=_moved(self.wide, (counted - latin * self.latin) / wide))
        if wide * self.wide <= (1 - SHARE_TO_LEARN) * (latin * self.latin + wide * self.wide):
            return replace(self, latin=_moved(self.latin, (counted - wide * self.wide) / latin))
        return self


def _parts(text: str) -> tuple[float, float]:
    """Tokens, before any calibration, of the ASCII characters and of all others."""
    letters, singles = len(_LATIN.findall(text)), len(_SINGLE.findall(text))
    return letters * LATIN_TOKENS + singles, (len(text) - letters - singles) * WIDE_TOKENS


def _moved(factor: float, seen: float) -> float:
    if seen < LEAST_FACTOR:
        return factor
    aim = min(seen * MARGIN, MOST_FACTOR)
    return aim if aim > factor else factor + DOWN_RATE * (aim - factor)
