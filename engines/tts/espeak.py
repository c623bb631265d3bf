"""The embedded voice: espeak-ng in this process, with the time of every phoneme.

espeak makes about a thousand seconds of sound in a second, and all sessions share its one thread.
So a sentence is read in portions of at most `PORTION_S`, each made in one go without ever waiting
for the one who listens: a portion holds the thread some 20 ms and 0.9 MB of memory. The next is
asked for once the last has been taken. A slow listener thus costs the others nothing, memory stays
bounded, and sessions take turns portion by portion.
"""

import asyncio
import math
import re
import threading
import unicodedata
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np

from engines.base import Audio, Pcm, Phoneme, Voice
from engines.errors import UnknownVoice
from engines.language import HAN, language_of
from engines.tts.espeak_library import Buffer, EspeakLibrary, Settings, open_espeak

PORTION_S = 20.0
"""Sound, at natural speed, that is made in one go. Most sentences are shorter, so few are cut."""

PIECE_S = 0.12
"""Sound of one `Audio`: three frames of a face. The last one is half to one and a half of it."""

TAIL_S = 0.12
"""Silence after a sentence: enough to breathe, short enough that an answer flows."""

JOINT_S = 0.08
"""Longest silence between two portions of one sentence."""

PAUSE = "_"

_QUIET = 100  # of 32,767, about -50 dBFS: below it espeak only rings out
_ONSET_S = 0.01  # kept before the first loud sample: an f or s starts softly
_HAN_S = 0.25
_OTHER_S = 0.07  # seconds of sound per character; slightly more than measured

# espeak's name for each language. Those are left out with which espeak-ng 1.52 was seen to crash,
# and this process with it, on some texts: Hindi, Vietnamese, Bengali, Danish.
_SPOKEN_AS = {"zh": "cmn", "en": "en-us", "en-gb": "en", "no": "nb", "pt-br": "pt-br"} | {
    code: code
    for code in (
        *("ar", "bg", "ca", "cs", "de", "el", "es", "et", "fi", "fr", "he", "hr", "hu", "id", "it"),
        *("ja", "ko", "lt", "lv", "ms", "nb", "nl", "pl", "pt", "ro", "ru", "sk", "sl", "sv", "tr"),
        "uk",
    )
}
_READS_HAN = frozenset({"cmn", "ja", "ko"})
_NATURAL_WPM = 165
_NATURAL_WPM_OF = {"cmn": 200}  # four syllables a second; espeak's own 175 drags at three
_VOLUME_OF = {"cmn": 73}  # espeak's Chinese is 2.7 dB louder than its English, and clips at 100

_WIDEST_PITCH = 1.68  # measured: espeak's 0 and 100 divide and multiply the pitch by no more

_CLAUSE_END = re.compile(r"[,;:.!?](?=\s)|[，。；：、！？…]")
_HAN_RUN = re.compile(f"([{HAN}](?:[{HAN}\\s，、；：。！？“”‘’《》]*[{HAN}])?[，。；：、！？]?)")
_MUTE = frozenset(["Cc", "Cf", "Cn", "Co", "Cs", "Sk", "So", "Me"])
_STRESS = str.maketrans("", "", "ˈˌ")


@dataclass(frozen=True, slots=True)
class Portion:
    """Text that is read in one go, and how."""

    text: str
    settings: Settings


class EspeakTts:
    """Speaks Chinese, English and the other languages of espeak-ng."""

    def __init__(self) -> None:
        self._espeak = open_espeak()

    async def speak(self, sentence: str, voice: Voice) -> AsyncGenerator[Audio, None]:
        """Stream the voice of one sentence. Closing the iterator stops espeak at once."""
        pieces = Pieces(self._espeak.rate_hz)
        for portion in portions(sentence, voice, self._espeak):
            pieces.next_portion()
            async with aclosing(self._read(portion)) as buffers:
                async for buffer in buffers:
                    for piece in pieces.add(buffer):
                        yield piece
        for piece in pieces.finish():
            yield piece

    async def _read(self, portion: Portion) -> AsyncGenerator[Buffer, None]:
        loop = asyncio.get_running_loop()
        made: asyncio.Queue[Buffer | None] = asyncio.Queue()  # a portion's length bounds it
        unwanted = threading.Event()

        def hand_over(buffer: Buffer) -> bool:
            if unwanted.is_set():
                return False
            try:
                loop.call_soon_threadsafe(made.put_nowait, buffer)
            except RuntimeError:  # the loop is closed: nobody listens any more
                return False
            return True

        reading = loop.run_in_executor(
            self._espeak.worker,
            self._espeak.synthesise,
            portion.text,
            portion.settings,
            hand_over,
        )
        reading.add_done_callback(lambda _: made.put_nowait(None))
        try:
            while (buffer := await made.get()) is not None:
                yield buffer
                await asyncio.sleep(0)  # a full queue is no reason to keep the loop from others
            await reading
        finally:
            unwanted.set()
            reading.cancel()  # takes it out of the worker's line if it has not begun


class Pieces:
    """Cuts espeak's buffers into even pieces and trims the silence around the speech. Pure."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._piece = round(PIECE_S * rate_hz)
        self._pending: Pcm = np.zeros(0, np.int16)
        self._begin = 0  # sample of the sentence at which `_pending` begins
        self._sounds: list[tuple[int, str]] = []  # from `_begin` on, by sample of the sentence
        self._sounding = PAUSE
        self._heard_any = False
        self.next_portion()

    def next_portion(self) -> None:
        """What comes now counts its samples from zero again."""
        end = self._speech_end() + round(JOINT_S * self._rate_hz)
        self._pending = self._pending[:end]
        self._portion_begin = self._begin + len(self._pending)
        self._sounds = [sound for sound in self._sounds if sound[0] < self._portion_begin]
        self._skipped = 0
        self._leading = True

    def add(self, buffer: Buffer) -> list[Audio]:
        """The pieces that are complete with this buffer."""
        samples = self._without_lead(buffer.samples) if self._leading else buffer.samples
        self._pending = np.concatenate((self._pending, samples))
        for sample, symbol in buffer.sounds:
            self._note(max(0, sample - self._skipped) + self._portion_begin, symbol)
        pieces = []
        ready = self._speech_end()  # silence behind it may be the end, and is kept back
        while ready >= self._piece:
            pieces.append(self._take(self._piece))
            ready -= self._piece
        return pieces

    def finish(self) -> list[Audio]:
        """What is left, and the silence after the sentence."""
        if not self._heard_any:
            return []
        end = self._speech_end()
        tail = np.zeros(round(TAIL_S * self._rate_hz), np.int16)
        kept = self._pending[end : end + len(tail)]
        tail[: len(kept)] = kept
        self._pending = np.concatenate((self._pending[:end], tail))
        self._sounds = [sound for sound in self._sounds if sound[0] < self._begin + end]
        self._note(self._begin + end, PAUSE)
        pieces = []
        while len(self._pending) > 1.5 * self._piece:
            pieces.append(self._take(self._piece))
        return [*pieces, self._take(len(self._pending))]

    def _without_lead(self, samples: Pcm) -> Pcm:
        loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _QUIET)
        if len(loud):
            self._leading, self._heard_any = False, True
            lead = max(0, int(loud[0]) - round(_ONSET_S * self._rate_hz))
        else:
            lead = len(samples)
        self._skipped += lead
        return samples[lead:]

    def _speech_end(self) -> int:
        loud = np.flatnonzero(np.abs(self._pending.astype(np.int32)) > _QUIET)
        return int(loud[-1]) + 1 if len(loud) else 0

    def _note(self, sample: int, name: str) -> None:
        if name.startswith("("):  # not a sound: espeak goes over to another language
            return
        symbol = PAUSE if name.strip("_:|") == "" else name.translate(_STRESS)
        last = self._sounds[-1][1] if self._sounds else self._sounding
        if not symbol == last == PAUSE:
            self._sounds.append((sample, symbol))

    def _take(self, count: int) -> Audio:
        phonemes = [Phoneme(self._sounding, 0.0)]
        end = self._begin + count
        for sample, symbol in self._sounds:
            if sample >= end:
                break
            at_s = max(0, sample - self._begin) / self._rate_hz
            if at_s == phonemes[-1].at_s:
                phonemes.pop()
            phonemes.append(Phoneme(symbol, at_s))
        audio = Audio(self._pending[:count], self._rate_hz, tuple(phonemes))
        self._sounding = phonemes[-1].symbol
        self._sounds = [sound for sound in self._sounds if sound[0] >= end]
        self._pending, self._begin = self._pending[count:], end
        return audio


def portions(sentence: str, voice: Voice, espeak: EspeakLibrary) -> list[Portion]:
    """What to read one after the other, each with its own voice. Raises `UnknownVoice`."""
    language = _espeak_language(voice.language or language_of(sentence))
    text = "".join(character if _can_be_read(character) else " " for character in sentence)
    parted = []
    for run, run_language in _runs(text, language):
        settings = _settings(run_language, voice, espeak)
        parted += [Portion(part, settings) for part in _cut(run) if _says_something(part)]
    return parted


def _runs(text: str, language: str) -> Iterator[tuple[str, str]]:
    """espeak's Chinese reads English words well, but its other languages read a Chinese character
    as "Chinese letter": there, Chinese words are read by the Chinese voice."""
    if language.split("-")[0] in _READS_HAN:
        yield text, language
        return
    for index, run in enumerate(_HAN_RUN.split(text)):
        yield run, "cmn" if index % 2 else language


def _cut(text: str) -> Iterator[str]:
    begin = 0
    while begin < len(text):
        end = _reach(text, begin)
        yield text[begin:end]
        begin = end


def _reach(text: str, begin: int) -> int:
    """How far a portion that starts at `begin` goes: to the last clause or word that fits."""
    seconds, clause, word = 0.0, 0, 0
    for index in range(begin, len(text)):
        seconds += _HAN_S if text[index] >= "\u2e80" else _OTHER_S
        if seconds > PORTION_S:
            return clause or word or index
        if _CLAUSE_END.match(text, index):
            clause = index + 1
        elif text[index].isspace():
            word = index + 1
    return len(text)


def _can_be_read(character: str) -> bool:
    """Not a control character, of which some are commands to espeak, nor an emoji, which it would
    name."""
    return character == "°" or unicodedata.category(character) not in _MUTE


def _says_something(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _settings(language: str, voice: Voice, espeak: EspeakLibrary) -> Settings:
    if voice.name and voice.name not in espeak.variants:
        plain = sorted(name for name in espeak.variants if re.fullmatch(r"[fm]\d", name))
        others = sorted(espeak.variants - set(plain), key=str.lower)
        raise UnknownVoice(
            f"espeak-ng has no voice {voice.name!r}; "
            f"it has {', '.join(plain)}, and also {', '.join(others)}."
        )
    rate, pitch = np.clip((voice.rate, voice.pitch), 0.5, 2.0)
    return Settings(
        voice=f"{language}+{voice.name}" if voice.name else language,
        words_per_minute=round(_NATURAL_WPM_OF.get(language, _NATURAL_WPM) * rate),
        pitch=round(np.clip(50 + 50 * math.log(pitch, _WIDEST_PITCH), 0, 100)),
        volume=_VOLUME_OF.get(language, 100),
    )


def _espeak_language(tag: str) -> str:
    tag = tag.lower().replace("_", "-")
    for known in (tag, tag.split("-")[0]):
        if known in _SPOKEN_AS:
            return _SPOKEN_AS[known]
    raise UnknownVoice(
        f"espeak-ng does not speak {tag!r} here; it speaks {', '.join(sorted(_SPOKEN_AS))}."
    )
