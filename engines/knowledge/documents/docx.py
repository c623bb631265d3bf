"""Word documents: what stands on the printed page, with headings, tables, formulas, footnotes and
text boxes. Deleted and hidden text is left out; headers, footers and comments are, too.

Pages are those that Word last saw, if it left its marks; other programs leave none.
"""

from collections.abc import Iterator
from pathlib import Path

from engines.errors import UnusableDocument
from engines.knowledge.base import Extracted
from engines.knowledge.documents.archive import Archive, Element, children, opened, tag
from engines.knowledge.documents.colours import from_hex
from engines.knowledge.documents.docx_styles import Ground, Styles, W, is_on, value
from engines.knowledge.documents.draft import Draft
from engines.knowledge.documents.formulas import M, latex
from engines.knowledge.documents.tables import table_lines

MAIN = "word/document.xml"

CHOICE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Choice"
ALTERNATIVES = "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent"

_GONE = frozenset(f"{W}{name}" for name in ("del", "moveFrom", "pPr", "rPr", "rt", "tcPr", "sdtPr"))
"""Changes that were tracked, and what is no text."""

_NOTES = {"footnoteReference": "footnotes", "endnoteReference": "endnotes"}

_SIGNS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}

_MOST_COLUMNS = 100


def read(file: Path, draft: Draft) -> Extracted:
    with opened(file) as archive:
        body = archive.xml(MAIN)
        if body is None:
            raise UnusableDocument("The document has no text in it; please save it again in Word.")
        reader = _Reader(archive, body, draft)
        reader.read()
    return draft.finish(reader.pages)


class _Reader:
    """Goes through a document once, in order."""

    def __init__(self, archive: Archive, document: Element, draft: Draft) -> None:
        self._document = document
        self._draft = draft
        styles = archive.related(MAIN, "styles")
        self._styles = Styles(archive.xml(styles[0]) if styles else None)
        self._notes = {kind: _notes(archive, kind) for kind in _NOTES.values()}
        self._paged = document.find(f".//{W}lastRenderedPageBreak") is not None
        self._page = 1
        self._begins = 0
        """The page of the first letter of the paragraph or table that is read; 0: none was yet."""
        self._beside: list[Element] = []
        """Text boxes and notes of the paragraph that is read; they come behind it."""

    @property
    def pages(self) -> int:
        return self._page if self._paged else 0

    def read(self) -> None:
        background = self._document.find(f"{W}background")
        code = None if background is None else background.get(f"{W}color")
        ground = Ground() if code in (None, "auto") else Ground(from_hex(code))
        body = self._document.find(f"{W}body")
        if body is not None:
            self._blocks(body, ground)

    def _blocks(self, parent: Element, ground: Ground) -> None:
        for element in children(parent):
            name = tag(element)
            if name == f"{W}p":
                self._paragraph(element, ground)
            elif name == f"{W}tbl":
                self._table(element, ground)
            elif name == ALTERNATIVES:
                self._blocks(_chosen(element), ground)
            elif name not in _GONE:
                self._blocks(element, ground)  # controls, changes, custom XML around blocks

    # Paragraphs

    def _paragraph(self, paragraph: Element, ground: Ground) -> None:
        properties = paragraph.find(f"{W}pPr")
        self._begins = 0
        text = self._text(paragraph, properties, ground)
        page = self._place()
        level = self._styles.level(properties)
        if level is not None:
            self._draft.heading(level, text, page)
        elif _is_formula(paragraph):
            formulas = (latex(formula) for formula in paragraph.iter(f"{M}oMath"))
            self._draft.add(f"$${' '.join(formulas)}$$", page, "formula")
        else:
            self._draft.add(text, page)
        beside, self._beside = self._beside, []
        for element in beside:
            self._blocks(element, ground if tag(element).endswith("note") else Ground(None))

    def _place(self) -> int | None:
        """Where the text that is read begins."""
        return (self._begins or self._page) if self._paged else None

    def _text(self, parent: Element, paragraph: Element | None, ground: Ground) -> str:
        """Of a paragraph or a part of one."""
        pieces: list[str] = []
        for element in children(parent):
            name = tag(element)
            if name in _GONE:
                continue
            if name == f"{W}r":
                self._run(element, paragraph, ground, pieces)
            elif name in (f"{M}oMath", f"{M}oMathPara"):
                pieces.append(f"${latex(element)}$")
            elif name == ALTERNATIVES:
                pieces.append(self._text(_chosen(element), paragraph, ground))
            else:
                pieces.append(self._text(element, paragraph, ground))
        return "".join(pieces)

    def _run(
        self, run: Element, paragraph: Element | None, ground: Ground, pieces: list[str]
    ) -> None:
        properties = run.find(f"{W}rPr")
        text = "".join(self._pieces(run, paragraph, ground))
        if why := self._styles.why_unseen(properties, paragraph, ground):
            self._draft.hidden(why, text, self._place())
            return
        before = "".join(pieces[-1:])[-1:]
        raised = value(properties, "vertAlign") == "superscript"
        if raised and text.strip() and (before.isalnum() or before == ")"):
            text = f"^{text}" if len(text) == 1 or text.isdigit() else f"^({text})"
        pieces.append(text)

    def _pieces(self, run: Element, paragraph: Element | None, ground: Ground) -> Iterator[str]:
        for element in children(run):
            name = tag(element).removeprefix(W)
            if name in _SIGNS:
                yield _SIGNS[name]
            elif name == "t":
                self._begins = self._begins or self._page
                yield element.text or ""
            elif name == "ruby":
                for base in element.iter(f"{W}rubyBase"):
                    yield self._text(base, paragraph, ground)
            elif name == "lastRenderedPageBreak":
                self._page += 1
            else:
                self._put_beside(element)

    def _put_beside(self, element: Element) -> None:
        name = tag(element).removeprefix(W)
        if name in _NOTES:
            note = self._notes[_NOTES[name]].get(element.get(f"{W}id", ""))
            if note is not None:
                self._beside.append(note)
            return
        source = _chosen(element) if tag(element) == ALTERNATIVES else element
        self._beside += _outermost(source, f"{W}txbxContent")

    # Tables

    def _table(self, table: Element, ground: Ground) -> None:
        properties = table.find(f"{W}tblPr")
        # Which cells a table's style colours is not reckoned: there, no colour is judged.
        behind = Ground(None) if self._styles.is_shaded(properties) else ground
        rows = [row for row in _inside(table, f"{W}tr") if not self._is_left_out(row)]
        if max((len(list(_inside(row, f"{W}tc"))) for row in rows), default=0) < 2:
            for row in rows:
                for cell in _inside(row, f"{W}tc"):
                    self._blocks(cell, behind.shaded(cell.find(f"{W}tcPr")))
            return
        self._begins = 0
        above: list[str] = []
        written = [above := self._row(row, behind, above) for row in rows]
        page = self._place()
        named = is_on(value(rows[0].find(f"{W}trPr"), "tblHeader"))
        self._draft.add("\n".join(table_lines(written, named or None)), page, "table")

    def _row(self, row: Element, ground: Ground, above: list[str]) -> list[str]:
        cells: list[str] = []
        for cell in _inside(row, f"{W}tc"):
            properties = cell.find(f"{W}tcPr")
            text = self._cell(cell, ground.shaded(properties))
            if value(properties, "vMerge") in ("", "continue") and len(cells) < len(above):
                text = above[len(cells)]  # the cell reaches down from there
            span = value(properties, "gridSpan") or "1"
            wide = min(int(span), _MOST_COLUMNS) if span.isdecimal() else 1
            cells += [text] + [""] * (wide - 1)
        return cells

    def _cell(self, cell: Element, ground: Ground) -> str:
        """Everything in it as one line, with the tables in it."""
        texts = []
        for paragraph in cell.iter(f"{W}p"):
            texts.append(self._text(paragraph, paragraph.find(f"{W}pPr"), ground))
        return " ".join(filter(None, (text.strip() for text in texts)))

    def _is_left_out(self, row: Element) -> bool:
        properties = row.find(f"{W}trPr")
        if properties is None:
            return False
        if is_on(value(properties, "hidden")):
            texts = (text.text or "" for text in row.iter(f"{W}t"))
            self._draft.hidden("set to be hidden", "".join(texts), self._place())
            return True
        return properties.find(f"{W}del") is not None


def _chosen(alternatives: Element) -> Element:
    """What a new Word shows; there is no telling what an old one would."""
    found = alternatives.find(CHOICE)
    return alternatives if found is None else found


def _inside(element: Element, name: str) -> Iterator[Element]:
    """Rows of a table or cells of a row, also where controls are around them."""
    for child in children(element):
        if tag(child) == name:
            yield child
        elif tag(child) not in _GONE and tag(child) not in (f"{W}tbl", f"{W}p"):
            yield from _inside(child, name)


def _outermost(element: Element, name: str) -> Iterator[Element]:
    if tag(element) == name:
        yield element
        return
    for child in children(element):
        yield from _outermost(child, name)


def _is_formula(paragraph: Element) -> bool:
    """Nothing but a formula."""
    words = "".join(text.text or "" for text in paragraph.iter(f"{W}t")).strip()
    return not words and paragraph.find(f".//{M}oMath") is not None


def _notes(archive: Archive, kind: str) -> dict[str, Element]:
    """Footnotes or endnotes by their numbers; those of a type are lines and signs."""
    found = {}
    for part in archive.related(MAIN, kind):
        root = archive.xml(part)
        for note in () if root is None else children(root):
            if note.get(f"{W}type") in (None, "normal"):
                found[note.get(f"{W}id", "")] = note
    return found
