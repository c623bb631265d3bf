import numpy as np
import pytest

from deployments.asr import AsrArgs, AsrDeployment, choose
from engines.asr.whisper import WhisperAsr
from engines.asr.whisper_model import free
from engines.base import HEARING_RATE_HZ, Audio, Transcript
from tests.tiny_whisper import make_tiny_whisper


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_tiny_whisper(tmp_path_factory.mktemp("whisper")))


async def test_the_stub_hears_without_a_model() -> None:
    deployment = AsrDeployment(AsrArgs(engine="stub"))
    silence = Audio(np.zeros(HEARING_RATE_HZ, np.int16), HEARING_RATE_HZ)
    assert await deployment.transcribe(silence, None) == Transcript("hello stub", "en")
    assert (await deployment.state()).engine == "stub"


def test_options_reach_the_engine(model: str) -> None:
    args = AsrArgs.model_validate(
        {"whisper_model": model, "compute_type": "float32", "vocabulary": ["Ceres", "Vesta"]}
    )
    assert args.vocabulary == ("Ceres", "Vesta")
    asr, state = choose(args)
    assert isinstance(asr, WhisperAsr)
    assert "float32" in state.reason


async def test_the_state_is_that_of_this_moment(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = AsrDeployment(AsrArgs(whisper_model=model))
    assert (await deployment.state()).state == "ready"
    assert isinstance(deployment._asr, WhisperAsr)
    free(deployment._asr._opened)
    later = await deployment.state()
    assert later.state == "unavailable"
    assert "memory" in later.reason
    assert later.remedy
