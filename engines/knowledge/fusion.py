"""How well a passage fits a question, from 0 to 1, and which passages are handed on. Pure.

    words of the question ──► weights, by how rare each is in the base ─┐
    terms of a passage ──► which words it has, and how close together ──┴─► of the words ─┐
    likeness to the question ──► against how like it the whole base is ──► of the meaning ─┴► score

BM25 finds the candidates, but its values cannot be compared between questions: they grow with the
number of words and with their rareness. Therefore the score is a share: how much of what was asked,
weighed by rareness, the passage speaks of. A word that the base does not have weighs the most, so
a question about something else stays low although its other words are there. Ranks, as reciprocal
rank fusion adds them, could not tell that either: something is always first.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from engines.knowledge.base import Found, Passage
from engines.knowledge.terms import Word
from engines.llm.context import Counter, Estimate

WINDOW_CHARS = 200
"""Of a passage's terms: two English sentences, or a Chinese one, whose characters and pairs both
count."""

WINDOW_SHARE = 0.3
"""Of the score that depends on the words standing in one window, not just in one passage."""

TITLED_WORTH, OFTEN_WORTH = 0.2, 0.05
"""What tells passages of like scores apart: that the words stand in the heading, and how often they
stand in the passage and how little else does, as BM25 counts it. In the score they would only
blur where the course ends."""

MEANING_FROM, MEANING_SCALE = 2.5, 2.0
"""Standard deviations above the base's mean likeness to the question: where a passage begins to
count as meant, as the likest of some hundred others is by chance, and how much further two thirds
of the doubt are gone."""

MEANING_WEIGHT = 0.75
"""Likeness alone never says for certain that a passage answers."""

SAME_SHARE = 0.8
"""Of the terms of two passages together: from here on the second one tells nothing new."""

LEAST_SCORE = 0.05
"""Below it only words were met that stand everywhere."""

FOUND_TOKENS = 24
"""What is written around a passage for a language model: its number, document and page."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The terms of a question, weighed."""

    weights: tuple[float, ...]
    """Of each thing that was asked for; their sum is 1."""
    terms: Mapping[str, tuple[int, float]]
    """Which of them a term stands for, and how surely (0 to 1)."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How a passage has the words of a question; each from 0 to 1."""

    score: float
    titled: float = 0.0
    """As far as its heading has them."""
    often: float = 0.0
    """The value of BM25 against the best candidate's."""


@dataclass(frozen=True, slots=True)
class Candidate:
    document: str
    passage: Passage
    terms: str
    words: Fit
    meaning: float = 0.0
    """Score of the likeness."""

    @property
    def score(self) -> float:
        """Either is enough, and both together are more than each."""
        return 1 - (1 - self.words.score) * (1 - MEANING_WEIGHT * self.meaning)

    @property
    def worth(self) -> float:
        """By which they are ordered."""
        return self.score + TITLED_WORTH * self.words.titled + OFTEN_WORTH * self.words.often


def weighed(
    words: Sequence[Word],
    holders: Callable[[str], int],
    passages: int,
    nearly: Callable[[str], Mapping[str, float]],
) -> Asked:
    """`holders` tells how many of the base's `passages` have a term; `nearly` which terms of the
    base may stand for one, and how surely."""
    weights: list[float] = []
    terms: dict[str, tuple[int, float]] = {}
    for word in words:
        for term in word:
            place = len(weights)
            # The pairs of a long word weigh as one word: it is one thing that was asked for.
            weights.append(rareness(holders(term), passages) / len(word))
            for other, surely in {**nearly(term), term: 1.0}.items():
                if surely > terms.get(other, (0, 0.0))[1]:
                    terms[other] = place, surely
    total = sum(weights) or 1.0
    return Asked(tuple(weight / total for weight in weights), terms)


def rareness(holders: int, passages: int) -> float:
    """BM25's weight of a term (its idf), as a share of what a term weighs that nobody has."""
    holders = min(holders, passages)
    return math.log1p((passages - holders + 0.5) / (holders + 0.5)) / math.log1p(
        (passages + 0.5) / 0.5
    )


def fit(asked: Asked, heading: str, terms: str, often: float = 0.0) -> Fit:
    """How much of the question a passage speaks of; `terms` are those of its heading and text, in
    order, with spaces between, as they are kept: searching them as they are is four times as quick
    as taking them apart."""
    met = _met(asked, f" {terms} ")
    whole = _covered(asked, met)
    near = _best_window(asked, met, whole)
    titled = [each for each in met if each[0] < len(heading)]
    return Fit(whole + WINDOW_SHARE * (near - whole), _covered(asked, titled), often)


_Met = tuple[int, int, float]
"""Where a term stands in the passage, what of the question it is, and how surely."""


def _met(asked: Asked, terms: str) -> list[_Met]:
    """In order."""
    met: list[_Met] = []
    for term, (place, surely) in asked.terms.items():
        sought = f" {term} "
        at = terms.find(sought)
        while at >= 0:
            met.append((at, place, surely))
            at = terms.find(sought, at + 1)
    return sorted(met)


def _covered(asked: Asked, met: Sequence[_Met]) -> float:
    surest: dict[int, float] = {}
    for _, place, surely in met:
        surest[place] = max(surely, surest.get(place, 0.0))
    return sum(asked.weights[place] * surely for place, surely in surest.items())


def _best_window(asked: Asked, met: Sequence[_Met], whole: float) -> float:
    best, end = 0.0, 0
    for begin, (first, _, _) in enumerate(met):
        ended = end
        while end < len(met) and met[end][0] < first + WINDOW_CHARS:
            end += 1
        if end > ended:  # else it holds less than the window before
            best = max(best, _covered(asked, met[begin:end]))
        if best >= whole or end == len(met):
            break
    return best


def meaning_score(likeness: float, mean: float, deviation: float) -> float:
    """`likeness` is the cosine of passage and question; mean and standard deviation are those of
    the whole base to this question: they differ from model to model, and with what is asked."""
    deviations = (likeness - mean) / max(deviation, 1e-6)
    return 1 - math.exp(-max(deviations - MEANING_FROM, 0.0) / MEANING_SCALE)


def chosen(candidates: Sequence[Candidate], limit: int) -> list[Candidate]:
    """The best ones first, without those that repeat a better one."""
    kept: list[tuple[Candidate, frozenset[str]]] = []
    for candidate in sorted(candidates, key=_order):
        if len(kept) == limit:
            break
        terms = frozenset(candidate.terms.split())
        if candidate.score >= LEAST_SCORE and not any(_same(terms, other) for _, other in kept):
            kept.append((candidate, terms))
    return [candidate for candidate, _ in kept]


def within(found: Sequence[Found], tokens: int, count: Counter | None = None) -> list[Found]:
    """The best of them, in order, that fit into so many tokens of a language model's context."""
    count = count or Estimate()
    kept: list[Found] = []
    for each in found:
        tokens -= count(each.passage.heading) + count(each.passage.text) + FOUND_TOKENS
        if tokens < 0:
            break
        kept.append(each)
    return kept


def _order(candidate: Candidate) -> tuple[float, str, int]:
    """Equal ones as they stand in the course, so that an answer does not change by itself."""
    return -candidate.worth, candidate.document, candidate.passage.number


def _same(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) >= SAME_SHARE * len(one | other)
