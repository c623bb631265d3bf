"""A MuseTalk of a few channels and made-up weights, in the folder layout that is published.

The networks have all their layers, so that the names of the weights are the published ones; what
they show is colourful noise that depends on face and sound. The weights are reckoned from their
names, so that they are the same everywhere. As a script: `python -m tests.tiny_musetalk FOLDER`.
"""

import json
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from safetensors.torch import save_file
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

UNET: dict[str, Any] = {
    "_class_name": "UNet2DConditionModel",
    "_diffusers_version": "0.6.0.dev0",
    "act_fn": "silu",
    "attention_head_dim": 8,
    "block_out_channels": [16, 32, 64, 64],  # the ratio of the published one keeps all its layers
    "center_input_sample": False,
    "cross_attention_dim": 384,
    "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 8,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-05,
    "norm_num_groups": 8,
    "out_channels": 4,
    "sample_size": 64,
    "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
}

VAE: dict[str, Any] = {
    "_class_name": "AutoencoderKL",
    "_diffusers_version": "0.4.2",
    "act_fn": "silu",
    "block_out_channels": [8, 16, 32, 32],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 2,
    "norm_num_groups": 8,
    "out_channels": 3,
    "sample_size": 256,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}

TINY: dict[str, Any] = {
    "_class_name": "AutoencoderTiny",
    "_diffusers_version": "0.20.0.dev0",
    "encoder_block_out_channels": [8, 8, 8, 8],
    "decoder_block_out_channels": [8, 8, 8, 8],
}

WHISPER: dict[str, Any] = {
    "model_type": "whisper",
    "d_model": 384,
    "encoder_layers": 4,
    "encoder_attention_heads": 6,
    "encoder_ffn_dim": 64,
    "decoder_layers": 1,
    "decoder_attention_heads": 6,
    "decoder_ffn_dim": 64,
    "vocab_size": 100,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}

LISTENING = {
    "chunk_length": 30,
    "feature_extractor_type": "WhisperFeatureExtractor",
    "feature_size": 80,
    "hop_length": 160,
    "n_fft": 400,
    "sampling_rate": 16000,
}

OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
"""What the published autoencoder calls the parts of its attentions."""

Weights = dict[str, torch.Tensor]


def make_tiny_musetalk(
    folder: Path, *, versions: tuple[str, ...] = ("v1.5",), tiny: bool = True
) -> Path:
    """Write the models into `folder`, which is made when missing, and return it. `tiny`: with
    TAESD."""
    with torch.device("meta"):
        unet = _unet()
        vae: Any = diffusers.AutoencoderKL
        networks = {
            "vae": vae.from_config(VAE),
            "whisper": WhisperEncoder(WhisperConfig(**WHISPER)),
        }
    if "v1.5" in versions:
        _write(folder / "musetalkV15", {"musetalk.json": UNET})
        torch.save(made_up(unet, "v1.5"), folder / "musetalkV15" / "unet.pth")
    if "v1" in versions:
        _write(folder / "musetalk", {"musetalk.json": UNET})
        torch.save(made_up(unet, "v1"), folder / "musetalk" / "pytorch_model.bin")
    _write(folder / "sd-vae", {"config.json": VAE})
    faces = {_old(name): tensor for name, tensor in made_up(networks["vae"], "vae").items()}
    torch.save(faces, folder / "sd-vae" / "diffusion_pytorch_model.bin")
    _write(folder / "whisper", {"config.json": WHISPER, "preprocessor_config.json": LISTENING})
    torch.save(_hub(made_up(networks["whisper"], "ears")), folder / "whisper" / "pytorch_model.bin")
    if tiny:
        make_tiny_decoder(folder)
    return folder


def make_tiny_decoder(folder: Path) -> None:
    with torch.device("meta"):
        kind: Any = diffusers.AutoencoderTiny
        network = kind.from_config(TINY)
    _write(folder / "taesd", {"config.json": TINY})
    file = folder / "taesd" / "diffusion_pytorch_model.safetensors"
    save_file(made_up(network, "taesd"), file)


def made_up(network: torch.nn.Module, seed: str) -> Weights:
    """Numbers for all weights, of a size that keeps what flows through at its size."""
    return {
        name: torch.from_numpy(_numbers(f"{seed}/{name}", tuple(tensor.shape)))
        for name, tensor in network.state_dict().items()
    }


def _numbers(name: str, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float32]]:
    noise = np.random.default_rng(zlib.crc32(name.encode())).uniform(-1, 1, shape)
    if len(shape) == 1:
        ones = 1.0 if name.endswith("weight") else 0.0  # of a norm
        return (ones + 0.1 * noise).astype(np.float32)
    gain = 1.7 / np.sqrt(np.prod(shape[1:]))  # √3: a uniform distribution's
    return np.asarray(gain * noise, np.float32)


def _unet() -> torch.nn.Module:
    kind: Any = diffusers.UNet2DConditionModel
    network: torch.nn.Module = kind.from_config(UNET)
    return network


def _old(name: str) -> str:
    for new, old in OLD_NAMES.items():
        if ".attentions." in name:
            name = name.replace(f".{new}.", f".{old}.")
    return name


def _hub(weights: Weights) -> Weights:
    """As the hub's file has them: with a prefix, and with the half that writes."""
    mine = {f"model.encoder.{name}": tensor for name, tensor in weights.items()}
    return mine | {"model.decoder.layer_norm.weight": torch.ones(384)}


def _write(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))


if __name__ == "__main__":
    make_tiny_musetalk(Path(sys.argv[1]), versions=("v1", "v1.5"))
