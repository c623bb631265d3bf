"""Sentences of a text that is complete, in any language with marks for their ends. Pure."""

import re
from bisect import bisect
from collections.abc import Iterator, Sequence
from itertools import chain

LONGEST_LOOK = 40
"""Characters before a full stop that tell what it is: no abbreviation is longer."""

_CLOSING = "\"'”’)\\]}）」』】》"
_END = re.compile(
    f"[。！？；｡…!?]+[{_CLOSING}]*\\s*"  # full-width marks end one wherever they stand
    f"|[.!?…]+[{_CLOSING}]*(?=\\s)\\s*"
    "|[।॥။։؟]+\\s*"
    "|\\n\\s*"
)
_FULL_WIDTH = re.compile("[。！？；｡।॥။։؟\n]")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[“\"'])(?:[A-Z]|dr|mr|mrs|ms|prof|st|vs|e\.g|i\.e|cf|approx|ca|no|nos|fig|figs|eq|eqs"
    r"|ch|chap|vol|pp?|sec|art|al|etc|z\.B|d\.h|bzw|Nr|S|Abb)\.$",
    re.I,
)
_NUMBERED = re.compile(r"(?:^|[:;]\s)\s*\(?\d{1,3}\.$")
_FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$", re.S)


def sentences(text: str) -> Iterator[str]:
    """They make up the text when put together again: each has the space that follows it. A line
    end ends a sentence; what is between dollar signs is never cut."""
    formulas = list(chain.from_iterable(found.span() for found in _FORMULA.finditer(text)))
    begin = 0
    for found in _END.finditer(text):
        end = found.end()
        if end < len(text) and _ends(text, begin, found, formulas):
            yield text[begin:end]
            begin = end
    if begin < len(text):
        yield text[begin:]


def first_sentence(text: str) -> tuple[str, str]:
    """And the rest, which may be empty."""
    first = next(sentences(text), "")
    return first.strip(), text[len(first) :]


def _ends(text: str, begin: int, found: re.Match[str], formulas: Sequence[int]) -> bool:
    """`formulas`: where each begins and ends, in order."""
    if bisect(formulas, found.start()) % 2:
        return False
    if _FULL_WIDTH.search(found.group()):
        return True
    if not found.group().startswith("."):
        return True
    before = text[max(begin, found.start() - LONGEST_LOOK) : found.start() + 1]
    following = text[found.end()]
    if following.islower() or _NUMBERED.search(before):
        return False
    return _ABBREVIATION.search(before) is None
