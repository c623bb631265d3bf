"""Where the documents of the bases are kept: a folder, or object storage. Blocking.

    bases/<folder of the base>/versions/00000012.json.gz    which documents there are
                              /documents/<uuid>.npz         one document with all its passages

A document is written first, under a name nobody knows; then the next version of the base, which
names it, is put where none is yet. Of two writers at once one finds it taken, reads the new version
and puts the next one: nothing is lost, without any lock, on a disk as on S3, Google Cloud Storage
or Azure. A writer that is killed leaves at most a document that no version names; it is swept away
later. Nothing is ever changed in place: readers see the version they have read, whole, or the next.
"""

import contextlib
import gzip
import hashlib
import json
import logging
import os
import re
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from engines.errors import EngineError, EngineUnavailable, UnknownKnowledge
from engines.knowledge.base import Document

logger = logging.getLogger(__name__)

KEPT_VERSIONS = 20
"""A writer that has read an older one finds the next one taken, as long as it is kept."""

SWEEP_EVERY = 32
"""Versions between two sweeps: each lists all that is there."""

ORPHAN_AGE = timedelta(hours=1)
"""No writer takes so long between a document and the version that names it."""

ATTEMPTS = 100
"""Writers that may come first, each with a version of its own."""

REMOTE_RETRIES, REMOTE_RETRY_LIMIT = 2, timedelta(seconds=5)
"""A learner waits; obstore's own ten within three minutes would hold up every thread there is."""

FORMAT = 1

_VERSION_NAME = re.compile(r"\d{8}\.json\.gz")


@dataclass(frozen=True, slots=True)
class Shelved:
    """A document of a version, and where it is."""

    document: Document
    blob: str
    """Name of the file that holds its passages; another one each time it is put."""
    embedder: str = ""
    """Whose vectors the passages have; empty: they have none."""


@dataclass(frozen=True, slots=True)
class Version:
    """A base at one moment."""

    kb_id: str
    number: int
    shelved: tuple[Shelved, ...] = ()
    removed: bool = False

    def named(self, name: str) -> Shelved | None:
        return next((each for each in self.shelved if each.document.name == name), None)


NOTHING_YET = 0
"""Number of the version before the first."""

Change = Callable[[Version], Version]


class Shelf:
    """All bases of one place. Safe to use from several threads and processes."""

    def __init__(self, uri: str) -> None:
        """A folder, or a URL such as `s3://bucket/path`; keys come from the usual variables of the
        environment (AWS_…, GOOGLE_…, AZURE_…)."""
        self.uri = uri
        self.is_folder = "://" not in uri or uri.startswith("file://")
        self._folder = Path(uri.removeprefix("file://")) if self.is_folder else None
        self._keeps_places = self.is_folder
        """Known to refuse what is put where something is already."""
        with self._translated():
            self._store: ObjectStore = (
                LocalStore(self._folder, mkdir=True) if self._folder else _remote(uri)
            )

    def bases(self) -> list[str]:
        """Ids of all that exist, in order; one that cannot be read hides no other."""
        with self._translated():
            folders = obstore.list_with_delimiter(self._store, "bases")["common_prefixes"]
        newest = (self._listed(folder) for folder in folders)
        return sorted(version.kb_id for version in newest if version and not version.removed)

    def _listed(self, folder: str) -> Version | None:
        try:
            return self._newest(folder)
        except EngineUnavailable:  # of the whole place
            raise
        except EngineError as foreign:
            logger.error("%s", foreign.sentence)
            return None

    def version(self, kb_id: str) -> Version:
        """The newest. Raises `UnknownKnowledge`."""
        found = self._newest(_folder(kb_id))
        if found is None or found.removed:
            raise UnknownKnowledge(
                f"There is no knowledge base {kb_id!r}. Create it, or name one that exists."
            )
        return found

    def newer(self, version: Version) -> bool:
        """Whether there is a newer one; quicker than reading it."""
        return bool(self._numbers(_folder(version.kb_id), after=version.number))

    def create(self, kb_id: str) -> Version:
        """Does nothing when it exists."""
        newest = self._newest(_folder(kb_id))
        if newest is not None and not newest.removed:
            return newest
        return self._change(kb_id, lambda old: replace(old, kb_id=kb_id, removed=False))

    def change(self, kb_id: str, change: Change) -> Version:
        """Put the next version. `change` is called again when another writer came first, and may
        raise. Raises `UnknownKnowledge`."""

        def checked(old: Version) -> Version:
            if old.removed or old.number == NOTHING_YET:
                self.version(kb_id)
            return change(old)

        return self._change(kb_id, checked)

    def remove(self, kb_id: str) -> None:
        """A base with all that it holds. Raises `UnknownKnowledge`."""
        # What is written from here on may be of a base that is made anew.
        before = datetime.now(UTC)
        self.change(kb_id, lambda old: replace(old, shelved=(), removed=True))
        self._sweep(_folder(kb_id), before, kept_versions=1)

    def put_blob(self, kb_id: str, blob: str, data: bytes) -> None:
        self._put(_blob_path(kb_id, blob), data, taken=False)

    def blob(self, kb_id: str, blob: str) -> bytes:
        """Raises `FileNotFoundError` when it has been replaced meanwhile."""
        with self._translated():
            return bytes(obstore.get(self._store, _blob_path(kb_id, blob)).bytes())

    def held(self, version: Version, shelved: Shelved) -> bytes:
        """A document of this version. Raises `FileNotFoundError` when it has been replaced
        meanwhile, `EngineError` when it has been lost."""
        try:
            return self.blob(version.kb_id, shelved.blob)
        except FileNotFoundError as gone:
            if self.newer(version):
                raise
            name = shelved.document.name
            raise EngineError(f"What was kept of {name!r} is lost. Add the file again.") from gone

    def discard(self, kb_id: str, blob: str) -> None:
        """A document that no version names."""
        self._delete([_blob_path(kb_id, blob)])

    def _change(self, kb_id: str, change: Change) -> Version:
        folder = _folder(kb_id)
        self._demand_places()
        for attempt in range(ATTEMPTS):
            old = self._newest(folder) or Version(kb_id, NOTHING_YET)
            new = replace(change(old), number=old.number + 1)
            if self._commit(folder, new):
                with contextlib.suppress(EngineUnavailable):  # it is there; a later sweep tidies up
                    self._tidy(folder, old, new)
                return new
            time.sleep(min(0.001 * attempt, 0.05))  # let the others come through
        raise EngineError(f"Too much is written to {kb_id!r} at once. Try again in a moment.")

    def _demand_places(self) -> None:
        """Some object storage takes no notice of the condition: of two writers at once one would be
        lost without a word. Asked before the first write. Raises `EngineUnavailable`."""
        if self._keeps_places:
            return
        probe = f"probes/{uuid.uuid4().hex}"
        self._put(probe, b"", taken=True)
        try:
            self._put(probe, b"", taken=True)
        except AlreadyExistsError:
            self._keeps_places = True
        finally:
            self._delete([probe])
        if not self._keeps_places:
            raise EngineUnavailable(
                f"The object storage at {self.uri} overwrites what it is asked to keep: it does not"
                " know conditional writes (If-None-Match). Use one that does, or a folder."
            )

    def _commit(self, folder: str, version: Version) -> bool:
        """False: another writer came first."""
        path = _version_path(folder, version.number)
        try:
            self._put(path, _written(version), taken=True)
        except AlreadyExistsError:
            return False
        # Whoever was held up so long that its place had been cleared comes too late as well.
        last = max(self._numbers(folder, after=version.number), default=version.number)
        return last < version.number + KEPT_VERSIONS

    def _newest(self, folder: str) -> Version | None:
        for _ in range(ATTEMPTS):
            numbers = sorted(self._numbers(folder), reverse=True)
            if not numbers:
                return None
            with contextlib.suppress(FileNotFoundError):  # cleared meanwhile, as there are newer
                readable = (self._read(folder, number) for number in numbers)
                read = next((version for version in readable if version), None)
                return replace(read or Version("", 0, removed=True), number=numbers[0])
        raise EngineError(f"Too much is written to {self.uri} at once. Try again in a moment.")

    def _read(self, folder: str, number: int) -> Version | None:
        """None: it was cut off as the power failed, before anybody was told that it is there.
        Raises `EngineError` for one of a newer engine: what is written over it would be lost."""
        with self._translated():
            data = obstore.get(self._store, _version_path(folder, number)).bytes()
        try:
            told = json.loads(gzip.decompress(bytes(data)))
            if told["format"] <= FORMAT:
                return _version(told, number)
        except (ValueError, TypeError, LookupError, EOFError, OSError, zlib.error):
            return None
        raise EngineError(
            f"The knowledge base in {self.uri}/{folder} was written by a newer engine. Update this"
            " one."
        )

    def _numbers(self, folder: str, after: int = NOTHING_YET) -> list[int]:
        offset = _version_path(folder, after) if after else None
        with self._translated():
            listed = obstore.list(self._store, f"{folder}/versions", offset=offset)
            names = [Path(meta["path"]).name for chunk in listed for meta in chunk]
        return [int(name[:8]) for name in names if _VERSION_NAME.fullmatch(name)]

    def _put(self, path: str, data: bytes, *, taken: bool) -> None:
        with self._translated():
            obstore.put(self._store, path, data, mode="create" if taken else "overwrite")
        if self._folder:
            for written in (self._folder / path, (self._folder / path).parent):
                _flush(written)

    def _tidy(self, folder: str, old: Version, new: Version) -> None:
        """What no reader will begin to read any more. One that has begun finds it gone, and reads
        the newest version."""
        kept = {each.blob for each in new.shelved}
        gone = [f"{folder}/documents/{s.blob}.npz" for s in old.shelved if s.blob not in kept]
        if new.number > KEPT_VERSIONS:
            gone.append(_version_path(folder, new.number - KEPT_VERSIONS))
        self._delete(gone)
        if new.number % SWEEP_EVERY == 0:
            self._sweep(folder, datetime.now(UTC) - ORPHAN_AGE)

    def _sweep(self, folder: str, before: datetime, kept_versions: int = KEPT_VERSIONS) -> None:
        """What killed writers have left."""
        newest = self._newest(folder)
        if newest is None:
            return
        kept = {f"{folder}/documents/{each.blob}.npz" for each in newest.shelved}
        kept |= {_version_path(folder, newest.number - back) for back in range(kept_versions)}
        with self._translated():
            listed = [meta for chunk in obstore.list(self._store, folder) for meta in chunk]
        old = [meta["path"] for meta in listed if meta["last_modified"] < before]
        self._delete([path for path in old if path not in kept])
        if self._folder:
            _sweep_unfinished(self._folder / folder, before)

    def _delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            with self._translated(), contextlib.suppress(FileNotFoundError):
                obstore.delete(self._store, path)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """What the store raises, as errors a person can act on."""
        try:
            yield
        except (AlreadyExistsError, FileNotFoundError):
            raise
        except (BaseError, OSError, ValueError) as failed:
            why = str(failed).split("\n", 1)[0]
            raise EngineUnavailable(
                f"The knowledge at {self.uri} cannot be reached: {why}. Check KNOWLEDGE_URI, and "
                "that the engine may write there."
            ) from failed


def _remote(uri: str) -> ObjectStore:
    # Client options would take the place of all that the environment says of them.
    return from_url(
        uri,
        retry_config={"max_retries": REMOTE_RETRIES, "retry_timeout": REMOTE_RETRY_LIMIT},
    )


def _folder(kb_id: str) -> str:
    """Ids may hold slashes, dots and any script: a hash never leaves the place it is put at, and
    what is readable of the id stands before it."""
    readable = re.sub(r"[^a-z0-9]+", "-", kb_id.lower()).strip("-")[:40]
    digest = hashlib.sha256(kb_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"bases/{readable or 'base'}-{digest}"


def _version_path(folder: str, number: int) -> str:
    return f"{folder}/versions/{number:08d}.json.gz"


def _blob_path(kb_id: str, blob: str) -> str:
    return f"{_folder(kb_id)}/documents/{blob}.npz"


def _written(version: Version) -> bytes:
    told = {
        "format": FORMAT,
        "kb_id": version.kb_id,
        "removed": version.removed,
        "documents": [asdict(shelved) for shelved in version.shelved],
    }
    return gzip.compress(json.dumps(told).encode(), compresslevel=1, mtime=0)


def _version(told: dict[str, Any], number: int) -> Version:
    shelved = tuple(
        Shelved(_document(each["document"]), each["blob"], each["embedder"])
        for each in told["documents"]
    )
    return Version(told["kb_id"], number, shelved, told["removed"])


def _document(told: dict[str, Any]) -> Document:
    return Document(**{**told, "notes": tuple(told["notes"])})


def _flush(path: Path) -> None:
    """Onto the disk, so that it is there after the power failed. May be gone already."""
    with contextlib.suppress(FileNotFoundError):
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def _sweep_unfinished(folder: Path, before: datetime) -> None:
    """Files that were being written, which the store names with a `#` and does not list."""
    for path in folder.glob("*/*#*"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < before.timestamp():
                path.unlink()
