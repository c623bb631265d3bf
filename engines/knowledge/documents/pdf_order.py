"""In which order the parts of a page are read: column after column, between what reaches over all
of them. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from engines.knowledge.documents.pdf_drawing import Box

DEEPEST = 4
"""Columns within columns."""

MOST_GUTTERS = 12
"""Places between columns that are tried, those where most lines begin first."""

LEAST_GUTTER_PT = 6.0

LEAST_LINES = 3
"""Of the longer column; the shorter one has at least two."""

LEAST_WIDTH = 0.15
"""Of a column, as a share of what is divided. Numbers and bullets of a list are no column."""

FULL = 0.6
"""Share of its column's width that a line of prose fills on average; cells of a table fill less."""

BESIDE = 0.8
"""Share of the lines on one height with a line of the other column, in a table."""

TOUCH_PT = 2.0


class Piece(Protocol):
    """Anything with a place on the page."""

    @property
    def box(self) -> Box: ...


Some = TypeVar("Some", bound=Piece)


@dataclass(frozen=True, slots=True)
class _Split(Generic[Some]):
    above: list[Some]
    left: list[Some]
    right: list[Some]
    below: list[Some]

    @property
    def weight(self) -> int:
        return min(len(self.left), len(self.right))


def in_order(pieces: Sequence[Some], depth: int = 0) -> Iterator[list[Some]]:
    """Stretches that are read one after the other, each from top to bottom."""
    if not pieces:
        return
    split = _best_split(pieces) if depth < DEEPEST else None
    if split is None:
        yield sorted(pieces, key=lambda piece: (piece.box[1], piece.box[0]))
        return
    for part in (split.above, split.left, split.right, split.below):
        yield from in_order(part, depth + 1)


def _best_split(pieces: Sequence[Some]) -> _Split[Some] | None:
    down = sorted(pieces, key=lambda piece: piece.box[1])
    splits = [split for at in _gutters(down) for split in _splits(down, at)]
    return max(splits, key=lambda split: split.weight, default=None)


def _gutters(down: Sequence[Piece]) -> list[float]:
    """Where several lines begin behind a gap to the left of them."""
    begins: Counter[int] = Counter()
    for index, piece in enumerate(down):
        for other in down[index + 1 :]:
            if other.box[1] >= piece.box[3]:
                break
            left, right = sorted((piece.box, other.box))
            if right[0] - left[2] >= LEAST_GUTTER_PT:
                begins[round(right[0] / TOUCH_PT)] += 1
    return [at * TOUCH_PT for at, count in begins.most_common(MOST_GUTTERS) if count > 1]


def _splits(down: Sequence[Some], at: float) -> Iterator[_Split[Some]]:
    """One for each stretch of lines that do not reach over the gutter."""
    begin = 0
    over = [i for i, p in enumerate(down) if p.box[0] < at - TOUCH_PT and p.box[2] > at + TOUCH_PT]
    for end in [*over, len(down)]:
        between = down[begin:end]
        left = [piece for piece in between if piece.box[0] < at - TOUCH_PT]
        right = [piece for piece in between if piece.box[0] >= at - TOUCH_PT]
        if _are_columns(left, right):
            yield _Split(list(down[:begin]), left, right, list(down[end:]))
        begin = end + 1 if end < len(down) else end


def _are_columns(left: Sequence[Piece], right: Sequence[Piece]) -> bool:
    if min(len(left), len(right)) < 2 or max(len(left), len(right)) < LEAST_LINES:
        return False
    (x0, y0, x1, y1), (x2, y2, x3, y3) = _around(left), _around(right)
    whole = x3 - x0
    if min(x1 - x0, x3 - x2) < LEAST_WIDTH * whole or min(y1, y3) <= max(y0, y2):
        return False
    return not _are_cells(left, right, x2 - x0) and not _are_cells(right, left, x3 - x2)


def _are_cells(some: Sequence[Piece], others: Sequence[Piece], room: float) -> bool:
    """Rather rows of a table: short in the room of their column, and beside one another."""
    widths = [piece.box[2] - piece.box[0] for piece in some]
    if sum(widths) / len(widths) >= FULL * room:
        return False
    heights = [piece.box[3] for piece in others]
    beside = sum(any(abs(piece.box[3] - y) < TOUCH_PT for y in heights) for piece in some)
    return beside >= BESIDE * min(len(some), len(others))


def _around(pieces: Sequence[Piece]) -> Box:
    lefts, tops, rights, bottoms = zip(*(piece.box for piece in pieces), strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)
