"""What the arguments and settings of the voice choose."""

from pathlib import Path

import pytest

from deployments.settings import read_engine_settings
from deployments.tts import TtsArgs, TtsDeployment, choose
from engines.base import Audio, Voice
from engines.errors import EngineUnavailable
from engines.stub import StubTts
from engines.tts.choice import BestTts, PlainEspeak


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no .env
    for name in ("TTS_MODEL", "COQUI_TOS_AGREED"):
        monkeypatch.delenv(name, raising=False)


async def said(tts: TtsDeployment) -> list[Audio]:
    return [piece async for piece in tts.speak("Hello.", Voice())]


def test_without_a_model_it_is_espeak() -> None:
    assert isinstance(choose(TtsArgs()), PlainEspeak)


async def test_with_a_model_espeak_speaks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTS_MODEL", "/nowhere/model")
    tts = choose(TtsArgs())
    assert isinstance(tts, BestTts)
    await tts.loaded()
    state = await tts.state()
    assert (state.engine, state.state) == ("espeak-ng", "degraded")
    assert "/nowhere/model" in state.remedy


def test_espeak_is_espeak_whatever_model_is_named() -> None:
    assert isinstance(choose(TtsArgs(engine="espeak", model="/nowhere")), PlainEspeak)


async def test_coqui_alone_says_what_it_lacks() -> None:
    tts = choose(TtsArgs(engine="coqui"))
    assert isinstance(tts, BestTts)
    await tts.loaded()
    state = await tts.state()
    assert (state.engine, state.state) == ("coqui", "unavailable")
    assert "TTS_MODEL" in state.remedy
    with pytest.raises(EngineUnavailable):
        await anext(tts.speak("Hello.", Voice()))


@pytest.mark.parametrize(("given", "agreed"), [("1", True), ("0", False), ("", False)])
def test_the_licence_is_agreed_to_in_coquis_own_words(
    given: str, agreed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COQUI_TOS_AGREED", given)
    assert read_engine_settings().coqui_tos_agreed is agreed


async def test_the_stub_is_heard_as_it_is() -> None:
    stub = StubTts()
    told = TtsDeployment(TtsArgs(engine="stub", stub=stub))
    plain = [piece async for piece in stub.speak("Hello.", Voice())]
    heard = await said(told)
    assert [piece.samples.tolist() for piece in heard] == [p.samples.tolist() for p in plain]
    assert (await told.state()).engine == "stub"
    assert [voice.engine for voice in await told.voices()] == ["stub"]
