"""Questions of benchmarks/questions.yaml to the sample course, with full text alone: is the right
passage among the first three, is what lies outside refused, and does the offline tutor quote the
right one? The control counts shared words (tests/course.py). With `-v` each question is told.

Nothing may be tuned with the questions that are `held_out`; they are printed apart.
"""

import asyncio
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import yaml

from benchmarks.measure import percentile, report
from engines.knowledge.base import Document, Found
from engines.knowledge.index import KnowledgeIndex
from engines.knowledge.library import Library
from engines.language import language_of
from engines.llm.course.answering import Answer, answer
from engines.llm.course.phrases import innermost
from tests import course

QUESTIONS = Path(__file__).parent / "questions.yaml"
LIMIT = 3
KB = "weather"

Search = Callable[[str], Awaitable[Sequence[Found]]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of the set."""

    question: str
    language: str
    """Of the question's place in the set: `en`, `zh`."""
    sections: frozenset[str]
    """Headings that answer it; empty: it lies outside the course."""
    held_out: bool


@dataclass(frozen=True, slots=True)
class Result:
    asked: Asked
    found: Sequence[Found]
    answer: Answer
    took_s: float

    @property
    def right(self) -> bool:
        """Whether a passage that answers is among those found."""
        return any(innermost(f.passage) in self.asked.sections for f in self.found)

    @property
    def quoted_right(self) -> bool:
        quoted = self.answer.quoted
        return quoted is not None and innermost(quoted.passage) in self.asked.sections


def questions() -> list[Asked]:
    told = yaml.safe_load(QUESTIONS.read_text("utf-8"))
    return [
        Asked(
            row["question"],
            language,
            frozenset(row.get("sections", ())),
            row.get("held_out", False),
        )
        for part in ("inside", "outside")
        for language, rows in told[part].items()
        for row in rows
    ]


async def results(search: Search, asked: Sequence[Asked]) -> list[Result]:
    done = []
    for each in asked:
        began = time.perf_counter()
        found = await search(each.question)
        took_s = time.perf_counter() - began
        language = language_of(each.question)
        told = answer(each.question, found, language, None, course.chapters())
        done.append(Result(each, found, told, took_s))
    return done


def percent(some: Sequence[bool]) -> float:
    return 100 * sum(some) / len(some)


def figures(some: Sequence[Result]) -> dict[str, float]:
    inside = [r for r in some if r.asked.sections]
    outside = [r for r in some if not r.asked.sections]
    return {
        "right_in_three": percent([r.right for r in inside]),
        "outside_refused": percent([r.answer.quoted is None for r in outside]),
        "inside_refused": percent([r.answer.quoted is None for r in inside]),
        "right_quoted": percent([r.quoted_right for r in inside]),
    }


GOALS = {
    "right_in_three": "≥ 90",
    "outside_refused": "≥ 80",
    "inside_refused": "as low as it is",
    "right_quoted": "as high as it is",
}


def group(result: Result) -> tuple[str, bool]:
    return result.asked.language, result.asked.held_out


def tell(ours: Sequence[Result], control: Sequence[Result]) -> None:
    plain = {key: figures(list(some)) for key, some in groupby(sorted(control, key=group), group)}
    for key, some in groupby(sorted(ours, key=group), group):
        place = f"{key[0]}_held_out" if key[1] else key[0]
        for name, value in figures(list(some)).items():
            report(f"course_{name}_{place}", value, "%", control=plain[key][name], goal=GOALS[name])


def tell_each(ours: Sequence[Result]) -> None:
    """What was tuned with, one by one."""
    for result in ours:
        if not result.asked.held_out:
            inside = bool(result.asked.sections)
            good = result.quoted_right if inside else result.answer.quoted is None
            scores = ", ".join(f"{innermost(f.passage)} {f.score:.2f}" for f in result.found)
            print(f"{'+' if good else '-'} {result.asked.question}  [{scores}]")
            print(f"    {result.answer.text}")


async def library(folder: Path) -> Library:
    """The sample course, without an embedding model."""
    made = Library(KnowledgeIndex(str(folder)))
    await made.create(KB)
    for name, passages in course.documents().items():
        size = sum(len(passage.text.encode()) for passage in passages)
        document = Document(
            uuid.uuid4().hex, name, name, size, 0, len(passages), (), added_s=time.time()
        )
        await made.put(KB, document, passages)
    await made.prepare(KB)
    return made


async def shared_words(question: str) -> Sequence[Found]:
    return course.search(question, LIMIT)


async def measured() -> None:
    asked = questions()
    with tempfile.TemporaryDirectory() as folder:
        ours = await library(Path(folder))

        async def search(question: str) -> Sequence[Found]:
            return await ours.search(KB, question, LIMIT)

        await results(search, asked[:1])  # loads the dictionaries
        told, control = await results(search, asked), await results(shared_words, asked)
        await ours.close()
    if "-v" in sys.argv:
        tell_each(told)
    tell(told, control)
    took_ms, plain_ms = ([r.took_s * 1000 for r in some] for some in (told, control))
    report(
        "course_search_p95",
        percentile(took_ms, 95),
        "ms",
        control=percentile(plain_ms, 95),
        goal="≤ 20",
    )


def main() -> None:
    asyncio.run(measured())


if __name__ == "__main__":
    main()
