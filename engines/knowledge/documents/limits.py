"""How much of a document is read, so that none takes the machine from the others."""

from dataclasses import dataclass

LIMIT_BYTES = 100_000_000
"""Of a file: a textbook with pictures."""

LIMIT_TEXT_BYTES = 60_000_000
"""Of a file that is nothing but text: as many Chinese characters in UTF-8 as are read."""

LIMIT_PAGES = 2_000

LIMIT_TEXT = 20_000_000
"""Characters of a document."""

LIMIT_MEMBER_BYTES = 200_000_000
"""Of one XML part of an Office document, unpacked."""

LIMIT_UNPACKED_BYTES = 400_000_000
"""Of all parts that are read together."""

LIMIT_RATIO = 200
"""Unpacked over packed size of a part over 10 MB. Repetitive XML reaches 50; a bomb 1000."""

LIMIT_MEMBERS = 20_000
"""Files within an Office document."""


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What the child may take."""

    memory: int = 2_000_000_000
    """Bytes of address space."""
    cpu_s: int = 240
    """Seconds of work. 2,000 full pages of a PDF take 100 on one slow core."""
    wall_s: int = 900
    """Seconds until its answer, on a machine that is busy with much else."""
    answer: int = 200_000_000
    """Bytes of it: the text, and what says where it stands."""
