from pathlib import Path

import numpy as np
import pytest

from deployments.asr import AsrArgs, AsrDeployment, choose
from engines.asr.choice import BestAsr, PlainSphinx
from engines.asr.whisper import WhisperAsr
from engines.base import HEARING_RATE_HZ, Audio, Transcript
from tests.running import eventually
from tests.tiny_whisper import make_tiny_whisper


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_tiny_whisper(tmp_path_factory.mktemp("whisper")))


async def test_the_stub_hears_without_a_model() -> None:
    deployment = AsrDeployment(AsrArgs(engine="stub"))
    silence = Audio(np.zeros(HEARING_RATE_HZ, np.int16), HEARING_RATE_HZ)
    assert await deployment.transcribe(silence, None) == Transcript("hello stub", "en")
    assert (await deployment.state()).engine == "stub"


@pytest.mark.parametrize(("engine", "state"), [("auto", "degraded"), ("sphinx", "ready")])
async def test_without_a_model_the_embedded_recogniser_hears(
    engine: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WHISPER_MODEL", raising=False)
    asr = choose(AsrArgs.model_validate({"engine": engine}))
    assert isinstance(asr, PlainSphinx)
    assert (await asr.state()).state == state


async def test_options_reach_the_engine(model: str) -> None:
    args = AsrArgs.model_validate(
        {
            "whisper_model": model,
            "device": "cpu",
            "compute_type": "float32",
            "vocabulary": ["Ceres", "Vesta"],
            "gpu": 0.2,
        }
    )
    asr = choose(args)
    assert isinstance(asr, BestAsr)
    await asr.loaded()
    assert isinstance(asr._whisper, WhisperAsr)
    options = asr._whisper._options
    assert options.vocabulary == ("Ceres", "Vesta")
    assert options.memory_share == 0.2
    assert "float32" in (await asr.state()).reason


@pytest.mark.parametrize(("engine", "state"), [("auto", "degraded"), ("whisper", "unavailable")])
async def test_a_model_that_is_missing_is_named(engine: str, state: str, tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    args = AsrArgs.model_validate({"engine": engine, "whisper_model": gone})
    deployment = AsrDeployment(args)
    assert isinstance(deployment._asr, BestAsr)
    await deployment._asr.loaded()
    found = await deployment.state()
    assert found.state == state
    assert gone in found.remedy


async def test_the_setting_names_the_model(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHISPER_MODEL", model)
    deployment = AsrDeployment(AsrArgs())
    asr = deployment._asr
    assert isinstance(asr, BestAsr)
    await eventually(lambda: asr._whisper is not None, 30)
    assert model in (await deployment.state()).reason
