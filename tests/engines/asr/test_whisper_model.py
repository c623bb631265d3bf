import subprocess
import sys
from pathlib import Path
from typing import Any

import ctranslate2
import faster_whisper
import numpy as np
import pytest

from engines.asr.whisper import WhisperAsr
from engines.asr.whisper_model import WhisperOptions, open_model, reopened
from engines.errors import EngineUnavailable

CPU = WhisperOptions(device="cpu")


@pytest.mark.parametrize("file", ["model.bin", "tokenizer.json", "vocabulary.json"])
@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n"])
def test_a_damaged_file_is_an_engine_error(copy: Path, file: str, content: bytes) -> None:
    (copy / file).write_bytes(content)
    with pytest.raises(EngineUnavailable, match="could not be loaded.*WHISPER_MODEL"):
        WhisperAsr.load(str(copy), CPU)


def test_a_precision_that_the_machine_lacks_is_an_engine_error(folder: Path) -> None:
    with pytest.raises(EngineUnavailable, match="could not be loaded"):
        WhisperAsr.load(str(folder), WhisperOptions("cpu", "float17"))


def test_importing_it_does_not_import_the_library() -> None:
    # It would cost 150 MB on a machine that never loads a model.
    check = "import sys, engines.asr.choice; sys.exit('faster_whisper' in sys.modules)"
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", check], cwd=root).returncode == 0


# ── memory ────────────────────────────────────────────────────────────────────────────────────


class Cramped(faster_whisper.WhisperModel):  # type: ignore[misc]  # the library has no types
    """A model for which the memory suffices in eight bits only."""

    def encode(self, features: np.ndarray[Any, Any]) -> ctranslate2.StorageView:
        if "int8" not in self.model.compute_type:
            raise RuntimeError("CUDA failed with error out of memory")
        return super().encode(features)


@pytest.fixture
def cramped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faster_whisper, "WhisperModel", Cramped)


def test_the_usual_precision_is_said(folder: Path) -> None:
    opened = open_model(folder, CPU)
    assert (opened.device, opened.precision, opened.lack) == ("cpu", "int8_float32", "")


@pytest.mark.usefixtures("cramped")
def test_a_model_that_is_too_large_is_opened_smaller_and_the_state_says_so(folder: Path) -> None:
    state = WhisperAsr.load(str(folder), WhisperOptions("cpu", "float32")).state
    assert (state.engine, state.state) == ("whisper", "degraded")
    assert "only suffices for the model in int8_float32" in state.reason
    assert "smaller model" in state.remedy


def test_the_smallest_cannot_be_opened_smaller(folder: Path) -> None:
    options = WhisperOptions("cpu", "int8")
    assert reopened(folder, options, open_model(folder, options)) is None


def test_what_a_larger_one_held_is_freed_first(folder: Path) -> None:
    options = WhisperOptions("cpu", "float32")
    large = open_model(folder, options)
    small = reopened(folder, options, large)
    assert small is not None
    assert small.precision == "int8_float32"
    assert not large.model.model.model_is_loaded


def test_a_gpu_that_does_not_work_is_named_and_the_cpu_listens(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 1)
    state = WhisperAsr.load(str(folder)).state
    if ctranslate2.get_supported_compute_types("cpu") and state.state == "ready":
        pytest.skip("there is a GPU")
    assert "The GPU cannot be used" in state.reason
    assert "the CPU listens" in state.reason
