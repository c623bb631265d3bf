"""A learner's live sound, made into what they say.

    16 kHz ─► windows ─► speech? echo? ─► Endpointer ─► PAUSED: recognise what has been said so far
                (in a thread)                 │            └─► words ─► finished? ─► a question
                                              └─► BargeIn: hold the tutor, stop it, or go on

One task takes everything in order: windows, words that come back, keys that go up and down.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from engines.base import HEARING_RATE_HZ, VAD_WINDOW, Pcm, Vad
from engines.errors import UnusableSpeech
from serve_app.exchange import SpokenMessage
from serve_app.listening.barge_in import BargeIn, BargeInLimits, Verdict
from serve_app.listening.echo import EchoGuard
from serve_app.listening.endpointing import Endpointer, Mark, Pauses
from serve_app.listening.listener import Listener, Recognised, Room
from serve_app.listening.short_words import is_halt
from serve_app.listening.switch import MicrophoneState, Switch

WINDOW_S = VAD_WINDOW / HEARING_RATE_HZ

WINDOWS_BEFORE = 10
"""320 ms from before the onset are kept: the detector misses soft first consonants."""

WINDOWS_WAITING = 128
"""Four seconds of sound that nobody has looked at; older sound gives way."""

LONGEST_WINDOWS = int(60 / WINDOW_S)
"""What one utterance may hold."""

SILENT_LINE_S = 0.25
"""No sound for so long in the middle of an utterance: the network is gone. What follows counts as
silence, so that the learner is answered all the same."""

PARTIAL_EVERY_S = 0.8
"""How often a speaker is told what has been understood so far."""

PARTIAL_LIMIT_S = 0.15
"""A recogniser slower than this must not be busy with a part when the whole is due."""

EARLY_MS = 96.0
"""A quick recogniser begins after this silence; when it was only the gap between two words, that
cost it a part that nobody needed."""

LEAST_HELD_S = 0.2
"""A key that was only touched."""


class Microphone:
    """One learner's microphone on one socket."""

    def __init__(
        self,
        make_vad: Callable[[], Vad],
        room: Room,
        pauses: Pauses,
        limits: BargeInLimits,
    ) -> None:
        self._make_vad = make_vad
        self._room = room
        self._looked_for_listener = False
        self._vad: Vad | None = None
        self._echo = EchoGuard()
        self._endpointer = Endpointer(pauses)
        self._barge_in = BargeIn(limits)
        self._state: MicrophoneState = "open"
        self._switch = Switch(self._command)
        self._rest: Pcm = np.zeros(0, np.int16)
        self._windows: deque[Pcm] = deque(maxlen=WINDOWS_WAITING)
        self._commands: deque[MicrophoneState | Recognised] = deque()
        self._something = asyncio.Event()
        self._before: deque[Pcm] = deque(maxlen=WINDOWS_BEFORE)
        self._utterance: list[Pcm] = []
        self._number = 0
        """Of the utterance."""
        self._pause = 0
        """Of the silence in it, or of the speech before that silence."""
        self._ended: Literal["spoken", "held"] | None = None
        """The learner has finished, and the words are still being recognised."""
        self._known: Recognised | None = None
        """The words of the utterance up to its latest pause."""
        self._answered: list[Pcm] = []
        """The last utterance that was taken for a question."""
        self._recognising = False
        self._recognised_at_s = 0.0
        self._usual_s = 1.0
        """How long the last recognition took."""
        self._tasks = asyncio.TaskGroup()

    def feed(self, sound: Pcm) -> None:
        """More sound: int16 mono at 16 kHz, of any length."""
        sound = np.concatenate([self._rest, sound])
        whole = len(sound) - len(sound) % VAD_WINDOW
        self._windows.extend(sound[:whole].reshape(-1, VAD_WINDOW))
        self._rest = sound[whole:]
        self._something.set()

    def turn(self, state: MicrophoneState, sound_behind_s: float = 0.0) -> None:
        """Open, close, or a key is down; its sound may come this much later."""
        self._switch.turn(state, sound_behind_s)

    def _command(self, state: MicrophoneState) -> None:
        self._commands.append(state)
        self._something.set()

    async def run(self) -> None:
        """Listen until cancelled."""
        async with self._tasks:
            while True:
                await self._wait()
                try:
                    await self._work()
                except Exception as error:  # the microphone stays open, whatever this one was
                    await self._fail(error)

    async def _work(self) -> None:
        while self._commands:
            command = self._commands.popleft()
            if isinstance(command, Recognised):
                await self._take_words(command)
            else:
                await self._turn(command)
        await self._hear_waiting()

    async def _wait(self) -> None:
        """Until there is something to do. In mid-utterance a silent line counts as silence."""
        self._something.clear()
        if self._windows or self._commands:
            return
        try:
            async with asyncio.timeout(SILENT_LINE_S if self._endpointer.speaking else None):
                await self._something.wait()
        except TimeoutError:
            silence = np.zeros((int(SILENT_LINE_S / WINDOW_S), VAD_WINDOW), np.int16)
            self._windows.extend(silence)

    # ── windows ─────────────────────────────────────────────────────────────────────────────────

    async def _hear_waiting(self) -> None:
        windows = list(self._windows)
        self._windows.clear()
        listener = self._room.listener()
        if not windows or self._state == "closed":
            return
        if listener is None:
            await self._look_for_listener()
            return
        if self._state == "held":
            self._utterance = (self._utterance + windows)[-LONGEST_WINDOWS:]
            return
        played = _played(listener, len(windows))
        chances = await asyncio.to_thread(self._judge, windows, played)
        for window, chance in zip(windows, chances, strict=True):
            await self._hear(listener, window, chance)

    async def _look_for_listener(self) -> None:
        """Once: whoever is not found is not there, or must be named."""
        if not self._looked_for_listener:
            self._looked_for_listener = True
            await self._room.find_listener()

    def _judge(self, windows: Sequence[Pcm], played: Sequence[Pcm]) -> list[float]:
        """The probability of each window to hold the learner's speech. Runs in a thread."""
        if self._vad is None:
            self._vad = self._make_vad()  # raises `EngineUnavailable`
        chances = []
        for number, window in enumerate(windows):
            chance = self._vad.speech(window)
            if played:
                self._echo.played(played[number])
                self._echo.heard(window)
                if chance > 0 and self._echo.is_echo():
                    chance = 0.0
            chances.append(chance)
        return chances

    async def _hear(self, listener: Listener, window: Pcm, chance: float) -> None:
        mark = self._endpointer.feed(chance)
        self._before.append(window)
        if mark is Mark.BEGAN:
            await self._begin(listener)
        elif self._endpointer.speaking:
            self._utterance.append(window)
        if self._endpointer.speaking and listener.is_answering:
            await self._obey(listener, self._barge_in.voice(self._endpointer.voiced_ms))
        if mark is Mark.RESUMED:
            self._pause += 1
        elif mark is Mark.ENDED:
            await self._end(listener, "spoken")
        elif mark is Mark.PAUSED or self._partial_is_due(listener):
            self._recognise(listener)

    async def _begin(self, listener: Listener) -> None:
        if self._ended:  # the words are not back yet: it is still the same utterance
            self._ended = None
            self._pause += 1
            self._utterance.extend(self._before)
            return
        self._start(list(self._before))
        if not listener.is_answering:
            await listener.listening()

    def _start(self, windows: list[Pcm]) -> None:
        self._number += 1
        self._utterance = windows
        self._known = None
        self._barge_in.reset()

    async def _end(self, listener: Listener, how: Literal["spoken", "held"]) -> None:
        """The learner has finished; the words may be known already."""
        if self._known is not None and self._known.pause == self._pause:
            await self._finish(listener, self._known)
        else:
            self._ended = how
            self._recognise(listener)

    async def _obey(self, listener: Listener, verdict: Verdict | None) -> None:
        match verdict:
            case Verdict.HOLD:
                listener.hold()
            case Verdict.RESUME:
                listener.release()
            case Verdict.STOP:
                await self._stop(listener)

    async def _stop(self, listener: Listener) -> None:
        """The learner has the word. What had been taken for a whole question, and is not answered
        yet, was only its beginning."""
        if listener.is_audible:
            await listener.break_in()
        elif await listener.withdraw():
            whole = self._answered + self._utterance
            self._utterance = whole[-LONGEST_WINDOWS:]
        await listener.listening()

    # ── words ───────────────────────────────────────────────────────────────────────────────────

    def _partial_is_due(self, listener: Listener) -> bool:
        return (
            self._endpointer.speaking
            and not self._endpointer.paused
            and not self._recognising
            and self._usual_s <= PARTIAL_LIMIT_S
            and time.monotonic() - self._recognised_at_s >= PARTIAL_EVERY_S
            and listener.wants_partials
        )

    def _recognise(self, listener: Listener) -> None:
        """Find out the words so far, unless that is going on: then again when it is done."""
        if not self._recognising:
            self._recognising = True
            work = self._recognition(listener, self._number, self._pause, list(self._utterance))
            self._tasks.create_task(work, name="recognise")

    async def _recognition(
        self, listener: Listener, number: int, pause: int, windows: list[Pcm]
    ) -> None:
        began_s = time.perf_counter()
        words, failure = "", None
        try:
            words = await listener.recognise(np.concatenate(windows))
        except Exception as error:  # told where the words would have been
            failure = error
        took_s = time.perf_counter() - began_s
        self._commands.append(Recognised(number, pause, words, took_s, failure))
        self._something.set()

    async def _take_words(self, found: Recognised) -> None:
        self._recognising = False
        self._recognised_at_s = time.monotonic()
        self._usual_s = found.took_s
        if found.took_s <= PARTIAL_LIMIT_S:
            self._endpointer.recognise_ms = EARLY_MS
        else:
            self._endpointer.recognise_ms = math.inf  # as late as the sentence allows
        listener = self._room.listener()
        if listener is None or not self._utterance:
            return
        whole = found.utterance == self._number and found.pause == self._pause
        if found.error is not None:
            raise found.error
        if whole and self._ended:
            await self._finish(listener, found)
        elif self._ended or (self._endpointer.paused and not whole):
            self._recognise(listener)
        elif found.utterance == self._number:
            await self._take_words_so_far(listener, found)

    async def _take_words_so_far(self, listener: Listener, found: Recognised) -> None:
        if found.words:
            await listener.understood(found.words)
        if listener.is_answering:
            verdict = self._barge_in.words(found.words, paused=self._endpointer.paused)
            await self._obey(listener, verdict)
        if self._endpointer.paused:
            self._known = found
            if self._endpointer.judge(found.words) is Mark.ENDED:
                await self._finish(listener, found)

    async def _finish(self, listener: Listener, found: Recognised) -> None:
        """The utterance is over, and these are its words."""
        said, self._utterance = self._utterance, []
        how, self._ended = self._ended, None
        breaking_in = listener.is_answering or self._barge_in.held
        if breaking_in:
            await self._obey(listener, self._barge_in.ended(found.words))
        stopped = self._barge_in.stopped
        if how == "held" and not found.words:
            await listener.complain(UnusableSpeech(NOTHING_UNDERSTOOD))
        elif not found.words or (breaking_in and not stopped) or stopped and is_halt(found.words):
            await listener.nothing_said()
        else:
            self._answered = said
            listener.ask(SpokenMessage(found.words, round(found.took_s * 1000, 2)))

    async def _fail(self, error: Exception) -> None:
        """Forget what was being said, and tell why."""
        self._utterance = []
        self._ended = None
        self._endpointer.reset()
        if (listener := self._room.listener()) is not None:
            listener.release()
            await listener.complain(error)

    # ── the key ─────────────────────────────────────────────────────────────────────────────────

    async def _turn(self, state: MicrophoneState) -> None:
        before, self._state = self._state, state
        listener = self._room.listener()
        if listener is None or before == state:
            return
        if before != "closed":
            await self._let_go(listener, before)
        if state == "held":
            self._start([])
            if listener.is_answering:
                await listener.break_in()
            await listener.listening()

    async def _let_go(self, listener: Listener, before: MicrophoneState) -> None:
        """The key is up, or the microphone is closed: what was said until now is what is meant."""
        if before == "held":
            self._utterance = (self._utterance + list(self._windows))[-LONGEST_WINDOWS:]
            self._windows.clear()
        enough = before == "held" or self._endpointer.speaking
        self._endpointer.reset()
        if self._ended:
            return
        if enough and len(self._utterance) * WINDOW_S >= LEAST_HELD_S:
            await self._end(listener, "held" if before == "held" else "spoken")
        elif self._utterance:
            self._utterance = []
            listener.release()
            await listener.nothing_said()


NOTHING_UNDERSTOOD = "No words were understood. Speak closer to the microphone."


def _played(listener: Listener, count: int) -> list[Pcm]:
    """What the tutor sent while these windows were recorded; empty when nothing is known of it."""
    if (played := listener.played) is None:
        return []
    while len(played) > count + 2:  # the microphone was away for a while
        played.popleft()
    silence = np.zeros(VAD_WINDOW, np.int16)
    return [played.popleft() if played else silence for _ in range(count)]
