"""Where a format's reader puts what it finds: cleans it, keeps the headings over it, counts what
was hidden, and stops at the limit."""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

from engines.errors import DocumentTooLarge
from engines.knowledge.base import Block, Extracted
from engines.knowledge.documents.limits import LIMIT_TEXT
from engines.knowledge.hidden import cleaned

LONGEST_HEADING = 200
"""Characters; a longer one is a paragraph in large letters."""

MOST_NAMED_PAGES = 8
"""In a note, so that it stays a sentence."""

_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n[ \n]*")

Kind = Literal["text", "table", "formula"]


class Draft:
    """An `Extracted` in the making."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._headings: list[tuple[int, str]] = []
        self._length = 0
        self._hidden: dict[str, dict[int | None, int]] = defaultdict(lambda: defaultdict(int))
        self._notes: list[str] = []

    @property
    def hides(self) -> bool:
        """Whether text was left out because nobody sees it."""
        return bool(self._hidden)

    def heading(self, level: int, text: str, page: int | None = None) -> None:
        """What follows stands under it; the level is that of an outline, 0 the outermost."""
        text = " ".join(self._seen(text, page).split())
        if not text:
            return
        if len(text) > LONGEST_HEADING:
            self.add(text, page)
            return
        while self._headings and self._headings[-1][0] >= level:
            self._headings.pop()
        self._headings.append((level, text))

    def no_heading(self) -> None:
        """What follows stands under none."""
        self._headings.clear()

    def add(
        self, text: str, page: int | None = None, kind: Kind = "text", *, verbatim: bool = False
    ) -> None:
        """A paragraph, a table with a row in each line, or a formula; `verbatim` keeps the spaces
        of a program. Raises `DocumentTooLarge`."""
        text = self._seen(text, page)
        text = text.strip("\n") if verbatim else _tidy(text)
        if not text.strip():
            return
        self._length += len(text)
        if self._length > LIMIT_TEXT:
            raise DocumentTooLarge(
                f"The document has more than {LIMIT_TEXT / 1e6:.0f} million characters of text;"
                " please divide it into several files."
            )
        headings = tuple(text for _, text in self._headings)
        self._blocks.append(Block(text, page, headings, kind))

    def hidden(self, why: str, text: str, page: int | None = None) -> None:
        """This text stands in the file and no reader sees it: it is left out, and told."""
        if length := len("".join(text.split())):
            self._hidden[why][page] += length

    def note(self, sentence: str) -> None:
        if sentence not in self._notes:
            self._notes.append(sentence)

    def finish(self, pages: int = 0) -> Extracted:
        hidden = [_hidden_note(why, places) for why, places in self._hidden.items()]
        return Extracted(tuple(self._blocks), pages, (*hidden, *self._notes))

    def _seen(self, text: str, page: int | None) -> str:
        seen = cleaned(text)
        for kind, count in seen.left_out.items():
            self._hidden[f"{kind} characters"][page] += count
        return seen.text


def _tidy(text: str) -> str:
    return _LINES.sub("\n", _SPACES.sub(" ", text)).strip()


def _hidden_note(why: str, places: dict[int | None, int]) -> str:
    count = sum(places.values())
    where = on_pages([page for page in places if page is not None])
    characters = f"{count} character" + "s" * (count != 1)
    return f"Hidden text was left out{where}: {characters} ({why})."


def on_pages(pages: Iterable[int]) -> str:
    """For example ` on pages 1, 2 and 5`, with a space before it; empty for none."""
    names = [str(page) for page in sorted(set(pages))]
    if not names:
        return ""
    if len(names) == 1:
        return f" on page {names[0]}"
    if len(names) > MOST_NAMED_PAGES:
        names = [*names[:MOST_NAMED_PAGES], f"{len(names) - MOST_NAMED_PAGES} more"]
    return f" on pages {', '.join(names[:-1])} and {names[-1]}"
