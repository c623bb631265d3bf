"""Does the learner break in while the tutor speaks? Pure, counts milliseconds of voice.

A tutor that stops at every "mm-hm" cannot be listened to, one that talks on is rude. So it first
only holds its breath; what the learner says, or how long, decides whether it stops or goes on.
"""

from dataclasses import dataclass
from enum import Enum, auto

from serve_app.listening.endpointing import WINDOW_MS
from serve_app.listening.short_words import interrupts


class Verdict(Enum):
    """What the tutor should do."""

    HOLD = auto()
    """Pause, and keep what is still to be said."""
    STOP = auto()
    """Drop the rest of the answer: the learner has the word."""
    RESUME = auto()
    """Go on where it paused."""


@dataclass(frozen=True, slots=True)
class BargeInLimits:
    """How much voice it takes, in milliseconds."""

    hold_ms: float = 320
    """Longer than a cough or a cup on a table."""
    stop_ms: float = 900
    """Longer than any "mm-hm": stop without waiting for the words."""


class BargeIn:
    """Decides over one utterance at a time; `reset` begins the next.

    Each verdict is given at most once. STOP is the last one and may come without a HOLD; RESUME
    only comes after a HOLD.
    """

    def __init__(self, limits: BargeInLimits | None = None) -> None:
        self._limits = limits or BargeInLimits()
        self.reset()

    def reset(self) -> None:
        """The next utterance begins."""
        self._given: set[Verdict] = set()
        self._voiced_ms = 0.0
        self._harmless_ms = 0.0
        """Voice whose words are known to be no more than "mm-hm"."""

    @property
    def held(self) -> bool:
        """Whether the tutor pauses, waiting for the decision."""
        return Verdict.HOLD in self._given and not self._given & {Verdict.STOP, Verdict.RESUME}

    @property
    def stopped(self) -> bool:
        return Verdict.STOP in self._given

    def voice(self, voiced_ms: float) -> Verdict | None:
        """The voiced time of the utterance so far; asked at each of its windows."""
        self._voiced_ms = voiced_ms
        # Voice begins somewhere within the window before the first that is counted.
        fresh_ms = voiced_ms + WINDOW_MS - self._harmless_ms
        if fresh_ms >= self._limits.stop_ms:
            return self._give(Verdict.STOP)
        return self._give(Verdict.HOLD) if fresh_ms >= self._limits.hold_ms else None

    def words(self, text: str, paused: bool = True) -> Verdict | None:
        """What has been understood so far. While the learner speaks on, not `paused`, half a
        question may look harmless: then it can only stop the tutor."""
        if interrupts(text):
            return self._give(Verdict.STOP)
        if not paused:
            return None
        self._harmless_ms = self._voiced_ms
        return self._give(Verdict.RESUME)

    def ended(self, text: str) -> Verdict | None:
        """The utterance is over, and these were its words. The tutor is not held afterwards."""
        return self.words(text)

    def _give(self, verdict: Verdict) -> Verdict | None:
        if self.stopped or verdict in self._given:
            return None
        if verdict is Verdict.RESUME and not self.held:
            return None
        self._given.add(verdict)
        return verdict
