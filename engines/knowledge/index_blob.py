"""One document with all its passages and vectors, as it is kept. Pure."""

import io
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engines.errors import EngineError
from engines.knowledge.base import Passage
from engines.knowledge.index_vectors import Halves
from engines.knowledge.terms import TERMS_VERSION, passage_terms


@dataclass(frozen=True, slots=True)
class Contents:
    """Of one document."""

    passages: tuple[Passage, ...]
    terms: tuple[str, ...]
    """Of each passage with its heading, in order, with spaces between."""
    vectors: Halves | None = None
    """Shape [passages, d]."""


def contents(passages: Sequence[Passage], vectors: Halves | None) -> Contents:
    return Contents(tuple(passages), tuple(_terms(passage) for passage in passages), vectors)


def packed(told: Contents) -> bytes:
    rows = [
        [passage.text, passage.page, passage.heading, passage.number, terms]
        for passage, terms in zip(told.passages, told.terms, strict=True)
    ]
    text = json.dumps({"terms": TERMS_VERSION, "passages": rows}).encode()
    arrays = {"text": np.frombuffer(zlib.compress(text, 1), np.uint8)}
    if told.vectors is not None:
        arrays["vectors"] = told.vectors.astype(np.float16)
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]  # its stub takes the names for options
    return file.getvalue()


def unpacked(data: bytes, name: str) -> Contents:
    """Raises `EngineError` when the file is damaged; `name` is the document's."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            told = json.loads(zlib.decompress(arrays["text"].tobytes()))
            vectors = arrays.get("vectors")
        return _contents(told, vectors)
    except Exception as damaged:  # zip, zlib, numpy and JSON each have their own
        raise EngineError(f"What was kept of {name!r} is damaged. Add the file again.") from damaged


def _contents(told: dict[str, Any], vectors: Halves | None) -> Contents:
    passages = tuple(Passage(*row[:4]) for row in told["passages"])
    if vectors is not None and (vectors.ndim != 2 or len(vectors) != len(passages)):
        raise ValueError(vectors.shape)
    if told["terms"] != TERMS_VERSION:
        return contents(passages, vectors)
    return Contents(passages, tuple(row[4] for row in told["passages"]), vectors)


def _terms(passage: Passage) -> str:
    return " ".join(passage_terms(f"{passage.heading}\n{passage.text}"))
