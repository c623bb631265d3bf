"""The letters of a PDF's page as PDFium places them, without those that nobody sees.

PDFium is the renderer of Chromium: of the free ones it is the fastest, and the one most tested
against files that were made to harm.
"""

import ctypes
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pypdfium2.raw as pdfium

from engines.errors import DocumentTooLarge
from engines.knowledge.documents.colours import SMALLEST_PT, Colour, readable
from engines.knowledge.documents.pdf_drawing import (
    Box,
    Drawing,
    Handle,
    address,
    colour_of,
    drawing_of,
)

MOST_LETTERS = 400_000
"""On one page; a full page of a newspaper has 40,000."""

SCAN_SHARE = 0.5
"""Of a page that its pictures cover: then it is a scan, and unseen letters on it are what a program
recognised in it."""

MOSTLY = 0.8
"""Of a scan's letters that are unseen."""

CLEAR = 13
"""Of 255: less opaque text is not seen."""

UNDRAWN, COVERED = "never drawn", "behind something"
TINY = "letters too small to see"
ALIKE = "in the colour of what is behind"

_BOLD = ("bold", "black", "heavy", "semibold", "demi", "simhei", "-hei")
_BOLD_WEIGHT = 600


@dataclass(frozen=True, slots=True)
class Ink:
    """How the letters of one text object are drawn."""

    colour: Colour | None
    order: int
    why_unseen: str
    """Wherever it stands; empty: depends on where."""
    bold: bool
    turns: int | None
    """Quarters of a turn to the left; None: askew."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A character, and where it stands."""

    character: str
    """`\\n`: PDFium sees the end of a line here."""
    box: Box
    bold: bool = False
    level: bool = True
    """In a line from left to right."""


@dataclass(slots=True)
class Sheet:
    """What is on one page."""

    width: float
    height: float
    drawing: Drawing
    letters: list[Letter] = field(default_factory=list)
    hidden: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Characters that nobody sees, by the reason."""
    scanned: bool = False
    """Its letters were recognised in a picture."""
    strange: int = 0
    """Letters of which the file does not say what they are."""


class _Upright:
    """Turns places on the page into those that are seen: from the visible part's upper left corner,
    and by the turn that a viewer gives the page."""

    def __init__(self, page: Handle) -> None:
        self.turns = pdfium.FPDFPage_GetRotation(page)
        self._left, self._bottom, self._right, self._top = _visible(page)
        sides = (self._right - self._left, self._top - self._bottom)
        self.width, self.height = sides if self.turns % 2 == 0 else sides[::-1]

    def box(self, left: float, bottom: float, right: float, top: float) -> Box:
        (x0, y0), (x1, y1) = self._point(left, bottom), self._point(right, top)
        return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)

    def _point(self, x: float, y: float) -> tuple[float, float]:
        match self.turns:
            case 1:
                return y - self._bottom, x - self._left
            case 2:
                return self._right - x, y - self._bottom
            case 3:
                return self._top - y, self._right - x
        return x - self._left, self._top - y

    def sees(self, x: float, y: float) -> bool:
        return 0 <= x <= self.width and 0 <= y <= self.height


def _visible(page: Handle) -> Box:
    """Left, bottom, right, top of what a viewer shows, in the page's own measure."""
    sides = [ctypes.c_float() for _ in range(4)]
    for get in (pdfium.FPDFPage_GetCropBox, pdfium.FPDFPage_GetMediaBox):
        if get(page, *(ctypes.byref(side) for side in sides)):
            left, bottom, right, top = (side.value for side in sides)
            if abs(right - left) > 1 and abs(top - bottom) > 1:
                return min(left, right), min(bottom, top), max(left, right), max(bottom, top)
    turned = pdfium.FPDFPage_GetRotation(page) % 2
    size = pdfium.FPDF_GetPageWidthF(page), pdfium.FPDF_GetPageHeightF(page)
    width, height = size[::-1] if turned else size
    return 0.0, 0.0, width, height


def sheet_of(page: Handle) -> Sheet:
    """Raises `DocumentTooLarge` for a page with more letters than any page."""
    upright = _Upright(page)
    sheet = Sheet(upright.width, upright.height, drawing_of(page, upright.box))
    with _text_of(page) as text:
        _Looker(sheet, upright, text).look()
    return sheet


@contextmanager
def _text_of(page: Handle) -> Iterator[Handle]:
    text = pdfium.FPDFText_LoadPage(page)
    try:
        yield text
    finally:
        if text:
            pdfium.FPDFText_ClosePage(text)


class _Looker:
    """Goes through the letters of a page, in the order they are written in the file."""

    def __init__(self, sheet: Sheet, upright: _Upright, text: Handle) -> None:
        self._sheet = sheet
        self._upright = upright
        self._text = text
        self._inks: dict[int, Ink] = {}
        self._word = ""
        """Why the word that is read is unseen."""
        self._starts = True
        self._unseen: list[tuple[str, Letter]] = []

    def look(self) -> None:
        count = pdfium.FPDFText_CountChars(self._text) if self._text else 0
        if count > MOST_LETTERS:
            raise DocumentTooLarge(
                f"A page of the document has {count} letters, far more than can be seen on a page;"
                " please save it again from the program that made it."
            )
        for index in range(max(0, count)):
            self._letter(index)
        self._judge_scan()

    def _letter(self, index: int) -> None:
        code = pdfium.FPDFText_GetUnicode(self._text, index)
        character = chr(code) if 0 < code <= 0x10FFFF else ""
        if character in "\r\n":
            if character != "\r":
                self._sheet.letters.append(Letter("\n", (0, 0, 0, 0)))
            self._starts = True
            return
        box = self._box(index)
        if character.isspace():
            self._starts = True
            self._keep(Letter(" ", box))
            return
        ink = self._ink(index)
        if self._starts or ink.why_unseen:
            # Word by word: what is behind a letter is behind the next one.
            self._word, self._starts = self._why_unseen(ink, box), False
        level = ink.turns is not None and (ink.turns - self._upright.turns) % 4 == 0
        if not character or 0xE000 <= code <= 0xF8FF or code == 0xFFFD:
            self._sheet.strange += 1
        self._keep(Letter(character, box, ink.bold, level))

    def _keep(self, letter: Letter) -> None:
        if self._word:
            self._unseen.append((self._word, letter))
        else:
            self._sheet.letters.append(letter)

    def _judge_scan(self) -> None:
        """Put unseen letters where they belong: the recognised ones of a scan are its text."""
        sheet = self._sheet
        recognised = [letter for why, letter in self._unseen if why in (UNDRAWN, COVERED)]
        pictured = sheet.drawing.pictured >= SCAN_SHARE * sheet.width * sheet.height
        if pictured and len(recognised) >= MOSTLY * (len(recognised) + len(sheet.letters)):
            sheet.scanned = True
            sheet.letters += recognised
            self._unseen = [(why, x) for why, x in self._unseen if why not in (UNDRAWN, COVERED)]
        for why, letter in self._unseen:
            sheet.hidden[why].append(letter.character)

    def _box(self, index: int) -> Box:
        found = pdfium.FS_RECTF()
        pdfium.FPDFText_GetLooseCharBox(self._text, index, ctypes.byref(found))
        return self._upright.box(found.left, found.bottom, found.right, found.top)

    # What is seen

    def _why_unseen(self, ink: Ink, box: Box) -> str:
        """Empty: it is seen."""
        if ink.why_unseen:
            return ink.why_unseen
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        if not self._upright.sees(x, y):
            return "outside of the page"
        if min(box[3] - box[1], 4 * (box[2] - box[0])) < SMALLEST_PT:
            return TINY
        if self._sheet.drawing.cover(x, y, ink.order):
            return COVERED
        behind = self._sheet.drawing.behind(x, y, ink.order)
        if ink.colour and behind and not readable(ink.colour, behind):
            return ALIKE
        return ""

    def _ink(self, index: int) -> Ink:
        shape = pdfium.FPDFText_GetTextObject(self._text, index)
        where = address(shape)
        if where not in self._inks:
            order = self._sheet.drawing.orders.get(where, len(self._sheet.drawing.orders))
            self._inks[where] = self._ink_of(shape, index, order)
        return self._inks[where]

    def _ink_of(self, shape: Handle, index: int, order: int) -> Ink:
        mode = pdfium.FPDFTextObj_GetTextRenderMode(shape) if shape else 0
        outlined = mode in (
            pdfium.FPDF_TEXTRENDERMODE_STROKE,
            pdfium.FPDF_TEXTRENDERMODE_STROKE_CLIP,
        )
        colour, alpha = colour_of(shape, stroke=outlined) if shape else (None, 255)
        unseen = mode in (pdfium.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium.FPDF_TEXTRENDERMODE_CLIP)
        why = UNDRAWN if unseen else "transparent" if alpha < CLEAR else ""
        return Ink(colour, order, why, _is_bold(shape), self._turns(index))

    def _turns(self, index: int) -> int | None:
        found = pdfium.FS_MATRIX()
        if not pdfium.FPDFText_GetMatrix(self._text, index, ctypes.byref(found)):
            return 0
        a, b = found.a, found.b
        if abs(b) * 10 < abs(a):
            return 0 if a > 0 else 2
        if abs(a) * 10 < abs(b):
            return 1 if b > 0 else 3
        return None


def _is_bold(shape: Handle) -> bool:
    font = pdfium.FPDFTextObj_GetFont(shape) if shape else None
    if not font:
        return False
    name = ctypes.create_string_buffer(200)
    pdfium.FPDFFont_GetBaseFontName(font, name, 200)
    lower = name.value.decode("latin-1").lower()
    return any(word in lower for word in _BOLD) or pdfium.FPDFFont_GetWeight(font) >= _BOLD_WEIGHT
