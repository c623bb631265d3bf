"""What each sound of speech asks of the mouth, by the character that names it.

A symbol is read character by character, so diphthongs (`aI`, `aɪ`), affricates (`tS`, `tʃ`) and
aspirated stops (`ph`) are sequences of what their characters say. Both espeak-ng's mnemonics and
IPA are known; the few characters that they share mean the same.
"""

from functools import cache
from typing import NamedTuple


class Target(NamedTuple):
    """What one sound asks for."""

    shape: tuple[float, float, float, float, float]
    """Columns of `Mouth`: jaw, wide, press, teeth, tongue."""
    weight: float = 1.0
    """How strongly it holds against its neighbours."""


SILENT = Target((0.0, 0.0, 0.0, 0.0, 0.0))
BOUNDARY = Target((0.0, 0.0, 0.0, 0.0, 0.0), 0.15)
"""Where a word or a tone is marked: no sound of its own."""
VOWEL = Target((0.5, 0.0, 0.0, 0.25, 0.0))
"""A vowel nobody told us about."""
CONSONANT = Target((0.22, 0.0, 0.0, 0.3, 0.3), 0.7)
"""A consonant nobody told us about."""

_ROWS: tuple[tuple[str, Target], ...] = (
    ("aæ&", Target((0.85, 0.25, 0.0, 0.45, 0.0))),
    ("AɑɐVʌ", Target((0.8, 0.05, 0.0, 0.4, 0.0))),
    ("0Qɒ", Target((0.75, -0.4, 0.0, 0.1, 0.0))),
    ("@əɘɤɚ", Target((0.46, 0.0, 0.0, 0.2, 0.1))),
    ("3ɜɝ", Target((0.48, -0.3, 0.0, 0.3, 0.1))),
    ("Eɛ", Target((0.65, 0.4, 0.0, 0.4, 0.0))),
    ("e", Target((0.55, 0.55, 0.0, 0.4, 0.1))),
    ("Iɪɨ", Target((0.42, 0.5, 0.0, 0.35, 0.2))),
    ("i", Target((0.38, 0.85, 0.0, 0.45, 0.2))),
    ("Oɔ", Target((0.65, -0.65, 0.0, 0.0, 0.0))),
    ("o", Target((0.52, -0.8, 0.0, 0.0, 0.0))),
    ("Uʊɵ", Target((0.36, -0.75, 0.0, 0.0, 0.0))),
    ("uʉɯ", Target((0.3, -1.0, 0.0, 0.0, 0.0))),
    ("yYʏøœW", Target((0.3, -0.9, 0.0, 0.1, 0.2))),
    ("pbmɱ", Target((0.0, 0.0, 1.0, 0.0, 0.0))),
    ("fvʋ", Target((0.12, 0.1, 0.3, 0.9, 0.0))),
    ("TDθð", Target((0.22, 0.1, 0.0, 0.6, 1.0))),
    ("sz", Target((0.14, 0.45, 0.0, 1.0, 0.2))),
    ("SZʃʒʂʐɕʑçC", Target((0.18, -0.45, 0.0, 0.95, 0.1))),
    ("tdnlɾɲʈɖɭɫL", Target((0.3, 0.2, 0.0, 0.3, 0.6))),
    ("kgɡNŋxXɣqcɟG", Target((0.3, 0.05, 0.0, 0.1, 0.1), 0.7)),
    ("hɦH?ʔ", Target((0.3, 0.0, 0.0, 0.2, 0.0), 0.25)),
    ("rɹɻRʁ", Target((0.3, -0.5, 0.0, 0.1, 0.2), 0.8)),
    ("wʍɥM", Target((0.16, -0.95, 0.0, 0.0, 0.0))),
    ("jJ", Target((0.26, 0.65, 0.0, 0.5, 0.3))),
)

_TABLE = {character: target for characters, target in _ROWS for character in characters}

_VOWELS = frozenset("ɶɞᵻᵿäëïöüáéíóúàèìòùãẽĩõũ")
"""Vowels without a row of their own."""


@cache
def targets(symbol: str) -> tuple[Target, ...]:
    """What the sounds of one symbol ask for, in order; at least one."""
    if symbol == "_|" or symbol.isdigit() and len(symbol) > 1:
        return (BOUNDARY,)
    if not symbol or symbol[0] in "_ |#":
        return (SILENT,)
    found: list[Target] = []
    for character in symbol:
        # A digit names a vowel only where none went before; later it tells a variant or a tone.
        if not (character.isdigit() and found):
            found += _target(character)
    if found:
        return tuple(found)
    return (CONSONANT if any(c.isalpha() for c in symbol) else SILENT,)


def _target(character: str) -> list[Target]:
    """Empty for what only modifies a sound: stress, length, tone and variants."""
    if character in _VOWELS:
        return [VOWEL]
    return [_TABLE[character]] if character in _TABLE else []
