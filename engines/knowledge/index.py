"""All knowledge bases of one place: what they hold, and what of it fits a question. Blocking.

    put, drop ──► Shelf: documents and versions, in a folder or object storage   (index_shelf.py)
    find ──► OpenBase: one base in memory, follows the shelf's versions          (index_open.py)
                 ├ full text: tantivy ─► candidates ┐
                 └ vectors (index_vectors.py) ──────┴► scored and fused          (fusion.py)

Why these and not LanceDB 0.40, measured on two cores: it finds the candidates of a question in
4.7 ms (p95) in a base of 300 passages and 8.6 ms in one of 100,000, tantivy in 0.1 and 2.7 ms; it
adds 350 MB, and 0.9 s to each start, tantivy and obstore 33 MB; and it does not tell how many
passages have a word, without which scores cannot be compared between questions.
"""

import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engines.errors import UnknownKnowledge, UnusableDocument
from engines.knowledge.base import Document, Found, Passage, Vectors
from engines.knowledge.index_blob import Contents, contents, packed, unpacked
from engines.knowledge.index_open import OpenBase, Question
from engines.knowledge.index_shelf import Shelf, Shelved, Version
from engines.knowledge.terms import Word, question_words

OPEN_PASSAGES = 300_000
"""Of all bases that are held open: some 1 GB without vectors. Those that were searched longest ago
are closed; opening one again takes 30 µs for each passage."""

OPEN_BASES = 300
"""Likewise, however little is in them: each takes 0.8 MB, and 15 ms to be opened."""

REMOTE_FRESH_S = 2.0
"""Object storage is asked for newer versions no more often than this, as asking takes some 30 ms; a
folder is asked at each search, in 0.2 ms."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors, and whose they are."""

    embedder: str
    vectors: Vectors

    @property
    def space(self) -> str:
        """Only vectors of one space may be compared."""
        return f"{self.embedder} [{self.vectors.shape[-1]}]"


class KnowledgeIndex:
    """Safe to use from several threads and processes at once. Raises `EngineError`."""

    def __init__(self, uri: str) -> None:
        """A folder, or a URL of object storage (`s3://bucket/path`)."""
        self._shelf = Shelf(uri)
        self._opening = threading.Lock()
        self._open: OrderedDict[str, _Opened] = OrderedDict()

    def create(self, kb_id: str) -> None:
        """Does nothing when it exists."""
        self._shelf.create(kb_id)

    def bases(self) -> list[str]:
        return self._shelf.bases()

    def remove(self, kb_id: str) -> None:
        """A base with all its documents. Raises `UnknownKnowledge`."""
        self._shelf.remove(kb_id)
        with self._opening:
            self._open.pop(kb_id, None)

    def documents(self, kb_id: str) -> list[Document]:
        """By name. Raises `UnknownKnowledge`."""
        shelved = self._shelf.version(kb_id).shelved
        return sorted((each.document for each in shelved), key=lambda document: document.name)

    def put(
        self,
        kb_id: str,
        document: Document,
        passages: Sequence[Passage],
        embedded: Embedded | None = None,
    ) -> None:
        """Replaces a document of this name as a whole, unless that was sent later. Raises
        `UnknownKnowledge`, and `UnusableDocument` when the same file is there under another
        name."""
        _refuse_duplicate(self._shelf.version(kb_id), document)
        vectors = None if embedded is None else embedded.vectors.astype(np.float16)
        shelved = Shelved(document, uuid.uuid4().hex, embedded.space if embedded else "")
        self._shelf.put_blob(kb_id, shelved.blob, packed(contents(passages, vectors)))
        try:
            self._shelf.change(kb_id, lambda old: _with(old, shelved))
        except _SentLater:  # and was read by another process meanwhile
            self._shelf.discard(kb_id, shelved.blob)
        except (UnknownKnowledge, UnusableDocument):  # removed meanwhile: nothing of it may stay
            self._shelf.discard(kb_id, shelved.blob)
            raise

    def drop(self, kb_id: str, name: str) -> None:
        """Raises `UnknownKnowledge`."""
        self._shelf.change(kb_id, lambda old: _without(old, name))

    def passages(self, kb_id: str, name: str) -> tuple[Passage, ...]:
        """All of a document. Raises `UnknownKnowledge`, and `EngineError` when it is damaged."""
        return self._contents(kb_id, name).passages

    def has_vectors(self, kb_id: str, embedder: str) -> bool:
        """Whether any document has vectors of this model. Raises `UnknownKnowledge`."""
        return any(_embedder(space) == embedder for space in self._opened(kb_id).spaces)

    def unembedded(self, kb_id: str, embedder: str) -> list[Document]:
        """Documents without vectors of this model, by name. Raises `UnknownKnowledge`."""
        shelved = self._shelf.version(kb_id).shelved
        lacking = [each.document for each in shelved if _embedder(each.embedder) != embedder]
        return sorted(lacking, key=lambda document: document.name)

    def embed(self, kb_id: str, document: Document, embedded: Embedded) -> None:
        """Give a document that is there other vectors; one that was replaced meanwhile keeps its
        own. Raises `UnknownKnowledge`."""
        told = self._contents(kb_id, document.name)
        shelved = Shelved(document, uuid.uuid4().hex, embedded.space)
        vectors = embedded.vectors.astype(np.float16)
        self._shelf.put_blob(kb_id, shelved.blob, packed(replace(told, vectors=vectors)))

        def change(old: Version) -> Version:
            now = old.named(document.name)
            return _with(old, shelved) if now and now.document == document else old

        self._shelf.change(kb_id, change)

    def find(
        self, kb_id: str, words: Sequence[Word], vector: Embedded | None, limit: int
    ) -> list[Found]:
        """The passages that fit best, the best first; `words` as `terms.question_words` gives them,
        `vector` of shape [d]. Raises `UnknownKnowledge`."""
        if vector is None:
            question = Question(tuple(words))
        else:
            question = Question(tuple(words), vector.vectors, vector.space)
        return self._opened(kb_id).find(question, limit)

    def prepare(self, kb_id: str) -> None:
        """Open a base and load the dictionaries, so that no question need wait for them. Raises
        `UnknownKnowledge`."""
        self._opened(kb_id)
        question_words("水 water")

    def _opened(self, kb_id: str) -> OpenBase:
        with self._opening:
            opened = self._open.get(kb_id) or _Opened(OpenBase(self._shelf, kb_id))
            self._open[kb_id] = opened
            self._open.move_to_end(kb_id)
        try:
            opened.follow(0.0 if self._shelf.is_folder else REMOTE_FRESH_S)
        except UnknownKnowledge:
            with self._opening:
                self._open.pop(kb_id, None)
            raise
        self._close_oldest()
        return opened.base

    def _close_oldest(self) -> None:
        with self._opening:
            held = sum(opened.base.passages for opened in self._open.values())
            while len(self._open) > 1 and (held > OPEN_PASSAGES or len(self._open) > OPEN_BASES):
                held -= self._open.popitem(last=False)[1].base.passages

    def _contents(self, kb_id: str, name: str) -> Contents:
        while True:
            version = self._shelf.version(kb_id)
            shelved = version.named(name)
            if shelved is None:
                raise _no_document(kb_id, name)
            try:
                return unpacked(self._shelf.held(version, shelved), name)
            except FileNotFoundError:
                continue  # replaced meanwhile


def _embedder(space: str) -> str:
    return space.rpartition(" [")[0]


@dataclass(slots=True)
class _Opened:
    base: OpenBase
    looked_s: float = float("-inf")

    def follow(self, fresh_s: float) -> None:
        now_s = time.monotonic()
        if now_s - self.looked_s >= fresh_s:
            self.base.refresh()
            self.looked_s = now_s


class _SentLater(Exception):
    """There is one of this name that was sent later."""


def _with(old: Version, shelved: Shelved) -> Version:
    _refuse_duplicate(old, shelved.document)
    there = old.named(shelved.document.name)
    if there is not None and there.document.added_s > shelved.document.added_s:
        raise _SentLater
    others = [each for each in old.shelved if each.document.name != shelved.document.name]
    return replace(old, shelved=(*others, shelved))


def _without(old: Version, name: str) -> Version:
    others = tuple(each for each in old.shelved if each.document.name != name)
    if len(others) == len(old.shelved):
        raise _no_document(old.kb_id, name)
    return replace(old, shelved=others)


def _refuse_duplicate(version: Version, document: Document) -> None:
    for each in version.shelved:
        if each.document.sha256 == document.sha256 and each.document.name != document.name:
            raise UnusableDocument(
                f"The same file is already there as {each.document.name!r}. Remove that one first, "
                f"if it is to be called {document.name!r}."
            )


def _no_document(kb_id: str, name: str) -> UnknownKnowledge:
    return UnknownKnowledge(
        f"There is no document {name!r} in the knowledge base {kb_id!r}. Name one that is listed."
    )
