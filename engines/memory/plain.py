"""Text from strangers as one plain line of bounded length. Pure."""

import re
import unicodedata

from engines.llm.marks import without_marks

_FORMAT = re.compile(r"```\w*|^\s*#{1,6}(?=\s)", re.M)
_ROLE = re.compile(r"^\s*(?:system|assistant|user|human|tool)\s*[:：]\s*", re.I)
_INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn"))
_SENTENCE_END = re.compile(r"[.!?](?=\s)|[。！？]")

ROUNDS = 8
"""Marks may be put together from others that are taken out; whoever nests deeper loses `<`, too."""


def plain(text: str, limit: int) -> str:
    """On one line, without marks of chat templates and of roles, without characters that nobody
    sees, at most `limit` characters. Doing it again changes nothing."""
    # What is looked at is bounded as well: a megabyte for 120 characters is not read to its end.
    lines = _visible(text[: limit * 4]).splitlines()
    text = _line(" ".join(_ROLE.sub("", line) for line in lines))
    for _ in range(ROUNDS):
        stripped = _line(_ROLE.sub("", _FORMAT.sub(" ", without_marks(text))))
        if stripped == text:
            return _cut(text, limit)
        text = stripped
    return _cut(_line(re.sub(r"[<>＜＞\[\]［］`#:：]", " ", text)), limit)


def _visible(text: str) -> str:
    return "".join(c for c in text if c.isspace() or unicodedata.category(c) not in _INVISIBLE)


def _line(text: str) -> str:
    return " ".join(text.split())


def _cut(text: str, limit: int) -> str:
    """At the end of a sentence where one lies in the second half, else with an ellipsis."""
    if len(text) <= limit:
        return text
    ends = [match.end() for match in _SENTENCE_END.finditer(text, 0, limit)]
    if ends and ends[-1] > limit // 2:
        return text[: ends[-1]]
    return text[: limit - 1].rstrip() + "…"
