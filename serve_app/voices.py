"""Voices: the engine's own, and those cloned from a recording, kept in `TUTOR_HOME/voices`.

    voices/
    └── Anna/            one folder for each voice; it appears and goes as a whole
        ├── voice.wav    s16 mono at 16 kHz, which is all that the cloning looks at
        └── voice.json   name, language

A turn's sentence takes the recording along to the engine (`ClonedTts`), 32 kB for each second of
it: a replica that was started a moment ago, on any node, speaks with the voice at once.
"""

import asyncio
import io
import json
import re
import shutil
import unicodedata
import wave
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, cast
from uuid import uuid4

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from engines.base import Audio, KnownVoice, Tts, Voice
from engines.errors import EngineError
from engines.tts.loudness import level_db
from serve_app.media import MediaError, RecordingTooLong, decode_recording, recording_bytes
from serve_app.recording import wav_bytes
from wire.rest import VOICE_NAME, VoiceCreate, VoicePublic

CLONING_ENGINE = "coqui"

RECORDING_LIMIT_S = 30.0
"""XTTS listens to no more of a voice."""

LEAST_S = 3.0
"""Less does not tell one voice from another."""

RECORDING_LIMIT_BYTES = 6_000_000
"""30 s as WAV in stereo at 48 kHz."""

MAX_VOICES = 500

FAINTEST_DB = -45.0
"""Below that it is noise, and the voice would be cloned from noise."""

_SOUND, _FACTS = "voice.wav", "voice.json"


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


class VoiceStore:
    """The cloned voices of a folder. Blocks for milliseconds: call it in a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, tuple[int, bytes]] = {}

    def voices(self) -> list[ClonedVoice]:
        """By name; what is damaged is left out."""
        names = sorted(path.parent.name for path in self._folder.glob(f"[!.]*/{_FACTS}"))
        return [voice for name in names if (voice := self._voice(name)) is not None]

    def add(self, voice: ClonedVoice, recording: Audio) -> None:
        """Raises `VoiceError` when there is one of that name, also in other capitals."""
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

    def remove(self, name: str) -> None:
        """Raises `VoiceError` when there is none of that name."""
        gone = self._folder / f".{uuid4().hex}"
        try:
            (self._folder / name).rename(gone)
        except OSError as error:
            raise VoiceError(404, f"There is no cloned voice {name!r}; see GET /voices.") from error
        self._read.pop(name, None)
        shutil.rmtree(gone, ignore_errors=True)

    def reference(self, name: str) -> bytes:
        """Its recording, as in `engines.base.Voice`; empty when there is no such voice."""
        path = self._folder / name / _SOUND
        try:
            changed = path.stat().st_mtime_ns
            known = self._read.get(name)
            if known is None or known[0] != changed:
                with wave.open(io.BytesIO(path.read_bytes())) as sound:
                    known = self._read[name] = (changed, sound.readframes(sound.getnframes()))
            return known[1]
        except (OSError, EOFError, wave.Error):
            self._read.pop(name, None)
            return b""

    def _voice(self, name: str) -> ClonedVoice | None:
        try:
            facts = json.loads((self._folder / name / _FACTS).read_text("utf-8"))
            return ClonedVoice(name, facts["language"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


class ClonedTts:
    """A voice engine that is given the recording of a cloned voice along with its name."""

    def __init__(self, tts: Tts, store: VoiceStore) -> None:
        self._tts = tts
        self._store = store

    async def speak(self, sentence: str, voice: Voice) -> AsyncGenerator[Audio, None]:
        if is_name(voice.name):
            reference = await asyncio.to_thread(self._store.reference, voice.name)
            voice = replace(voice, reference=reference)
        speech = cast(AsyncGenerator[Audio, None], self._tts.speak(sentence, voice))
        async with aclosing(speech) as pieces:
            async for piece in pieces:
                yield piece


@dataclass(frozen=True, slots=True)
class Voices:
    """What the routes stand on."""

    store: VoiceStore
    built_in: Callable[[], Awaitable[Sequence[KnownVoice]]]
    """Those of the engine that speaks now. Raises `EngineError`."""


voices = APIRouter(prefix="/voices", tags=["voices"])
"""Finds its `Voices` in `app.state.voices`; whoever includes it demands the key."""


def _voices_of(request: Request) -> Voices:
    return cast(Voices, request.app.state.voices)


VoicesDep = Annotated[Voices, Depends(_voices_of)]


@voices.get("")
async def list_voices(known: VoicesDep) -> list[VoicePublic]:
    """Those that sound now: the engine's own, and the cloned ones."""
    cloned = await asyncio.to_thread(known.store.voices)
    listed = [
        VoicePublic(name=voice.name, engine=voice.engine, language=voice.language, kind="built-in")
        for voice in await _built_in(known)
    ]
    return listed + [_public(voice) for voice in cloned]


@voices.post("", status_code=201)
async def create_voice(wish: VoiceCreate, known: VoicesDep) -> VoicePublic:
    name = unicodedata.normalize("NFC", wish.name)
    if name in {voice.name for voice in await _built_in(known)}:
        raise HTTPException(
            409, f"The engine has a voice {name!r} of its own. Choose another name."
        )
    voice = ClonedVoice(name, wish.language)
    try:
        recording = await _recording(wish.recording)
        await asyncio.to_thread(known.store.add, voice, recording)
    except MediaError as error:
        status = 413 if isinstance(error, RecordingTooLong) else 422
        raise HTTPException(status, error.sentence) from error
    except VoiceError as error:
        raise HTTPException(error.status, error.sentence) from error
    return _public(voice)


@voices.delete("/{name}", status_code=204)
async def delete_voice(name: str, known: VoicesDep) -> Response:
    """From then on it is an unknown voice, also for the tutors to which it was given."""
    name = unicodedata.normalize("NFC", name)
    try:
        if not is_name(name):
            raise VoiceError(404, "There is no cloned voice of that name; see GET /voices.")
        await asyncio.to_thread(known.store.remove, name)
    except VoiceError as error:
        raise HTTPException(error.status, error.sentence) from error
    return Response(status_code=204)


def is_name(name: str) -> bool:
    """Whether a cloned voice may be called so; such a name stays inside its folder."""
    return re.fullmatch(VOICE_NAME[1:-1], name) is not None


async def _recording(data: str) -> Audio:
    """Raises `MediaError`, or `VoiceError` when no voice can be cloned from it."""
    speech = await decode_recording(recording_bytes(data, RECORDING_LIMIT_BYTES), RECORDING_LIMIT_S)
    if speech.seconds < LEAST_S:
        raise VoiceError(422, f"The recording is shorter than {LEAST_S:g} s. Record a bit more.")
    loudness = level_db(speech)
    if loudness is None or loudness < FAINTEST_DB:
        raise VoiceError(422, "The recording is silent or very faint. Speak closer to it.")
    return speech


async def _built_in(known: Voices) -> Sequence[KnownVoice]:
    try:
        return await known.built_in()
    except EngineError:
        return ()  # the voice is restarting; the cloned ones are known all the same


def _public(voice: ClonedVoice) -> VoicePublic:
    return VoicePublic(
        name=voice.name, engine=CLONING_ENGINE, language=voice.language, kind="cloned"
    )


def _taken(name: str) -> VoiceError:
    return VoiceError(
        409, f"There is a voice {name!r} already. Delete it first, or choose another."
    )
