import json
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from engines.base import HEARING_RATE_HZ, Audio, Voice
from serve_app import cloned_voices
from serve_app.cloned_voices import ClonedTts, ClonedVoice, VoiceError, VoiceStore
from tests.serve_app.test_voices import Echo, speech


def test_a_voice_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    store = VoiceStore(tmp_path)
    (tmp_path / ".half").mkdir()
    (tmp_path / ".half" / "voice.json").write_text(json.dumps({"name": "x", "language": None}))
    (tmp_path / "Broken").mkdir()
    (tmp_path / "Broken" / "voice.json").write_text("{")
    store.add(ClonedVoice("Anna", None), speech())
    assert [voice.name for voice in store.voices()] == ["Anna"]
    assert {path.name for path in (tmp_path / "Anna").iterdir()} == {"voice.wav", "voice.json"}


def test_of_two_replicas_one_is_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = VoiceStore(tmp_path), VoiceStore(tmp_path)
    one.add(ClonedVoice("Anna", None), speech())
    monkeypatch.setattr(other, "voices", list)  # it has looked before the first one wrote
    with pytest.raises(VoiceError, match="already"):
        other.add(ClonedVoice("Anna", None), speech(4))
    assert len(list(tmp_path.glob("[!.]*"))) == 1
    assert len(one.reference("Anna")) == 5 * HEARING_RATE_HZ * 2


async def test_a_sentence_takes_the_recording_along(tmp_path: Path) -> None:
    store = VoiceStore(tmp_path)
    store.add(ClonedVoice("Anna", None), speech())
    heard: list[Voice] = []

    class Listening:
        async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
            heard.append(voice)
            yield Audio(np.zeros(16, np.int16), 16_000)

    tts = ClonedTts(Listening(), store)

    async def say(name: str) -> Voice:
        assert [piece async for piece in tts.speak("Hello.", Voice(name, rate=1.5))]
        return heard[-1]

    assert await say("Anna") == Voice("Anna", 1.5, reference=speech().samples.tobytes())
    assert await say("f3") == Voice("f3", 1.5)
    assert await say("") == Voice("", 1.5)
    assert await say("../Anna") == Voice("../Anna", 1.5)
    store.remove("Anna")
    assert (await say("Anna")).reference == b""
    store.add(ClonedVoice("Anna", None), speech(4))
    assert len((await say("Anna")).reference) == 4 * HEARING_RATE_HZ * 2


async def test_a_tutor_speaks_with_the_voice_it_was_given(tmp_path: Path) -> None:
    store = VoiceStore(tmp_path)
    store.add(ClonedVoice("Anna", None), speech(4))
    store.add(ClonedVoice("Li", "zh", (13, 14)), speech(5))
    assert [(voice.name, voice.tutors) for voice in store.voices()] == [
        ("Anna", ()),
        ("Li", (13, 14)),
    ]
    tts = ClonedTts(Echo(), store)

    async def name(tutor_id: int) -> str:
        spoken = [piece async for piece in tts.speak("", Voice("Anna", tutor_id=tutor_id))]
        return {4: "Anna", 5: "Li", 6: "Wu"}[len(spoken[0].samples) // HEARING_RATE_HZ]

    assert [await name(tutor_id) for tutor_id in (12, 13, 14)] == ["Anna", "Li", "Li"]
    store.add(ClonedVoice("Wu", None, (13,)), speech(6))
    assert [await name(tutor_id) for tutor_id in (12, 13, 14)] == ["Anna", "Wu", "Li"]
    store.remove("Li")
    store.remove("Wu")
    assert [await name(tutor_id) for tutor_id in (12, 13, 14)] == ["Anna"] * 3
    store.add(ClonedVoice("Li", "zh"), speech(5))
    assert await name(14) == "Anna"  # a new one of that name was given to nobody


def test_recordings_in_memory_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloned_voices, "RECORDINGS_IN_MEMORY", 3)
    store = VoiceStore(tmp_path)
    for index in range(6):
        store.add(ClonedVoice(f"v{index}", None), speech(3))
    assert all(store.reference(f"v{index}") for index in range(6))
    assert list(store._read) == ["v3", "v4", "v5"]


def test_a_voice_that_cannot_be_given_is_not_kept(tmp_path: Path) -> None:
    store = VoiceStore(tmp_path)
    (tmp_path / ".given").write_text("in the way")
    with pytest.raises(VoiceError) as refused:
        store.add(ClonedVoice("Anna", None, (13,)), speech())
    assert refused.value.status == 503
    assert store.voices() == []
