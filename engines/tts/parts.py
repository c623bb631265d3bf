"""Sentences that are too long for a model are read in parts. Pure."""

import re
from collections.abc import Iterator

_CLAUSE_END = re.compile(r"[,;:.!?](?=\s)|[，。；：、！？…]")


def parts(sentence: str, characters: int) -> Iterator[str]:
    """Pieces of at most so many characters, cut behind a clause or else a word; those that say
    nothing are left out."""
    begin = 0
    while begin < len(sentence):
        end = _reach(sentence, begin, begin + characters)
        part = sentence[begin:end].strip()
        if any(character.isalnum() for character in part):
            yield part
        begin = end


def _reach(sentence: str, begin: int, limit: int) -> int:
    if len(sentence) <= limit:
        return len(sentence)
    window = sentence[begin : limit + 1]  # one more: a mark counts when a space is behind it
    clauses = [match.end() for match in _CLAUSE_END.finditer(window) if match.end() < len(window)]
    words = [index + 1 for index, character in enumerate(window[:-1]) if character.isspace()]
    return begin + (clauses or words or [limit - begin])[-1]
