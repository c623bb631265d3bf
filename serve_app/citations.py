"""The numbers in square brackets by which an answer cites its sources. Pure."""

import re
from collections.abc import Iterator

_NUMBERS = r"\d{1,2}(?:\s*[,，、;；–-]\s*\d{1,2})*"
_GROUP = re.compile(
    r"(?:\s+|(?<!(?<![°º\w])[A-Za-z_]))"  # what follows a variable at once is its index
    rf"[\[［【]\s*({_NUMBERS})\s*[\]］】](?!\(\S)"  # and before a bracket the text of a link
)
_PART = re.compile(r"(\d+)(?:\s*[–-]\s*(\d+))?")


def cited(answer: str, sources: int) -> list[int]:
    """The numbers of sources that an answer cites, each once, in its order: `[1]`, `[1, 2]`,
    `[1-3]`. `[0, 5]` cites nothing where there are three: it is an interval, or made up."""
    groups = [_numbers(group, sources) for group in _GROUP.findall(answer)]
    return list(dict.fromkeys(number for group in groups for number in group))


def without_citations(text: str, sources: int) -> str:
    """As it is read out."""
    return _GROUP.sub(lambda found: "" if _numbers(found[1], sources) else found[0], text)


def _numbers(group: str, sources: int) -> list[int]:
    """Of the sources; empty when it has any other number."""
    numbers = list(_spelt_out(group))
    return numbers if all(1 <= number <= sources for number in numbers) else []


def _spelt_out(group: str) -> Iterator[int]:
    for first, last in _PART.findall(group):
        yield from range(int(first), int(last or first) + 1)
