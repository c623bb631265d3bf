"""Names that people give to voices and faces."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator


def _given_name(name: str) -> str:
    name = unicodedata.normalize("NFC", name)
    if not is_given_name(name):
        raise ValueError(
            "must have 1 to 48 letters and digits, and only spaces, - and _ between them"
        )
    return name


def is_given_name(name: str) -> bool:
    """Letters (with their vowel signs) and digits of any script, spaces, `-` and `_` inside: also
    the name of a folder."""
    inside = all(_is_of_a_word(sign) or sign in " -_" for sign in name)
    ends = name[:1].isalnum() and _is_of_a_word(name[-1:])
    return inside and ends and len(name) <= 48


def _is_of_a_word(sign: str) -> bool:
    return sign.isalnum() or unicodedata.category(sign).startswith("M")


GivenName = Annotated[str, AfterValidator(_given_name)]
