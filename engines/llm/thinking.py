"""What a model thinks before it answers, taken out of what is spoken. Pure."""

import re
from dataclasses import dataclass

_TAG = re.compile(r"<(/?)(?:think|thinking)>", re.IGNORECASE)
_END = re.compile(r"</(?:think|thinking)>", re.IGNORECASE)
_TAGS = ("<think>", "</think>", "<thinking>", "</thinking>")

THOUGHT_ENDS = "\n.!?…。！？"
"""What stands before the end of a thought. Where an answer only tells of the tag, it follows a
space or a quotation mark."""


@dataclass(slots=True)
class Habit:
    """How a model's answers begin, learnt from the earlier ones."""

    inside: bool = False
    """With a thought that only its end shows: the model's template has begun it."""


class ThinkFilter:
    """Takes `<think>…</think>` out of a text that comes in pieces, wherever the pieces end.

    A thought begins where nothing has been handed on yet, or after another one; elsewhere the tags
    are part of the answer. One that never ends is left out to the end. An end without a beginning
    is only left out itself, since what came before it has been handed on; but it is learnt from,
    and the answers that follow are held back until such an end has come.
    """

    def __init__(self, habit: Habit | None = None) -> None:
        """`habit` is shared by the answers of one model."""
        self._habit = habit or Habit()
        self._supposed = self._habit.inside
        """It may be a thought, as far as it has come: nothing is handed on."""
        self._held = ""
        """The end of the last piece, while it may be the beginning of a tag; or all that is
        supposed to be a thought, at most one answer."""
        self._inside = False
        self._fresh = True
        """Nothing has been handed on since the start, or since a thought: no white space yet."""
        self._quoted = False
        """The answer itself tells of a beginning."""
        self._last = ""
        """The last character that was handed on."""

    def feed(self, piece: str) -> str:
        """What can be spoken so far; often nothing."""
        text, spoken = self._held + piece, []
        if self._supposed:
            end = _END.search(text)
            if end is None:
                self._held = text
                return ""
            self._supposed, text = False, text[end.end() :]
        at = 0
        for tag in _TAG.finditer(text):
            spoken += [self._passed(text[at : tag.start()]), self._turned(tag)]
            at = tag.end()
        safe = len(text) - _possible_tag(text[at:])
        self._held = text[safe:]
        spoken.append(self._passed(text[at:safe]))
        return "".join(spoken)

    def flush(self, *, cut: bool = False) -> str:
        """The rest, when the text has ended, or was `cut` for its length."""
        held, self._held = self._held, ""
        if not self._supposed:
            return self._passed(held)
        if cut:
            return ""  # the thought was too long
        self._supposed = self._habit.inside = False
        return self.feed(held) + self.flush()

    def _turned(self, tag: re.Match[str]) -> str:
        """Into a thought or out of it; what of the tag is spoken."""
        if self._quoted or not (tag[1] or self._inside or self._fresh):
            self._quoted = not tag[1]
            return self._passed(tag[0])
        if tag[1] and not self._inside and self._last and self._last in THOUGHT_ENDS:
            self._habit.inside = True
        self._inside = not tag[1]
        self._fresh, self._last = True, ""
        return ""

    def _passed(self, text: str) -> str:
        if self._inside:
            return ""
        if self._fresh:
            text = text.lstrip()
            self._fresh = not text
        self._last = text[-1:] or self._last
        return text


def _possible_tag(text: str) -> int:
    """Characters at the end that a tag could begin with."""
    at = text.rfind("<")
    tail = text[at:].lower() if at >= 0 else ""
    return len(tail) if tail and any(tag.startswith(tail) for tag in _TAGS) else 0
