"""Silero's speech detector, the copy that faster-whisper brings, along a live stream.

faster-whisper costs 150 MB once imported and judges whole recordings, so only its file is used.
"""

import functools
import importlib.util
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from engines.base import VAD_WINDOW, Pcm
from engines.errors import EngineUnavailable

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

MODEL = Path("assets") / "silero_vad_v6.onnx"
"""Inside the package faster_whisper."""

CONTEXT = 64
"""Samples from before a window that the model wants in front of it."""

MEMORY = (1, 1, 128)
"""Shape of the two states that the model hands from window to window."""

FULL_SCALE = 32768.0
"""int16 to the -1..1 that the model wants."""

_REMEDY = "run `make install`, which brings what hears when a learner speaks."

_loading = threading.Lock()


class SileroVad:
    """The detector of one stream. The model is shared; a stream holds only 1.2 kB of its own.

    A window takes 0.1 ms on one core, a third of a percent of the time that it lasts.
    """

    def __init__(self) -> None:
        """Loads the model the first time (0.1 s). Raises `EngineUnavailable`."""
        self._model = _model()
        self._context = np.zeros(CONTEXT, np.float32)
        self._h: npt.NDArray[np.float32] = np.zeros(MEMORY, np.float32)
        self._c: npt.NDArray[np.float32] = np.zeros(MEMORY, np.float32)

    def speech(self, window: Pcm) -> float:
        """Probability that this window, which follows the one before, holds speech."""
        if window.shape != (VAD_WINDOW,):
            raise ValueError(f"a window has {VAD_WINDOW} samples, not {window.shape}")
        sound = np.concatenate([self._context, window.astype(np.float32) / FULL_SCALE])
        probability, self._h, self._c = self._model.run(
            None, {"input": sound[np.newaxis], "h": self._h, "c": self._c}
        )
        self._context = sound[-CONTEXT:]
        return float(probability[0])


def _model() -> "InferenceSession":
    """One for all streams: its `run` may be called from several threads at once."""
    with _loading:
        return _load(_file())


@functools.cache
def _load(file: Path) -> "InferenceSession":
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineUnavailable(
            f"The speech detector needs the package onnxruntime; {_REMEDY}"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a window is too little work to share
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            str(file), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime raises a dozen kinds, all straight from Exception
        raise EngineUnavailable(
            f"The speech detector's model `{file}` could not be loaded; {_REMEDY}"
        ) from error


def _file() -> Path:
    package = importlib.util.find_spec("faster_whisper")
    folders = (package and package.submodule_search_locations) or []
    for folder in folders:
        if (file := Path(folder) / MODEL).is_file():
            return file
    raise EngineUnavailable(
        f"The speech detector's model `{MODEL.name}` of the package faster-whisper is not there;"
        f" {_REMEDY}"
    )
