"""Tables on a page: those with ruled lines around their cells, and those whose cells stand below
one another. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from engines.knowledge.documents.lines import joined
from engines.knowledge.documents.pdf_drawing import Box
from engines.knowledge.documents.pdf_segments import Segment, around, rows, together

NEAR_PT = 3.0
"""Ruled lines that are nearer to one another are one."""

MOST_LINES = 400
"""Ruled lines in one direction of a table; graph paper has more."""

LEAST_GAP = 1.0
"""Of a letter's height, between the cells of a row."""

LONGEST_CELL = 60
"""Characters on average, in a table without ruled lines; columns of prose are told by that."""

_LABEL = re.compile(r"[•●○▪▫◦·*–—-]|\(?[\w]{1,3}[.)、]")


@dataclass(frozen=True, slots=True)
class Table:
    rows: list[list[str]]
    box: Box


Part = Segment | Table


# With ruled lines


def with_grids(
    parts: Sequence[Segment], level: Sequence[Box], upright: Sequence[Box]
) -> list[Part]:
    """The parts outside of ruled tables, and these tables."""
    left: list[Segment] = list(parts)
    found: list[Part] = []
    for grid in _grids(level, upright):
        inside = [part for part in left if grid.holds(part)]
        cells = grid.cells(inside)
        if len(cells) > 1 and sum(any(row) for row in cells) > 1:
            found.append(Table(cells, grid.box))
            left = [part for part in left if not grid.holds(part)]
    return [*left, *found]


@dataclass(frozen=True, slots=True)
class _Grid:
    xs: list[float]
    ys: list[float]

    @property
    def box(self) -> Box:
        return self.xs[0], self.ys[0], self.xs[-1], self.ys[-1]

    def holds(self, part: Segment) -> bool:
        x, y = _centre(part)
        left, top, right, bottom = self.box
        return left < x < right and top < y < bottom

    def cells(self, inside: Iterable[Segment]) -> list[list[str]]:
        places: dict[tuple[int, int], list[Segment]] = {}
        for part in inside:
            x, y = _centre(part)
            # By where it begins: a cell that reaches over several columns belongs to the first.
            row = sum(y > step for step in self.ys[1:-1])
            column = sum(min(x, part.left + NEAR_PT) > step for step in self.xs[1:-1])
            places.setdefault((row, column), []).append(part)
        count = range(len(self.xs) - 1)
        return [
            [_cell(places.get((row, column), [])) for column in count]
            for row in range(len(self.ys) - 1)
        ]


def _cell(parts: list[Segment]) -> str:
    return joined(together(row).text for row in rows(parts)) if parts else ""


def _centre(part: Segment) -> tuple[float, float]:
    left, top, right, bottom = part.box
    return (left + right) / 2, (top + bottom) / 2


def _grids(level: Sequence[Box], upright: Sequence[Box]) -> Iterator[_Grid]:
    """Ruled lines that touch one another are one table: at least two columns and two rows."""
    for lines in _touching([*level, *upright]):
        across = [line for line in lines if line[2] - line[0] > line[3] - line[1]]
        down = [line for line in lines if line[2] - line[0] <= line[3] - line[1]]
        ys = _steps((line[1] + line[3]) / 2 for line in across)
        xs = _steps((line[0] + line[2]) / 2 for line in down)
        if 2 < len(xs) <= MOST_LINES and 2 < len(ys) <= MOST_LINES:
            yield _Grid(xs, ys)


def _touching(lines: Sequence[Box]) -> list[list[Box]]:
    """Groups of lines that hang together, found from top to bottom."""
    groups: list[tuple[Box, list[Box]]] = []
    for line in sorted(lines, key=lambda line: line[1]):
        grown, members = line, [line]
        apart = []
        for box, group in groups:
            if _touch(box, grown):
                grown, members = around((box, grown)), members + group
            else:
                apart.append((box, group))
        groups = [*apart, (grown, members)]
    return [group for _, group in groups if len(group) > 3]


def _touch(first: Box, second: Box) -> bool:
    return (
        first[0] <= second[2] + NEAR_PT
        and second[0] <= first[2] + NEAR_PT
        and first[1] <= second[3] + NEAR_PT
        and second[1] <= first[3] + NEAR_PT
    )


def _steps(places: Iterable[float]) -> list[float]:
    """In order, those that are nearly the same once."""
    kept: list[float] = []
    for place in sorted(places):
        if not kept or place - kept[-1] > NEAR_PT:
            kept.append(place)
    return kept


# Without


def lines_and_tables(parts: Sequence[Part]) -> list[Part]:
    """A stretch from top to bottom: each row one segment, but for rows that make a table."""
    found: list[Part] = [part for part in parts if isinstance(part, Table)]
    run: list[list[Segment]] = []
    for row in rows(part for part in parts if isinstance(part, Segment)):
        cells = _cells_of(row)
        if run and not _goes_on(run, cells):
            found += _table_or_lines(run)
            run = []
        run.append(cells)
    found += _table_or_lines(run)
    return sorted(found, key=lambda part: part.box[1])


def _cells_of(row: Sequence[Segment]) -> list[Segment]:
    """A row's segments, those with little between them as one."""
    cells: list[list[Segment]] = [[row[0]]]
    for before, part in pairwise(row):
        if part.left - before.right >= LEAST_GAP * part.size:
            cells.append([part])
        else:
            cells[-1].append(part)
    return [together(cell) for cell in cells]


def _goes_on(run: Sequence[Sequence[Segment]], row: Sequence[Segment]) -> bool:
    """Whether a row may belong to the table that the run may be."""
    if len(run[0]) < 2:
        return False
    if len(row) < 2:
        return _continues_cell(run, row[0])
    columns = _columns([*run, row])
    return len(columns) >= min(len(run[0]), 2) and _are_apart(columns, [*run, row])


def _continues_cell(run: Sequence[Sequence[Segment]], part: Segment) -> bool:
    """A further line of one cell, but the first: that one begins a row."""
    bottom = max(cell.box[3] for cell in run[-1])
    columns = _columns(run)
    close = part.box[1] - bottom < 0.5 * part.size
    inside = [i for i, (left, right) in enumerate(columns) if left - NEAR_PT <= part.left < right]
    return (
        close and bool(inside) and inside[0] > 0 and part.right <= columns[inside[0]][1] + NEAR_PT
    )


def _columns(run: Iterable[Iterable[Segment]]) -> list[tuple[float, float]]:
    """From where to where each reaches: what overlaps is one."""
    found: list[tuple[float, float]] = []
    for left, right in sorted((cell.left, cell.right) for row in run for cell in row):
        if found and left < found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], right)
        else:
            found.append((left, right))
    return found


def _are_apart(columns: Sequence[tuple[float, float]], run: Sequence[Sequence[Segment]]) -> bool:
    """No column holds two cells of one row."""
    for row in run:
        starts = [sum(cell.left >= left for left, _ in columns) for cell in row]
        if len(set(starts)) < len(starts):
            return False
    return True


def _table_or_lines(run: Sequence[Sequence[Segment]]) -> list[Part]:
    full = [row for row in run if len(row) > 1]
    if not _is_table(full):
        return [together(row) for row in run]
    columns = _columns(run)
    cells: list[list[str]] = []
    for row in run:
        texts = [""] * len(columns)
        for cell in row:
            texts[sum(cell.left >= left for left, _ in columns) - 1] = cell.text
        if len(row) == 1 and cells:  # a further line of the row above
            cells[-1] = [
                joined((above, text)) for above, text in zip(cells[-1], texts, strict=True)
            ]
        else:
            cells.append(texts)
    return [Table(cells, around(cell.box for row in run for cell in row))]


def _is_table(run: Sequence[Sequence[Segment]]) -> bool:
    if len(run) < (2 if run and len(run[0]) > 2 else 3):
        return False
    if all(_LABEL.fullmatch(row[0].text) for row in run):
        return False  # a list
    texts = [cell.text for row in run for cell in row]
    return sum(map(len, texts)) <= LONGEST_CELL * len(texts)
