"""How much of an answer the learner has heard: pure, counts seconds of sound.

Over the socket the voice leaves faster than it is played, so what was heard follows from the time
since the first piece left. Live, the clock that releases the sound counts it.
"""

import re

_WORDS = re.compile(r"[一-鿿぀-ヿ]|[^\s一-鿿぀-ヿ]+\s*|\s+")

_CJK_END = re.compile(r"[\u3000-\u303f\u3040-\u30ff\u4e00-\u9fff\uff00-\uffef]$")


class Playout:
    """The spoken sentences of one turn, and the moment the first sound left."""

    def __init__(self) -> None:
        self._sentences: list[tuple[str, float]] = []
        self.started_s: float | None = None
        self._released_s: float | None = None
        """Seconds that a live clock has released; None over the socket."""
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
        self._released_s = 0.0

    def released(self, seconds: float) -> None:
        """The live clock has sent this much more."""
        if self._released_s is not None:
            self._released_s += seconds

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
        if self._released_s is not None:
            return self._released_s
        return now_s - self.started_s if self.started_s is not None else 0.0

    def is_playing(self, now_s: float) -> bool:
        return self.started_s is not None and self.position_s(now_s) < self.seconds

    def heard(self, now_s: float) -> str:
        """The part of the answer that has been played by `now_s`; in the sentence that is being
        played, as many words as its share of time."""
        left = self.position_s(now_s)
        text = ""
        for sentence, seconds in self._sentences:
            if left >= seconds and (seconds or left):
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
