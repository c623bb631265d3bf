"""What a file is, told by its content; its name decides only between kinds of plain text."""

import re
import zipfile
from pathlib import Path, PurePath
from typing import Literal

from engines.errors import UnusableDocument

Kind = Literal["pdf", "docx", "pptx", "markdown", "html", "csv", "text"]

ACCEPTED = "PDF, DOCX, PPTX, Markdown, HTML, TXT and CSV"

HEAD_BYTES = 4_096

_NAMED: dict[str, Kind] = {
    ".pdf": "pdf",
    ".docx": "docx",
    ".docm": "docx",
    ".pptx": "pptx",
    ".pptm": "pptx",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".csv": "csv",
    ".tsv": "csv",
}
_PARTS: dict[str, Kind] = {"word/document.xml": "docx", "ppt/presentation.xml": "pptx"}
_HTML = re.compile(
    # Possessive, as there are endlessly many ways to take rows of comments apart.
    rb"\s*(<\?xml[^>]*>\s*)?(?>(?>(?s:<!--.*?-->))\s*)*+<(!doctype\s+html|html|head|body)[\s>]",
    re.I | re.S,
)

_OTHERS = (
    (b"\xd0\xcf\x11\xe0", "an old Word or PowerPoint file, or one with a password"),
    (b"{\\rtf", "an RTF file"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"II*\x00", "a picture"),
    (b"MM\x00*", "a picture"),
    (b"\x1f\x8b", "a packed archive"),
    (b"7z\xbc\xaf", "a packed archive"),
    (b"Rar!", "a packed archive"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"SQLite format", "a database"),
)
_ZIPPED = (
    ("xl/workbook.xml", "an Excel file; save the sheet as CSV"),
    ("mimetype", "an OpenDocument file or an e-book; save it as DOCX, PPTX or PDF"),
    ("Index/Document.iwa", "a Pages or Keynote file; save it as DOCX, PPTX or PDF"),
)


def kind_of(file: Path, name: str) -> Kind:
    """Raises `UnusableDocument` for what is none of the kinds that are read."""
    with file.open("rb") as opened:
        head = opened.read(HEAD_BYTES)
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
        return _kind_of_zip(file)
    for start, what in _OTHERS:
        if head.startswith(start):
            raise UnusableDocument(
                f"The file is {what}; please save it as one of what can be read: {ACCEPTED}."
            )
    return _kind_of_text(head, name)


def _kind_of_text(head: bytes, name: str) -> Kind:
    named = _NAMED.get(PurePath(name).suffix.lower(), "text")
    if named in ("pdf", "docx", "pptx"):
        raise UnusableDocument(
            f"The file is called {named.upper()} and is none; perhaps it was not downloaded"
            " completely. Please open it, save it again and send it once more."
        )
    if named == "text" and _HTML.match(head):
        return "html"
    return named


def _kind_of_zip(file: Path) -> Kind:
    try:
        with zipfile.ZipFile(file) as archive:
            members = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise UnusableDocument(
            "The file is damaged or was not downloaded completely. Please open it, save it again"
            " and send it once more."
        ) from error
    for part, kind in _PARTS.items():
        if part in members:
            return kind
    for part, what in _ZIPPED:
        if part in members:
            raise UnusableDocument(f"The file is {what}, and send that.")
    raise UnusableDocument(
        f"The file is a packed archive; please unpack it and send the documents in it ({ACCEPTED})."
    )
