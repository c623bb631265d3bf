"""One base as a process has it open for searching: full text in tantivy, vectors beside. Blocking.

Both are held in memory and follow the shelf's versions: only documents that are new or gone are
read or dropped. What is kept, and shared between processes, is the shelf alone.
"""

import contextlib
import json
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from difflib import get_close_matches

import tantivy

from engines.errors import EngineError, EngineUnavailable
from engines.knowledge.base import Found, Passage, Vectors
from engines.knowledge.fusion import (
    Asked,
    Candidate,
    chosen,
    fit,
    meaning_score,
    rareness,
    weighed,
)
from engines.knowledge.index_blob import unpacked
from engines.knowledge.index_shelf import NOTHING_YET, Shelf, Shelved, Version
from engines.knowledge.index_vectors import Halves, VectorTable
from engines.knowledge.terms import Word, passage_terms

logger = logging.getLogger(__name__)

CANDIDATES = 20
"""Of the words and of the vectors, each: the best three are among them. Looking at one takes some
50 µs."""

LARGE_PASSAGES = 5_000
WRITER_BYTES, LARGE_WRITER_BYTES = 15_000_000, 60_000_000
"""What a writer holds before it begins another segment. 15 MB is the least; with so little a large
base would be cut into many segments, each of which is searched."""

READ_ATTEMPTS = 20
"""Versions that may be replaced while they are read."""

SIMILAR = 0.8
"""Share of letters in order from which a word that nobody has counts as mistyped: one of five may
be wrong."""

SIMILAR_SURELY = 0.7
"""What such a word is worth."""

LEAST_TYPED = 4
"""Letters: shorter words are too easily another."""

SIMILAR_PREFIX = 2
"""Letters of a word that are right, mostly; else every word of the base would be compared."""

LEAST_ROOT = 5
"""Letters of a word of the base with which a mistyped one begins."""

CHARACTER_SURELY = 0.6
"""What one of two characters is worth, at most."""

MAX_SIMILAR = 5_000
"""Words of the base that are compared with one that nobody has. So many take some 30 ms."""

MAX_MISTYPED = 5
"""Words of a question that are compared so; one that is all unknown words is about something else,
and must not hold up the others."""


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("terms", stored=True, tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("blob", tokenizer_name="raw", index_option="basic")
    builder.add_integer_field("row", stored=True, indexed=True)
    builder.add_bytes_field("passage", stored=True, indexed=False)
    return builder.build()


_SCHEMA = _schema()


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched for."""

    words: tuple[Word, ...]
    vector: Vectors | None = None
    """Shape [d], of unit length."""
    embedder: str = ""
    """Whose vector it is: those of another one are not compared with it."""


@dataclass(frozen=True, slots=True)
class _View:
    """What a search sees; it goes on with it while the next version is read."""

    version: Version
    searcher: tantivy.Searcher
    tables: Mapping[str, VectorTable] = field(default_factory=dict)
    """For each embedder."""
    rows: Mapping[Shelved, range] = field(default_factory=dict)
    """Of each document's passages."""


@dataclass(frozen=True, slots=True)
class _Hit:
    """A passage as it lies in the index."""

    row: int
    document: str
    passage: Passage
    terms: str
    """Of its heading and its text, with spaces between."""
    often: float
    """Value of BM25; 0 where only the vectors found it."""


class OpenBase:
    """Safe to use from several threads."""

    def __init__(self, shelf: Shelf, kb_id: str) -> None:
        self._shelf = shelf
        self._kb_id = kb_id
        self._index = tantivy.Index(_SCHEMA)
        self._refreshing = threading.Lock()
        self._next_row = 0
        self._view = _View(Version(kb_id, NOTHING_YET), self._index.searcher())

    @property
    def passages(self) -> int:
        return sum(len(rows) for rows in self._view.rows.values())

    @property
    def spaces(self) -> frozenset[str]:
        """Of the vectors there are."""
        return frozenset(self._view.tables)

    def refresh(self) -> None:
        """Follow the newest version. Raises `UnknownKnowledge`, `EngineError`."""
        if self._is_newest():
            return
        with self._refreshing:
            for _ in range(READ_ATTEMPTS):
                with contextlib.suppress(FileNotFoundError):  # replaced while it was read
                    if not self._is_newest():
                        self._follow(self._shelf.version(self._kb_id))
                    return
        raise EngineError(f"Too much is written to {self._kb_id!r} at once. Ask again in a moment.")

    def find(self, question: Question, limit: int) -> list[Found]:
        """The passages that fit best, the best first."""
        view = self._view
        asked = weighed(
            question.words,
            lambda term: view.searcher.doc_freq("terms", term),
            view.searcher.num_docs,
            _Mistyped(view.searcher),
        )
        hits = {hit.row: hit for hit in _having(view.searcher, asked)}
        meanings: dict[int, float] = {}
        table = view.tables.get(question.embedder)
        if table is not None and question.vector is not None:
            meanings = _meanings(table, question.vector, list(hits))
            others = [row for row in meanings if row not in hits]
            hits |= {hit.row: hit for hit in _at(view.searcher, others)}
        most = max((hit.often for hit in hits.values()), default=0.0) or 1.0
        candidates = [
            Candidate(
                hit.document,
                hit.passage,
                hit.terms,
                fit(
                    asked, " ".join(passage_terms(hit.passage.heading)), hit.terms, hit.often / most
                ),
                meanings.get(hit.row, 0.0),
            )
            for hit in hits.values()
        ]
        return [
            Found(self._kb_id, each.document, each.passage, each.score)
            for each in chosen(candidates, limit)
        ]

    def _is_newest(self) -> bool:
        read = self._view.version
        return read.number != NOTHING_YET and not self._shelf.newer(read)

    def _follow(self, version: Version) -> None:
        """Raises `FileNotFoundError` when a document of it has been replaced meanwhile; nothing of
        what was read is then kept."""
        held, newest = self._view.rows, frozenset(version.shelved)
        gone = [each for each in held if each not in newest]
        added = self._write(version, gone)
        rows = {each: held[each] for each in held if each in newest}
        rows |= {each: new.rows for each, new in added.items()}
        tables = _changed(self._view, gone, added)
        self._index.reload()
        self._view = _View(version, self._index.searcher(), tables, rows)

    def _write(self, version: Version, gone: Sequence[Shelved]) -> dict[Shelved, "_New"]:
        """One document after another, as all texts of a large base at once take much memory."""
        added = [each for each in version.shelved if each not in self._view.rows]
        if not gone and not added:
            return {}
        passages = sum(shelved.document.passages for shelved in added)
        large = passages > LARGE_PASSAGES
        writer = self._index.writer(LARGE_WRITER_BYTES if large else WRITER_BYTES, num_threads=1)
        try:
            for shelved in gone:
                writer.delete_documents_by_term("blob", shelved.blob)
            new = {shelved: self._add(writer, version, shelved) for shelved in added}
            writer.commit()
        finally:
            writer.wait_merging_threads()  # lets go of the index, and of what was not committed
        return new

    def _add(self, writer: tantivy.IndexWriter, version: Version, shelved: Shelved) -> "_New":
        name = shelved.document.name
        try:
            told = unpacked(self._shelf.held(version, shelved), name)
        except EngineUnavailable:  # not the document, but where they all are
            raise
        except EngineError as damaged:  # or lost; the others can still be searched
            logger.error("In the knowledge base %r: %s", self._kb_id, damaged.sentence)
            return _New(range(0), None)
        rows = range(self._next_row, self._next_row + len(told.passages))
        self._next_row = rows.stop
        for row, passage, terms in zip(rows, told.passages, told.terms, strict=True):
            kept = json.dumps([name, *astuple(passage)]).encode()
            writer.add_document(
                tantivy.Document(blob=shelved.blob, row=row, terms=terms, passage=kept)
            )
        return _New(rows, told.vectors)


@dataclass(frozen=True, slots=True)
class _New:
    """What was read of a document."""

    rows: range
    vectors: Halves | None


def _changed(
    view: _View, gone: Sequence[Shelved], added: Mapping[Shelved, _New]
) -> dict[str, VectorTable]:
    """The tables of the next version; one that nothing is changed in stays the same."""
    tables = dict(view.tables)
    for embedder in {each.embedder for each in (*gone, *added)} - {""}:
        dropped = [view.rows[each] for each in gone if each.embedder == embedder]
        new = [
            (each.rows, each.vectors)
            for shelved, each in added.items()
            if shelved.embedder == embedder and each.vectors is not None
        ]
        tables[embedder] = tables.get(embedder, VectorTable()).changed(dropped, new)
    return {embedder: table for embedder, table in tables.items() if len(table.rows)}


def _having(searcher: tantivy.Searcher, asked: Asked) -> list[_Hit]:
    """The passages with the most of these terms, by BM25."""
    wanted = [
        (
            tantivy.Occur.Should,
            tantivy.Query.boost_query(tantivy.Query.term_query(_SCHEMA, "terms", term), surely),
        )
        for term, (_, surely) in asked.terms.items()
    ]
    if not wanted:
        return []
    return _hits(searcher, tantivy.Query.boolean_query(wanted), CANDIDATES)


def _at(searcher: tantivy.Searcher, rows: Sequence[int]) -> list[_Hit]:
    if not rows:
        return []
    found = _hits(searcher, tantivy.Query.term_set_query(_SCHEMA, "row", list(rows)), len(rows))
    return [replace(hit, often=0.0) for hit in found]


def _hits(searcher: tantivy.Searcher, query: tantivy.Query, limit: int) -> list[_Hit]:
    found = searcher.search(query, limit=limit, count=False).hits
    return [_hit(searcher.doc(address), value) for value, address in found]


def _hit(document: tantivy.Document, often: float) -> _Hit:
    name, *passage = json.loads(bytes(document["passage"][0]))
    return _Hit(document["row"][0], name, Passage(*passage), document["terms"][0], often)


def _meanings(table: VectorTable, vector: Vectors, rows: Sequence[int]) -> dict[int, float]:
    """Score of the likeness of the nearest rows, and of these."""
    near = table.near(vector, CANDIDATES)
    alike = dict(zip(near.rows.tolist(), near.likeness.tolist(), strict=True))
    alike = table.likeness(rows, vector) | alike
    return {row: meaning_score(each, near.mean, near.deviation) for row, each in alike.items()}


class _Mistyped:
    """What of the base may stand for the terms of one question that it does not have, and how
    surely."""

    def __init__(self, searcher: tantivy.Searcher) -> None:
        self._searcher = searcher
        self._left = MAX_MISTYPED

    def __call__(self, term: str) -> dict[str, float]:
        if self._searcher.doc_freq("terms", term):
            return {}
        if len(term) == 2 and not term.isascii():
            return _characters(self._searcher, term)
        if len(term) < LEAST_TYPED or not term.isascii() or not term.isalpha() or not self._left:
            return {}
        self._left -= 1
        known = self._searcher.terms_with_prefix("terms", term[:SIMILAR_PREFIX], limit=MAX_SIMILAR)
        return dict.fromkeys(_near_spellings(term, [word for word, *_ in known]), SIMILAR_SURELY)


def _near_spellings(term: str, words: Sequence[str]) -> list[str]:
    """Mistyped, or of the same root; the stem of a mistyped word may have kept its end."""
    roots = [word for word in words if len(word) >= LEAST_ROOT and term.startswith(word)]
    return roots + get_close_matches(term, words, n=3, cutoff=SIMILAR)


def _characters(searcher: tantivy.Searcher, pair: str) -> dict[str, float]:
    """Two Chinese words of one meaning often share the character that carries it, as 流汗 and 出汗;
    the rarer it is in the base, the surer."""
    passages = searcher.num_docs
    return {
        each: CHARACTER_SURELY * rareness(searcher.doc_freq("terms", each), passages)
        for each in pair
    }
