"""Cuts what stands in a document into passages: what is found, quoted and given to the model. Pure.

A passage stays under its headings and, but for a few words, on its page, and it ends where a
sentence does. It begins with the last sentence of the one before, so that what two sentences say
together is found together.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from engines.knowledge.base import Block, Extracted, Passage
from engines.knowledge.sentences import sentences
from engines.language import HAN

LONGEST_WORDS = 200.0
"""Enough for a definition and its example, and three of them fit into every model's context."""

CHARACTERS_A_WORD = 2
"""Of Chinese and Japanese: 400 of them are as much as 200 words."""

LETTERS_A_WORD = 12
"""Of scripts without spaces, and of what is no words: a longer one counts as several."""

LEAST_WORDS = 20.0
"""With fewer at the end of a page the passage goes on over it."""

LONGEST_OVERLAP_WORDS = 60.0
"""A longer sentence is not said twice."""

BETWEEN_HEADINGS = " › "

_CJK = re.compile(f"[{HAN}\u3040-\u30ff\uac00-\ud7af]")
_WORD = re.compile(f"[^\\s{HAN}\u3040-\u30ff\uac00-\ud7af]+")
_CLAUSE = re.compile(r"(?<=[,;:，、；：])\s*|\s+")


def passages(extracted: Extracted) -> list[Passage]:
    """All of the document's text, in its order."""
    found: list[Passage] = []
    for headings, blocks in groupby(extracted.blocks, key=lambda block: block.headings):
        for part in _parts(_pieces(blocks)):
            heading = BETWEEN_HEADINGS.join(headings)
            found.append(Passage(_text(part), part[0].page, heading, len(found)))
    return found


def words_in(text: str) -> float:
    """How long a text is; Chinese characters count half a word."""
    words = sum(max(1.0, len(word) / LETTERS_A_WORD) for word in _WORD.findall(text))
    return words + len(_CJK.findall(text)) / CHARACTERS_A_WORD


@dataclass(frozen=True, slots=True)
class _Piece:
    """A sentence, a row of a table or a formula: what is not cut if it can be helped."""

    text: str
    """With the space or the line end behind it."""
    page: int | None
    words: float
    prose: bool


@dataclass(slots=True)
class _Part:
    """A passage that grows."""

    pieces: list[_Piece] = field(default_factory=list)
    words: float = 0.0
    """Without what is said twice."""
    overlap: float = 0.0

    def add(self, piece: _Piece) -> None:
        self.pieces.append(piece)
        self.words += piece.words

    def takes(self, piece: _Piece) -> bool:
        if not self.words:
            return True
        if piece.page != self.pieces[-1].page and self.words >= LEAST_WORDS:
            return False
        return self.words + self.overlap + piece.words <= LONGEST_WORDS


def _parts(pieces: Iterator[_Piece]) -> Iterator[Sequence[_Piece]]:
    part = _Part()
    for piece in pieces:
        if not part.takes(piece):
            yield part.pieces
            part = _after(part, piece)
        part.add(piece)
    if part.words:
        yield part.pieces


def _after(part: _Part, piece: _Piece) -> _Part:
    """The next passage, with the last sentence of this one if it belongs to the next."""
    last = part.pieces[-1]
    said_twice = last.prose and piece.prose and last.page == piece.page
    if said_twice and last.words <= min(LONGEST_OVERLAP_WORDS, LONGEST_WORDS - piece.words):
        return _Part([last], overlap=last.words)
    return _Part()


def _pieces(blocks: Iterator[Block]) -> Iterator[_Piece]:
    for block in blocks:
        texts = [text for text in _cut(block) if text.strip()]
        for index, text in enumerate(texts):
            # Blocks are apart; within one, the text has its own spaces.
            ended = text if index < len(texts) - 1 else text.rstrip("\n") + "\n"
            yield _Piece(ended, block.page, words_in(text), block.kind == "text")


def _cut(block: Block) -> Iterator[str]:
    whole = [block.text] if block.kind == "formula" else None
    rows = block.text.splitlines(keepends=True) if block.kind == "table" else None
    for text in whole or rows or sentences(block.text):
        if words_in(text) <= LONGEST_WORDS:
            yield text
        else:
            yield from _shorter(text)


def _shorter(text: str) -> Iterator[str]:
    """A sentence that is too long, cut at its clauses, else between words, else anywhere."""
    begin, end, words = 0, 0, 0.0
    for clause in _clauses(text):
        more = words_in(clause)
        if words and words + more > LONGEST_WORDS:
            yield text[begin:end]
            begin, words = end, 0.0
        end += len(clause)
        words += more
    yield text[begin:]


def _clauses(text: str) -> Iterator[str]:
    """Small parts that make up the text; none is longer than a passage."""
    longest = int(LONGEST_WORDS * CHARACTERS_A_WORD)
    begin = 0
    for found in _CLAUSE.finditer(text):
        if found.end() > begin:
            yield from _slices(text[begin : found.end()], longest)
            begin = found.end()
    yield from _slices(text[begin:], longest)


def _slices(text: str, longest: int) -> Iterator[str]:
    for begin in range(0, len(text), longest):
        yield text[begin : begin + longest]


def _text(pieces: Sequence[_Piece]) -> str:
    return "".join(piece.text for piece in pieces).strip()
