"""Letters of a page put together: to segments without a wide gap, to rows. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from engines.knowledge.documents.lines import is_unspaced
from engines.knowledge.documents.pdf_drawing import Box
from engines.knowledge.documents.pdf_letters import Letter
from engines.language import HAN

LEADER = " … "
"""In place of the dots from a chapter's name to its page, in a table of contents."""

_DOTS = re.compile(r"\s*(?:\.\s?){5,}\s*|\s*(?:[·…]\s?){3,}\s*")
WIDEST_GAP = 0.9
"""Of a letter's height, between letters of one segment; between columns it is more than one."""

LEAST_SPACE = 0.15
"""Of a letter's height, between words."""

SAME_ROW = 0.5
"""Of the smaller one's height that two have in common."""

_GAP = re.compile(f"(?<=[{HAN}]) (?=[{HAN}])")
_PAIR = re.compile(f"[{HAN}](?=[{HAN}])")


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a line."""

    text: str
    box: Box
    size: float
    """Height of most of its letters, in points."""
    bold: bool

    @property
    def left(self) -> float:
        return self.box[0]

    @property
    def right(self) -> float:
        return self.box[2]


def segments(letters: Iterable[Letter]) -> Iterator[Segment]:
    together: list[Letter] = []
    for letter in letters:
        if together and (letter.character == "\n" or not _continues(together, letter)):
            yield from _segment(together)
            together = []
        if letter.character != "\n":
            together.append(letter)
    yield from _segment(together)


def _continues(together: Sequence[Letter], letter: Letter) -> bool:
    if letter.character == " ":
        return True
    before = next((one for one in reversed(together) if one.character != " "), together[-1])
    height = max(letter.box[3] - letter.box[1], before.box[3] - before.box[1])
    gap = letter.box[0] - before.box[2]
    return -height < gap < WIDEST_GAP * height and share_row(before.box, letter.box)


def share_row(first: Box, second: Box) -> bool:
    common = min(first[3], second[3]) - max(first[1], second[1])
    return common >= SAME_ROW * min(first[3] - first[1], second[3] - second[1])


def _segment(together: Sequence[Letter]) -> Iterator[Segment]:
    letters = [letter for letter in together if letter.character != " "]
    text = "".join(letter.character for letter in together).strip()
    if not letters or not text:
        return
    boxes = [letter.box for letter in letters]
    size = median(box[3] - box[1] for box in boxes)
    bold = sum(letter.bold for letter in letters) > 0.7 * len(letters)
    yield Segment(_DOTS.sub(LEADER, _without_gaps(text)), around(boxes), size, bold)


def _without_gaps(text: str) -> str:
    """Chinese that is set wide has no spaces for that."""
    gaps, pairs = len(_GAP.findall(text)), len(_PAIR.findall(text))
    return _GAP.sub("", text) if gaps > pairs else text


def around(boxes: Iterable[Box]) -> Box:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def rows(parts: Iterable[Segment]) -> list[list[Segment]]:
    """From top to bottom, each from left to right."""
    found: list[list[Segment]] = []
    for part in sorted(parts, key=lambda part: (part.box[1] + part.box[3]) / 2):
        if found and share_row(_tallest(found[-1]).box, part.box):
            found[-1].append(part)
        else:
            found.append([part])
    return [sorted(row, key=lambda part: part.left) for row in found]


def _tallest(row: Sequence[Segment]) -> Segment:
    return max(row, key=lambda part: part.size)


def together(row: Sequence[Segment]) -> Segment:
    """A row as one segment."""
    text = row[0].text
    for before, part in zip(row, row[1:], strict=False):
        gap = part.left - before.right > LEAST_SPACE * part.size
        unspaced = is_unspaced(text[-1]) and is_unspaced(part.text[0])
        text += (" " if gap and not unspaced else "") + part.text
    longest = max(row, key=lambda part: len(part.text))
    return Segment(text, around(part.box for part in row), longest.size, all(p.bold for p in row))
