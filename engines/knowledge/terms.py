"""Texts and questions to the terms they are searched by. Pure, but for the dictionaries it loads.

    text ──► folded ──► words ──► stems                           passage_terms
                  └──► runs of unspaced scripts ──► characters and pairs
    question ──► folded, without what only asks ──► words of one or more terms   question_words

Passages are cut without a dictionary, so that what is stored stays right when the dictionary
changes; questions are cut with one, so that pairs across two words (水沸 in 水沸腾) do not count as
missing.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path

import rjieba
from opencc import OpenCC  # type: ignore[import-untyped]  # publishes no types
from snowballstemmer import stemmer  # type: ignore[import-untyped]  # publishes no types

from engines.language import HAN

TERMS_VERSION = 1
"""Of what `passage_terms` gives; what was stored with another one is cut anew when it is read."""

Word = tuple[str, ...]
"""The terms of one word of a question: one, or for a longer Chinese word its pairs in order."""

MAX_QUESTION_CHARS = 2_000
"""A question is a few sentences; of a pasted page the beginning is searched for."""

MAX_TERM_CHARS = 40
"""Longer ones are addresses and keys, which nobody asks for."""

_KANA, _HANGUL = "\u3040-\u30ff\u31f0-\u31ff", "\uac00-\ud7af\u1100-\u11ff"
_THAI_TO_KHMER = "\u0e00-\u109f\u1780-\u17ff"
_UNSPACED = f"{HAN}{_KANA}{_HANGUL}{_THAI_TO_KHMER}"
"""Scripts that set no spaces between words, or as Korean join what is said apart."""

_MARKS = "\u0900-\u0dff"
"""Vowels and the like that are written as marks: parts of a word, though no letters."""

_TOKEN = re.compile(
    rf"(?P<run>[{_UNSPACED}]+)"
    rf"|\d+(?:[.,]\d+)+"
    rf"|(?:[^\W_{_UNSPACED}]|[{_MARKS}])+(?:\+\+|\#)?"
)
_ONLY_HAN = re.compile(f"[{HAN}]+")
_LATIN = re.compile(r"[a-z]+")

_ACCENTED = [*range(0xC0, 0x250), *range(0x370, 0x400), *range(0x1E00, 0x2000)]
"""Latin and Greek letters."""

_POINTS = [*range(0x300, 0x370), *range(0x591, 0x5BE), *range(0x64B, 0x660)]
"""Accents that stand apart, and the vowels of Hebrew and Arabic, which are mostly not written."""

_ASKING = re.compile(
    r"\bhow (?:far away|far|long|high|tall|big|large|small|deep|wide|thick|heavy|fast|quickly|old"
    r"|often|many|much|come)\b"
    "|为什么|为何|为啥|是什么意思|什么意思|是指什么|什么时候|什么样|什么叫|什么|怎么回事|怎么样|怎么|怎样|如何"
    "|哪一个|哪一种|哪些|哪个|哪种|哪里|哪儿|多少|有?多[长远高大小深宽厚重快久热冷](?![一-鿿])|请问|请你"
    "|告诉我|给我讲|讲一讲|讲讲|说一说|说说|就是说|解释一下|解释|介绍一下|介绍|举个例子|老师|我想知道|想知道"
    "|能不能|可不可以|可以吗|是不是|有没有|会不会|一下|的话|到底|究竟"
)
"""What only asks, and stands in no other word."""

_IDLE = frozenset(Path(__file__).with_name("idle_words.txt").read_text("utf-8").split())
"""Words of questions that say nothing of what is asked about."""


def passage_terms(text: str) -> list[str]:
    """All terms in reading order. In scripts without spaces each character is followed by the pair
    that it begins."""
    terms: list[str] = []
    for token, is_run in _tokens(text):
        if is_run:
            terms.extend(_characters_and_pairs(token))
        else:
            terms.append(_stem(token))
    return terms


def question_words(question: str) -> tuple[Word, ...]:
    """What a question asks about, each word once; empty when it only asks, greets or is silent."""
    words: dict[Word, None] = {}
    asked = _ASKING.sub(" ", _folded(question[:MAX_QUESTION_CHARS]))
    for token, is_run in _tokens(asked):
        if is_run:
            words.update(dict.fromkeys(_words_of_run(token)))
        elif token not in _IDLE:
            words[(_stem(token),)] = None
    return tuple(words)


def _tokens(text: str) -> Iterator[tuple[str, bool]]:
    """Words, numbers and formulas, and whether it is a run of a script without spaces."""
    for match in _TOKEN.finditer(_folded(text)):
        if match.lastgroup == "run":
            yield match[0], True
        elif len(match[0]) <= MAX_TERM_CHARS:
            yield match[0].replace(",", ""), False


def _characters_and_pairs(run: str) -> Iterator[str]:
    for first, second in pairwise(run):
        yield first
        yield first + second
    yield run[-1]


def _words_of_run(run: str) -> Iterator[Word]:
    if not _ONLY_HAN.fullmatch(run):
        yield from ((pair,) for pair in _pairs(run))
        return
    for word in rjieba.cut(run):
        if word not in _IDLE:
            yield _pairs(word)


def _pairs(word: str) -> Word:
    return tuple(a + b for a, b in pairwise(word)) or (word,)


def _folded(text: str) -> str:
    """One way of writing for what is the same: width, case, accents, traditional characters."""
    return unicodedata.normalize("NFKC", text).casefold().translate(_folding())


@cache
def _folding() -> dict[int, str | None]:
    """Takes 0.2 s, once."""
    han = [chr(code) for code in range(0x4E00, 0xA000)]
    simple = OpenCC("t2s").convert("\n".join(han)).split("\n")
    table: dict[int, str | None] = {
        ord(old): new for old, new in zip(han, simple, strict=True) if old != new
    }
    for code in _ACCENTED:
        plain = unicodedata.normalize("NFD", chr(code))[0]
        if plain != chr(code) and plain.isalpha():
            table[code] = plain
    return table | dict.fromkeys(_POINTS)


_english = stemmer("english")


@lru_cache(maxsize=1 << 16)
def _stem(word: str) -> str:
    """Of English; other languages in Latin letters lose the same ends in passages and questions."""
    if not _LATIN.fullmatch(word):
        return word
    stem: str = _english.stemWord(word)
    return stem
