"""Tables as comma-separated values, or separated by semicolons, tabs or bars."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import islice

from engines.errors import UnusableDocument
from engines.knowledge.documents.draft import Draft
from engines.knowledge.documents.tables import has_header, named_row, table_lines
from engines.knowledge.documents.text import decoded

SEPARATORS = ",;\t|"

PROBE_ROWS = 50

LONGEST_CELL = 1_000_000
"""Characters. A quotation mark that is never closed makes one cell of all that follows."""

ROWS_TOGETHER = 200
"""In one block."""


def read(data: bytes, draft: Draft) -> None:
    text = decoded(data)
    csv.field_size_limit(LONGEST_CELL)
    try:
        _read_rows(csv.reader(StringIO(text), delimiter=separator_of(text)), draft)
    except csv.Error as error:
        raise UnusableDocument(
            "The table cannot be read, perhaps because a quotation mark is never closed. Please"
            " save it again as CSV in UTF-8."
        ) from error


def separator_of(text: str) -> str:
    """The one that parts most rows into the same number of cells, more than one."""
    return max(SEPARATORS, key=lambda separator: _evenness(text, separator))


def _evenness(text: str, separator: str) -> tuple[float, int]:
    rows = csv.reader(StringIO(text[:200_000]), delimiter=separator)
    try:
        counts = Counter(len(row) for row in islice(rows, PROBE_ROWS) if row)
    except csv.Error:
        return 0.0, 0
    if not counts:
        return 0.0, 0
    cells, often = counts.most_common(1)[0]
    return (often / counts.total() if cells > 1 else 0.0), cells


def _read_rows(rows: Iterator[list[str]], draft: Draft) -> None:
    first = _captioned(list(islice(rows, PROBE_ROWS)), draft)
    tidy = [[" ".join(cell.split()) for cell in row] for row in first]
    if len(tidy) < 2 or not has_header(tidy):
        _add(table_lines(first, header=False), draft)
        while more := list(islice(rows, ROWS_TOGETHER)):
            _add(table_lines(more, header=False), draft)
        return
    names = tidy[0]
    _add((named_row(names, row) for row in tidy[1:]), draft)
    while more := list(islice(rows, ROWS_TOGETHER)):
        _add(table_lines([names, *more], header=True), draft)


def _captioned(rows: list[list[str]], draft: Draft) -> list[Sequence[str]]:
    """The rows of the table; a line of one cell above it is what it is called."""
    kept: list[Sequence[str]] = [row for row in rows if any(cell.strip() for cell in row)]
    while len(kept) > 2 and _cells(kept[0]) == 1 and _cells(kept[1]) > 1:
        draft.heading(1, "".join(kept.pop(0)))
    return kept


def _cells(row: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in row)


def _add(lines: Iterator[str], draft: Draft) -> None:
    draft.add("\n".join(lines), kind="table")
