"""The student's name, out of what the tutor remembers. Pure."""

import re
from collections.abc import Sequence

from engines.language import HAN
from engines.memory.base import Note
from engines.memory.noticing import noticed

LONGEST_CHARS = 40
"""Hardly anybody's name is longer, and it is read out."""

MOST_WORDS, MOST_CHARACTERS = 6, 12
"""Whoever introduces themselves in more, in English and Chinese, says something else as well."""

_INTRODUCED = re.compile(r".*\b(?:name is|called|named)\s+|.*(?:名字是|名叫|叫做|叫)", re.I)
_LATIN = rf"[^\W\d_{HAN}][^\W\d_{HAN}'’-]*(?:['’-][^\W\d_{HAN}]+)*"
_NAME = re.compile(rf"{_LATIN}(?: {_LATIN}){{0,2}}|[{HAN}]{{2,4}}")


def student_name(notes: Sequence[Note]) -> str:
    """As it can be said; empty where nobody knows it. A model may have noted it in a sentence, and
    whatever does not look like a name is none."""
    told = next((note.text for note in notes if note.about == "name"), "")
    name = _INTRODUCED.sub("", told).strip(" .。!！")
    if len(name) > LONGEST_CHARS or _NAME.fullmatch(name) is None:
        return ""
    several = name.split()
    return name if len(several) == 1 or all(word[0].isupper() for word in several) else ""


def name_said(words: str) -> str:
    """The student's name, where they say it themselves."""
    return student_name([Note("name", f.text) for f in noticed(words) if f.kind == "name"])


def introduced(words: str) -> str:
    """The same of who says nothing else."""
    han = len(re.findall(f"[{HAN}]", words))
    is_short = han <= MOST_CHARACTERS and len(words.split()) <= MOST_WORDS
    return name_said(words) if is_short else ""
