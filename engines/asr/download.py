"""Where a Whisper model lies: a folder in CTranslate2 format, or a name of the hub, from which it
is fetched once."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engines.asr.failure import first_line
from engines.errors import EngineUnavailable

_log = logging.getLogger(__name__)

NEEDED_FILES = ("model.bin", "config.json", "tokenizer.json")
"""Without tokenizer.json faster-whisper would fetch one from the network in mid-turn."""

VOCABULARY_FILES = ("vocabulary.json", "vocabulary.txt")
"""One of them, depending on the age of the converter."""

MB = 1_000_000

LOGGED_STEPS = 10
"""So often it is logged how far a download is."""

Told = Callable[[str], None]
"""Hears, in any thread, how far something is: half a sentence, as `downloading: 3 of 75 MB`."""


def find_folder(model: str, told: Told | None = None) -> Path:
    """The local folder of `model`, after a download where it is a name of the hub."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if model.startswith((".", "~", "/", "\\")) or folder.is_absolute() or folder.exists():
        raise EngineUnavailable(
            f"The speech model folder `{model}` does not exist or is no folder; set WHISPER_MODEL"
            " to a folder in CTranslate2 format or to a model name such as `small`."
        )
    return _fetch(model, told or _log.debug)


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


def _fetch(model: str, told: Told) -> Path:
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
        folder = Path(_download(model, Progress(told)))
    except Exception as error:  # offline, unknown, no disk: the hub's, httpx's and the system's
        raise EngineUnavailable(
            f"The speech model `{model}` could not be downloaded ({first_line(error)}); go online"
            " once, or set WHISPER_MODEL to the folder of a copy."
        ) from error
    _log.info("the speech model `%s` is at %s", model, folder)
    return folder


def _download(model: str, progress: "Progress") -> str:
    """As `faster_whisper.download_model`, but telling how far it is."""
    from faster_whisper import utils  # its list of names is not exported
    from huggingface_hub import snapshot_download

    repository: str = utils._MODELS.get(model, model)
    patterns = [*NEEDED_FILES, *VOCABULARY_FILES, "preprocessor_config.json"]
    return snapshot_download(repository, allow_patterns=patterns, tqdm_class=reporting(progress.at))


class Progress:
    """How far a download is; its total grows while the files become known."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._logged = 0

    def at(self, done: float, total: float) -> None:
        """In bytes."""
        how_far = f"downloading: {done / MB:.0f} of {total / MB:.0f} MB"
        self._told(how_far)
        if total > MB and (step := int(LOGGED_STEPS * done / total)) > self._logged:
            self._logged = step
            _log.info("%s", how_far)


def reporting(at: Callable[[float, float], None]) -> Any:
    """A bar, as the hub wants it, that draws nothing: those that count bytes tell `at`."""
    from tqdm import tqdm  # type: ignore[import-untyped]  # the library has no types

    class Bar(tqdm):  # type: ignore[misc]  # nor has it here
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.counts_bytes = kwargs.get("unit") == "B"
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0  # a bar that is switched off does not count
            if self.counts_bytes and self.total:
                at(min(self.n, self.total), self.total)

    return Bar
