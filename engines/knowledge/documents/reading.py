"""The child that reads one document and ends: `python -m engines.knowledge.documents.reading`.

stdin: {"file", "name", "limits", "parent"} ──► limits of the system ──► kind ──► reader ──► Draft
stdout: {"blocks": [[text, page, headings, kind] …], "pages", "notes"} or {"error", "sentence"}
"""

import ctypes
import json
import os
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from engines.errors import DocumentTooLarge, UnusableDocument
from engines.knowledge.base import Extracted
from engines.knowledge.documents.draft import Draft
from engines.knowledge.documents.kinds import Kind, kind_of
from engines.knowledge.documents.limits import LIMIT_BYTES, LIMIT_TEXT_BYTES, ChildLimits

Answer = dict[str, Any]

_UNREADABLE = (
    "The document cannot be read: it is damaged, or made in a way that is not understood. Please"
    " open it, save it again, as PDF if nothing else helps, and send it once more."
)
_TOO_MUCH_TEXT = "There is too much in the document: please divide it into several files."
_TOO_MUCH_MEMORY = (
    "Reading the document takes more than {memory:.1f} GB of memory. Please divide it into several"
    " files, or send it without its pictures."
)


def read(file: Path, name: str) -> Extracted:
    """Raises `UnusableDocument`; anything else that is raised is a reader's mistake or a bomb."""
    size = file.stat().st_size
    if size > LIMIT_BYTES:
        raise DocumentTooLarge(
            f"The file has {size / 1e6:.0f} MB, up to {LIMIT_BYTES / 1e6:.0f} MB are read; please"
            " divide it into several files or make its pictures smaller."
        )
    kind = kind_of(file, name)
    if kind not in ("pdf", "docx", "pptx") and size > LIMIT_TEXT_BYTES:
        raise DocumentTooLarge(
            f"The file has {size / 1e6:.0f} MB of text, up to {LIMIT_TEXT_BYTES / 1e6:.0f} MB are"
            " read; please divide it into several files."
        )
    found = _read(kind, file)
    if not found.blocks:
        raise UnusableDocument(
            "There is no text in the document. " + " ".join(found.notes or ("Is it empty?",))
        )
    return found


def _read(kind: Kind, file: Path) -> Extracted:
    """Only the reader that is needed is imported."""
    draft = Draft()
    match kind:
        case "pdf":
            from engines.knowledge.documents import pdf

            return pdf.read(file, draft)
        case "docx":
            from engines.knowledge.documents import docx

            return docx.read(file, draft)
        case "pptx":
            from engines.knowledge.documents import pptx

            return pptx.read(file, draft)
    _read_text(kind, file.read_bytes(), draft)
    return draft.finish()


def _read_text(kind: Kind, data: bytes, draft: Draft) -> None:
    match kind:
        case "markdown":
            from engines.knowledge.documents import markdown

            markdown.read(data, draft)
        case "html":
            from engines.knowledge.documents import html

            html.read(data, draft)
        case "csv":
            from engines.knowledge.documents import csv

            csv.read(data, draft)
        case _:
            from engines.knowledge.documents import text

            text.read(data, draft)


def _answer(file: Path, name: str, limits: ChildLimits) -> bytes:
    try:
        return _written(_told(read(file, name)))
    except UnusableDocument as error:
        return _written({"error": error.code, "sentence": error.sentence})
    except MemoryError:
        sentence = _TOO_MUCH_MEMORY.format(memory=limits.memory / 1e9)
        return _written({"error": DocumentTooLarge.code, "sentence": sentence})
    except Exception:
        # Whatever a parser raises over a stranger's bytes, it is the document that is at fault.
        traceback.print_exc()
        return _written({"error": UnusableDocument.code, "sentence": _UNREADABLE})


def _within(answer: bytes, limits: ChildLimits) -> bytes:
    """More could not be written: each of very many lines repeats the headings it stands under."""
    if len(answer) <= limits.answer:
        return answer
    return _written({"error": DocumentTooLarge.code, "sentence": _TOO_MUCH_TEXT})


def _told(found: Extracted) -> Answer:
    blocks = [(block.text, block.page, block.headings, block.kind) for block in found.blocks]
    return {"blocks": blocks, "pages": found.pages, "notes": found.notes}


def _written(answer: Answer) -> bytes:
    return json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")


PR_SET_PDEATHSIG = 1
"""Of `prctl(2)`."""


def _end_with(parent: int) -> None:
    """Else this process would read on for minutes after the one that asked for it was killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before
        os._exit(1)


def _confine(limits: ChildLimits) -> None:
    """From here on this process can neither grow nor work beyond these."""
    for what, most in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_FSIZE, limits.answer),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def _serve() -> None:
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a C library prints must not land in the answer
    wish = json.load(sys.stdin)
    _end_with(wish["parent"])
    limits = ChildLimits(**wish["limits"])
    _confine(limits)
    with answer:
        answer.write(_within(_answer(Path(wish["file"]), wish["name"], limits), limits))


if __name__ == "__main__":
    _serve()
