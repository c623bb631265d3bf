"""Has the learner stopped speaking? Pure, counts windows of sound.

How long a silence has to be depends on the words before it: after a whole sentence a breath is
enough, after "and" the learner is looking for the next word. So the words are wanted while the
silence still lasts: `PAUSED` says when to recognise them, `judge` takes them.
"""

import re
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from engines.base import HEARING_RATE_HZ, VAD_WINDOW
from serve_app.listening.short_words import plain

WINDOW_MS = 1000 * VAD_WINDOW / HEARING_RATE_HZ
"""Length of what is judged at once: 32 ms."""

VOICE = 0.5
"""Probability from which a window is speech: what the detector was trained for."""

STILL_VOICE = 0.35
"""Within speech less is enough, or soft consonants would cut words: the detector's own default."""

BEGIN_WINDOWS, BEGIN_OF = 3, 4
"""Windows with speech, out of the last ones, that begin an utterance: a click or a key fills one
or two, the shortest word more."""

RESUME_WINDOWS = 2
"""Windows in a row that end a pause. Fewer than at the beginning: that somebody speaks is known."""

LONGEST_MS = 60_000
"""Nobody asks for longer; a radio or a fan that is taken for speech does not hold the tutor."""

Sound = Literal["finished", "unsure", "hanging"]
"""How the words before a silence sound."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """How long a silence ends an utterance, in milliseconds."""

    finished_ms: float = 200
    """After a sentence that sounds finished; also when recognition should begin."""
    unsure_ms: float = 500
    hanging_ms: float = 1200
    """After "and", a comma, "嗯"; also when nobody has said what the words were."""

    def after(self, sound: Sound) -> float:
        match sound:
            case "finished":
                return self.finished_ms
            case "unsure":
                return self.unsure_ms
            case "hanging":
                return self.hanging_ms


class Mark(Enum):
    """What has just happened. BEGAN, then PAUSED and RESUMED in turn, then ENDED."""

    BEGAN = auto()
    PAUSED = auto()
    RESUMED = auto()
    ENDED = auto()


class Endpointer:
    """Follows one microphone, utterance after utterance."""

    def __init__(self, pauses: Pauses | None = None) -> None:
        self._pauses = pauses or Pauses()
        self.recognise_ms = self._pauses.finished_ms
        """Silence after which the words are wanted. Less than a sentence's own when they are found
        quickly: then they are there when the sentence is over."""
        self._recent: deque[bool] = deque(maxlen=BEGIN_OF)
        self.reset()

    def reset(self) -> None:
        """As if nothing had been heard yet."""
        self._speaking = False
        self._voiced = 0
        self._leave()

    @property
    def speaking(self) -> bool:
        """Whether an utterance has begun and not ended; true in its pauses as well."""
        return self._speaking

    @property
    def paused(self) -> bool:
        """Whether the words up to here are wanted."""
        return self._paused

    @property
    def voiced_ms(self) -> float:
        """Speech without its gaps in the current utterance, or in the last one after its end."""
        return self._voiced * WINDOW_MS

    @property
    def silence_ms(self) -> float:
        """Time since the last speech of the current utterance; 0 outside of one."""
        return self._silence * WINDOW_MS

    def feed(self, speech: float) -> Mark | None:
        """One more window, by its probability of holding speech."""
        if not self._speaking:
            return self._quiet(speech)
        self._length += 1
        mark = self._pause(speech) if self._paused else self._speech(speech)
        return self._end() if self._length * WINDOW_MS >= LONGEST_MS else mark

    def judge(self, text: str) -> Mark | None:
        """The words of the utterance up to the current pause. Says `ENDED` when the silence has
        already been long enough for them. Empty text, a noise, waits no longer than a sentence.
        Words that come too late, when the pause is over, change nothing."""
        if not self._paused:
            return None
        self._wait_ms = self._pauses.after(sounds(text))
        return self._end() if self._has_lasted(self._wait_ms) else None

    def _quiet(self, speech: float) -> Mark | None:
        self._recent.append(speech >= VOICE)
        if self._recent.count(True) < BEGIN_WINDOWS:
            return None
        self._speaking = True
        self._voiced = self._recent.count(True)
        self._length = len(self._recent)
        return Mark.BEGAN

    def _speech(self, speech: float) -> Mark | None:
        if speech >= STILL_VOICE:
            self._voiced += 1
            self._silence = 0
            return None
        self._silence += 1
        if not self._has_lasted(min(self.recognise_ms, self._pauses.finished_ms)):
            return None
        self._paused = True
        self._back = 0
        self._wait_ms = self._pauses.hanging_ms
        return Mark.PAUSED

    def _pause(self, speech: float) -> Mark | None:
        self._silence += 1
        self._back = self._back + 1 if speech >= VOICE else 0
        if self._back >= RESUME_WINDOWS:
            self._voiced += self._back
            self._paused = False
            self._silence = 0
            return Mark.RESUMED
        # A window that may be the first of the next word is waited for.
        if self._has_lasted(self._wait_ms) and not self._back:
            return self._end()
        return None

    def _has_lasted(self, wait_ms: float) -> bool:
        """To the nearest window: speech ended somewhere within the last one that held any."""
        return self.silence_ms + WINDOW_MS / 2 > wait_ms

    def _end(self) -> Mark:
        self._leave()
        return Mark.ENDED

    def _leave(self) -> None:
        self._speaking = False
        self._paused = False
        self._silence = 0
        self._back = 0
        """Windows of speech in a row within a pause."""
        self._length = 0
        """Windows since the utterance began, silent ones included."""
        self._wait_ms = self._pauses.hanging_ms
        self._recent.clear()


_CLOSING = "\"'”’)]）】」』》〉*_ \t\r\n"
_TRAILING_OFF = re.compile(r"(?:\.\.+|。。+|…|[,，、:：;；—–-]|--)$")
_ASKED = re.compile(r"[?？!！]$")
_FULL_STOP = re.compile(r"[.。．｡]$")
_CHINESE_ENDING = re.compile("[吗呢吧了]$")

_HANGING_ENGLISH = re.compile(
    r"(?:^|[^a-z'])(?:a|about|actually|after|although|am|an|and|are|as|at|basically|be|because"
    r"|before|but|by|could|dr|er|erm|every|for|from|has|hmm|how about|i|i'd|i'm|i mean|i've|if|in"
    r"|into|is|it's|its|let me|let's|like|maybe|mm|mr|mrs|my|of|or|our|should|since|so|than|that"
    r"|that's|the|their|then|there's|these|they're|this is|those|though|to|uh|uhm|um|unless|until"
    r"|was|we're|well|were|what about|what's|when|whether|which|while|who|whose|will|with|without"
    r"|would|you know|your|you're)$"
)
# Whole, though they end in such a word.
_WHOLE_ENGLISH = re.compile(
    r"(?:(?:think|hope|guess|believe|suppose|say|said|do|does|did|is|even|ever|if) so"
    r"|(?:do|does|did|about|of|at|for|with|like|than|see|want|get|all|know|understand) that"
    r"|(?:would|'d|do|don't|does|doesn't|did|didn't|i|you|we|they|also|really) like"
    r"|(?:yes|no|yeah|what|who|where|how|why|which)\b.* (?:it|he|she|that|this|they|we|you|i)"
    r" (?:is|are|was|were|am|will|would|should|could|has)"
    r"|(?:very|as|doing|feel|oh|get) well"
    r"|and (?:my )?i|(?:yes|no|not|just|or) maybe"
    r"|not (?:actually|really)|(?:since|by|back|until) then"
    r"|(?:says|tell me|know) (?:when|who|which)"
    r"|(?:don't|didn't|doesn't) (?:want|have|need) to|what (?:it's|that's) (?:for|about|like))$"
)
_HANGING_CHINESE = re.compile(
    "(?:然后|因为|所以|但是?|可是|不过|如果|要是|假如|而且|并且|还有|以及|或者?|或是|虽然|尽管|即使"
    "|除非|无论|不管|只要|为了|除了|关于|对于|由于|通过|根据|首先|其次|另外|比如说?|例如|譬如|好像"
    "|那么|那个|就是说?|也就是|我是说|我想|我想问|我想知道|我觉得|我认为|的是|(?<![说讲])的话"
    "|(?<![温柔平缓饱总共暖随调中亲不])和|(?<!参)与|(?<![高脚])跟|(?<!嗯)嗯|呃"
    "|(?:^|[，, ])(?:额|这个|那))$"
)


def sounds(text: str) -> Sound:
    """How the words sound to somebody who waits for the next one. Text without words, a noise,
    is finished."""
    text = plain(text).rstrip(_CLOSING)
    if not any(character.isalnum() for character in text):
        return "finished"
    if _ASKED.search(text):
        return "finished"
    if _TRAILING_OFF.search(text):
        return "hanging"
    # A recogniser puts a full stop behind everything, also behind "I want to learn and".
    words = text.rstrip(".。．｡" + _CLOSING)
    if _hangs(words):
        return "hanging"
    if _FULL_STOP.search(text) or _CHINESE_ENDING.search(words):
        return "finished"
    return "unsure"


def _hangs(words: str) -> bool:
    if _HANGING_CHINESE.search(words):
        return True
    return bool(_HANGING_ENGLISH.search(words)) and not _WHOLE_ENGLISH.search(words)
