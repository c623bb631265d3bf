"""How much of an answer the learner has heard: pure, counts seconds of sound.

Over the socket the voice leaves faster than it is played, so what was heard follows from the time
since the first piece left. Live, the clock that releases the sound counts it.
"""

import re

from engines.base import FRAME_S

_WORDS = re.compile(r"[一-鿿぀-ヿ]|[^\s一-鿿぀-ヿ]+\s*|\s+")

_CJK_END = re.compile(r"[\u3000-\u303f\u3040-\u30ff\u4e00-\u9fff\uff00-\uffef]$")


ROUNDING_S = 1e-6
"""Sums of floating point seconds are compared to a microsecond."""


class Playout:
    """The spoken sentences of one turn, and the moment the first sound left."""

    def __init__(self) -> None:
        self._sentences: list[tuple[str, float]] = []
        self.started_s: float | None = None
        self._released_frames: int | None = None
        """Units that a live clock has released; None over the socket."""
        self._captioned = 0
        """Sentences that a caption has been made of."""

    def begin(self, sentence: str) -> None:
        """The next sounds belong to this sentence, as it stands in the answer."""
        self._sentences.append((sentence, 0.0))

    def sent(self, seconds: float, now_s: float) -> None:
        """A piece of the current sentence has left."""
        if self.started_s is None:
            self.started_s = now_s
        sentence, already = self._sentences[-1]
        self._sentences[-1] = (sentence, already + seconds)

    def live(self) -> None:
        """From now on only what is `released` counts as heard."""
        self._released_frames = 0

    def released(self) -> None:
        """The live clock has sent one more unit."""
        if self._released_frames is not None:
            self._released_frames += 1

    def restart(self, now_s: float) -> None:
        """The client had nothing until now, and gets everything at once."""
        if self.started_s is not None:
            self.started_s = now_s

    @property
    def seconds(self) -> float:
        """Length of all that has left."""
        return sum(seconds for _, seconds in self._sentences)

    def position_s(self, now_s: float) -> float:
        """How far into the voice the learner is."""
        if self._released_frames is not None:
            return self._released_frames * FRAME_S
        return now_s - self.started_s if self.started_s is not None else 0.0

    def is_playing(self, now_s: float) -> bool:
        left_s = self.seconds - self.position_s(now_s)
        # Less than half a unit is not there: sums of pieces and of units differ by as much.
        return self.started_s is not None and left_s > FRAME_S / 2

    def heard(self, now_s: float) -> str:
        """The part of the answer that has been played by `now_s`; in the sentence that is being
        played, as many words as its share of time."""
        left = self.position_s(now_s)
        text = ""
        for sentence, seconds in self._sentences:
            if left > seconds - ROUNDING_S and (seconds or left > 0):
                text = _with(text, sentence)
            elif left > 0:
                words = _WORDS.findall(sentence)
                text = _with(text, "".join(words[: int(len(words) * left / seconds)]))
            left -= seconds
        return text.strip()

    def captions(self, now_s: float) -> list[tuple[str, float]]:
        """The sentences that have begun to be heard since the last call, and when on the voice's
        own time (seconds). One without sound comes with the one before it."""
        position_s = self.position_s(now_s)
        begun, at_s = [], 0.0
        for number, (sentence, seconds) in enumerate(self._sentences):
            if number >= self._captioned and position_s > at_s:
                begun.append((sentence, at_s))
                self._captioned = number + 1
            at_s += seconds
        return begun


def _with(text: str, sentence: str) -> str:
    """Sentences come without the space that stood between them."""
    if not text or not sentence or _CJK_END.search(text) or text[-1].isspace():
        return text + sentence
    return f"{text} {sentence}"
