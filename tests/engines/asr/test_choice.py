from pathlib import Path

import numpy as np
import pytest

from engines.asr.choice import NoAsr, choose_asr
from engines.asr.sphinx import SphinxAsr
from engines.asr.whisper import WhisperAsr
from engines.asr.whisper_model import WhisperOptions
from engines.base import HEARING_RATE_HZ, Audio
from engines.errors import EngineUnavailable
from tests.tiny_whisper import make_tiny_whisper

CPU = WhisperOptions(device="cpu")


@pytest.mark.parametrize("model", [None, ""])
def test_without_a_model_the_embedded_ears_say_what_is_missing(model: str | None) -> None:
    asr, state = choose_asr("auto", model)
    assert isinstance(asr, SphinxAsr)
    asr.close()
    assert (state.engine, state.state) == ("sphinx", "degraded")
    assert "No speech model is configured" in state.reason
    assert "WHISPER_MODEL" in state.remedy


def test_the_embedded_ears_are_fine_when_they_were_asked_for() -> None:
    asr, state = choose_asr("sphinx", "a model that is not even looked at")
    assert isinstance(asr, SphinxAsr)
    asr.close()
    assert (state.engine, state.state, state.reason, state.remedy) == ("sphinx", "ready", "", "")


@pytest.mark.parametrize("engine", ["auto", "whisper"])
def test_a_model_that_loads_is_used(engine: str, tmp_path: Path) -> None:
    model = str(make_tiny_whisper(tmp_path))
    asr, state = choose_asr("auto" if engine == "auto" else "whisper", model, CPU)
    assert isinstance(asr, WhisperAsr)
    assert (state.engine, state.state, state.remedy) == ("whisper", "ready", "")


@pytest.mark.parametrize("engine", ["auto", "whisper"])
def test_a_model_that_does_not_load_falls_back_and_says_why(engine: str, tmp_path: Path) -> None:
    (make_tiny_whisper(tmp_path) / "model.bin").unlink()
    asr, state = choose_asr("auto" if engine == "auto" else "whisper", str(tmp_path), CPU)
    assert isinstance(asr, SphinxAsr)
    asr.close()
    assert (state.engine, state.state) == ("sphinx", "degraded")
    assert "lacks model.bin" in state.reason


async def test_without_any_ears_text_keeps_working(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    asr, state = choose_asr("auto", None)

    assert isinstance(asr, NoAsr)
    assert (state.engine, state.state) == ("none", "unavailable")
    assert "pip install pocketsphinx" in state.reason
    silence = Audio(np.zeros(HEARING_RATE_HZ, np.int16), HEARING_RATE_HZ)
    with pytest.raises(EngineUnavailable, match="No speech recogniser .* please type"):
        await asr.transcribe(silence, "en")
