"""A Whisper model, opened in the most exact way that the memory allows.

faster-whisper costs 150 MB once imported, so it is imported only when a model is loaded.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engines.asr.failure import first_line, is_out_of_memory
from engines.asr.room import Room, gpu_room

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

_log = logging.getLogger(__name__)

PRECISIONS = {
    "cuda": ("float32", "bfloat16", "float16", "int8_float16", "int8"),
    "cpu": ("float32", "int8_float32", "int8"),
}
"""CTranslate2's names, from much memory to little."""

FITTING = {"cuda": "float16", "cpu": "int8_float32"}
"""What `auto` begins with: as fast as any on the device, and hardly less exact than the model."""

MOST_AT_ONCE = 8
"""Utterances of a batch, and windows of one run: more gain little, and each must wait for all."""

FREE_LIMIT_S = 2.0
"""A run that has answered is done with the model within milliseconds."""

SMALLER_MODEL = (
    "Set WHISPER_MODEL to a smaller model such as `small`, or leave more memory to the recogniser."
)


@dataclass(frozen=True, slots=True)
class WhisperOptions:
    """How the speech model is loaded and used."""

    device: str = "auto"
    """`cpu`, `cuda`, or whichever is there."""
    compute_type: str = "auto"
    """Precision of the weights, as CTranslate2 names it; `auto` is the fastest of the device. Where
    the memory does not suffice, the next smaller one is taken."""
    memory_share: float = 1.0
    """Of the GPU's memory, at most; of the machine's own, no part is kept from the recogniser."""
    cpu_threads: int = 0
    """0 leaves it to the library."""
    vocabulary: tuple[str, ...] = ()
    """Words that are likely, such as the names of a course."""
    word_times: bool = False
    """Whether transcripts tell when each word was said; the encoder then works twice."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A model that works, and how."""

    model: "WhisperModel"
    device: str
    precision: str
    at_once: int = MOST_AT_ONCE
    """Windows of thirty seconds for which there is room in one run."""
    lack: str = ""
    """One sentence: why it is less than what was wanted."""


def open_model(folder: Path, options: WhisperOptions) -> Opened:
    """Open and try once: a GPU whose libraries are missing shows only at the first try. Raises the
    library's RuntimeError or ValueError."""
    device = options.device if options.device != "auto" else _present_device()
    try:
        return _opened(folder, device, options, _precisions(device, options.compute_type))
    except (RuntimeError, MemoryError) as error:
        if options.device != "auto" or device == "cpu":
            raise
        lack = f"The GPU cannot be used ({first_line(error)}), so the CPU listens."
    _log.warning("%s", lack)
    opened = _opened(folder, "cpu", options, _precisions("cpu", "auto"))
    return replace(opened, lack=lack)


def reopened(folder: Path, options: WhisperOptions, opened: Opened) -> Opened | None:
    """The same model in less memory, once it did not suffice while it worked; None: it is as small
    as can be. What the old one held is freed first."""
    rest = _smaller(opened.device, opened.precision)
    if not rest:
        return None
    free(opened)
    smaller = _opened(folder, opened.device, options, rest)
    return replace(smaller, lack=_too_little(smaller))


def free(opened: Opened) -> None:
    """Give the memory back. Not while a run is on: the library then ignores it."""
    model = opened.model.model
    model.unload_model()
    deadline_s = time.monotonic() + FREE_LIMIT_S
    while model.model_is_loaded and time.monotonic() < deadline_s:
        time.sleep(0.01)  # the run has answered, but its thread is not done yet
        model.unload_model()


def _opened(
    folder: Path, device: str, options: WhisperOptions, precisions: Sequence[str]
) -> Opened:
    """In the first of these precisions for which the memory suffices."""
    room = gpu_room(folder, options.memory_share) if device == "cuda" else Room()
    for number, precision in enumerate(precisions):
        last = precision == precisions[-1]
        if not last and not room.suffices(precision):
            _log.warning("the speech model in %s is more than its share", precision)
            continue
        try:
            model, width = _tried(folder, device, precision, options)
        except (RuntimeError, MemoryError) as error:
            if last or not is_out_of_memory(error):
                raise
            _log.warning("no room for the speech model in %s", precision)
        else:
            opened = Opened(model, device, precision, room.windows(precision, width, MOST_AT_ONCE))
            return replace(opened, lack=_too_little(opened)) if number else opened
    raise AssertionError("there is at least one precision")


def _tried(
    folder: Path, device: str, precision: str, options: WhisperOptions
) -> tuple["WhisperModel", int]:
    """The model, and how many channels its layers have."""
    from faster_whisper import WhisperModel

    model = WhisperModel(
        str(folder), device=device, compute_type=precision, cpu_threads=options.cpu_threads
    )
    ears = model.feature_extractor
    silence = ears(np.zeros(ears.n_samples, np.float32))[..., : ears.nb_max_frames]
    return model, model.encode(silence).shape[-1]


def _too_little(opened: Opened) -> str:
    return f"The memory only suffices for the model in {opened.precision}, which is less exact."


def _present_device() -> str:
    from ctranslate2 import get_cuda_device_count

    return "cuda" if get_cuda_device_count() else "cpu"


def _precisions(device: str, wanted: str) -> list[str]:
    """This one and all that take less memory."""
    first = FITTING.get(device, "default") if wanted == "auto" else wanted
    if wanted == "auto" and first not in _supported(device):
        first = "auto"  # the library's choice, for a device that is none of the usual
    return [first, *_smaller(device, first)]


def _smaller(device: str, precision: str) -> list[str]:
    ladder = PRECISIONS.get(device, ())
    if precision not in ladder:
        return []
    return [name for name in ladder[ladder.index(precision) + 1 :] if name in _supported(device)]


def _supported(device: str) -> set[str]:
    from ctranslate2 import get_supported_compute_types

    found: set[str] = get_supported_compute_types(device)
    return found
