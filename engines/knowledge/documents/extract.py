"""The way in: a document's file to what stands in it, read by a child that cannot do harm."""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from engines.errors import DocumentTooLarge, EngineUnavailable, UnusableDocument
from engines.knowledge.base import Block, Extracted
from engines.knowledge.documents.limits import ChildLimits

_log = logging.getLogger(__name__)

READER = "engines.knowledge.documents.reading"

MOST_LOGGED = 2_000
"""Bytes of what the child says about its troubles."""

LOOK_INTERVAL_S = 0.5
"""A document that nobody wants any more is read so much longer."""

USUAL = ChildLimits()

Wanted = Callable[[], bool]
"""Whether anybody still waits for a document; asked every `LOOK_INTERVAL_S`, from a thread."""

KINDS = {"text", "table", "formula"}

_UNWANTED = "Reading was broken off, as nobody waits for the document. Add it again."
_TOOK_TOO_LONG = (
    "Reading the document takes too long. Please divide it into several files, or save it again as"
    " PDF from the program that made it."
)
_CRASHED = (
    "The document cannot be read: it is damaged, or asks for more than {memory:.1f} GB of memory."
    " Please save it again from the program that made it, or divide it into several files."
)


def extract(
    file: Path, name: str, wanted: Wanted = lambda: True, *, limits: ChildLimits = USUAL
) -> Extracted:
    """Read a document; `name` is that of the upload. Blocks until the child has ended, at the
    longest `limits.wall_s` seconds: call it in a thread that lives as long, as the child ends with
    it. Raises `UnusableDocument`, of which `DocumentTooLarge` is a kind, with a sentence for who
    sent it, and `EngineUnavailable`, also when it is not `wanted` any more."""
    with TemporaryFile() as output, TemporaryFile() as errors:
        status = _run(_child(output, errors), _wish(file, name, limits), wanted, limits.wall_s)
        if told := _end_of(errors):
            _log.warning("the reader of documents ended with %d: %s", status, told)
        if status != 0:
            raise _failure(status, limits)
        output.seek(0)
        return _understood(output.read())


def _wish(file: Path, name: str, limits: ChildLimits) -> bytes:
    wish = {
        "file": str(file.absolute()),
        "name": name,
        "limits": asdict(limits),
        "parent": os.getpid(),
    }
    return json.dumps(wish).encode()


def _child(output: IO[bytes], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        # Without -P a module in the working directory could take the place of one of Python's.
        [sys.executable, "-P", "-m", READER],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=errors,
        env=_environment(),
        process_group=0,  # Ctrl-C in a terminal is for the parent, which then ends this one
    )


def _run(child: subprocess.Popen[bytes], wish: bytes, wanted: Wanted, wall_s: float) -> int:
    """The child's exit status; the negative number of the signal that ended it. Raises
    `EngineUnavailable` when it is not wanted any more."""
    until_s = time.monotonic() + wall_s
    with child:
        try:
            _tell(child, wish)
            while time.monotonic() < until_s:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return child.wait(min(LOOK_INTERVAL_S, wall_s))
                if not wanted():
                    raise EngineUnavailable(_UNWANTED)
            return -signal.SIGXCPU
        finally:
            child.kill()


def _tell(child: subprocess.Popen[bytes], wish: bytes) -> None:
    """What it is to do; less than fits into a pipe."""
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError), child.stdin as stdin:  # it may have ended already
        stdin.write(wish)


def _environment() -> dict[str, str]:
    """The child finds this package wherever it was imported from, and no secret of this process."""
    root = str(Path(__file__).parents[3])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "PYTHONUTF8": "1", "OPENBLAS_NUM_THREADS": "1", "PATH": os.defpath}


def _failure(status: int, limits: ChildLimits) -> Exception:
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return DocumentTooLarge(_TOOK_TOO_LONG)
    if status > 0:
        return EngineUnavailable(
            "The reader of documents does not start; the log says why. Is everything installed?"
            " `make install` does it."
        )
    return UnusableDocument(_CRASHED.format(memory=limits.memory / 1e9))


def _end_of(errors: IO[bytes]) -> str:
    errors.seek(0, os.SEEK_END)
    errors.seek(max(0, errors.tell() - MOST_LOGGED))
    return errors.read().decode(errors="replace")


def _understood(answer: bytes) -> Extracted:
    """The child has read foreign bytes, so its answer is checked, too."""
    try:
        found: dict[str, Any] = json.loads(answer)
        if "error" in found:
            kinds = {kind.code: kind for kind in (UnusableDocument, DocumentTooLarge)}
            raise kinds[found["error"]](str(found["sentence"]))
        blocks = tuple(_block(block) for block in found["blocks"])
        return Extracted(blocks, int(found["pages"]), tuple(map(str, found["notes"])))
    except (ValueError, TypeError, KeyError) as error:
        raise UnusableDocument(_CRASHED.format(memory=USUAL.memory / 1e9)) from error


def _block(entry: Any) -> Block:
    text, page, headings, kind = entry
    if not isinstance(text, str) or not isinstance(page, int | None) or kind not in KINDS:
        raise ValueError(kind)
    return Block(text, page, tuple(map(str, headings)), kind)
