"""Lines of a page as paragraphs, and which of them are headings. Pure."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from engines.knowledge.documents.lines import is_unspaced, joined
from engines.knowledge.documents.pdf_segments import LEADER, Segment
from engines.knowledge.documents.pdf_tables import Part, Table

LARGER = 1.12
"""Than the body's: a heading. Within a book, letters of one size differ by a tenth at most."""

LONGEST_HEADING = 120
"""Characters."""

MOST_HEADING_LINES = 3

WIDER = 0.45
"""Of a letter's height, that the gap before a new paragraph is wider than between lines."""

INDENT = 0.8
"""Of a letter's height, that its first line stands to the right."""

SHORT = 0.85
"""Of the column's width: a line that ends before is the last of its paragraph."""

_ITEM = re.compile(r"(?:[•●○▪▫◦·*–—-]|\(?\d{1,3}[.)、]|[（(][\d一二三四五六七八九十]+[)）])\s*\S")
_SENTENCE_END = re.compile("[.!?:。！？：；…][\"'”’）)」』]*\\Z")
_WORD = re.compile(r"[^\W\d_]+(?:[-\u2010][^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Lines that belong together."""

    lines: tuple[Segment, ...]

    @property
    def size(self) -> float:
        return max(line.size for line in self.lines)

    @property
    def bold(self) -> bool:
        return all(line.bold for line in self.lines)

    def text(self, words: Collection[str] = frozenset()) -> str:
        return joined((line.text for line in self.lines), words)


Stretch = Sequence[Part]
"""What is read from top to bottom: a column, or the whole width."""


def paragraphs(stretch: Stretch) -> Iterator[Paragraph | Table]:
    lines = [part for part in stretch if isinstance(part, Segment)]
    if not lines:
        yield from (part for part in stretch if isinstance(part, Table))
        return
    column = _Column(min(line.left for line in lines), max(line.right for line in lines), lines)
    together: list[Segment] = []
    for part in stretch:
        begins = isinstance(part, Table) or (together and column.begins(together, part))
        if begins and together:
            yield Paragraph(tuple(together))
            together = []
        if isinstance(part, Table):
            yield part
        else:
            together.append(part)
    if together:
        yield Paragraph(tuple(together))


class _Column:
    """How far lines reach, and how far apart they usually are."""

    def __init__(self, left: float, right: float, lines: Sequence[Segment]) -> None:
        self._left = left
        self._right = right
        gaps = [b.box[1] - a.box[3] for a, b in zip(lines, lines[1:], strict=False)]
        steps = Counter(round(gap) for gap in gaps)
        self._gap = steps.most_common(1)[0][0] if steps else 0

    def begins(self, before: Sequence[Segment], line: Segment) -> bool:
        """Whether a line begins a new paragraph."""
        last = before[-1]
        if abs(line.size - last.size) > 0.1 * last.size or line.bold != last.bold:
            return True
        if line.box[1] - last.box[3] > self._gap + WIDER * last.size:
            return True
        if _ITEM.match(line.text):
            return True
        # The first line of a list's item stands to the left of the others.
        if line.left - last.left > INDENT * line.size and not _ITEM.match(before[0].text):
            return True
        return self._is_last(last)

    def _is_last(self, line: Segment) -> bool:
        ends_early = line.right < self._left + SHORT * (self._right - self._left)
        return ends_early and bool(_SENTENCE_END.search(line.text))


def body_size(parts: Sequence[Paragraph | Table]) -> float:
    """Of most of the document's letters, in points."""
    sizes: Counter[float] = Counter()
    for part in parts:
        for line in part.lines if isinstance(part, Paragraph) else ():
            sizes[rounded(line.size)] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 0.0


def rounded(size: float) -> float:
    """To half a point."""
    return round(2 * size) / 2


def is_heading(paragraph: Paragraph, body: float) -> bool:
    text = paragraph.text()
    if len(text) > LONGEST_HEADING or len(paragraph.lines) > MOST_HEADING_LINES:
        return False
    if not any(character.isalpha() for character in text) or LEADER in text:
        return False
    if text.endswith((".", "。", ",", "，")):
        return False
    if paragraph.size > LARGER * body:
        return True
    return paragraph.bold and paragraph.size > 0.95 * body and not _SENTENCE_END.search(text)


def levels(headings: Sequence[Paragraph]) -> dict[tuple[float, bool], int]:
    """Of headings by size and weight: the largest is the outermost."""
    looks = {look_of(heading) for heading in headings}
    return {look: level for level, look in enumerate(sorted(looks, reverse=True), 1)}


def look_of(heading: Paragraph) -> tuple[float, bool]:
    return rounded(heading.size), heading.bold


def words_of(parts: Sequence[Paragraph | Table]) -> set[str]:
    """All words within lines, in lower case: how the document writes what is parted at line ends.
    The last word of a line may be half of one."""
    found = set()
    for part in parts:
        for line in part.lines if isinstance(part, Paragraph) else ():
            found |= {word.lower() for word in _WORD.findall(line.text.rpartition(" ")[0])}
    return found


def goes_on_with(text: str, following: str) -> bool:
    """Whether what stands at the top of the next column or page is the rest of this paragraph."""
    if not text or not following or _SENTENCE_END.search(text) or _ITEM.match(following):
        return False
    first = following[0]
    return first.islower() or (is_unspaced(text[-1]) and is_unspaced(first))
