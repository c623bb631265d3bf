"""MuseTalk's networks at their published size, with made-up weights: what they show is noise, but
it takes as long as a face. And how many operations a frame costs.

The weights are of a size that keeps what flows through them at its size, so that half precision
does not run over. They are written as half precision, which the engine reads as well: 2 GB.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from tests import tiny_musetalk

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Networks:
    """Their measures, as the configuration files give them."""

    unet: Mapping[str, Any]
    vae: Mapping[str, Any]
    tiny: Mapping[str, Any]
    whisper: Mapping[str, Any]


SMALL = Networks(tiny_musetalk.UNET, tiny_musetalk.VAE, tiny_musetalk.TINY, tiny_musetalk.WHISPER)
"""Of a few channels: they run everywhere."""

PUBLISHED = Networks(
    {**SMALL.unet, "block_out_channels": [320, 640, 1280, 1280], "norm_num_groups": 32},
    {**SMALL.vae, "block_out_channels": [128, 256, 512, 512], "norm_num_groups": 32},
    {
        **SMALL.tiny,
        "encoder_block_out_channels": [64, 64, 64, 64],
        "decoder_block_out_channels": [64, 64, 64, 64],
    },
    {**SMALL.whisper, "encoder_ffn_dim": 1536},
)


def write(folder: Path, networks: Networks) -> Path:
    """Write the models into `folder` as they are published, and return it."""
    unet, vae, tiny = _on_paper(networks)
    with torch.device("meta"):
        config: Mapping[str, Any] = networks.whisper
        ears: torch.nn.Module = WhisperEncoder(WhisperConfig(**config))
    hearing = {"config.json": config, "preprocessor_config.json": tiny_musetalk.LISTENING}
    _write(folder / "musetalkV15", {"musetalk.json": networks.unet})
    _write(folder / "sd-vae", {"config.json": networks.vae})
    _write(folder / "taesd", {"config.json": networks.tiny})
    _write(folder / "whisper", hearing)
    torch.save(_made_up(unet), folder / "musetalkV15" / "unet.pth")
    torch.save(_made_up(vae), folder / "sd-vae" / "diffusion_pytorch_model.bin")
    save_file(_made_up(tiny), folder / "taesd" / "diffusion_pytorch_model.safetensors")
    heard = {f"encoder.{name}": tensor for name, tensor in _made_up(ears).items()}
    torch.save(heard, folder / "whisper" / "pytorch_model.bin")
    return folder


def operations(networks: Networks, tiny: bool) -> float:
    """Floating-point operations of one frame in the UNet and the decoder, two for each product and
    its sum; counted, not run. `tiny`: with TAESD."""
    unet, vae, small = _on_paper(networks)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        sound = torch.empty(1, 50, 384, device="meta")
        latents = torch.empty(1, 8, 32, 32, device="meta")
        time = torch.zeros(1, dtype=torch.int64, device="meta")
        shown = unet(latents, time, encoder_hidden_states=sound).sample
        (small if tiny else vae).decode(shown)
    return float(counter.get_total_flops())


def _on_paper(networks: Networks) -> tuple[Any, Any, Any]:
    """Without memory: UNet, autoencoder, TAESD."""
    kinds: Any = diffusers
    with torch.device("meta"):
        return (
            kinds.UNet2DConditionModel.from_config(dict(networks.unet)),
            kinds.AutoencoderKL.from_config(dict(networks.vae)),
            kinds.AutoencoderTiny.from_config(dict(networks.tiny)),
        )


def _made_up(network: torch.nn.Module) -> Weights:
    random = torch.Generator().manual_seed(0)
    return {
        name: _numbers(name, tensor.shape, random) for name, tensor in network.state_dict().items()
    }


def _numbers(name: str, shape: torch.Size, random: torch.Generator) -> torch.Tensor:
    numbers = torch.empty(shape)
    if len(shape) == 1:
        middle = 1.0 if name.endswith("weight") else 0.0  # of a norm
        return numbers.uniform_(middle - 0.1, middle + 0.1, generator=random).half()
    most = (3 / shape[1:].numel()) ** 0.5  # √3: a uniform distribution's
    return numbers.uniform_(-most, most, generator=random).half()


def _write(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(json.dumps(dict(content)))
