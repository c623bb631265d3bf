"""What a learner says beside the lesson: greetings, thanks, "again", "slower", yes and no. Pure."""

import re
import unicodedata
from enum import Enum, auto
from importlib import resources


class Manner(Enum):
    """In the order in which they are answered where several come together: "OK, thanks, bye"."""

    GOODBYE = auto()
    SLOWER = auto()
    AGAIN = auto()
    ABOUT = auto()
    """What can you teach me?"""
    MY_NAME = auto()
    """What am I called?"""
    MORE = auto()
    THANKS = auto()
    NO = auto()
    YES = auto()
    GREETING = auto()


_CONTRACTIONS = (
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"\b(what|that|who|how|it)'s\b"), r"\1 is"),
    (re.compile(r"\b(i)'m\b"), r"\1 am"),
    (re.compile(r"\b(you)'re\b"), r"\1 are"),
    (re.compile(r"\b(i)'d\b"), r"\1 would"),
    (re.compile(r"\bca not\b"), "can not"),
    (re.compile(r"\b(do|did|ca|is|are)nt\b"), r"\1 not"),
)
_NO_WORD = re.compile(r"[^\w]+|_")
_HAN = re.compile(r"[\u3400-\u9fff]")


def _table(text: str) -> dict[str, Manner | None]:
    """Each phrase with what it means; None: a filler."""
    phrases: dict[str, Manner | None] = {}
    for line in text.splitlines():
        name, colon, row = line.partition(":")
        if colon and not line.startswith("#"):
            meant = None if name == "filler" else Manner[name.upper()]
            for phrase in row.split(","):
                phrases[phrase.strip()] = meant or phrases.get(phrase.strip())
    return phrases


def _alone(phrase: str) -> str:
    """A pattern for it: Latin words must stand alone, Chinese ones have no spaces between them."""
    words = re.escape(phrase)
    return words if _HAN.search(phrase) else rf"(?<![a-z0-9]){words}(?![a-z0-9])"


_PHRASES = _table(resources.files(__package__).joinpath("courtesies.txt").read_text("utf-8"))
_LONGEST_FIRST = sorted(_PHRASES, key=len, reverse=True)
_ANY = re.compile("|".join(map(_alone, _LONGEST_FIRST)))

MOST_CHARACTERS = 120
"""Whoever says more says more than a courtesy."""


def manner_of(utterance: str) -> Manner | None:
    """The courtesy that an utterance is; None when it says anything else, too."""
    plain = _plain(utterance)
    if len(plain) > MOST_CHARACTERS or _ANY.sub("", plain).strip():
        return None
    meant = [manner for phrase in _ANY.findall(plain) if (manner := _PHRASES[phrase])]
    return min(meant, key=lambda manner: manner.value, default=None)


def greets(utterance: str) -> bool:
    """Whether it begins with a greeting, and goes on with a word or two at most: "Hello, Anna"."""
    plain = _plain(utterance)
    first = _ANY.match(plain)
    if first is None or _PHRASES[first.group()] is not Manner.GREETING:
        return False
    rest = plain[first.end() :].strip()
    return len(_HAN.findall(rest)) <= 3 and len(rest.split()) <= 2


def _plain(utterance: str) -> str:
    """In small letters, without marks and contractions; a space between Latin words."""
    text = unicodedata.normalize("NFKC", utterance).casefold().replace("’", "'")
    for short, full in _CONTRACTIONS:
        text = short.sub(full, text)
    text = _NO_WORD.sub(" ", text)
    return re.sub(r"(?<=[\u3400-\u9fff]) (?=[\u3400-\u9fff])", "", text).strip()
