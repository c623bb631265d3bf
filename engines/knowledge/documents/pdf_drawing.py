"""What is drawn on a PDF's page besides its text: what is behind or over it, and ruled lines."""

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pypdfium2.raw as pdfium

from engines.knowledge.documents.colours import WHITE, Colour

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in points, from the upper left corner of the page as it is seen."""

Handle = Any
"""Of something in PDFium's memory."""

MOST_OBJECTS = 200_000
"""Of a page that are looked at. A map has 50,000; what is behind later ones is taken for white."""

MOST_FILLS = 2_000
"""Areas that are remembered."""

MOST_RULES = 5_000
"""Lines that are remembered."""

DEEPEST = 8
"""Forms within forms."""

LEAST_FILL_PT = 3.0
"""Smaller ones are lines and dots, which hide no letters."""

THICKEST_RULE_PT = 2.5
SHORTEST_RULE_PT = 10.0

OPAQUE = 200
"""Of 255: what is drawn over text and less opaque, such as a marker, lets it be seen."""


@dataclass(frozen=True, slots=True)
class Fill:
    """An area of one colour, or a picture."""

    box: Box
    colour: Colour | None
    """None: a picture or a gradient."""
    order: int
    """When it is painted."""
    opaque: bool = True
    picture: bool = False

    def holds(self, x: float, y: float) -> bool:
        left, top, right, bottom = self.box
        return left <= x <= right and top <= y <= bottom


@dataclass(slots=True)
class Drawing:
    """Of one page."""

    fills: list[Fill] = field(default_factory=list)
    level: list[Box] = field(default_factory=list)
    """Ruled lines from left to right."""
    upright: list[Box] = field(default_factory=list)
    orders: dict[int, int] = field(default_factory=dict)
    """When a text is painted, by the address of its object."""

    def behind(self, x: float, y: float, order: int) -> Colour | None:
        """None: not known."""
        for fill in reversed(self.fills):
            if fill.order < order and fill.holds(x, y):
                return fill.colour if fill.opaque else None
        return WHITE

    def cover(self, x: float, y: float, order: int) -> Fill | None:
        """What is painted over it and lets nothing through."""
        for fill in reversed(self.fills):
            if fill.order <= order:
                return None
            if fill.opaque and fill.holds(x, y):
                return fill
        return None

    @property
    def pictured(self) -> float:
        """Square points that pictures cover."""
        return sum((b[2] - b[0]) * (b[3] - b[1]) for b in (f.box for f in self.fills if f.picture))


Matrix = tuple[float, float, float, float, float, float]
Turn = Callable[[float, float, float, float], Box]

_SAME: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


def drawing_of(page: Handle, turn: Turn) -> Drawing:
    """`turn` takes left, bottom, right and top in the page's own measure to what is seen."""
    found = Drawing()
    for order, (shape, matrix) in enumerate(_objects(page)):
        if order >= MOST_OBJECTS:
            break
        kind = pdfium.FPDFPageObj_GetType(shape)
        if kind == pdfium.FPDF_PAGEOBJ_TEXT:
            found.orders[address(shape)] = order
        elif kind == pdfium.FPDF_PAGEOBJ_PATH:
            _add_path(found, shape, _box(shape, matrix, turn), order)
        elif len(found.fills) < MOST_FILLS:
            picture = kind == pdfium.FPDF_PAGEOBJ_IMAGE
            box = _box(shape, matrix, turn)
            found.fills.append(Fill(box, None, order, opaque=picture, picture=picture))
    return found


def address(shape: Handle) -> int:
    return ctypes.cast(shape, ctypes.c_void_p).value or 0


def _objects(page: Handle) -> Iterator[tuple[Handle, Matrix]]:
    """In the order they are painted, those within forms in place of these."""
    for index in range(pdfium.FPDFPage_CountObjects(page)):
        yield from _within(pdfium.FPDFPage_GetObject(page, index), _SAME, 0)


def _within(shape: Handle, matrix: Matrix, depth: int) -> Iterator[tuple[Handle, Matrix]]:
    if pdfium.FPDFPageObj_GetType(shape) != pdfium.FPDF_PAGEOBJ_FORM or depth >= DEEPEST:
        yield shape, matrix
        return
    inner = _times(_matrix(shape), matrix)
    for index in range(max(0, pdfium.FPDFFormObj_CountObjects(shape))):
        yield from _within(pdfium.FPDFFormObj_GetObject(shape, index), inner, depth + 1)


def _matrix(shape: Handle) -> Matrix:
    found = pdfium.FS_MATRIX()
    if not pdfium.FPDFPageObj_GetMatrix(shape, ctypes.byref(found)):
        return _SAME
    return found.a, found.b, found.c, found.d, found.e, found.f


def _times(first: Matrix, then: Matrix) -> Matrix:
    a, b, c, d, e, f = first
    p, q, r, s, t, u = then
    return (
        a * p + b * r,
        a * q + b * s,
        c * p + d * r,
        c * q + d * s,
        e * p + f * r + t,
        e * q + f * s + u,
    )


def _box(shape: Handle, matrix: Matrix, turn: Turn) -> Box:
    sides = [ctypes.c_float() for _ in range(4)]
    pdfium.FPDFPageObj_GetBounds(shape, *(ctypes.byref(side) for side in sides))
    left, bottom, right, top = (side.value for side in sides)
    ends = [_at(matrix, x, y) for x in (left, right) for y in (bottom, top)]
    xs, ys = [x for x, _ in ends], [y for _, y in ends]
    return turn(min(xs), min(ys), max(xs), max(ys))


def _at(matrix: Matrix, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f


def _add_path(found: Drawing, path: Handle, box: Box, order: int) -> None:
    width, height = box[2] - box[0], box[3] - box[1]
    mode, stroked = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDFPath_GetDrawMode(path, ctypes.byref(mode), ctypes.byref(stroked))
    if mode.value or stroked.value:
        _add_rules(found, box, width, height, framed=_is_frame(path) and bool(stroked.value))
    # Only a rectangle covers its whole box.
    if mode.value and min(width, height) >= LEAST_FILL_PT and len(found.fills) < MOST_FILLS:
        colour, alpha = colour_of(path)
        plain = _is_frame(path)
        opaque = alpha >= OPAQUE and plain
        if alpha:
            found.fills.append(Fill(box, colour if plain else None, order, opaque))


def _add_rules(found: Drawing, box: Box, width: float, height: float, *, framed: bool) -> None:
    left, top, right, bottom = box
    if len(found.level) + len(found.upright) > MOST_RULES:
        return
    if height <= THICKEST_RULE_PT and width >= SHORTEST_RULE_PT:
        found.level.append(box)
    elif width <= THICKEST_RULE_PT and height >= SHORTEST_RULE_PT:
        found.upright.append(box)
    elif framed and min(width, height) >= SHORTEST_RULE_PT:
        found.level += [(left, top, right, top), (left, bottom, right, bottom)]
        found.upright += [(left, top, left, bottom), (right, top, right, bottom)]


def _is_frame(path: Handle) -> bool:
    """Whether it is a rectangle: four or five straight segments."""
    count = pdfium.FPDFPath_CountSegments(path)
    if count not in (4, 5):
        return False
    segments = [pdfium.FPDFPath_GetPathSegment(path, index) for index in range(count)]
    kinds = [pdfium.FPDFPathSegment_GetType(segment) for segment in segments]
    return pdfium.FPDF_SEGMENT_BEZIERTO not in kinds


def colour_of(shape: Handle, *, stroke: bool = False) -> tuple[Colour | None, int]:
    """And how opaque it is, 0 to 255."""
    channels = [ctypes.c_uint() for _ in range(4)]
    get = pdfium.FPDFPageObj_GetStrokeColor if stroke else pdfium.FPDFPageObj_GetFillColor
    if not get(shape, *(ctypes.byref(channel) for channel in channels)):
        return None, 255
    red, green, blue, alpha = (channel.value for channel in channels)
    return (red, green, blue), alpha
