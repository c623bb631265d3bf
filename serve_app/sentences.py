"""Cuts the text of a language model, as it streams in, into sentences that can be spoken. Pure.

Where a sentence ends follows from the text alone, however it was split into tokens: while the
next characters could still change it, the cutter waits. Only the first sentence of an answer may
be cut eagerly, because its delay is the one that is heard.
"""

import re
from dataclasses import dataclass

LONGEST_SPAN = 1_000
"""Characters. Code or a formula that is not closed by then was none, and is spoken as it is."""

_FULL_WIDTH_ENDS = "。！？；｡"
_ENDS = _FULL_WIDTH_ENDS + ".!?…"
_CLOSING = "”’)]}）］】」』》〉'"
_EITHER_WAY = '"*_~'  # opens and closes alike: closes if opened within the sentence
_CLAUSE_ENDS = "，、：,;:—"
_FIRST_CJK = "\u2e80"

# Never the end of a sentence.
_TITLE = re.compile(
    r"dr|mr|mrs|ms|messrs|prof|st|gen|col|capt|lt|rev|hon|mt|vs|e\.g|i\.e|cf|approx|viz|ca", re.I
)
# The end of a sentence unless a number follows: "No. 5", but "No. That is wrong."
_BEFORE_NUMBER = re.compile(
    r"nos?|figs?|eqs?|ch|chap|vol|pp?|sec|art|op|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec",
    re.I,
)
# The end of a sentence if a capital follows.
_TRAILING = re.compile(
    r"etc|al|inc|ltd|co|corp|jr|sr|ph\.d|b\.a|m\.a|b\.sc|m\.sc|a\.m|p\.m|a\.d|b\.c", re.I
)
# After "U.S." or "Plan B." a capital proves little, one of these words does.
_STARTER = re.compile(
    r"a|after|all|also|although|an|and|another|are|as|at|because|before|but|by|can|did|do|does|each"
    r"|finally|first|for|from|he|her|here|his|how|however|i|if|in|is|it|its|let|many|my|next|no|not"
    r"|now|of|on|once|one|or|our|she|since|so|some|that|the|their|then|there|these|they|this|those"
    r"|to|we|what|when|where|which|while|who|why|with|yes|you|your",
    re.I,
)

_LAST_WORD = re.compile(r"[^\s(\[{“\"（「『*_~]*\Z")
_PLAIN_WORD = re.compile(r"[A-Za-z]*[a-z]{2,}|[A-Za-z]+['’][a-z]{1,2}")
_INITIALISM = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]")
_ROMAN = re.compile(r"[ivxIVX]+")
_ITEM_NUMBER = re.compile(r"\A[\s>*+•#-]*(?:\d{1,3}|[A-Za-z]|[ivx]{1,4})\Z|[:;,：；，]\s*\d{1,3}\Z")
_ADDRESS = re.compile(r"//|@|www\.|\w/\w")
_MONEY = re.compile(r"\$\d[\d,]*(?:\.\d+)?(?:[kKmMbB]|bn)?(?![\w$^\\{(=+*<>]|/\d|\s+[=+*/^\\<>])")


class _Undecided(Exception):
    """The characters that decide are not there yet."""


@dataclass(frozen=True, slots=True)
class _Limits:
    """Lengths of a sentence that has no end: Latin characters, and Chinese ones."""

    latin: int
    cjk: int

    def share(self, character: str) -> float:
        return 1 / self.cjk if character >= _FIRST_CJK else 1 / self.latin


_FIRST = _Limits(80, 30)  # some five seconds of speech: the learner waits for them
_LATER = _Limits(200, 80)
_SHORTEST_CLAUSE = 0.25  # of the limit: "Well," alone sounds chopped off
_LONGEST = 400  # Latin characters, with or without a clause mark


class SentenceCutter:
    """Takes tokens, gives sentences. All of the text comes out, except white space around them."""

    def __init__(self, eager_first: bool = True) -> None:
        self._eager_first = eager_first
        self._restart()

    def feed(self, token: str) -> list[str]:
        """The sentences that are complete with this token."""
        self._text += token
        return self._cut(final=False)

    def flush(self) -> list[str]:
        """The rest, when no more tokens come. The next one starts a new answer."""
        sentences = self._cut(final=True)
        self._restart()
        return sentences

    def _restart(self) -> None:
        self._text = ""
        self._first = True
        self._line_start = True

    def _cut(self, final: bool) -> list[str]:
        sentences = []
        while (end := self._end(final)) is not None:
            taken, self._text = self._text[:end], self._text[end:]
            self._line_start = taken.endswith("\n") or (self._line_start and taken.isspace())
            if sentence := taken.strip():
                sentences.append(sentence)
                self._first = False
        return sentences

    def _end(self, final: bool) -> int | None:
        eager = self._eager_first and self._first
        reader = _Reader(
            self._text, self._line_start, final, eager, _FIRST if self._first else _LATER
        )
        try:
            return reader.sentence()
        except _Undecided:
            return None


@dataclass(frozen=True, slots=True)
class _Reader:
    """Looks for the first sentence of a text that may still grow."""

    text: str
    line_start: bool
    final: bool
    eager: bool
    limits: _Limits

    def sentence(self) -> int | None:
        """Where the first sentence ends. Raises `_Undecided`."""
        position, border, clause, length = 0, 0, 0, 0.0
        hard = _LONGEST / self.limits.latin
        while position < len(self.text):
            after = self._span(position)
            if after > position:
                length += (after - position) / self.limits.latin
                position = border = after
                continue
            character = self.text[position]
            if end := self._end(position, character):
                return end
            length += self.limits.share(character)
            if self._ends_clause(position, character) and length >= _SHORTEST_CLAUSE:
                clause = position + 1
            if length > 1 and clause:
                return clause
            if character.isspace() or character >= _FIRST_CJK:
                border = position + 1
            if length > hard:
                return border or position + 1
            position += 1
        return len(self.text) if self.final and self.text else None

    def _peek(self, position: int) -> str:
        """The character there; "" behind the end of the answer."""
        if position < len(self.text):
            return self.text[position]
        if self.final:
            return ""
        raise _Undecided

    # What is never cut inside

    def _span(self, position: int) -> int:
        """The end of the code, formula or table row that begins here; `position` if none does."""
        match self.text[position]:
            case "`" | "~":
                return self._code(position)
            case "$":
                return self._dollar(position)
            case "\\":
                return self._backslash(position)
            case "|" if self._begins_line(position):
                return self._closed(position, 0, r"(?=\n)", one_line=False)
        return position

    def _begins_line(self, position: int) -> bool:
        return self.line_start and not self.text[:position].strip()

    def _code(self, position: int) -> int:
        mark, end = self.text[position], position
        while self._peek(end) == mark:
            end += 1
        count = end - position
        if count >= 3 and self._begins_line(position):
            if (line := self.text.find("\n", end)) < 0 and not self.final:
                raise _Undecided
            if mark not in self.text[end : line if line >= 0 else None]:
                return self._fenced(end, mark * count)
        if mark == "~":
            return position
        return self._closed(position, count, f"(?<!`)`{{{count}}}(?!`)", one_line=True)

    def _fenced(self, begin: int, fence: str) -> int:
        """Code up to its closing fence however long it is, and to the end of the answer if there
        is none: the rest of a program is nothing to read aloud."""
        closing = re.compile(rf"\n[ \t>]*{fence}{fence[0]}*[ \t]*(?=\n)")
        if found := closing.search(self.text, begin):
            return found.end()
        if self.final:
            return len(self.text)
        raise _Undecided

    def _dollar(self, position: int) -> int:
        following = self._peek(position + 1)
        if following == "$":
            return self._closed(position, 2, r"\$\$", one_line=False)
        if following == "" or following.isspace() or following in _ENDS + _CLOSING + ",;:":
            return position
        if following.isdigit() and self._is_money(position):
            return position
        return self._closed(position, 1, r"(?<![\\\s])\$(?!\d)", one_line=True)

    def _is_money(self, position: int) -> bool:
        end = position + 1
        while (character := self._peek(end)) != "" and (character.isdigit() or character in ",. "):
            end += 1
        self._peek(end + 1)  # "bn" and an operator behind a space are seen whole
        return is_money(self.text, position)

    def _backslash(self, position: int) -> int:
        following = self._peek(position + 1)
        if following == "(":
            return self._closed(position, 2, r"\\\)", one_line=True)
        if following == "[":
            return self._closed(position, 2, r"\\\]", one_line=False)
        return position if following in ("", "\n") else position + 2

    def _closed(self, begin: int, opening: int, closing: str, one_line: bool) -> int:
        """Where the span that begins here is closed; behind its opening mark if it never is."""
        limit = begin + LONGEST_SPAN
        found = re.compile(closing).search(self.text, begin + opening, limit)
        line = self.text.find("\n", begin, limit) if one_line else -1
        if found and (line < 0 or found.start() < line):
            self._peek(found.end())  # one more character could make it another mark
            return found.end()
        if line >= 0 or len(self.text) >= limit or self.final:
            return begin + opening
        raise _Undecided

    # Where a sentence ends

    def _end(self, position: int, character: str) -> int:
        """The end of the sentence if this character ends it, or 0."""
        if character == "\n":
            return position + 1
        if character not in _ENDS or (position and self.text[position - 1] in _ENDS):
            return 0
        marks = position
        while marks < len(self.text) and self.text[marks] in _ENDS:
            marks += 1
        end = self._with_closing(marks)
        if end == len(self.text) and not self.final:
            if self.eager and self._is_clear(position, marks):
                return end
            raise _Undecided
        if set(self.text[position:marks]) & set(_FULL_WIDTH_ENDS):
            return end
        following = self._peek(end)
        if following and not following.isspace() and following < _FIRST_CJK:
            return 0  # within a number, an address, a file name
        return end if self._ends_latin(position, marks, end) else 0

    def _with_closing(self, end: int) -> int:
        while end < len(self.text):
            mark = self.text[end]
            if mark in _EITHER_WAY and self._is_open(mark, end):
                while end < len(self.text) and self.text[end] == mark:
                    end += 1
            elif mark in _CLOSING:
                end += 1
            else:
                break
        return end

    def _is_open(self, mark: str, end: int) -> bool:
        runs = re.findall(rf"{re.escape(mark)}+(?!\s)|(?<=\S){re.escape(mark)}+", self.text[:end])
        return len(runs) % 2 == 1

    def _is_clear(self, position: int, marks: int) -> bool:
        """Whether no character to come is likely to show that this was not the end."""
        word = _word_before(self.text, position)
        ending = self.text[marks - 1]
        if ending != ".":
            return ending != "…" and not _ADDRESS.search(word)
        if marks - position > 1:
            return False
        if position and self.text[position - 1] >= _FIRST_CJK:
            return True
        uncertain = (_TITLE, _BEFORE_NUMBER, _TRAILING, _ROMAN)
        return bool(_PLAIN_WORD.fullmatch(word)) and not any(p.fullmatch(word) for p in uncertain)

    def _ends_latin(self, position: int, marks: int, end: int) -> bool:
        following = self._following(end)
        if self.text[position:marks] != ".":
            quoted = end > marks or self.text[marks - 1] in ".…"
            return not (quoted and following.islower())  # "Why?" he asked
        if _ITEM_NUMBER.search(self.text[:position]):
            return following == ""
        if following in ("", "\n"):
            return True
        return not following.islower() and self._ends_word(position, end, following)

    def _ends_word(self, position: int, end: int, following: str) -> bool:
        """Whether the full stop behind a word ends a sentence, rather than an abbreviation."""
        word = _word_before(self.text, position)
        if _TITLE.fullmatch(word):
            return False
        if _BEFORE_NUMBER.fullmatch(word):
            return not following.isdigit()
        if _TRAILING.fullmatch(word):
            return following.isupper() or following >= _FIRST_CJK
        if _INITIALISM.fullmatch(word):
            return following >= _FIRST_CJK or self._starts_sentence(end)
        if len(word) == 1 and word.isupper() and word != "I" and following.isupper():
            before = _word_before(self.text, position - 2) if position >= 2 else ""
            return before.islower() or self._starts_sentence(end)
        return True

    def _following(self, end: int) -> str:
        """The next character that is no blank: a new line counts, "" is the end."""
        while (character := self._peek(end)) != "\n" and character.isspace():
            end += 1
        return character

    def _starts_sentence(self, begin: int) -> bool:
        while self._peek(begin).isspace():
            begin += 1
        end = begin
        while self._peek(end).isalpha():
            end += 1
        return _STARTER.fullmatch(self.text, begin, end) is not None

    def _ends_clause(self, position: int, character: str) -> bool:
        if character not in _CLAUSE_ENDS:
            return False
        return character >= _FIRST_CJK or self._peek(position + 1).isspace()


def is_money(text: str, position: int) -> bool:
    """Whether the dollar sign there stands before a price rather than around a formula."""
    return _MONEY.match(text, position) is not None


def _word_before(text: str, position: int) -> str:
    found = _LAST_WORD.search(text, 0, position)
    return found.group().lstrip("'‘") if found else ""
