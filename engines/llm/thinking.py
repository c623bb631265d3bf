"""What a model thinks before it answers, taken out of what is spoken. Pure."""

import re

_TAG = re.compile(r"<(/?)(?:think|thinking)>", re.IGNORECASE)
_TAGS = ("<think>", "</think>", "<thinking>", "</thinking>")


class ThinkFilter:
    """Takes `<think>…</think>` out of a text that comes in pieces, wherever the pieces end.

    A thought that never ends is left out to the end. An end without a beginning is only left out
    itself: what came before it has been handed on.
    """

    def __init__(self) -> None:
        self._held = ""
        """The end of the last piece, while it may be the beginning of a tag."""
        self._inside = False
        self._fresh = True
        """Nothing has been handed on since the start, or since a thought: no white space yet."""

    def feed(self, piece: str) -> str:
        """What can be spoken so far; often nothing."""
        text, spoken = self._held + piece, []
        at = 0
        for tag in _TAG.finditer(text):
            spoken.append(self._passed(text[at : tag.start()]))
            self._inside, self._fresh = not tag[1], True
            at = tag.end()
        safe = len(text) - _possible_tag(text[at:])
        self._held = text[safe:]
        spoken.append(self._passed(text[at:safe]))
        return "".join(spoken)

    def flush(self) -> str:
        """The rest, when the text has ended."""
        held, self._held = self._held, ""
        return self._passed(held)

    def _passed(self, text: str) -> str:
        if self._inside:
            return ""
        if self._fresh:
            text = text.lstrip()
            self._fresh = not text
        return text


def _possible_tag(text: str) -> int:
    """Characters at the end that a tag could begin with."""
    at = text.rfind("<")
    tail = text[at:].lower() if at >= 0 else ""
    return len(tail) if tail and any(tag.startswith(tail) for tag in _TAGS) else 0
