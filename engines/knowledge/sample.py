"""The sample course, put into a base of its own at the first start, as if it had been sent.

Once: a base leaves its versions behind even when it is removed, on a disk as in object storage. So
who has removed it is rid of it, and who has changed it keeps the change. Between the base and its
documents a process may end: until all are on their way a file in the folder of uploads names the
base, and the next start goes on. Two processes at once do the same twice, which changes nothing.
"""

import logging
import shutil
from pathlib import Path
from unicodedata import normalize

from engines.errors import EngineError
from engines.knowledge.index_shelf import NOTHING_YET, Shelf, Version
from engines.knowledge.spool import Spool

logger = logging.getLogger(__name__)

_BEGUN = "sample"
"""Neither hidden nor with a hyphen, so the spool takes it for no job of its own."""


def put_sample(course: Path, uri: str, uploads: Path) -> None:
    """Have the files of the folder `course` read into the base of its name, unless there is or was
    one of that name. `uri` and `uploads`: as of `Shelf` and `Spool`. What goes wrong is logged, and
    tried again at the next start. Blocks for milliseconds, with object storage for longer."""
    try:
        _put(course, uri, uploads)
    except (EngineError, OSError) as error:
        logger.warning("The sample course in %s could not be put into a base: %s", course, error)


def _put(course: Path, uri: str, uploads: Path) -> None:
    files = _files(course)
    if not files:
        logger.warning(
            "There is no sample course in %s: see `sample` in configs/serve.yaml.", course
        )
        return
    shelf, kb_id, begun = Shelf(uri), course.name, uploads / _BEGUN
    if _was_there(shelf, kb_id) and not _goes_on(shelf, kb_id, begun):
        return
    uploads.mkdir(parents=True, exist_ok=True)
    begun.write_text(kb_id, "utf-8")
    shelf.create(kb_id)
    there = shelf.version(kb_id)
    for name, file in files.items():
        if there.named(name) is None:
            _send(Spool(uploads), kb_id, name, file)
    begun.unlink(missing_ok=True)


def _files(course: Path) -> dict[str, Path]:
    """What the documents are called → their files; empty when there is no such folder."""
    found = (file for file in sorted(course.rglob("[!.]*")) if file.is_file())
    return {normalize("NFC", file.relative_to(course).as_posix()): file for file in found}


def _was_there(shelf: Shelf, kb_id: str) -> bool:
    """Also when it has been removed."""
    return shelf.newer(Version(kb_id, NOTHING_YET))


def _goes_on(shelf: Shelf, kb_id: str, begun: Path) -> bool:
    """Whether it is the sample course, and not all of it is on its way."""
    try:
        return begun.read_text("utf-8") == kb_id and kb_id in shelf.bases()
    except FileNotFoundError:
        return False


def _send(spool: Spool, kb_id: str, name: str, file: Path) -> None:
    upload = spool.place()
    try:
        shutil.copyfile(file, upload)
        spool.order(upload, kb_id, name)
    except BaseException:
        spool.discard(upload)
        raise
