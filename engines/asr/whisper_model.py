"""A Whisper model from a local CTranslate2 folder or by name from the hub, opened in the most exact
way that the memory allows.

faster-whisper costs 150 MB once imported, so it is imported only when a model is loaded.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engines.errors import EngineUnavailable

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

_log = logging.getLogger(__name__)

NEEDED_FILES = ("model.bin", "config.json", "tokenizer.json")
"""Without tokenizer.json faster-whisper would fetch one from the network in mid-turn."""

VOCABULARY_FILES = ("vocabulary.json", "vocabulary.txt")
"""One of them, depending on the age of the converter."""

PRECISIONS = {
    "cuda": ("float32", "bfloat16", "float16", "int8_float16", "int8"),
    "cpu": ("float32", "int8_float32", "int8"),
}
"""CTranslate2's names, from much memory to little."""

FITTING = {"cuda": "float16", "cpu": "int8_float32"}
"""What `auto` begins with: as fast as any on the device, and hardly less exact than the model."""

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
    lack: str = ""
    """One sentence: why it is less than what was wanted."""


def find_folder(model: str) -> Path:
    """The local folder of `model`, after a download where it is a name of the hub."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if model.startswith((".", "~", "/", "\\")) or folder.is_absolute() or folder.exists():
        raise EngineUnavailable(
            f"The speech model folder `{model}` does not exist or is no folder; set WHISPER_MODEL"
            " to a folder in CTranslate2 format or to a model name such as `small`."
        )
    return _fetch(model)


def _fetch(model: str) -> Path:
    from faster_whisper import available_models, download_model

    if "/" not in model and model not in available_models():
        raise EngineUnavailable(
            f"There is no speech model named `{model}`; set WHISPER_MODEL to one of"
            f" {', '.join(available_models())}, to `owner/name` on the hub, or to a folder."
        )
    try:
        return Path(download_model(model, local_files_only=True))
    except Exception:  # not in the cache yet, which the hub says in several ways
        _log.info("downloading the speech model `%s`, once", model)
    try:
        folder = Path(_download(model))
    except Exception as error:  # offline, unknown, no disk: the hub's, httpx's and the system's
        raise EngineUnavailable(
            f"The speech model `{model}` could not be downloaded ({first_line(error)}); go online"
            " once, or set WHISPER_MODEL to the folder of a copy."
        ) from error
    _log.info("the speech model `%s` is at %s", model, folder)
    return folder


def _download(model: str) -> str:
    """As `faster_whisper.download_model`, but showing the hub's progress bars."""
    from faster_whisper import utils  # its list of names is not exported
    from huggingface_hub import snapshot_download

    repository: str = utils._MODELS.get(model, model)
    patterns = [*NEEDED_FILES, *VOCABULARY_FILES, "preprocessor_config.json"]
    return snapshot_download(repository, allow_patterns=patterns)


def demand_files(folder: Path) -> None:
    missing = [name for name in NEEDED_FILES if not (folder / name).is_file()]
    if not any((folder / name).is_file() for name in VOCABULARY_FILES):
        missing.append(" or ".join(VOCABULARY_FILES))
    if missing:
        raise EngineUnavailable(
            f"The speech model folder `{folder}` lacks {', '.join(missing)}; copy the whole model"
            " there or convert it with `ct2-transformers-converter --copy_files tokenizer.json"
            " preprocessor_config.json`."
        )


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
    return Opened(opened.model, "cpu", opened.precision, lack)


def reopened(folder: Path, options: WhisperOptions, opened: Opened) -> Opened | None:
    """The same model in less memory, once it did not suffice while it worked; None: it is as small
    as can be. What the old one held is freed first."""
    rest = _smaller(opened.device, opened.precision)
    if not rest:
        return None
    free(opened)
    smaller = _opened(folder, opened.device, options, rest)
    return Opened(smaller.model, smaller.device, smaller.precision, _too_little(smaller))


def free(opened: Opened) -> None:
    """Give the memory back. Not while a run is on: the library then ignores it."""
    model = opened.model.model
    model.unload_model()
    deadline_s = time.monotonic() + FREE_LIMIT_S
    while model.model_is_loaded and time.monotonic() < deadline_s:
        time.sleep(0.01)  # the run has answered, but its thread is not done yet
        model.unload_model()


def is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "alloc_failed" in text


def _opened(
    folder: Path, device: str, options: WhisperOptions, precisions: Sequence[str]
) -> Opened:
    """In the first of these precisions for which the memory suffices."""
    from faster_whisper import WhisperModel

    for number, precision in enumerate(precisions):
        try:
            model = WhisperModel(
                str(folder),
                device=device,
                compute_type=precision,
                cpu_threads=options.cpu_threads,
            )
            ears = model.feature_extractor
            model.encode(ears(np.zeros(ears.n_samples, np.float32))[..., : ears.nb_max_frames])
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or precision == precisions[-1]:
                raise
            _log.warning("no room for the speech model in %s", precision)
        else:
            opened = Opened(model, device, precision)
            return Opened(model, device, precision, _too_little(opened)) if number else opened
    raise AssertionError("there is at least one precision")


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


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(".")
