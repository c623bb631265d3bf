"""The XML parts of an Office document, unpacked within limits. Pictures and everything else in it
are never unpacked.

The parts are read directly rather than with python-docx or python-pptx: these unpack the whole
archive before anything can be checked, and know neither hidden nor deleted text, footnotes or
formulas.
"""

import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lxml import etree

from engines.errors import DocumentTooLarge, UnusableDocument
from engines.knowledge.documents.limits import (
    LIMIT_MEMBER_BYTES,
    LIMIT_MEMBERS,
    LIMIT_RATIO,
    LIMIT_UNPACKED_BYTES,
)

Element = etree._Element
"""lxml gives its class no public name."""


PIECE_BYTES = 1 << 20

SMALL_BYTES = 10_000_000
"""Below this, what is unpacked may be any multiple of what is packed."""

_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/(main|math|relationships)\b")
"""The names of the standard's strict form, which Word can be told to write."""

_USUAL = rb"http://schemas.openxmlformats.org/\1/2006/\2"

RELATIONS = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"


def tag(element: Element) -> str:
    """Its name; empty for a comment or an instruction to a program."""
    return element.tag if isinstance(element.tag, str) else ""


def children(element: Element) -> Iterator[Element]:
    """Without comments."""
    return (child for child in element if isinstance(child.tag, str))


class Archive:
    """The parts of one document by their names."""

    def __init__(self, packed: zipfile.ZipFile) -> None:
        self._packed = packed
        self._left = LIMIT_UNPACKED_BYTES
        if len(packed.infolist()) > LIMIT_MEMBERS:
            raise _too_large()

    def xml(self, name: str) -> Element | None:
        """The part's root; None when there is no such part."""
        try:
            member = self._packed.getinfo(name)
        except KeyError:
            return None
        return _parsed(self._unpacked(member))

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """Of a part to others: identity → (the last word of its type, the other's name)."""
        folder, _, file = name.rpartition("/")
        root = self.xml(f"{folder}/_rels/{file}.rels")
        if root is None:
            return {}
        found = {}
        for relation in root.iter(RELATIONS):
            if relation.get("TargetMode") != "External":
                target = posixpath.normpath(
                    posixpath.join("/" + folder, relation.get("Target", ""))
                )
                kind = relation.get("Type", "").rpartition("/")[2]
                found[relation.get("Id", "")] = (kind, target.lstrip("/"))
        return found

    def related(self, name: str, kind: str) -> list[str]:
        """Names of the parts that this one refers to as its `kind`."""
        return [target for type_, target in self.relations(name).values() if type_ == kind]

    def _unpacked(self, member: zipfile.ZipInfo) -> bytes:
        if member.flag_bits & 1:
            raise UnusableDocument("The document has a password; please remove it first.")
        pieces, size = [], 0
        with self._packed.open(member) as stream:
            # What the archive says about sizes is only its word, so the bytes are counted.
            while piece := stream.read(PIECE_BYTES):
                pieces.append(piece)
                size += len(piece)
                self._left -= len(piece)
                _check(size, member.compress_size, self._left)
        return b"".join(pieces)


def _check(size: int, packed: int, left: int) -> None:
    bomb = size > SMALL_BYTES and size > LIMIT_RATIO * max(packed, 1)
    if bomb or size > LIMIT_MEMBER_BYTES or left < 0:
        raise _too_large()


def _too_large() -> DocumentTooLarge:
    return DocumentTooLarge(
        "What is packed into the document is far larger than a document's text; please send the"
        " text without what was embedded, or divided into several files."
    )


@contextmanager
def opened(file: Path) -> Iterator[Archive]:
    """Raises `UnusableDocument` for what cannot be unpacked or is no XML."""
    try:
        with zipfile.ZipFile(file) as packed:
            yield Archive(packed)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise UnusableDocument(_DAMAGED) from error


_DAMAGED = (
    "The document is damaged or was not downloaded completely. Please open it, save it again and"
    " send it once more."
)


def raise_for_memory(error: Exception) -> None:
    """libxml2 says of too little memory only that something is wrong, or not even that."""
    if isinstance(error, etree.XMLSyntaxError) and error.code in _OUT_OF_MEMORY:
        raise MemoryError from error


_OUT_OF_MEMORY = (
    0,
    etree.ErrorTypes.ERR_INTERNAL_ERROR,
    etree.ErrorTypes.ERR_NO_MEMORY,
)


def _parsed(xml: bytes) -> Element:
    """No entities, nothing fetched from anywhere, and at most libxml2's 256 elements within each
    other, so that what reads them may call itself."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False
    )
    try:
        root = etree.fromstring(_STRICT.sub(_USUAL, xml), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise_for_memory(error)
        raise UnusableDocument(_DAMAGED) from error
    if root.getroottree().docinfo.internalDTD is not None:
        # Office writes none; one is there to define entities that unfold without end.
        raise UnusableDocument(_DAMAGED)
    return root
