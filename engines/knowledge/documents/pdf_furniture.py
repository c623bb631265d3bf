"""What pages repeat: running heads, footers and page numbers. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from engines.knowledge.documents.pdf_segments import Segment
from engines.knowledge.documents.pdf_tables import Part

MARGIN = 0.12
"""Of a page's height at its top and bottom, where running heads and page numbers are."""

LEAST_PAGES = 3
"""On which the same line stands to be a running head; both of a document of two."""

LEAST_SHARE = 0.3
"""Of the pages: books have other heads on left pages and in each chapter."""

_NUMBER = re.compile(
    r"[-–—\s|·.]*(?:p(?:age|\.)?\s*)?(?:第\s*)?(\d{1,4}|[ivxlc]{1,7})(?:\s*页)?"
    r"(?:\s*(?:/|of|共)\s*\d{1,4}\s*页?)?[-–—\s|·.]*",
    re.I,
)
_DIGITS = re.compile(r"\d+")


def without_furniture(
    pages: Sequence[Sequence[Sequence[Part]]], heights: Sequence[float]
) -> Iterator[list[list[Part]]]:
    """The stretches of each page without what is repeated. `heights` in points."""
    often = _repeated(pages, heights)
    numbers = _numbers(pages, heights)
    for index, (page, height) in enumerate(zip(pages, heights, strict=True)):
        kept = [
            [
                part
                for part in stretch
                if not (
                    isinstance(part, Segment)
                    and _in_margin(part, height)
                    and (_pattern(part.text) in often or numbers.hold(part.text, index))
                )
            ]
            for stretch in page
        ]
        yield [stretch for stretch in kept if stretch]


@dataclass(frozen=True, slots=True)
class _Numbers:
    """How the pages are numbered."""

    steps: frozenset[int]
    """Page numbers less places of pages: the preface may be counted by itself."""

    def hold(self, text: str, index: int) -> bool:
        found = _NUMBER.fullmatch(text.strip())
        if found is None or not self.steps:
            return False
        return not found[1].isdecimal() or int(found[1]) - index in self.steps


def _numbers(pages: Sequence[Sequence[Sequence[Part]]], heights: Sequence[float]) -> _Numbers:
    steps: Counter[int] = Counter()
    for index, (page, height) in enumerate(zip(pages, heights, strict=True)):
        found = {_NUMBER.fullmatch(line.text.strip()) for line in _in_margins(page, height)}
        steps.update(
            {int(number[1]) - index for number in found if number and number[1].isdecimal()}
        )
    return _Numbers(frozenset(step for step, count in steps.items() if count > 1))


def _repeated(pages: Sequence[Sequence[Sequence[Part]]], heights: Sequence[float]) -> set[str]:
    counts: Counter[str] = Counter()
    for page, height in zip(pages, heights, strict=True):
        counts.update({_pattern(line.text) for line in _in_margins(page, height)})
    least = min(max(LEAST_PAGES, LEAST_SHARE * len(pages)), max(2, len(pages)))
    return {text for text, count in counts.items() if count >= least}


def _in_margins(page: Iterable[Iterable[Part]], height: float) -> Iterator[Segment]:
    for stretch in page:
        for part in stretch:
            if isinstance(part, Segment) and _in_margin(part, height):
                yield part


def _in_margin(line: Segment, height: float) -> bool:
    return line.box[3] < MARGIN * height or line.box[1] > (1 - MARGIN) * height


def _pattern(text: str) -> str:
    """With every number alike: `Water · 12` and `Water · 13` are the same head."""
    return _DIGITS.sub("0", " ".join(text.split()).lower())
