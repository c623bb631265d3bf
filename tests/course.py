"""The sample course as passages, and the plainest search over them: enough to ask the offline tutor
with, and no measure of the real one."""

import math
from functools import cache
from pathlib import Path

from engines.knowledge.base import Found, Passage
from engines.knowledge.documents.extract import extract
from engines.knowledge.passages import passages
from engines.knowledge.terms import passage_terms, question_words

FOLDER = Path(__file__).parent.parent / "configs" / "courses" / "weather"


@cache
def documents() -> dict[str, tuple[Passage, ...]]:
    """The passages of each document of the sample course, read as an upload is; each section is
    short enough to be one."""
    return {
        path.name: tuple(passages(extract(path, path.name))) for path in sorted(FOLDER.glob("*.md"))
    }


@cache
def course() -> tuple[Found, ...]:
    """Every section of the sample course, with a score of nought."""
    return tuple(
        Found("weather", name, passage, 0.0)
        for name, passages in documents().items()
        for passage in passages
    )


def chapters() -> tuple[str, ...]:
    return tuple(found.passage.heading.split(" › ")[-1] for found in course())


def search(question: str, limit: int = 3) -> list[Found]:
    """The sections that have most of the question's words, weighed by how rare each is."""
    sections = [(found, _terms(found.passage)) for found in course()]
    words = question_words(question)
    weights = {
        word: math.log(1 + len(sections) / (1 + sum(set(word) <= has for _, has in sections)))
        for word in words
    }
    total = sum(weights.values()) or 1
    scored = [
        (sum(weights[w] * len(set(w) & has) / len(set(w)) for w in words) / total, found)
        for found, has in sections
    ]
    best = sorted(scored, key=lambda pair: -pair[0])[:limit]
    return [Found(f.kb_id, f.document, f.passage, min(score, 1.0)) for score, f in best if score]


@cache
def _terms(passage: Passage) -> frozenset[str]:
    return frozenset(passage_terms(f"{passage.heading}\n{passage.text}"))
