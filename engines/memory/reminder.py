"""What a language model is told of a student it has taught before. Pure.

It goes as data (engines/llm/grounding.py): a summary was written by a model that may have read a
poisoned document, or a student who wanted to be obeyed.
"""

from collections.abc import Iterator, Sequence

from engines.llm.context import Estimate
from engines.llm.grounding import noted
from engines.memory.base import KINDS, SUMMARY_CHARS, Note, Remembered
from engines.memory.plain import plain

TOKENS = 1024
"""Of the prompt, at most, as estimated with care: half a summary in Chinese and some facts, which
are some 500 in truth. A server reads them once, as they stay the same."""

SHARE = 1 / 8
"""Of a context that is known, at most."""

_SUMMARY_CHARS = SUMMARY_CHARS, SUMMARY_CHARS // 2, SUMMARY_CHARS // 4
"""A whole one in Chinese, reckoned with two tokens a character, has no room."""

_COUNT = Estimate()
_FRAME = _COUNT(noted(())[1])


def room(context: int | None) -> int:
    """Tokens for the reminder in a context of so many; None: nobody knows."""
    return TOKENS if context is None else min(TOKENS, int(context * SHARE))


def reminder(known: Remembered, tokens: int = TOKENS) -> tuple[Note, ...]:
    """Notes for the system message that take, with what is said around them, at most so many
    tokens, estimated with care; none when nothing is known, or nothing fits. A summary that is too
    long is cut. Takes a millisecond or two."""
    left = tokens - sum(map(_COUNT, noted(())))
    notes: list[Note] = []
    for choices in _notes(known):
        for note in choices:
            if (size := _size(note)) <= left:
                notes.append(note)
                left -= size
                break
    while notes and sum(map(_COUNT, noted(notes))) > tokens:  # by their code, which varies
        notes.pop()
    return tuple(notes)


def _size(note: Note) -> int:
    """Of its line."""
    return _COUNT(noted((note,))[1]) - _FRAME + 1


def _notes(known: Remembered) -> Iterator[Sequence[Note]]:
    """The most telling first; of each the longest form first."""
    newest_first = known.facts[::-1]
    for kind in KINDS[:3]:
        yield from ([Note(kind, fact.text)] for fact in newest_first if fact.kind == kind)
    if known.summary:
        yield [Note("summary", plain(known.summary, chars)) for chars in _SUMMARY_CHARS]
    for said in known.recent[::-1]:
        who = "student" if said.by_student else "tutor"
        yield [Note(f"last session, {who}", said.text)]
    for kind in KINDS[3:]:
        yield from ([Note(kind, fact.text)] for fact in newest_first if fact.kind == kind)
