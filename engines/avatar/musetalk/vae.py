"""The autoencoder: faces of 256×256 pixels to latents of 32×32 and back.

An avatar's faces are encoded once, when it is prepared; what the UNet makes is decoded for every
frame, which is three quarters of all arithmetic.
"""

from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from engines.avatar.musetalk.folder import misfit, read_config, read_weights

Decoder = Literal["kl", "compiled", "tiny"]
"""`kl`: Stable Diffusion's own. `compiled`: the same, made faster by torch.compile, which takes
minutes at the start and needs a C++ compiler. `tiny`: TAESD, 18 times less work, less sharp."""

FACE_PX = 256
"""Width and height of a face as the networks see it."""

LATENT_PX = 32

HALF = FACE_PX // 2
"""Rows from here on are hidden from the UNet, which paints them."""

_OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""What diffusers called the parts of an attention when the autoencoder was published."""


class FaceEncoder(nn.Module):
    """Faces uint8 BGR [N, 256, 256, 3] → latents [N, 8, 32, 32]: of the face with its lower half
    hidden, then of the whole face."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.encoder = vae.encoder
        self.quant_conv = vae.quant_conv
        self._scale: float = vae.config.scaling_factor

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        whole = faces.flip(3).permute(0, 3, 1, 2).contiguous().float() / 255  # RGB, 0 to 1
        hidden = whole.clone()
        hidden[:, :, HALF:] = 0
        return torch.cat([self._mode(hidden), self._mode(whole)], dim=1)

    def _mode(self, images: torch.Tensor) -> torch.Tensor:
        """The most likely latents: with a drawn sample each preparation would be another one."""
        weight: torch.Tensor = self.quant_conv.weight
        seen = ((images - 0.5) / 0.5).to(weight.dtype)
        moments: torch.Tensor = self.quant_conv(self.encoder(seen))
        return moments.chunk(2, dim=1)[0] * self._scale


class FaceDecoder(nn.Module):
    """Latents [B, 4, 32, 32] of the UNet → RGB images [B, 3, 256, 256], -1 to 1 and beyond."""

    def __init__(self, network: nn.Module, scaling_factor: float) -> None:
        super().__init__()
        self._network = network
        # A product with this number is what the published code reckons; a quotient by the other
        # differs by a grey level here and there.
        self._scale = 1 / scaling_factor

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        images: torch.Tensor = self._network(latents * self._scale)
        return images


def load_vae(folder: Path) -> tuple[FaceEncoder, FaceDecoder]:
    """In float32 on the CPU. Raises `EngineUnavailable`."""
    from diffusers import AutoencoderKL

    vae = _load(AutoencoderKL, folder)
    network = nn.Sequential(vae.post_quant_conv, vae.decoder)
    return FaceEncoder(vae), FaceDecoder(network, vae.config.scaling_factor)


def load_tiny(folder: Path) -> FaceDecoder:
    """TAESD's decoder, which takes the latents of the same autoencoder. Raises
    `EngineUnavailable`."""
    from diffusers import AutoencoderTiny

    vae = _load(AutoencoderTiny, folder)
    return FaceDecoder(vae.decoder, vae.config.scaling_factor)


def _load(kind: Any, folder: Path) -> Any:
    file = folder / "diffusion_pytorch_model.bin"
    measures, tensors = read_config(folder / "config.json"), read_weights(file)
    try:
        with torch.device("meta"):
            vae = kind.from_config(measures)
        vae.load_state_dict({_new_name(name): t for name, t in tensors.items()}, assign=True)
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise misfit(file, error) from error
    return vae.float().eval().requires_grad_(False)


def _new_name(name: str) -> str:
    if ".attentions." not in name:
        return name
    block, part, kind = name.rsplit(".", 2)
    return f"{block}.{_OLD_NAMES.get(part, part)}.{kind}"
