"""One engine's voice for a tutor that was given another engine's: at least of the same kind. Pure.

A tutor's face does not change when its voice's engine does, so `f3` of espeak-ng must not become a
man, nor the other way round.
"""

import re
from collections.abc import Collection

WOMEN = (
    *("Claribel Dervla", "Ana Florence", "Daisy Studious", "Gracie Wise", "Alison Dietlinde"),
    *("Tammie Ema", "Annmarie Nele", "Asya Anara", "Brenda Stern", "Sofia Hellen"),
)
MEN = (
    *("Damien Black", "Andrew Chipper", "Craig Gutsy", "Viktor Eka", "Royston Min"),
    *("Dionisio Schuyler", "Abrahan Mack", "Baldur Sanjin", "Gilberto Mathias", "Luis Moray"),
)
"""Of XTTS v2's own voices."""

_VARIANT = re.compile(r"([fm])(\d)")


def stand_in(name: str, known: Collection[str]) -> str | None:
    """The voice among `known` for one that espeak-ng calls `f3` or `m3`, each number its own; None
    when it is no such name. Where no kind is known, it is the first one."""
    variant = _VARIANT.fullmatch(name)
    if variant is None:
        return None
    alike = [voice for voice in (WOMEN if variant[1] == "f" else MEN) if voice in known]
    return alike[int(variant[2]) % len(alike)] if alike else next(iter(known))


def espeak_stand_in(name: str, variants: Collection[str]) -> str:
    """espeak-ng's variant for any other engine's voice; empty: its usual one."""
    if name in variants:
        return name
    return "f3" if name in WOMEN else "m3" if name in MEN else ""
