"""Characters that nobody sees: they can carry words to a language model that no reader knows of,
and they part words so that a search misses them. Pure.

Joiners that the letters of some scripts need, and those inside an emoji, stay.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

_JOINED = (
    "\u0600-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af\u1900-\u1aaf\u1b00-\u1c4f\ua840-\ua8ff"
    "\ua980-\uaadf\uabc0-\uabff\ufb50-\ufdff\ufe70-\ufefc\U00011000-\U000114df"
)
"""Arabic, Syriac, Mongolian and the scripts of South and South-East Asia, whose letters change
their shape beside a joiner."""

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
"""Thai, Lao, Burmese and Khmer, which part words by a space of no width."""

_EMOJI = "\u2190-\u2bff\ufe0f\U0001f000-\U0001faff"
_HAN = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"

_NEEDED = re.compile(
    f"(?<=[{_JOINED}])[\u200c\u200d](?=[{_JOINED}])"
    f"|(?<=[{_UNSPACED}])\u200b(?=[{_UNSPACED}])"
    f"|(?<=[{_EMOJI}])\u200d(?=[{_EMOJI}])"
    "|(?<=[\u1820-\u18af])[\u180b-\u180e]"
    "|(?<=[0-9#*\u00a9\u00ae\u2030-\u33ff\U0001f000-\U0001faff])[\ufe0e\ufe0f]"
    f"|(?<=[{_HAN}])[\U000e0100-\U000e01ef]"
)
"""One such character between two that need it; a row of them is none of these."""

_SUSPECTS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    "\U000e0000-\U000e0fff]"
)

_BREAKS = "\x0b\x0c\x1e\x85\u2028\u2029"
_HARMLESS = re.compile("[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200e\u200f\ufe00-\ufe0f\ufeff]")
"""Soft hyphens, marks of direction and of byte order, control characters: leavings of programs,
which carry nothing. They go without a word."""

_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_TAGS = re.compile("[\U000e0000-\U000e0fff]")

_COMPATIBLE = re.compile("[\u2e80-\u2fdf\ufb00-\ufb06]")
"""Radicals and ligatures that PDFs have in place of characters and letters."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A text as it is seen."""

    text: str
    """In NFC, with `\\n` for every kind of line break."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many characters that hide something, by `zero-width`, `bidi` and `tag`."""


def cleaned(text: str) -> Cleaned:
    """Without the characters that nobody sees."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _COMPATIBLE.sub(lambda found: unicodedata.normalize("NFKC", found.group()), text)
    if _SUSPECTS.search(text) is None:
        return Cleaned(text)
    needed = {found.start() for found in _NEEDED.finditer(text)}
    left_out: Counter[str] = Counter()

    def seen(found: re.Match[str]) -> str:
        character = found.group()
        if found.start() in needed:
            return character
        if character in _BREAKS:
            return "\n"
        if not _HARMLESS.match(character):
            left_out[_kind(character)] += 1
        return ""

    # In its place may come together what was parted.
    return Cleaned(unicodedata.normalize("NFC", _SUSPECTS.sub(seen, text)), dict(left_out))


def _kind(character: str) -> str:
    if _BIDI.match(character):
        return "bidi"
    return "tag" if _TAGS.match(character) else "zero-width"
