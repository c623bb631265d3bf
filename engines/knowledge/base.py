"""What stands in the documents of a course, what of it is found, and the two verbs' Protocols."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
"""float32, shape [n, d]: a row of unit length for each text."""


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a document; they come in reading order."""

    text: str
    page: int | None = None
    """From 1; the slide of a presentation. None where there are no pages."""
    headings: tuple[str, ...] = ()
    """Under which it stands, outermost first."""
    kind: Literal["text", "table", "formula"] = "text"


@dataclass(frozen=True, slots=True)
class Extracted:
    """All that was read of a document."""

    blocks: tuple[Block, ...]
    pages: int
    """0: it has none."""
    notes: tuple[str, ...] = ()
    """Sentences for who added it: hidden text that was left out, pages without text …"""


@dataclass(frozen=True, slots=True)
class Passage:
    """What is found and quoted: some 200 words."""

    text: str
    page: int | None
    """Where it begins."""
    heading: str
    """For example `Water › Boiling`; empty: none."""
    number: int
    """From 0, its place in the document."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a base, as it is listed."""

    id: str
    """A UUID4 in hexadecimal digits."""
    name: str
    """Of its file as it was uploaded, in NFC."""
    sha256: str
    bytes: int
    pages: int
    passages: int
    notes: tuple[str, ...]
    added_s: float
    """Unix time at which it was sent. Of two of one name the one sent last stays."""


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that may answer a question."""

    kb_id: str
    document: str
    """Its name."""
    passage: Passage
    score: float
    """0 to 1, comparable between the questions of one base."""


class Embedder(Protocol):
    """Texts to directions: what means the same points the same way."""

    async def embed(self, texts: Sequence[str]) -> Vectors: ...


class Search(Protocol):
    """The passages of a base that fit a question best, the best first."""

    async def search(self, kb_id: str, question: str, limit: int = 3) -> list[Found]: ...
