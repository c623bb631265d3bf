"""What the tutor says to an utterance when only the course can answer. Pure.

courtesy ──► its reply · question ──► a quote with its source · else ──► asks back, invents nothing
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from engines.base import Message
from engines.knowledge.base import Found
from engines.knowledge.quoting import quote
from engines.language import language_of
from engines.llm.course import phrases
from engines.llm.course.manners import Manner, greets, manner_of
from engines.llm.course.names import introduced, name_said, student_name

_CLAUSE = re.compile(r"(?<=[,;:])\s+|(?<=[，；：])|(?<=[.!?])\s+|(?<=[。！？])(?![”’」』）])")

LEAST_CLAUSE = {"en": 20, "zh": 7}
"""Characters; what is shorter is said in one breath with what follows."""


NEAR = 0.4
"""Score from which a passage is worth being asked for, although it does not answer; below that it
shares a word with the question by chance."""


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    """To be spoken."""
    quoted: Found | None = None
    """What it quotes; None: nothing."""
    quote: str = ""
    """The quoted words alone."""


def answer(
    question: str,
    found: Sequence[Found],
    language: str,
    last: str | None,
    chapters: Sequence[str] = (),
    name: str = "",
) -> Answer:
    """The tutor's next words. `found` is what the search has, the best first, also what fits
    badly; `language` that of the question (`zh`, `en`); `last` the tutor's last words; `chapters`
    what the course is about; `name` the student's, where it is known. Nothing is quoted that does
    not stand in one of `found`."""
    manner = manner_of(question)
    if manner in (Manner.AGAIN, Manner.SLOWER):
        return Answer(_repeated(manner, last, language))
    welcome = phrases.welcome_back(name, language) if name and last is None else ""
    if welcome and manner is Manner.GREETING:
        return Answer(welcome)
    if name and manner is Manner.MY_NAME:
        return Answer(phrases.your_name(name, language))
    if manner is not None:
        return Answer(phrases.courtesy(manner, of_language(chapters, language), language))
    if best := quote(question, found, language):
        return Answer(phrases.quoted(best, language), best.found, best.text)
    if greets(question):
        return Answer(welcome or phrases.courtesy(Manner.GREETING, (), language))
    near = [phrases.innermost(f.passage) for f in found if f.score >= NEAR and f.passage.heading]
    own = of_language(chapters, language)
    return Answer(phrases.not_found(of_language(near, language), own, language))


def answer_from_course(messages: Sequence[Message]) -> Answer | None:
    """What to say to the last question of a conversation; None when it has no course."""
    asked = next((m for m in reversed(messages) if m.role == "user"), None)
    if asked is None or not (asked.sources or asked.chapters):
        return None
    last = next((m.content for m in reversed(messages) if m.role == "assistant"), None)
    language = language_of(asked.content)
    if name := introduced(asked.content):
        return Answer(phrases.nice_to_meet(name, language))
    return answer(asked.content, asked.sources, language, last, asked.chapters, _name(messages))


def _name(messages: Sequence[Message]) -> str:
    """The student's, as they have said it in this conversation, or in an earlier one."""
    said = [name_said(m.content) for m in reversed(messages) if m.role == "user"]
    noted = student_name([note for m in messages for note in m.notes])
    return next(filter(None, said), noted)


def of_language(chapters: Sequence[str], language: str) -> list[str]:
    """Those of the learner's language; all when there are none."""
    own = [chapter for chapter in chapters if language_of(chapter) == language]
    return own or list(chapters)


def _repeated(manner: Manner, last: str | None, language: str) -> str:
    if last is None or not last.strip():
        return phrases.nothing_said(language)
    return last.strip() if manner is Manner.AGAIN else in_short_sentences(last)


def in_short_sentences(text: str) -> str:
    """The same words with a line for each clause: a voice pauses after every line."""
    lines = [""]
    for piece in _CLAUSE.split(text):
        part = piece.strip()
        if len(lines[-1]) < LEAST_CLAUSE[language_of(lines[-1])] and _goes_on(lines[-1]):
            lines[-1] = f"{lines[-1]}{_gap(lines[-1])}{part}"
        else:
            lines.append(part)
    return "\n".join(filter(None, lines))


def _goes_on(line: str) -> bool:
    """Whether it does not end as a sentence does."""
    return not line.endswith((".", "!", "?", "。", "！", "？"))


def _gap(line: str) -> str:
    return " " if line and line[-1] in ",;:" else ""
