"""Which sentence or two of the found passages answer a question, word for word. Pure.

found passages ──► those that fit ──► their statements ──► the best one ──► with its neighbour
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from engines.knowledge.base import Found
from engines.knowledge.statements import Statement, statements
from engines.knowledge.terms import Word, passage_terms, question_words
from engines.knowledge.wishes import Wish, fulfils, wish_of, without_wish
from engines.language import language_of

ENOUGH = 0.5
"""Score from which a passage counts as being about the question; see benchmarks/bench_course.py."""

AS_GOOD = 0.85
"""Part of the best score from which another passage is looked into, too."""

SHORT = {"en": 90, "zh": 30}
"""Characters, some six seconds of speech: a shorter statement takes its neighbour along."""

LONG = {"en": 320, "zh": 110}
"""Characters, some twenty seconds: what a learner still follows; two statements stay below."""

# What a statement is worth: how much of the question it covers (0 to 1), and beyond it:
_WISH = 0.35  # it is the kind of answer that is wanted
_VAGUE = 0.15  # so for a way, which most sentences could show
_RANK = 0.3  # of the passage's score against the best one's
_FIRST = 0.05  # the first statement of a passage says what it is about,
_LEAD = 0.25  # and answers the question that the heading asks
_HEADING = 0.5  # part of a word's weight, where only the heading over the statement has it
_QUESTION = -0.4  # it asks itself

_POINTING = re.compile(
    r"[\"'“(]?(?:this|that|these|those|he|she|it|they"
    r"|(?:at|in|on|over|under|above|below|after|before|with|without|by|near|during|for|from|when|if)"
    r" (?:[\w-]+ ){0,3}?(?:it|they|them))\b"
    r"|[“（]?(?:这|那|它|其|因此|所以|此|可是|但)",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Quote:
    """What is quoted of a passage."""

    found: Found
    text: str
    """One or two statements that follow each other, word for word but for white space."""
    kind: str
    """`sentence`, `row` or `formula`, of the statement that answers."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A statement where it stands."""

    found: Found
    said: tuple[Statement, ...]
    """All that the passage says."""
    index: int
    terms: frozenset[str]
    """Of the statement."""
    heading: frozenset[str]
    """The terms of the headings over it."""

    @property
    def statement(self) -> Statement:
        return self.said[self.index]


@dataclass(frozen=True, slots=True)
class _Asked:
    question: str
    weights: dict[Word, float]
    """What each of its words counts."""
    best_score: float


def fitting(found: Sequence[Found], language: str) -> list[Found]:
    """The passages that are about the question, the best first: those in its language, unless one
    in another fits clearly better. Empty: the question lies outside the course."""
    ranked = sorted(found, key=lambda f: -f.score)
    if not ranked or ranked[0].score < ENOUGH:
        return []
    own = [f for f in ranked if language_of(f.passage.text) == language]
    as_good = own and own[0].score >= max(ENOUGH, AS_GOOD * ranked[0].score)
    chosen = own if as_good else ranked
    return [f for f in chosen if f.score >= AS_GOOD * chosen[0].score]


def quote(question: str, found: Sequence[Found], language: str) -> Quote | None:
    """What answers the question, in its language (`zh`, `en`) where the course has it; None when
    nothing of what was found is about it."""
    places = [place for f in fitting(found, language) for place in _places(f)]
    if not places:
        return None
    asked = _Asked(question, _weights(question, places), places[0].found.score)
    best = max(places, key=lambda place: _worth(place, asked))
    begin, end = _stretch(best, wish_of(question))
    text = _joined(best.said[begin:end])
    return Quote(best.found, text, best.statement.kind)


def _places(found: Found) -> list[_Place]:
    said = tuple(statements(found.passage.text))
    heading = frozenset(passage_terms(found.passage.heading))
    return [
        _Place(found, said, index, frozenset(passage_terms(statement.text)), heading)
        for index, statement in enumerate(said)
    ]


# Which one


def _weights(question: str, places: Sequence[_Place]) -> dict[Word, float]:
    """What each word of the question counts: more, the fewer statements have it; nothing, where
    none has."""
    weights = {}
    for word in question_words(without_wish(question)):
        having = sum(_part(word, place.terms) for place in places)
        if having or any(_part(word, place.heading) for place in places):
            weights[word] = math.log(1 + len(places) / max(having, 1))
    return weights


def _worth(place: _Place, asked: _Asked) -> float:
    statement = place.statement
    covered = _covered(place, asked.weights)
    worth = covered + _RANK * place.found.score / asked.best_score
    if covered and _is_answer(statement, asked):
        worth += _VAGUE if wish_of(asked.question) is Wish.WAY else _WISH
    if place.index == 0:
        worth += _FIRST + _LEAD * _share(asked.weights, place.heading)
    if _asks(statement):
        worth += _QUESTION
    return worth


def _is_answer(statement: Statement, asked: _Asked) -> bool:
    """Whether it is of the kind that is wanted. A row defines nothing."""
    wish = wish_of(asked.question)
    if wish is Wish.DEFINITION and statement.kind != "sentence":
        return False
    terms = frozenset(term for word in asked.weights for term in word)
    return fulfils(statement.text, wish, asked.question, terms)


def _asks(statement: Statement) -> bool:
    return statement.text.rstrip("”’\"')）】").endswith(("?", "？"))


def _covered(place: _Place, weights: dict[Word, float]) -> float:
    """The part of the question's weight that a statement has, 0 to 1; where only the heading over
    it has a word, half of that."""
    got = sum(
        weight * max(_part(word, place.terms), _HEADING * _part(word, place.heading))
        for word, weight in weights.items()
    )
    return got / (sum(weights.values()) or 1)


def _share(weights: dict[Word, float], terms: frozenset[str]) -> float:
    """The part of the question's weight that these terms have, 0 to 1."""
    got = sum(weight * _part(word, terms) for word, weight in weights.items())
    return got / (sum(weights.values()) or 1)


def _part(word: Word, terms: frozenset[str]) -> float:
    """How much of a word is among the terms, 0 to 1."""
    return sum(term in terms for term in word) / len(word)


# How much of it


def _stretch(best: _Place, wish: Wish | None) -> tuple[int, int]:
    """Begin and end of what is quoted around the best statement."""
    said, index = best.said, best.index
    before = said[max(index - 1, 0) : index + 1]
    if len(before) == 2 and _leans(said[index], wish) and _fit(before) and not _asks(before[0]):
        return index - 1, index + 1
    if index + 1 < len(said) and _wants(said[index], said[index + 1]):
        return index, index + 2
    return index, index + 1


def _leans(statement: Statement, wish: Wish | None) -> bool:
    """Whether it belongs to the one before: a formula to its words, a difference to both sides."""
    if statement.kind == "row":
        return False
    return statement.kind == "formula" or wish is Wish.DIFFERENCE or _points_back(statement)


def _wants(statement: Statement, following: Statement) -> bool:
    """Whether the next statement should be told, too: it is announced, leans on this one, or this
    one is short."""
    if statement.text.endswith((":", "：")):
        return True
    if following.kind != "sentence" or following.paragraph != statement.paragraph:
        return False
    short = len(statement.text) < SHORT[language_of(statement.text)]
    return (short or _points_back(following)) and _fit((statement, following))


def _points_back(statement: Statement) -> bool:
    """Whether it cannot be understood without what stands before it."""
    if statement.kind != "sentence":
        return False
    return _POINTING.match(statement.text) is not None


def _fit(some: Sequence[Statement]) -> bool:
    text = _joined(some)
    return len(text) <= LONG[language_of(text)]


def _joined(some: Sequence[Statement]) -> str:
    space = "" if language_of(some[0].text) == "zh" else " "
    return space.join(statement.text for statement in some)
