"""The voices cloned from recordings, kept in `TUTOR_HOME/voices`.

    voices/
    ├── Anna/            one folder for each voice; it appears and goes as a whole
    │   ├── voice.wav    s16 mono at 16 kHz, which is all that the cloning looks at
    │   └── voice.json   name, language
    └── .given/13        the name of the voice that tutor 13 was given

A turn's sentence takes the recording along to the engine (`ClonedTts`), 32 kB for each second of
it: a replica that was started a moment ago, on any node, speaks with the voice at once.
"""

import asyncio
import io
import json
import shutil
import wave
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast
from uuid import uuid4

from engines.base import Audio, Tts, Voice
from serve_app.recording import wav_bytes
from wire.names import is_given_name

MAX_VOICES = 500

RECORDINGS_IN_MEMORY = 64
"""60 MB at most."""

_SOUND, _FACTS, _GIVEN = "voice.wav", "voice.json", ".given"


class VoiceError(Exception):
    """A voice that cannot be added or found: a sentence, and the status of its answer."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class ClonedVoice:
    name: str
    language: str | None
    tutors: tuple[int, ...] = ()
    """Those who speak with it whatever the tutors' file says."""


class VoiceStore:
    """The cloned voices of a folder. Blocks for milliseconds: call it in a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: OrderedDict[str, tuple[int, bytes]] = OrderedDict()

    def voices(self) -> list[ClonedVoice]:
        """By name; what is damaged is left out."""
        names = sorted(path.parent.name for path in self._folder.glob(f"[!.]*/{_FACTS}"))
        given = self._given()
        return [voice for name in names if (voice := self._voice(name, given)) is not None]

    def add(self, voice: ClonedVoice, recording: Audio) -> None:
        """Keep it, and give it to its tutors, who lose the one they had. Raises `VoiceError` when
        there is one of that name, also in other capitals."""
        known = [other.name.casefold() for other in self.voices()]
        if len(known) >= MAX_VOICES:
            raise VoiceError(409, f"There are {MAX_VOICES} voices already. Delete one first.")
        if voice.name.casefold() in known:
            raise _taken(voice.name)
        made = self._folder / f".{uuid4().hex}"
        made.mkdir(parents=True)
        try:
            (made / _SOUND).write_bytes(wav_bytes(recording))
            facts = {"name": voice.name, "language": voice.language}
            (made / _FACTS).write_text(json.dumps(facts, ensure_ascii=False), "utf-8")
            made.rename(self._folder / voice.name)
        except FileExistsError as error:
            raise _taken(voice.name) from error
        except OSError as error:
            if (self._folder / voice.name).exists():  # "not empty": another replica was quicker
                raise _taken(voice.name) from error
            raise VoiceError(503, f"The voice could not be stored: {error.strerror}.") from error
        finally:
            shutil.rmtree(made, ignore_errors=True)
        try:
            self._give(voice)
        except OSError as error:
            self.remove(voice.name)
            raise VoiceError(503, f"The voice could not be given: {error.strerror}.") from error

    def remove(self, name: str) -> None:
        """Raises `VoiceError` when there is none of that name."""
        gone = self._folder / f".{uuid4().hex}"
        try:
            (self._folder / name).rename(gone)
        except OSError as error:
            raise VoiceError(404, f"There is no cloned voice {name!r}; see GET /voices.") from error
        self._read.pop(name, None)
        for tutor_id, given in self._given().items():
            if given == name:
                (self._folder / _GIVEN / str(tutor_id)).unlink(missing_ok=True)
        shutil.rmtree(gone, ignore_errors=True)

    def given_to(self, tutor_id: int) -> str:
        """The name of this tutor's own voice; empty when it was given none."""
        try:
            return (self._folder / _GIVEN / str(tutor_id)).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            return ""

    def reference(self, name: str) -> bytes:
        """Its recording, as in `engines.base.Voice`; empty when there is no such voice."""
        path = self._folder / name / _SOUND
        try:
            changed = path.stat().st_mtime_ns
            known = self._read.get(name)
            if known is None or known[0] != changed:
                with wave.open(io.BytesIO(path.read_bytes())) as sound:
                    known = self._read[name] = (changed, sound.readframes(sound.getnframes()))
            self._read.move_to_end(name)
            if len(self._read) > RECORDINGS_IN_MEMORY:
                self._read.popitem(last=False)
            return known[1]
        except (OSError, EOFError, wave.Error):
            self._read.pop(name, None)
            return b""

    def _give(self, voice: ClonedVoice) -> None:
        (self._folder / _GIVEN).mkdir(exist_ok=True)
        for tutor_id in voice.tutors:
            note = self._folder / f".{uuid4().hex}"
            note.write_text(voice.name, "utf-8")
            note.replace(self._folder / _GIVEN / str(tutor_id))

    def _given(self) -> dict[int, str]:
        """Tutor → the name of its voice."""
        notes = self._folder.glob(f"{_GIVEN}/*")
        return {int(n.name): self.given_to(int(n.name)) for n in notes if n.name.isdecimal()}

    def _voice(self, name: str, given: dict[int, str]) -> ClonedVoice | None:
        tutors = tuple(sorted(tutor_id for tutor_id, voice in given.items() if voice == name))
        try:
            facts = json.loads((self._folder / name / _FACTS).read_text("utf-8"))
            return ClonedVoice(name, facts["language"], tutors)
        except (OSError, ValueError, KeyError, TypeError):
            return None


class ClonedTts:
    """A voice engine that is given the recording of a cloned voice along with its name."""

    def __init__(self, tts: Tts, store: VoiceStore) -> None:
        self._tts = tts
        self._store = store

    async def speak(self, sentence: str, voice: Voice) -> AsyncGenerator[Audio, None]:
        voice = await asyncio.to_thread(self._with_reference, voice)
        speech = cast(AsyncGenerator[Audio, None], self._tts.speak(sentence, voice))
        async with aclosing(speech) as pieces:
            async for piece in pieces:
                yield piece

    def _with_reference(self, voice: Voice) -> Voice:
        own = "" if voice.tutor_id is None else self._store.given_to(voice.tutor_id)
        for name in (own, voice.name):
            if is_given_name(name) and (reference := self._store.reference(name)):
                return replace(voice, name=name, reference=reference)
        return voice


def _taken(name: str) -> VoiceError:
    return VoiceError(
        409, f"There is a voice {name!r} already. Delete it first, or choose another."
    )
