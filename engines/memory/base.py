"""What is remembered of a student, and its bounds."""

from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["name", "goal", "difficulty", "interest", "other"]

KINDS: tuple[Kind, ...] = get_args(Kind)
"""In the order in which they are told where there is room for some only."""

SUMMARY_CHARS = 600
"""A minute of speech: what a tutor can read before a lesson."""

FACTS = 12
FACT_CHARS = 120

RECENT = 6
"""Messages, three exchanges: how the last session ended."""

RECENT_CHARS = 200


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that the student has said of themselves."""

    kind: Kind
    text: str
    """Up to `FACT_CHARS` characters on one line."""


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a conversation."""

    by_student: bool
    text: str


@dataclass(frozen=True, slots=True)
class Remembered:
    """What one tutor knows of one student."""

    summary: str = ""
    """Of earlier sessions, by a language model; up to `SUMMARY_CHARS` characters."""
    facts: tuple[Fact, ...] = ()
    """Up to `FACTS`, the oldest first."""
    recent: tuple[Said, ...] = ()
    """The end of the last session, while no language model has summed it up."""

    @property
    def is_empty(self) -> bool:
        return not (self.summary or self.facts or self.recent)


@dataclass(frozen=True, slots=True)
class Note:
    """One thing of it, as a language model is told of it."""

    about: str
    """A `Kind`, `summary`, or who said it in the last session."""
    text: str
