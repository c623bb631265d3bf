"""Coqui's models are found and loaded: folders, published names, the licence, what can be missing.

coqui-tts and what it needs cost seconds and a gigabyte once imported, so this happens only when a
model is loaded.
"""

import importlib.util
import json
import logging
import os
from pathlib import Path
from typing import Any, Literal

from engines.errors import EngineUnavailable
from engines.tts.coqui_model import CoquiModel, VitsModel, XttsModel, first_line, free_memory

logger = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda"]

CHECKPOINTS = ("model.pth", "model_file.pth", "model_file.pth.tar", "checkpoint.pth")
"""As Coqui names them."""

READERS = {"zh": "pypinyin", "ja": "cutlet"}
"""What XTTS reads a language's script with; without it, another voice speaks that language."""

AGREE = (
    "XTTS comes under the Coqui Public Model License, which allows no commercial use. Read "
    "https://tts-hub.github.io/cpml and, if you agree, set COQUI_TOS_AGREED=1."
)

NAME_ONE = (
    "Set TTS_MODEL to the folder of an XTTS v2 or VITS, or to a published name, as "
    "`tts_models/multilingual/multi-dataset/xtts_v2`."
)

INSTALL = "Install it with `pip install -e .[gpu]`, then run scripts/torchaudio."


def load_model(
    model: str, device: Device, memory_fraction: float, licence_agreed: bool
) -> CoquiModel:
    """Load a folder or a model of that published name, which is downloaded when it is not there
    yet. `memory_fraction`: of the GPU's memory, at most. Takes seconds to minutes: call it in a
    thread. Raises `EngineUnavailable`, which says what to do."""
    folder = _local_folder(model)
    if folder is not None:
        _demand(folder, licence_agreed)
    _demand_library()
    folder = folder or _published(model, licence_agreed)
    try:
        return _open(folder, _device(device, memory_fraction))
    except EngineUnavailable:
        raise
    except Exception as error:  # torch, pickle, coqpit and the phonemisers all have their own
        reason = first_line(error)
        # At length for whoever looks for it only: it is tried again and again.
        logger.debug("The voice model %s could not be loaded", model, exc_info=error)
    free_memory()
    raise EngineUnavailable(
        f"The voice model `{model}` could not be loaded ({reason}). Check that TTS_MODEL is a "
        "whole XTTS v2 or VITS that fits this machine, and that `espeak-ng` is installed if it "
        "reads phonemes."
    )


def _local_folder(model: str) -> Path | None:
    """None when it is a published name."""
    if not model:
        raise EngineUnavailable(f"No voice model is named. {NAME_ONE}")
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if model.startswith("tts_models/"):
        return None
    raise EngineUnavailable(f"The voice model folder `{model}` does not exist. {NAME_ONE}")


def _demand(folder: Path, licence_agreed: bool) -> None:
    kind = _kind(folder)
    needed = {"config.json": True, CHECKPOINTS[0]: _checkpoint(folder) is not None}
    needed["vocab.json"] = kind != "xtts" or (folder / "vocab.json").is_file()
    if missing := [name for name, there in needed.items() if not there]:
        raise EngineUnavailable(
            f"The voice model folder `{folder}` lacks {', '.join(missing)}. Copy the whole model "
            "there."
        )
    if kind == "xtts" and not (licence_agreed or (folder / "tos_agreed.txt").is_file()):
        raise EngineUnavailable(AGREE)


def _kind(folder: Path) -> str:
    """What config.json calls the model."""
    try:
        kind = json.loads((folder / "config.json").read_text("utf-8"))["model"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineUnavailable(
            f"The voice model folder `{folder}` has no readable config.json. Copy the whole model "
            "there."
        ) from error
    if kind not in ("xtts", "vits"):
        raise EngineUnavailable(
            f"The voice model in `{folder}` is of the kind {kind!r}. Set TTS_MODEL to an XTTS v2 "
            "or a VITS."
        )
    return str(kind)


def _checkpoint(folder: Path) -> Path | None:
    return next((folder / name for name in CHECKPOINTS if (folder / name).is_file()), None)


def _demand_library() -> None:
    try:
        importlib.import_module("TTS.tts.models.xtts")
    except (ImportError, OSError) as error:  # OSError: a library linked with a missing one
        raise EngineUnavailable(
            f"coqui-tts cannot be used ({first_line(error)}). {INSTALL}"
        ) from error


def _published(name: str, licence_agreed: bool) -> Path:
    from TTS.utils.manage import ModelManager

    catalogue = ModelManager()
    try:
        _, language, data, model = name.split("/")
        entry = catalogue.models_dict["tts_models"][language][data][model]
    except (KeyError, ValueError) as error:
        raise EngineUnavailable(
            f"Coqui has published no voice model `{name}`. `tts --list_models` shows all; set "
            "TTS_MODEL to one, or to a folder."
        ) from error
    if entry.get("tos_required"):
        if not licence_agreed:
            raise EngineUnavailable(AGREE)
        os.environ["COQUI_TOS_AGREED"] = "1"  # the person's yes, also where .env holds it
    try:
        _, config, _ = catalogue.download_model(name)
    except Exception as error:  # offline, no disk: requests', the hub's and the system's
        raise EngineUnavailable(
            f"The voice model `{name}` could not be downloaded ({first_line(error)}). Go online "
            "once, or set TTS_MODEL to the folder of a copy."
        ) from error
    return Path(config).parent


def _device(device: Device, memory_fraction: float) -> str:
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device == "cuda" and not torch.cuda.is_available():
        raise EngineUnavailable("PyTorch sees no GPU here. Set `device: auto` for the voice.")
    if device == "cuda":
        torch.cuda.set_per_process_memory_fraction(memory_fraction)
    return device


def _open(folder: Path, device: str) -> CoquiModel:
    from TTS.config import load_config
    from TTS.tts.models import setup_model

    config: Any = load_config(folder / "config.json")
    if _kind(folder) == "xtts":
        network: Any = setup_model(config)
        network.load_checkpoint(config, checkpoint_dir=folder, eval=True)
        return XttsModel(network.to(device), config, _xtts_languages(config))
    _point_to(folder, config)
    network = setup_model(config)
    network.load_checkpoint(config, checkpoint_path=_checkpoint(folder), eval=True)
    return VitsModel(network.to(device), config, _vits_languages(folder, config, network))


def _point_to(folder: Path, config: Any) -> None:
    """Lists of speakers and languages are named by their place on the machine of the training."""
    for field, names in {
        "speakers_file": ("speaker_ids.json", "speaker_ids.pth"),
        "d_vector_file": ("speakers.json", "speakers.pth"),
        "language_ids_file": ("language_ids.json",),
    }.items():
        found = next((folder / name for name in names if (folder / name).is_file()), None)
        if found is not None:
            place: Any = [str(found)] if field == "d_vector_file" else str(found)
            for section in (config, config.model_args):
                if field in section and (section is config.model_args or section[field]):
                    section[field] = place


def _xtts_languages(config: Any) -> frozenset[str]:
    languages = {_iso(name) for name in config.languages}
    for language, reader in READERS.items():
        if language in languages and importlib.util.find_spec(reader) is None:
            logger.warning("XTTS cannot read %r without %s: pip install it", language, reader)
            languages.discard(language)
    return frozenset(languages)


def _vits_languages(folder: Path, config: Any, network: Any) -> dict[str, str]:
    """ISO 639-1 → the model's own name of it."""
    if network.language_manager.num_languages > 1:
        return {_iso(name): name for name in network.language_manager.language_names}
    # A published model's folder is named tts_models--LANGUAGE--DATA--MODEL.
    published = folder.name.split("--")[1] if folder.name.startswith("tts_models--") else ""
    name = config.phoneme_language or published
    return {_iso(name): name} if name else {}


def _iso(name: str) -> str:
    """`zh-cn` and `en_US` without their regions."""
    return name.lower().replace("_", "-").split("-")[0]
