"""A passage as what can be quoted of it: sentences, rows of tables, formulas. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

LONGEST_STATEMENT = 400
"""Characters. What runs on without an end, such as a list that lost its line ends, is cut at a
clause or a space."""

_END = re.compile(
    r"[。！？｡]+[”’」』》）)\]]*"  # full-width marks end a sentence, whatever follows
    r"|(?<![.!?…])(?:[!?…]+|(?<!\.)\.(?!\w)|\.{3,})[\"”’')\]]*(?=\s|$)"
)
# Before a full stop that ends no sentence: titles, initials, short forms.
_SHORT_FORM = re.compile(
    r"(?:^|[\s(“\"])(?:dr|mr|mrs|ms|prof|st|vs|approx|cf|ca|fig|figs|eq|no|nos|ch|vol|pp?|sec"
    r"|e\.g|i\.e|[A-Za-z](?:\.[A-Za-z])*)\.$",
    re.I,
)
_FORMULA = re.compile(r"\s*(?:\$\$.*\$\$|\\\[.*\\\])\s*", re.S)
_INLINE = re.compile(r"\$[^$\n]{1,200}\$|\\\(.{1,200}?\\\)")
_ROW = re.compile(r"[^:;.。!?！？]{1,80}: [^;]+(?:; [^;]+)+")
_BULLET = re.compile(r"\s*(?:[-*+•·▪◦]|\d{1,3}[.)、])\s+")
_HEADING = re.compile(r"\s*#{1,6}\s+")
_CLAUSE_END = re.compile(r"[,;:]\s|[，、；：]|\s")


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing that a passage says."""

    text: str
    """Word for word."""
    kind: Literal["sentence", "row", "formula"]
    paragraph: int
    """Statements of the same paragraph follow each other without a break."""


def statements(passage: str) -> list[Statement]:
    """All that the text of a passage says, in reading order. Each line is a paragraph, a row of a
    table (`Metal: iron; Melts at: 1538 °C`) or a formula."""
    found: list[Statement] = []
    for number, line in enumerate(_lines(passage)):
        if _ROW.fullmatch(line):
            found.append(Statement(line, "row", number))
        elif _FORMULA.fullmatch(line):
            found.append(Statement(line, "formula", number))
        else:
            found += [Statement(s, "sentence", number) for s in sentences(_unmarked(line))]
    return found


def sentences(text: str) -> list[str]:
    """The sentences of a paragraph. All of it comes out, except white space around them."""
    found: list[str] = []
    begin = 0
    for end in (*_ends(text), len(text)):
        found += _cut(text[begin:end].strip())
        begin = end
    return found


def _ends(text: str) -> Iterator[int]:
    spans = [span.span() for span in _INLINE.finditer(text)]
    for match in _END.finditer(text):
        inside = any(begin < match.start() < end for begin, end in spans)
        if not (inside or _goes_on(text, match)):
            yield match.end()


def _goes_on(text: str, match: re.Match[str]) -> bool:
    """Whether the mark stands within a sentence: "approx. 20", "e.g. rain", "“Why?” he asked"."""
    if match.group()[0] in "。！？｡":
        return False
    if text[match.end() : match.end() + 8].lstrip()[:1].islower():
        return True
    before = text[max(0, match.start() - 20) : match.start() + 1]
    return match.group() == "." and _SHORT_FORM.search(before) is not None


def _cut(sentence: str) -> Iterator[str]:
    while len(sentence) > LONGEST_STATEMENT:
        ends = [match.end() for match in _CLAUSE_END.finditer(sentence, 0, LONGEST_STATEMENT)]
        end = ends[-1] if ends else LONGEST_STATEMENT
        yield sentence[:end].strip()
        sentence = sentence[end:].strip()
    if sentence:
        yield sentence


def _lines(passage: str) -> Iterator[str]:
    """The lines, with a formula of several lines as one."""
    formula: list[str] = []
    for line in filter(None, map(str.strip, passage.splitlines())):
        marks = line.count("$$")
        if not formula and marks != 1:
            yield line
            continue
        formula.append(line)
        if len(formula) > 1 and marks:
            yield " ".join(formula)
            formula = []
    yield from formula


def _unmarked(line: str) -> str:
    """Without what marks a line as an item of a list or as a heading."""
    for mark in (_HEADING, _BULLET):
        if match := mark.match(line):
            return line[match.end() :].strip()
    return line.strip()
