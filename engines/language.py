"""Which language a sentence is in, told by its script. Pure."""

import re
from typing import Literal

HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Chinese characters, as the inside of a regular expression's set."""

_HAN = re.compile(f"[{HAN}]")
_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]+")
_CHINESE_MARK = re.compile("[\u3001\u3002\u300a\u300b\uff01\uff0c\uff1a\uff1b\uff1f]")


def language_of(text: str) -> Literal["zh", "en"]:
    """The language in which the words around are: a Chinese sentence full of English terms stays
    Chinese, an English one that quotes a Chinese word stays English."""
    characters = len(_HAN.findall(text))
    words = len(_LATIN_WORD.findall(text))
    if characters or words:
        # A Chinese word is one or two characters, so one for one leans to Chinese: its grammar
        # words are what holds such a mixture together.
        return "zh" if characters >= words else "en"
    return "zh" if _CHINESE_MARK.search(text) else "en"
