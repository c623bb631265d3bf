"""The better ears: faster-whisper, from a local CTranslate2 folder or by name from the hub.

faster-whisper costs 150 MB once imported, so it is imported only when a model is loaded.
"""

import asyncio
import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from engines.base import Audio, Pcm, Transcript
from engines.errors import EngineError, EngineUnavailable

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

_log = logging.getLogger(__name__)

NEEDED_FILES = ("model.bin", "config.json", "tokenizer.json")
"""Without tokenizer.json faster-whisper would fetch one from the network in mid-turn."""

VOCABULARY_FILES = ("vocabulary.json", "vocabulary.txt")
"""One of them, depending on the age of the converter."""

LEAST_SPEECH_S = 0.1
"""Shorter than any word."""

TEMPERATURES = (0.0, 0.4)
"""One second try with some chance in it, where the first got stuck in a loop. The library's six
would keep a learner waiting for text that is hardly ever better."""

FULL_SCALE = 32768.0
"""int16 to the -1..1 that the model wants."""


class WhisperAsr:
    """Recognise speech in about a hundred languages."""

    def __init__(self, model: "WhisperModel", name: str) -> None:
        self._model = model
        self._name = name
        # The model works on one utterance at a time; waiting here costs no thread.
        self._turn = asyncio.Semaphore(1)

    @classmethod
    def load(
        cls,
        model: str,
        device: str = "auto",
        compute_type: str = "auto",
        cpu_threads: int = 0,
    ) -> Self:
        """Load a local folder or a model of the hub, downloading it when it is not there yet.

        Takes seconds to minutes: call it in a thread. `cpu_threads` 0 leaves it to the library.
        Raises `EngineUnavailable` with what is missing and what to do.
        """
        folder = find_folder(model)
        _demand_files(folder)
        try:
            return cls(_open(folder, device, compute_type, cpu_threads), model)
        except Exception as error:
            # CTranslate2 raises RuntimeError and ValueError, tokenizers a bare Exception.
            raise EngineUnavailable(
                f"The speech model `{model}` could not be loaded ({_first_line(error)}); check that"
                " WHISPER_MODEL is a Whisper model in CTranslate2 format that fits this machine."
            ) from error

    async def transcribe(self, speech: Audio, language: str | None) -> Transcript:
        """Turn 16 kHz speech into text; silence is the empty text."""
        if speech.seconds < LEAST_SPEECH_S:
            return Transcript("")
        stop = threading.Event()
        async with self._turn:
            try:
                return await asyncio.to_thread(self._transcribe, speech.samples, language, stop)
            finally:
                # The thread outlives a cancelled turn by the segment that it is in.
                stop.set()

    def _transcribe(self, samples: Pcm, language: str | None, stop: threading.Event) -> Transcript:
        try:
            spoken = _only_speech(samples)
            if not len(spoken):
                return Transcript("")
            segments, info = self._model.transcribe(
                spoken,
                language=self._known(language),
                temperature=TEMPERATURES,
                condition_on_previous_text=False,  # or one slip repeats itself to the end
            )
            pieces = []
            for segment in segments:
                if stop.is_set():
                    return Transcript("")
                pieces.append(segment.text.strip())
        except (RuntimeError, ValueError) as error:
            raise EngineError(
                f"The speech model `{self._name}` failed ({_first_line(error)})."
            ) from error
        return Transcript(" ".join(filter(None, pieces)), info.language)

    def _known(self, language: str | None) -> str | None:
        """The hint when the model can use it, else None: the model then finds out itself."""
        code = (language or "").lower().replace("_", "-").split("-")[0]
        known = self._model.supported_languages
        if code and len(known) == 1 and code not in known:
            raise EngineUnavailable(
                f"The speech model `{self._name}` only knows English, not `{language}`; set"
                " WHISPER_MODEL to a model without `.en` in its name."
            )
        return code if code in known else None


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
            f"The speech model `{model}` could not be downloaded ({_first_line(error)}); go online"
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


def _demand_files(folder: Path) -> None:
    missing = [name for name in NEEDED_FILES if not (folder / name).is_file()]
    if not any((folder / name).is_file() for name in VOCABULARY_FILES):
        missing.append(" or ".join(VOCABULARY_FILES))
    if missing:
        raise EngineUnavailable(
            f"The speech model folder `{folder}` lacks {', '.join(missing)}; copy the whole model"
            " there or convert it with `ct2-transformers-converter --copy_files tokenizer.json"
            " preprocessor_config.json`."
        )


def _open(folder: Path, device: str, compute_type: str, cpu_threads: int) -> "WhisperModel":
    """Open and try once. A GPU whose libraries are missing shows only at the first try."""
    from faster_whisper import WhisperModel

    def attempt(device: str) -> WhisperModel:
        model = WhisperModel(
            str(folder), device=device, compute_type=compute_type, cpu_threads=cpu_threads
        )
        ears = model.feature_extractor
        sound = np.zeros(ears.n_samples, np.float32)
        model.encode(ears(sound)[..., : ears.nb_max_frames])
        return model

    try:
        return attempt(device)
    except RuntimeError as error:
        if device != "auto":
            raise
        _log.warning("no GPU for the speech model (%s), so it runs on the CPU", _first_line(error))
        return attempt("cpu")


def _only_speech(samples: Pcm) -> npt.NDArray[np.float32]:
    """What is left once silence is out, from which the model makes up polite phrases."""
    from faster_whisper.vad import (
        collect_chunks,
        get_speech_timestamps,
    )

    sound = samples.astype(np.float32) / FULL_SCALE
    stretches: list[dict[str, Any]] = get_speech_timestamps(sound)
    if not stretches:
        return np.zeros(0, np.float32)
    pieces, _ = collect_chunks(sound, stretches)
    return np.concatenate(pieces)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(".")
