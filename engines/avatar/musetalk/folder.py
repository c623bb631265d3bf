"""MuseTalk's folder as it is published: which files there must be, where to get them, how they are
read.

    musetalkV15/{musetalk.json, unet.pth}                    version 1.5
    musetalk/{musetalk.json, pytorch_model.bin}              version 1
    sd-vae/{config.json, diffusion_pytorch_model.bin}        a face ⇄ latents
    whisper/{config.json, pytorch_model.bin, preprocessor_config.json}
    taesd/{config.json, diffusion_pytorch_model.safetensors} only for the tiny decoder
"""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engines.errors import EngineUnavailable

Version = Literal["auto", "v1", "v1.5"]
"""`auto`: the newest that is there."""

SAFE = ".safetensors"


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a part is published, and on which terms."""

    url: str
    licence: str


_MUSETALK = _Source(
    "https://huggingface.co/TMElyralab/MuseTalk",
    "its model card names CreativeML OpenRAIL-M, whose limits on use bind you, while its README"
    " allows any use: read both and decide",
)

_SOURCES = {
    "musetalk": _MUSETALK,
    "musetalkV15": _MUSETALK,
    "sd-vae": _Source("https://huggingface.co/stabilityai/sd-vae-ft-mse", "MIT"),
    "whisper": _Source("https://huggingface.co/openai/whisper-tiny", "MIT; Apache-2.0 there"),
    "taesd": _Source("https://huggingface.co/madebyollin/taesd", "MIT"),
}

_UNETS = {"v1.5": ("musetalkV15", "unet.pth"), "v1": ("musetalk", "pytorch_model.bin")}


@dataclass(frozen=True, slots=True)
class Published:
    """The files of one version, all of them there."""

    version: Literal["v1", "v1.5"]
    unet_config: Path
    unet_weights: Path
    vae: Path
    """Folder, as are the others below."""
    whisper: Path
    tiny: Path | None
    """TAESD; None unless it was asked for."""


def find(folder: Path, version: Version = "auto", tiny: bool = False) -> Published:
    """Check the folder, `tiny`: also that TAESD is in it. Raises `EngineUnavailable`, which names
    what is missing, where to get it and the licence it comes under."""
    if not folder.is_dir():
        raise EngineUnavailable(
            f"The MuseTalk folder `{folder}` does not exist. Make it, and copy into it"
            f" {'; '.join(map(_advice, ('musetalkV15', 'sd-vae', 'whisper')))}."
        )
    chosen = _version(folder, version)
    unet, weights = _UNETS[chosen]
    needed = {
        unet: ["musetalk.json", weights],
        "sd-vae": ["config.json", "diffusion_pytorch_model.bin"],
        "whisper": ["config.json", "pytorch_model.bin", "preprocessor_config.json"],
    }
    if tiny:
        needed["taesd"] = ["config.json", "diffusion_pytorch_model.safetensors"]
    _demand(folder, needed)
    return Published(
        chosen,
        folder / unet / "musetalk.json",
        folder / unet / weights,
        folder / "sd-vae",
        folder / "whisper",
        folder / "taesd" if tiny else None,
    )


def read_config(path: Path) -> dict[str, Any]:
    """A network's measures. Raises `EngineUnavailable`."""
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EngineUnavailable(f"{_unreadable(path)} ({error}). {_again(path)}") from error
    if not isinstance(config, dict):
        raise EngineUnavailable(f"{_unreadable(path)} (it is no JSON object). {_again(path)}")
    return config


def read_weights(path: Path) -> dict[str, Any]:
    """Name → tensor, on the CPU. Nothing but tensors is read: a weight file that holds code is
    refused and never run. Raises `EngineUnavailable`."""
    import torch

    path = _present(path)
    try:
        if path.suffix == SAFE:
            from safetensors.torch import load_file

            return load_file(path)
        # Mapped, so that gigabytes are not held twice; files of before 2020 are no zip.
        weights = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except Exception as error:  # pickle's, zip's, torch's, safetensors' and the system's
        raise EngineUnavailable(
            f"{_unreadable(path)} ({first_line(error)}). {_again(path)}"
        ) from error
    if not isinstance(weights, dict):
        raise EngineUnavailable(f"{_unreadable(path)} (it holds no weights). {_again(path)}")
    return weights


def misfit(path: Path, error: Exception) -> EngineUnavailable:
    """For a caller whose network does not take the weights of this file."""
    return EngineUnavailable(
        f"The weights in `{path}` do not fit the configuration beside them ({first_line(error)})."
        f" {_again(path)}"
    )


def _version(folder: Path, wanted: Version) -> Literal["v1", "v1.5"]:
    if wanted != "auto":
        return wanted
    newest_first: tuple[Literal["v1.5"], Literal["v1"]] = ("v1.5", "v1")
    there = [version for version in newest_first if (folder / _UNETS[version][0]).is_dir()]
    return there[0] if there else "v1.5"


def _demand(folder: Path, needed: dict[str, list[str]]) -> None:
    lacking = {
        part: [name for name in names if not _present(folder / part / name).is_file()]
        for part, names in needed.items()
    }
    parts = [part for part, names in lacking.items() if names]
    if parts:
        files = ", ".join(f"{part}/{name}" for part in parts for name in lacking[part])
        advice = "; ".join(_advice(part) for part in parts)
        raise EngineUnavailable(f"The MuseTalk folder `{folder}` lacks {files}. Download {advice}.")


def _present(path: Path) -> Path:
    """The file, or the same weights in the hub's other format where only that is there."""
    if path.is_file() or path.suffix not in (".bin", SAFE):
        return path
    stem = "model" if path.stem == "pytorch_model" else path.stem  # as transformers names it
    other = path.with_name(stem + SAFE) if path.suffix == ".bin" else path.with_suffix(".bin")
    return other if other.is_file() else path


def _advice(part: str) -> str:
    source = _SOURCES[part]
    return f"`{part}` from {source.url} (licence: {source.licence})"


def _again(path: Path) -> str:
    return f"Download {_advice(path.parent.name)} again."


def _unreadable(path: Path) -> str:
    return f"`{path}` cannot be read"


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(".")
