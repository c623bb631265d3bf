"""Tables as lines that can be read, found and quoted each by itself, as `Metal: iron; Melts at:
1538 °C`. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence

Row = Sequence[str]

_NUMBER = re.compile(r"[\s+\-−–~≈<>≤≥±$€£¥]*\d[\d\s.,:/%°×^eE+\-−–]*\S{0,6}")


def table_lines(rows: Iterable[Row], header: bool | None = None) -> Iterator[str]:
    """A line for each row with the names of its columns. `header`: whether the first row names
    them; None: told by what stands in it."""
    kept = [row for row in map(_tidy, rows) if any(row)]
    if not kept:
        return
    if header is None:
        header = has_header(kept[:50])
    if not header or len(kept) == 1:
        yield from (_plain(row) for row in kept)
        return
    names = kept[0]
    yield from (named_row(names, row) for row in kept[1:])


def has_header(rows: Sequence[Row]) -> bool:
    """Whether the first row names the columns. With two columns and no numbers it cannot be told
    from a list of terms; those read well without."""
    first, others = rows[0], rows[1:]
    if not others or not all(first) or len(set(first)) < len(first):
        return False
    if any(is_number(cell) for cell in first):
        return False
    return len(first) > 2 or any(is_number(row[-1]) for row in others if row)


def is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None


def named_row(names: Row, row: Row) -> str:
    """`Metal: iron; Melts at: 1538 °C`."""
    cells = [
        f"{names[place]}: {cell}" if place < len(names) and names[place] else cell
        for place, cell in enumerate(row)
        if cell
    ]
    return "; ".join(cells)


def _plain(row: Row) -> str:
    cells = [cell for cell in row if cell]
    if len(row) == 2 and len(cells) == 2:
        return f"{cells[0]}: {cells[1]}" if not cells[0].endswith((":", "：")) else " ".join(cells)
    return "; ".join(cells)


def _tidy(row: Row) -> list[str]:
    return [" ".join(cell.split()) for cell in row]
