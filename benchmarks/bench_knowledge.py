"""100,000 passages: how fast they are taken in, searched, and what memory that takes.

    made-up documents ──► writer process ──► reader process ──► figures
                    └───► control process: every passage is looked at for each question

Words follow Zipf's law, half of the documents are Chinese and half English. The control is NumPy:
BM25 over all tokens of all passages, and the dot product with all vectors.
"""

import math
import multiprocessing
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import psutil

from benchmarks.measure import percentile, report
from engines.knowledge.base import Document, Passage, Vectors
from engines.knowledge.index import Embedded, KnowledgeIndex
from engines.knowledge.terms import passage_terms, question_words

PASSAGES = 100_000
PER_DOCUMENT = 100
SAMPLE_PASSAGES = 300
"""As many as a short course has, such as the one that comes with the engine."""

WORDS = 40_000
"""Of each language."""

PASSAGE_WORDS = 90
DIMENSIONS = 384
PER_TOPIC = 20
"""Passages of one topic have vectors near one another, as those of a course do."""

QUESTIONS = 200
QUESTION_WORDS = 5
LIMIT = 3
WARM_UP = 5

MEBIBYTE = 1 << 20
MEMORY_GOAL = f"<= control with {PASSAGES} passages"

Tokens = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    vector: Vectors
    """Shape [d]."""


@dataclass(frozen=True, slots=True)
class Figures:
    build_s: float
    """Until all passages can be searched."""
    memory_mib: float
    words_ms: list[float]
    both_ms: list[float]
    nearest: list[set[int]]
    """For each question the numbers of the passages whose vectors are nearest."""


class Corpus:
    """The same in each process that makes it."""

    def __init__(self, passages: int) -> None:
        self.passages = passages
        dice = np.random.default_rng(7)
        self._words = (_english(dice), _chinese(dice))
        topics = dice.standard_normal((passages // PER_TOPIC, DIMENSIONS))
        self._topics: Vectors = topics.astype(np.float32)

    def documents(self) -> Iterator[tuple[Document, list[Passage], Vectors]]:
        for number in range(self.passages // PER_DOCUMENT):
            dice = np.random.default_rng((1, number))
            chinese = number % 2
            texts = [self._text(dice, chinese, PASSAGE_WORDS) for _ in range(PER_DOCUMENT)]
            told = [Passage(text, i + 1, f"Part {i // 10}", i) for i, text in enumerate(texts)]
            name = f"{number:06d}.md"
            document = Document(
                uuid.uuid4().hex, name, name, 1, PER_DOCUMENT, PER_DOCUMENT, (), 0.0
            )
            yield document, told, self._vectors(dice, PER_DOCUMENT)

    def questions(self) -> list[Question]:
        dice = np.random.default_rng(2)
        return [
            Question(self._text(dice, i % 2, QUESTION_WORDS), self._vectors(dice, 1)[0])
            for i in range(QUESTIONS)
        ]

    def _text(self, dice: np.random.Generator, chinese: int, count: int) -> str:
        words = self._words[chinese]
        taken = [words[i] for i in (dice.zipf(1.2, count * 2) - 1) if i < WORDS][:count]
        return ("" if chinese else " ").join(taken)

    def _vectors(self, dice: np.random.Generator, count: int) -> Vectors:
        noise = dice.standard_normal((count, DIMENSIONS)).astype(np.float32)
        made = self._topics[dice.integers(0, len(self._topics), count)] + noise
        unit: Vectors = made / np.linalg.norm(made, axis=1, keepdims=True)
        return unit


def _english(dice: np.random.Generator) -> list[str]:
    syllables = [a + b for a in "bcdfglmnprstv" for b in ("a", "e", "i", "o", "u", "an", "er")]
    return ["".join(dice.choice(syllables, 1 + i % 3)) + "nt" for i in range(WORDS)]


def _chinese(dice: np.random.Generator) -> list[str]:
    """Of one to three of the 2,500 characters from the beginning of the block."""
    return [
        "".join(chr(0x4E00 + code) for code in dice.integers(0, 2500, 1 + i % 3))
        for i in range(WORDS)
    ]


def write(uri: str, kb_id: str, passages: int) -> float:
    """Seconds that taking in the documents took, without making them up."""
    index, spent_s = KnowledgeIndex(uri), 0.0
    index.create(kb_id)
    for document, told, vectors in Corpus(passages).documents():
        begin_s = time.perf_counter()
        index.put(kb_id, document, told, Embedded("made-up", vectors))
        spent_s += time.perf_counter() - begin_s
    return spent_s


def read(uri: str, kb_id: str, passages: int) -> Figures:
    questions, index, before = Corpus(passages).questions(), KnowledgeIndex(uri), _memory_mib()
    question_words("水")  # loads the dictionary

    def search(question: Question, vector: Vectors | None) -> list[int]:
        embedded = None if vector is None else Embedded("made-up", vector)
        found = index.find(kb_id, question_words(question.text), embedded, LIMIT)
        return [int(f.document[:6]) * PER_DOCUMENT + f.passage.number for f in found]

    begin_s = time.perf_counter()
    index.prepare(kb_id)
    build_s = time.perf_counter() - begin_s
    words_ms = _timed(questions, lambda question: search(question, None))
    both_ms = _timed(questions, lambda question: search(question, question.vector))
    nearest = [
        {int(f.document[:6]) * PER_DOCUMENT + f.passage.number for f in found}
        for found in (
            index.find(kb_id, (), Embedded("made-up", question.vector), LIMIT)
            for question in questions
        )
    ]
    return Figures(build_s, _memory_mib() - before, words_ms, both_ms, nearest)


class BruteForce:
    """Looks at everything for each question."""

    def __init__(self, corpus: Corpus) -> None:
        self._numbers: dict[str, int] = {}
        self._texts: list[Passage] = []
        tokens: list[Tokens] = []
        vectors: list[Vectors] = []
        self.spent_s = 0.0
        for _, told, given in corpus.documents():
            begin_s = time.perf_counter()
            tokens.extend(self._numbered(passage) for passage in told)
            self.spent_s += time.perf_counter() - begin_s
            vectors.append(given)
            self._texts.extend(told)
        lengths = np.array([len(each) for each in tokens], np.int32)
        self._passage_of = np.repeat(np.arange(len(tokens), dtype=np.int32), lengths)
        self._tokens = np.concatenate(tokens)
        self._norm = (1.2 * (0.25 + 0.75 * lengths / lengths.mean())).astype(np.float32)
        self._vectors = np.concatenate(vectors)

    def words(self, question: Question) -> list[int]:
        """Numbers of the best passages by BM25, the best first."""
        return _best(self._bm25(question))

    def both(self, question: Question) -> list[int]:
        return [*_best(self._bm25(question)), *self.nearest(question)]

    def nearest(self, question: Question) -> list[int]:
        return _best(self._vectors @ question.vector)

    def _bm25(self, question: Question) -> Vectors:
        scores = np.zeros(len(self._norm), np.float32)
        for term in {term for word in question_words(question.text) for term in word}:
            held = self._passage_of[self._tokens == self._numbers.get(term, -1)]
            often = np.bincount(held, minlength=len(scores)).astype(np.float32)
            holders = np.count_nonzero(often)
            rare = math.log1p((len(scores) - holders + 0.5) / (holders + 0.5))
            scores += rare * often * 2.2 / (often + self._norm)
        return scores

    def _numbered(self, passage: Passage) -> Tokens:
        terms = passage_terms(f"{passage.heading}\n{passage.text}")
        return np.array(
            [self._numbers.setdefault(term, len(self._numbers)) for term in terms], np.int32
        )


def control(passages: int) -> Figures:
    corpus = Corpus(passages)
    questions, before = corpus.questions(), _memory_mib()
    question_words("水")
    brute = BruteForce(corpus)
    words_ms = _timed(questions, brute.words)
    both_ms = _timed(questions, brute.both)
    nearest = [set(brute.nearest(question)) for question in questions]
    return Figures(brute.spent_s, _memory_mib() - before, words_ms, both_ms, nearest)


def _best(scores: Vectors) -> list[int]:
    best = np.argpartition(-scores, LIMIT)[:LIMIT]
    return [int(each) for each in best[np.argsort(-scores[best])]]


def _timed(questions: Sequence[Question], search: Callable[[Question], list[int]]) -> list[float]:
    """Milliseconds for each."""
    for question in questions[:WARM_UP]:
        search(question)
    taken = []
    for question in questions:
        begin_s = time.perf_counter()
        search(question)
        taken.append((time.perf_counter() - begin_s) * 1000)
    return taken


def _memory_mib() -> float:
    return float(psutil.Process().memory_info().rss) / MEBIBYTE


def compare(uri: str, passages: int) -> None:
    kb_id = f"made up {passages}"
    # Each in a process of its own, so that its memory is its own.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        written_s = pool.submit(write, uri, kb_id, passages).result()
        ours = pool.submit(read, uri, kb_id, passages).result()
        brute = pool.submit(control, passages).result()
    name = f"knowledge_{passages}"
    report(
        f"{name}_ingest",
        passages / written_s,
        "passages/s",
        control=passages / brute.build_s,
        goal="the control only cuts terms",
    )
    report(f"{name}_open", ours.build_s, "s", control=written_s, goal="once for each process")
    for kind, mine, theirs in (
        ("words", ours.words_ms, brute.words_ms),
        ("words_vectors", ours.both_ms, brute.both_ms),
    ):
        for percent in (50, 95):
            report(
                f"{name}_{kind}_p{percent}",
                percentile(mine, percent),
                "ms",
                control=percentile(theirs, percent),
                goal="<= 5" if passages == SAMPLE_PASSAGES else "below the control",
            )
    report(f"{name}_memory", ours.memory_mib, "MiB", control=brute.memory_mib, goal=MEMORY_GOAL)
    pairs = zip(ours.nearest, brute.nearest, strict=True)
    shares = [len(mine & theirs) / len(theirs) for mine, theirs in pairs]
    report(f"{name}_vector_recall", sum(shares) / len(shares), "share", control=1.0, goal=">= 0.95")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for passages in (SAMPLE_PASSAGES, PASSAGES):
            compare(folder, passages)


if __name__ == "__main__":
    main()
