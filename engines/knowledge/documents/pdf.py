"""PDF documents: what is printed on the pages, in reading order.

letters ─► segments ─► tables with ruled lines ─► columns ─► rows, tables ─► paragraphs
           (pdf_letters, pdf_segments, pdf_tables, pdf_order, pdf_paragraphs)
"""

from dataclasses import dataclass, field
from pathlib import Path

import pypdfium2.raw as pdfium

from engines.errors import DocumentTooLarge, UnusableDocument
from engines.knowledge.base import Extracted
from engines.knowledge.documents.draft import Draft, Kind, on_pages
from engines.knowledge.documents.limits import LIMIT_PAGES
from engines.knowledge.documents.lines import joined
from engines.knowledge.documents.pdf_drawing import Handle
from engines.knowledge.documents.pdf_furniture import without_furniture
from engines.knowledge.documents.pdf_letters import Sheet, sheet_of
from engines.knowledge.documents.pdf_order import in_order
from engines.knowledge.documents.pdf_paragraphs import (
    Paragraph,
    body_size,
    goes_on_with,
    is_heading,
    levels,
    look_of,
    paragraphs,
    words_of,
)
from engines.knowledge.documents.pdf_segments import segments
from engines.knowledge.documents.pdf_tables import (
    Part,
    Table,
    lines_and_tables,
    with_grids,
)
from engines.knowledge.documents.tables import table_lines
from engines.knowledge.sentences import first_sentence

MOSTLY_STRANGE = 0.3
"""Share of a page's letters without a meaning, from which on it is told."""


@dataclass(slots=True)
class _Pages:
    """What is gathered page by page, before paragraphs can be made of it."""

    stretches: list[list[list[Part]]] = field(default_factory=list)
    heights: list[float] = field(default_factory=list)
    empty: list[int] = field(default_factory=list)
    scanned: list[int] = field(default_factory=list)
    strange: list[int] = field(default_factory=list)


def read(file: Path, draft: Draft) -> Extracted:
    document = _opened(file)
    try:
        pages = _gathered(document, draft)
    finally:
        pdfium.FPDF_CloseDocument(document)
    _write(pages, draft)
    _tell(pages, draft)
    return draft.finish(len(pages.heights))


def _opened(file: Path) -> Handle:
    """A document of PDFium; its pages are few enough."""
    document = pdfium.FPDF_LoadDocument(str(file).encode(), None)
    if not document:
        raise _unusable(pdfium.FPDF_GetLastError())
    count = pdfium.FPDF_GetPageCount(document)
    if count > LIMIT_PAGES:
        raise DocumentTooLarge(
            f"The document has {count} pages, of which {LIMIT_PAGES} are read; please divide it"
            " into several files."
        )
    return document


def _unusable(code: int) -> UnusableDocument:
    if code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY):
        return UnusableDocument(
            "The PDF opens with a password only. Please remove it, for example by printing the"
            " document into a new PDF, and send that."
        )
    return UnusableDocument(
        "The PDF is damaged or was not downloaded completely. Please open it, save it again and"
        " send it once more."
    )


def _gathered(document: Handle, draft: Draft) -> _Pages:
    pages = _Pages()
    for index in range(pdfium.FPDF_GetPageCount(document)):
        page = pdfium.FPDF_LoadPage(document, index)
        if not page:
            pages.stretches.append([])
            pages.heights.append(1.0)
            pages.empty.append(index + 1)
            continue
        try:
            sheet = sheet_of(page)
        finally:
            pdfium.FPDF_ClosePage(page)
        _add(pages, sheet, index + 1, draft)
    return pages


def _add(pages: _Pages, sheet: Sheet, number: int, draft: Draft) -> None:
    for why, characters in sheet.hidden.items():
        draft.hidden(why, "".join(characters), number)
    pages.stretches.append(_stretches(sheet))
    pages.heights.append(sheet.height)
    if not any(letter.character.strip() for letter in sheet.letters):
        pages.empty.append(number)
    if sheet.scanned:
        pages.scanned.append(number)
    if sheet.strange > MOSTLY_STRANGE * max(1, len(sheet.letters)):
        pages.strange.append(number)


def _stretches(sheet: Sheet) -> list[list[Part]]:
    level = [letter for letter in sheet.letters if letter.level]
    parts = with_grids(list(segments(level)), sheet.drawing.level, sheet.drawing.upright)
    found = [lines_and_tables(stretch) for stretch in in_order(parts)]
    # What runs in another direction, such as words along an axis, comes last and as it is written.
    turned = list(segments(letter for letter in sheet.letters if not letter.level))
    return [*found, list(turned)] if turned else found


def _write(pages: _Pages, draft: Draft) -> None:
    parts = [
        (number, part)
        for number, page in enumerate(without_furniture(pages.stretches, pages.heights), 1)
        for stretch in page
        for part in paragraphs(stretch)
    ]
    all_parts = [part for _, part in parts]
    body, words = body_size(all_parts), words_of(all_parts)
    headings = [p for p in all_parts if isinstance(p, Paragraph) and is_heading(p, body)]
    rank = levels(headings)
    before = _Before(draft)
    for number, part in parts:
        if isinstance(part, Table):
            before.add("\n".join(table_lines(part.rows)), number, "table")
        elif is_heading(part, body):
            before.flush()
            draft.heading(rank[look_of(part)], part.text(words), number)
        else:
            before.add(part.text(words), number, "text")
    before.flush()


class _Before:
    """Holds a paragraph back until it is known whether the next column or page goes on with it."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._text = ""
        self._page = 0
        self._kind: Kind = "text"

    def add(self, text: str, page: int, kind: Kind) -> None:
        goes_on = kind == self._kind == "text" and goes_on_with(self._text, text)
        if goes_on and page == self._page:
            self._text = joined((self._text, text))
            return
        if goes_on:
            # The end of the sentence goes to the page where it begins, the rest has its own page.
            end, text = first_sentence(text)
            self._text = joined((self._text, end))
        self.flush()
        self._text, self._page, self._kind = text, page, kind

    def flush(self) -> None:
        self._draft.add(self._text, self._page, self._kind)
        self._text = ""


def _tell(pages: _Pages, draft: Draft) -> None:
    if len(pages.empty) == len(pages.heights) and not draft.hides:
        raise UnusableDocument(
            "The PDF has pictures of pages and no text. Please have its text recognised (OCR), for"
            " example with OCRmyPDF, and send the result."
        )
    if pages.empty:
        draft.note(f"There is no text{on_pages(pages.empty)}; perhaps these are scanned pictures.")
    if pages.scanned:
        draft.note(
            f"The text{on_pages(pages.scanned)} was recognised in a scan; readers see only the"
            " picture, so check that both say the same."
        )
    if pages.strange:
        draft.note(
            f"Many letters{on_pages(pages.strange)} cannot be read, because the PDF does not say"
            " what they are."
        )
