"""Lines that a printer or an editor broke, put together again as a paragraph. Pure."""

import re
from collections.abc import Collection, Iterable

from engines.language import HAN

UNSPACED = f"{HAN}\u3000-\u30ff\uff00-\uffef\u2018-\u201d\u2026\u2014"
"""Chinese and Japanese, with their marks: between such characters stands no space."""

_AFTER_HAN = re.compile(f"[{HAN}\u3000-\u30ff\uff00-\uffef]")
_UNSPACED_END = re.compile(f"[{UNSPACED}]\\Z")
_HYPHENS = "-\u2010\u00ad\x02\ufffe"
"""The last two are what PDFium gives for a hyphen at the end of a line."""

_BROKEN_WORD = re.compile(f"([^\\W\\d_]+)[{_HYPHENS}]\\Z")
_FIRST_WORD = re.compile(r"[^\W\d_]+")


def joined(lines: Iterable[str], words: Collection[str] = frozenset()) -> str:
    """One paragraph. A word that was parted at the end of a line is put together, unless `words`
    has it with its hyphen only (`well-known`); all of them in lower case."""
    text = ""
    for line in lines:
        line = line.strip()
        text = _with(text, line, words) if text else line
    return text


def _with(text: str, line: str, words: Collection[str]) -> str:
    if not line:
        return text
    if broken := _BROKEN_WORD.search(text):
        following = _FIRST_WORD.match(line)
        if following and following.group()[0].islower():
            return _mended(text, broken[1], line, following.group(), words)
    # Chinese beside a Latin word is set with or without a space; none is right either way.
    unspaced = _UNSPACED_END.search(text) and _AFTER_HAN.match(line[0])
    return text + ("" if unspaced or _ends_open(text) else " ") + line


def _mended(text: str, begin: str, line: str, end: str, words: Collection[str]) -> str:
    whole, parted = (begin + end).lower(), f"{begin}-{end}".lower()
    keeps_hyphen = parted in words and whole not in words
    return text[:-1] + ("-" if keeps_hyphen else "") + line


def _ends_open(text: str) -> bool:
    """Whether the line was broken behind the sign within a word, as `well-` or `and/`."""
    return len(text) > 1 and text[-1] in "-\u2010/" and not text[-2].isspace()


def is_unspaced(character: str) -> bool:
    """Chinese or Japanese, or a mark among these."""
    return _AFTER_HAN.match(character) is not None
