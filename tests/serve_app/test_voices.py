import base64
import io
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request

from engines.base import HEARING_RATE_HZ, Audio, KnownVoice, Tts, Voice
from engines.errors import EngineError, EngineUnavailable, UnknownVoice
from engines.tts.espeak import EspeakTts
from serve_app.cloned_voices import ClonedTts, ClonedVoice, VoiceStore
from serve_app.recording import compressed_bytes, wav_bytes
from serve_app.voice_samples import SENTENCES, Samples
from serve_app.voices import Voices, voices


def speech(length_s: float = 5.0, level: int = 3_000, rate_hz: int = HEARING_RATE_HZ) -> Audio:
    at = np.arange(round(length_s * rate_hz)) / rate_hz
    return Audio((level * np.sin(2 * np.pi * 200 * at)).astype(np.int16), rate_hz)


def wish(name: str = "Anna", data: bytes | None = None, **more: Any) -> dict[str, Any]:
    recording = wav_bytes(speech()) if data is None else data
    return {"name": name, "recording": base64.b64encode(recording).decode(), **more}


class Echo:
    """Speaks by playing the recording it was given."""

    async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
        yield Audio(np.frombuffer(voice.reference, np.int16), HEARING_RATE_HZ)


async def built_in() -> list[KnownVoice]:
    return [KnownVoice("f3", "espeak-ng"), KnownVoice("Thorsten", "coqui", "de")]


async def demand_key(request: Request) -> None:
    if request.headers.get("authorization") != "Bearer key":
        raise HTTPException(401)


@asynccontextmanager
async def client(
    home: Path, built_in: Any = built_in, tts: Tts | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    api = FastAPI()
    api.include_router(voices, prefix="/v1", dependencies=[Depends(demand_key)])
    store = VoiceStore(home / "voices")
    samples = Samples(ClonedTts(tts or Echo(), store))
    api.state.voices = Voices(store, built_in, samples)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(api),
        base_url="http://localhost/v1",
        headers={"Authorization": "Bearer key"},
    ) as http:
        yield http


async def test_a_voice_is_added_listed_and_deleted(tmp_path: Path) -> None:
    async with client(tmp_path) as http:
        added = await http.post("/voices", json=wish(language="en", tutor_id=13))
        anna = {
            "name": "Anna",
            "engine": "coqui",
            "language": "en",
            "kind": "cloned",
            "tutors": [13],
        }
        assert (added.status_code, added.json()) == (201, anna)
        listed = (await http.get("/voices")).json()
        assert listed[-1] == anna
        assert listed[0]["kind"] == "built-in"
        assert listed[1] == {
            "name": "Thorsten",
            "engine": "coqui",
            "language": "de",
            "kind": "built-in",
            "tutors": [],
        }
        assert (await http.delete("/voices/Anna")).status_code == 204
        assert len((await http.get("/voices")).json()) == 2
        assert (await http.delete("/voices/Anna")).status_code == 404
    assert list((tmp_path / "voices").glob("[!.]*")) == []


async def test_all_routes_want_the_key(tmp_path: Path) -> None:
    async with client(tmp_path) as http:
        http.headers.pop("Authorization")
        for method, path in (
            ("GET", ""),
            ("POST", ""),
            ("DELETE", "/x"),
            ("GET", "/sample"),
            ("GET", "/x/sample"),
        ):
            assert (await http.request(method, f"/voices{path}")).status_code == 401


@pytest.mark.parametrize("name", ["梅老师", "Anna 2", "a", "O_k-ay", "अन्ना", "สมศรี", "é"])
async def test_names_of_any_script(tmp_path: Path, name: str) -> None:
    async with client(tmp_path) as http:
        assert (await http.post("/voices", json=wish(name))).status_code == 201
        assert (await http.get("/voices")).json()[-1]["name"] == name
        store = VoiceStore(tmp_path / "voices")
        spoken = ClonedTts(Echo(), store).speak("", Voice(name))
        assert len([piece async for piece in spoken][0].samples) == 5 * HEARING_RATE_HZ
        assert (await http.delete(f"/voices/{name}")).status_code == 204


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        ".hidden",
        " a",
        "a ",
        "a\n",
        "a\0",
        "x" * 49,
        "a\u200db",
    ],
)
async def test_names_that_would_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    async with client(tmp_path) as http:
        assert (await http.post("/voices", json=wish(name))).status_code == 422
        if name:
            gone = await http.delete(f"/voices/{quote(name, safe='')}")
            assert gone.status_code in (404, 405)
    assert not (tmp_path / "voices").exists()


@pytest.mark.parametrize("taken", ["Anna", "ANNA", "f3", "F3"])
async def test_a_name_is_given_once(tmp_path: Path, taken: str) -> None:
    async with client(tmp_path) as http:
        await http.post("/voices", json=wish("Anna"))
        refused = await http.post("/voices", json=wish(taken))
        assert refused.status_code == 409
        assert taken in refused.json()["detail"]


@pytest.mark.parametrize(
    ("data", "status", "told"),
    [
        (wav_bytes(speech(31)), 413, "longer than 30 s"),
        (wav_bytes(speech(2)), 422, "shorter than 3 s"),
        (wav_bytes(speech(level=0)), 422, "silent"),
        (wav_bytes(speech(level=20)), 422, "faint"),
        (b"not a recording", 422, "unknown kind"),
        (b"", 422, "empty"),
        (b"RIFF" + bytes(7_000_000), 413, "larger"),
    ],
)
async def test_what_no_voice_can_be_cloned_from_is_refused(
    tmp_path: Path, data: bytes, status: int, told: str
) -> None:
    async with client(tmp_path) as http:
        refused = await http.post("/voices", json=wish(data=data))
        assert refused.status_code == status
        assert told in refused.json()["detail"]
    assert not (tmp_path / "voices").exists()


async def test_a_compressed_recording_at_another_rate_will_do(tmp_path: Path) -> None:
    async with client(tmp_path) as http:
        data = compressed_bytes(speech(rate_hz=48_000), "ogg")
        assert (await http.post("/voices", json=wish(data=data))).status_code == 201
    reference = VoiceStore(tmp_path / "voices").reference("Anna")
    assert len(reference) == pytest.approx(5 * HEARING_RATE_HZ * 2, rel=0.02)


@pytest.mark.parametrize("change", [{"language": "English"}, {"recording": 5}, {"pitch": 1}])
async def test_a_wrong_wish_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    async with client(tmp_path) as http:
        assert (await http.post("/voices", json=wish() | change)).status_code == 422


async def test_cloned_voices_are_listed_while_the_engine_restarts(tmp_path: Path) -> None:
    async def restarting() -> list[KnownVoice]:
        raise EngineUnavailable("The voice is restarting.")

    VoiceStore(tmp_path / "voices").add(ClonedVoice("Anna", None), speech())
    async with client(tmp_path, restarting) as http:
        refused = await http.post("/voices", json=wish("Li"))  # it might be a name of the engine's
        assert (refused.status_code, int(refused.headers["Retry-After"]) > 0) == (503, True)
        assert [voice["name"] for voice in (await http.get("/voices")).json()] == ["Anna"]


class Heard:
    """Notes what it is to say, and with which voice."""

    def __init__(self, error: EngineError | None = None) -> None:
        self.sentence = ""
        self.voice = Voice()
        self._error = error

    async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
        self.sentence, self.voice = sentence, voice
        if self._error is not None:
            raise self._error
        yield speech(0.5)


def sound_of(answer: httpx.Response) -> Audio:
    with wave.open(io.BytesIO(answer.content)) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
        return Audio(samples, sound.getframerate())


async def test_a_voice_is_heard_before_a_tutor_has_it(tmp_path: Path) -> None:
    async with client(tmp_path, tts=EspeakTts()) as http:
        slow = await http.get("/voices/f3/sample", params={"rate": 0.5})
        fast = await http.get("/voices/f3/sample", params={"rate": 2})
    for heard in (slow, fast):
        assert (heard.status_code, heard.headers["content-type"]) == (200, "audio/wav")
    lengths = [sound_of(heard).seconds for heard in (slow, fast)]
    assert lengths[0] > 2 * lengths[1] > 1
    assert np.abs(sound_of(slow).samples).max() > 3_000


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("/voices/f3/sample", "en"),
        ("/voices/f3/sample?language=zh", "zh"),
        ("/voices/f3/sample?language=fr", "en"),
        ("/voices/Li/sample", "zh"),
        ("/voices/Li/sample?language=en", "en"),
        ("/voices/sample?language=zh", "zh"),
    ],
)
async def test_the_sentence_is_of_the_voices_language(
    tmp_path: Path, path: str, language: str
) -> None:
    VoiceStore(tmp_path / "voices").add(ClonedVoice("Li", "zh"), speech())
    heard = Heard()
    async with client(tmp_path, tts=heard) as http:
        assert (await http.get(path)).status_code == 200
    assert heard.sentence == SENTENCES[language]


async def test_a_sample_has_the_manner_that_is_wished_for(tmp_path: Path) -> None:
    VoiceStore(tmp_path / "voices").add(ClonedVoice("Li", "zh"), speech())
    heard = Heard()
    async with client(tmp_path, tts=heard) as http:
        await http.get("/voices/Li/sample?rate=1.2&pitch=0.9")
        voice = heard.voice
        assert (voice.name, voice.rate, voice.pitch, bool(voice.reference)) == (
            "Li",
            1.2,
            0.9,
            True,
        )
        await http.get("/voices/sample")
        assert heard.voice == Voice()
        for wrong in ("rate=9", "rate=nan", "pitch=0", "language=English"):
            assert (await http.get(f"/voices/Li/sample?{wrong}")).status_code == 422


@pytest.mark.parametrize(
    ("path", "error", "status"),
    [
        ("/voices/nobody/sample", None, 404),
        ("/voices/F3/sample", None, 404),
        ("/voices/..%2Fvoices/sample", None, 404),
        ("/voices/f3/sample", EngineUnavailable("The voice is restarting."), 503),
        ("/voices/f3/sample", UnknownVoice("Does not speak 'en' here."), 404),
    ],
)
async def test_a_sample_that_cannot_be_had_says_why(
    tmp_path: Path, path: str, error: EngineError | None, status: int
) -> None:
    async with client(tmp_path, tts=Heard(error)) as http:
        refused = await http.get(path)
    assert refused.status_code == status
    if error is not None:
        assert refused.json()["detail"] == error.sentence
    assert ("Retry-After" in refused.headers) == (status == 503)


async def test_while_the_engine_restarts_it_is_not_known_what_there_is(tmp_path: Path) -> None:
    async def restarting() -> list[KnownVoice]:
        raise EngineUnavailable("The voice is restarting.")

    async with client(tmp_path, restarting) as http:
        refused = await http.get("/voices/f3/sample")
    assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
