"""Bases and their documents, as they are listed."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Base:
    """A knowledge base, as it is listed."""

    kb_id: str
    documents: int
    """Those that are found."""
    passages: int
    embedder: str | None
    """Whose vectors are searched beside the words; None: full text alone."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A document of a base, or one on its way into it."""

    id: str
    name: str
    state: Literal["waiting", "reading", "indexing", "ready", "failed"]
    progress: float
    """0 to 1."""
    reason: str = ""
    """Why it failed, or has to wait, and what to do."""
    notes: tuple[str, ...] = ()
    pages: int = 0
    passages: int = 0
    """Those that are found now: of the version before, while another one is on its way."""
    bytes: int = 0
    sha256: str = ""
    added_s: float | None = None
    """Unix time; None: no version of it is there yet."""
