"""The routes of the voices: the engine's own, and those cloned from a recording."""

import asyncio
import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response

from engines.base import Audio, KnownVoice, Voice
from engines.errors import EngineError, UnknownVoice
from engines.tts.loudness import level_db
from serve_app.cloned_voices import ClonedVoice, VoiceError, VoiceStore
from serve_app.media import MediaError, RecordingTooLong, decode_recording, recording_bytes
from serve_app.recording import wav_bytes
from serve_app.voice_samples import Samples
from wire.names import is_given_name
from wire.rest import VoiceCreate, VoiceManner, VoicePublic

CLONING_ENGINE = "coqui"

RETRY_AFTER_S = 5
"""A sample takes a second or two, and a voice that restarts some ten."""

RECORDING_LIMIT_S = 30.0
"""XTTS listens to no more of a voice."""

LEAST_S = 3.0
"""Less does not tell one voice from another."""

RECORDING_LIMIT_BYTES = 6_000_000
"""30 s as WAV in stereo at 48 kHz."""

FAINTEST_DB = -45.0
"""Below that it is noise, and the voice would be cloned from noise."""


@dataclass(frozen=True, slots=True)
class Voices:
    """What the routes stand on."""

    store: VoiceStore
    built_in: Callable[[], Awaitable[Sequence[KnownVoice]]]
    """Those of the engine that speaks now. Raises `EngineError`."""
    samples: Samples


voices = APIRouter(prefix="/voices", tags=["voices"])
"""Finds its `Voices` in `app.state.voices`; whoever includes it demands the key."""


def _voices_of(request: Request) -> Voices:
    return cast(Voices, request.app.state.voices)


VoicesDep = Annotated[Voices, Depends(_voices_of)]
MannerDep = Annotated[VoiceManner, Query()]

WAV: dict[int | str, dict[str, Any]] = {200: {"content": {"audio/wav": {}}}}


@voices.get("")
async def list_voices(known: VoicesDep) -> list[VoicePublic]:
    """The engine's own, and the cloned ones."""
    cloned = await asyncio.to_thread(known.store.voices)
    listed = [
        VoicePublic(name=voice.name, engine=voice.engine, language=voice.language, kind="built-in")
        for voice in await _built_in(known)
    ]
    return listed + [_public(voice) for voice in cloned]


@voices.post("", status_code=201)
async def create_voice(wish: VoiceCreate, known: VoicesDep) -> VoicePublic:
    name = wish.name
    if name.casefold() in {voice.casefold() for voice in await _own_names(known)}:
        raise HTTPException(
            409, f"The engine has a voice {name!r} of its own. Choose another name."
        )
    tutors = () if wish.tutor_id is None else (wish.tutor_id,)
    voice = ClonedVoice(name, wish.language, tutors)
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
    """From then on the tutors to which it was given speak as their file says."""
    name = unicodedata.normalize("NFC", name)
    try:
        if not is_given_name(name):
            raise VoiceError(404, "There is no cloned voice of that name; see GET /voices.")
        await asyncio.to_thread(known.store.remove, name)
    except VoiceError as error:
        raise HTTPException(error.status, error.sentence) from error
    return Response(status_code=204)


@voices.get("/sample", response_class=Response, responses=WAV)
async def hear_usual_voice(manner: MannerDep, known: VoicesDep) -> Response:
    """A short sentence in the engine's usual voice."""
    return await _sample(known, "", manner, manner.language)


@voices.get("/{name}/sample", response_class=Response, responses=WAV)
async def hear_voice(name: str, manner: MannerDep, known: VoicesDep) -> Response:
    """A short sentence, as a tutor with that voice would say it."""
    name = unicodedata.normalize("NFC", name)
    language = await _language_of(known, name)
    return await _sample(known, name, manner, manner.language or language)


async def _sample(known: Voices, name: str, manner: VoiceManner, language: str | None) -> Response:
    voice = Voice(name=name, rate=manner.rate, pitch=manner.pitch)
    try:
        sound = await known.samples.of(voice, language)
    except UnknownVoice as error:
        raise HTTPException(404, error.sentence) from error
    except EngineError as error:
        raise _later(error) from error
    return Response(wav_bytes(sound), media_type="audio/wav")


async def _language_of(known: Voices, name: str) -> str | None:
    """Of a voice that there is; None: it speaks several."""
    for cloned in await asyncio.to_thread(known.store.voices):
        if cloned.name == name:
            return cloned.language
    for voice in await _demand_built_in(known):
        if voice.name == name:
            return voice.language
    raise HTTPException(404, f"There is no voice {name!r}; see GET /voices.")


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


async def _own_names(known: Voices) -> list[str]:
    """Tutors may be using them: a cloned voice must not take one's place."""
    return [voice.name for voice in await _demand_built_in(known)]


async def _demand_built_in(known: Voices) -> Sequence[KnownVoice]:
    try:
        return await known.built_in()
    except EngineError as error:
        raise _later(error) from error


def _later(error: EngineError) -> HTTPException:
    return HTTPException(503, error.sentence, headers={"Retry-After": str(RETRY_AFTER_S)})


def _public(voice: ClonedVoice) -> VoicePublic:
    return VoicePublic(
        name=voice.name,
        engine=CLONING_ENGINE,
        language=voice.language,
        kind="cloned",
        tutors=list(voice.tutors),
    )
