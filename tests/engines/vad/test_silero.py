import builtins
import importlib.util
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.base import HEARING_RATE_HZ, VAD_WINDOW, Pcm
from engines.errors import EngineUnavailable
from engines.vad import silero
from engines.vad.silero import SileroVad
from tests.speech import say

SILENCE_S = 1.0
NEAR_S = 0.15


@pytest.fixture
def unloaded() -> Iterator[None]:
    silero._load.cache_clear()
    yield
    silero._load.cache_clear()


def quiet(seconds: float) -> Pcm:
    return np.zeros(int(seconds * HEARING_RATE_HZ), np.int16)


def chances(sound: Pcm, vad: SileroVad | None = None) -> list[float]:
    vad = vad or SileroVad()
    whole = len(sound) // VAD_WINDOW * VAD_WINDOW
    return [vad.speech(window) for window in sound[:whole].reshape(-1, VAD_WINDOW)]


@pytest.mark.parametrize("words", ["how do plants make sugar out of light", "为什么天空是蓝色的"])
async def test_speech_is_found_where_it_is(words: str) -> None:
    speech = (await say(words)).samples
    loud_s = np.flatnonzero(np.abs(speech.astype(int)) > 1500) / HEARING_RATE_HZ
    heard = chances(np.concatenate([quiet(SILENCE_S), speech, quiet(SILENCE_S)]))
    found_s = np.flatnonzero(np.array(heard) >= 0.5) * VAD_WINDOW / HEARING_RATE_HZ - SILENCE_S
    assert abs(found_s[0] - loud_s[0]) <= NEAR_S
    assert abs(found_s[-1] + VAD_WINDOW / HEARING_RATE_HZ - loud_s[-1]) <= NEAR_S
    assert np.mean((found_s[0] <= loud_s) & (loud_s <= found_s[-1] + NEAR_S)) > 0.95


def _hiss() -> Pcm:
    return np.random.default_rng(1).normal(0, 800, 3 * HEARING_RATE_HZ).astype(np.int16)


def _tone() -> Pcm:
    time_s = np.arange(3 * HEARING_RATE_HZ) / HEARING_RATE_HZ
    return (8000 * np.sin(2 * np.pi * 440 * time_s)).astype(np.int16)


@pytest.mark.parametrize("sound", [quiet(3), _hiss(), _tone()], ids=["silence", "hiss", "tone"])
def test_other_sound_is_no_speech(sound: Pcm) -> None:
    assert max(chances(sound)) < 0.35


async def test_speech_is_found_after_minutes_of_noise() -> None:
    vad = SileroVad()
    chances(np.tile(_hiss() // 8, 20), vad)
    assert max(chances((await say("what is a verb")).samples, vad)) > 0.8


async def test_the_stream_is_judged_as_the_whole_recording_is() -> None:
    """By the library that brings the model, which judges all windows of a recording at once (and
    the last one wrongly: it blanks its end)."""
    from faster_whisper.vad import get_vad_model

    speech = (await say("can you explain that once more")).samples
    speech = speech[: len(speech) // VAD_WINDOW * VAD_WINDOW]
    sound = speech.astype(np.float32) / silero.FULL_SCALE
    np.testing.assert_allclose(chances(speech)[:-1], get_vad_model()(sound).ravel()[:-1], atol=0.01)


async def test_streams_do_not_disturb_each_other() -> None:
    speech = (await say("what does this word mean")).samples
    alone = chances(speech)
    results: dict[int, list[float]] = {}

    def follow(number: int) -> None:
        results[number] = chances(speech if number % 2 else _hiss())

    threads = [threading.Thread(target=follow, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results[1] == alone
    assert results[3] == alone


def test_the_model_is_loaded_once(unloaded: None) -> None:
    vads: list[SileroVad] = []
    threads = [threading.Thread(target=lambda: vads.append(SileroVad())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(vad._model) for vad in vads}) == 1
    assert len(vads) == 4


@pytest.mark.parametrize("samples", [0, 511, 513])
def test_a_window_of_another_length_is_refused(samples: int) -> None:
    with pytest.raises(ValueError, match="512"):
        SileroVad().speech(np.zeros(samples, np.int16))


def test_without_the_package_that_brings_the_model(
    unloaded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineUnavailable, match="make install"):
        SileroVad()


def test_without_onnxruntime(unloaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **named: Any) -> Any:
        if name == "onnxruntime":
            raise ImportError(name)
        return real(name, *args, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EngineUnavailable, match="onnxruntime; run `make install`"):
        SileroVad()


def test_a_damaged_model_is_named(
    unloaded: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"no model")
    monkeypatch.setattr(silero, "_file", lambda: damaged)
    with pytest.raises(EngineUnavailable, match=r"damaged\.onnx"):
        SileroVad()


def test_neither_package_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys; from engines.vad.silero import SileroVad; assert 'onnxruntime' not in"
        " sys.modules; SileroVad(); assert 'faster_whisper' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
