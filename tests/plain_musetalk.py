"""MuseTalk reckoned in the plainest way, with the libraries' own classes: no folding, no batches,
no streams. What the engine makes is compared with it.

As a script it writes what it makes of made-up weights, face and sound to tests/data, so that a
library that reckons otherwise one day is noticed: `python -m tests.plain_musetalk`.
"""

import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import diffusers
import numpy as np
import numpy.typing as npt
import torch
import transformers
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from engines.avatar.musetalk.folder import find, read_config, read_weights
from tests.tiny_musetalk import OLD_NAMES, make_tiny_musetalk

GOLDEN = Path(__file__).parent / "data" / "musetalk_golden.npz"

FRAMES = (0, 20)
"""Of the made-up sound, for which faces are stored."""

THINNED = 2
"""Every so many pixels of a face are stored."""

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


class PlainMuseTalk:
    """In float32 on the CPU."""

    def __init__(self, folder: Path) -> None:
        files = find(folder)
        kinds: Any = diffusers
        self.unet = kinds.UNet2DConditionModel(**read_config(files.unet_config)).eval()
        self.unet.load_state_dict(read_weights(files.unet_weights))
        self.vae = kinds.AutoencoderKL.from_config(read_config(files.vae / "config.json")).eval()
        old = read_weights(files.vae / "diffusion_pytorch_model.bin")
        self.vae.load_state_dict({_new(name): tensor for name, tensor in old.items()})
        kinds = transformers
        self.extractor = kinds.WhisperFeatureExtractor(
            **read_config(files.whisper / "preprocessor_config.json")
        )
        self.encoder = _whisper(files.whisper)

    @torch.no_grad()
    def chunks(self, sound: Floats) -> Floats:
        """Of all frames of a recording."""
        parts = []
        for first in range(0, len(sound), 480_000):
            segment = sound[first : first + 480_000]
            mel = self.extractor(segment, return_tensors="pt", sampling_rate=16_000)
            states = self.encoder(mel.input_features, output_hidden_states=True).hidden_states
            parts.append(torch.stack(states, dim=2))
        rows = torch.cat(parts, dim=1)[:, : len(sound) // 320]
        before, behind = torch.zeros(1, 4, 5, 384), torch.zeros(1, 12, 5, 384)
        padded = torch.cat([before, rows, behind], dim=1)
        frames = [padded[:, 2 * i : 2 * i + 10] for i in range(len(sound) // 640)]
        chunks: Floats = torch.cat(frames).reshape(-1, 50, 384).numpy()
        return chunks

    @torch.no_grad()
    def latents(self, face: Bytes) -> Floats:
        """Of one face, BGR [256, 256, 3]."""
        whole = torch.from_numpy(face[:, :, ::-1].copy()).permute(2, 0, 1)[None].float() / 255
        hidden = whole.clone()
        hidden[:, :, 128:] = 0
        modes = [self.vae.encode((x - 0.5) / 0.5).latent_dist.mode() for x in (hidden, whole)]
        latents: Floats = (torch.cat(modes, dim=1) * self.vae.config.scaling_factor).numpy()
        return latents

    @torch.no_grad()
    def shown(self, latents: Floats, chunks: Floats) -> Floats:
        sound = torch.from_numpy(chunks + encoding())
        made: Floats = self.unet(
            torch.from_numpy(latents), torch.tensor([0]), encoder_hidden_states=sound
        ).sample.numpy()
        return made

    @torch.no_grad()
    def faces(self, shown: Floats) -> Bytes:
        scaled = 1 / self.vae.config.scaling_factor * torch.from_numpy(shown)
        images = (self.vae.decode(scaled).sample / 2 + 0.5).clamp(0, 1)
        rgb = images.permute(0, 2, 3, 1).float().numpy()
        faces: Bytes = (rgb * 255).round().astype(np.uint8)[..., ::-1]
        return faces


def encoding() -> Floats:
    """The positions of 50 tokens, number by number."""
    table = np.zeros((50, 384))
    for place in range(50):
        for pair in range(192):
            angle = place / 10_000 ** (2 * pair / 384)
            table[place, 2 * pair : 2 * pair + 2] = math.sin(angle), math.cos(angle)
    return table.astype(np.float32)


def made_up_sound(seconds: float = 1.3) -> Floats:
    """A hum that rises, with pauses."""
    at = np.arange(int(seconds * 16_000)) / 16_000
    hum = np.sin(2 * np.pi * (120 + 60 * at) * at) + 0.5 * np.sin(2 * np.pi * 700 * at)
    return (0.2 * hum * (np.sin(2 * np.pi * 3 * at) > -0.5)).astype(np.float32)


def made_up_face() -> Bytes:
    """Soft colours in BGR [256, 256, 3]."""
    y, x = np.mgrid[0:256, 0:256] / 256
    colours = [np.sin(6 * x + 2 * y), np.cos(5 * y - x), np.sin(9 * x * y)]
    face: Bytes = np.round(127.5 + 100 * np.stack(colours, axis=2)).astype(np.uint8)
    return face


def _whisper(folder: Path) -> WhisperEncoder:
    encoder = WhisperEncoder(transformers.WhisperConfig(**read_config(folder / "config.json")))
    weights = read_weights(folder / "pytorch_model.bin")
    names = {name.removeprefix("model."): tensor for name, tensor in weights.items()}
    encoder.load_state_dict(
        {name[8:]: tensor for name, tensor in names.items() if name.startswith("encoder.")}
    )
    network: torch.nn.Module = encoder
    network.eval()
    return encoder


def _new(name: str) -> str:
    for new, old in OLD_NAMES.items():
        name = name.replace(f".{old}.", f".{new}.")
    return name


def main() -> None:
    with TemporaryDirectory() as folder:
        plain = PlainMuseTalk(make_tiny_musetalk(Path(folder), tiny=False))
    chunks = plain.chunks(made_up_sound())[list(FRAMES)]
    latents = plain.latents(made_up_face())
    shown = plain.shown(np.repeat(latents, len(FRAMES), 0), chunks)
    faces = plain.faces(shown)[:, ::THINNED, ::THINNED]
    GOLDEN.parent.mkdir(exist_ok=True)
    np.savez_compressed(GOLDEN, chunks=chunks, latents=latents, shown=shown, faces=faces)


if __name__ == "__main__":
    main()
