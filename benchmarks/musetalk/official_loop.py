"""MuseTalk as the published real-time script runs it, written anew from what is known of it: the
control of `bench_musetalk_gpu`.

    batches of 20 ─► UNet ─► autoencoder ─► whole faces to the CPU, rounded there ─► queue ─┐
                         frame copied, face scaled, pasted with PIL through the mask ◄─ thread

The libraries' own classes in half precision: no graphs, no folding, no choice of kernels by trial.
Two things are left out in its favour: it is told the features, and it writes no PNG files.
"""

import threading
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

import cv2
import diffusers
import numpy as np
import torch
from PIL import Image

from engines.avatar.musetalk.blending import Box
from engines.avatar.musetalk.features import Chunks
from engines.avatar.musetalk.folder import find, read_config, read_weights
from engines.avatar.musetalk.prepared import PreparedAvatar
from engines.avatar.musetalk.unet import positional_encoding
from engines.base import Pixels

BATCH = 20

AROUND = 1.5
"""The square that is pasted is larger than the face by so much."""


@dataclass(frozen=True, slots=True)
class Pose:
    """One frame of the avatar, as it is prepared for pasting."""

    frame: Pixels
    box: Box
    crop: Box
    mask: Pixels
    """uint8 [height, width] of the crop."""


class OfficialLoop:
    """One avatar, one speech, over and over."""

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype, tiny: bool) -> None:
        """`tiny`: with TAESD in place of the autoencoder, which the published script does not
        know."""
        files = find(folder, tiny=tiny)
        kinds: Any = diffusers
        self._device, self._dtype = device, dtype
        self._unet = self._network(
            kinds.UNet2DConditionModel, files.unet_config, files.unet_weights
        )
        kind, home = kinds.AutoencoderTiny if tiny else kinds.AutoencoderKL, files.tiny or files.vae
        file = home / "diffusion_pytorch_model.bin"
        self._vae = self._network(kind, home / "config.json", file)
        self._positions = positional_encoding().to(device, dtype)
        self._time = torch.zeros(1, dtype=torch.int64, device=device)

    def tell(self, avatar: PreparedAvatar, chunks: Chunks) -> None:
        """What is to be shown. Latents and features lie on the GPU from now on."""
        cycle = range(2 * avatar.facts.frames - 2)  # to and fro
        self._poses = [_pose(avatar, index) for index in cycle]
        latents = np.stack([avatar.latent(index) for index in cycle])
        self._latents = torch.from_numpy(latents).to(self._device, self._dtype)
        self._chunks = torch.from_numpy(chunks).to(self._device, self._dtype)

    def run(self, seconds: float) -> float:
        """Frames a second, pasted: of the batches that are begun within this time, behind the first
        one, which only fills the queue."""
        done_s: list[float] = []

        def paste(number: int, face: Pixels) -> None:
            self.pasted(number, face)
            done_s.append(time.perf_counter())

        waiting: Queue[tuple[int, Pixels] | None] = Queue()
        thread = threading.Thread(target=_each, args=(waiting, paste))
        thread.start()
        first, began_s = 0, time.perf_counter()
        while time.perf_counter() - began_s < seconds or first < 2 * BATCH:
            for number, face in enumerate(self.faces(first, BATCH), first):
                waiting.put((number, face))
            first += BATCH
        waiting.put(None)
        thread.join()
        return (first - BATCH) / (done_s[-1] - done_s[BATCH - 1])

    def networks(self, seconds: float) -> float:
        """Frames a second that reach the CPU, none pasted."""
        first, began_s = 0, time.perf_counter()
        while time.perf_counter() - began_s < seconds:
            self.faces(first, BATCH)
            first += BATCH
        return first / (time.perf_counter() - began_s)

    @torch.no_grad()
    def faces(self, first: int, count: int) -> Pixels:
        """uint8 BGR [count, 256, 256, 3], of the frames from `first` on."""
        at = torch.arange(first, first + count, device=self._device)
        latents = self._latents[at % len(self._latents)]
        sound = self._chunks[at % len(self._chunks)] + self._positions
        shown = self._unet(latents, self._time, encoder_hidden_states=sound).sample
        images = self._vae.decode(1 / self._vae.config.scaling_factor * shown).sample
        images = (images / 2 + 0.5).clamp(0, 1)
        rgb = images.cpu().permute(0, 2, 3, 1).float().numpy()
        return np.asarray((rgb * 255).round().astype(np.uint8)[..., ::-1])

    def pasted(self, number: int, face: Pixels) -> Pixels:
        """Frame `number` with this face in it, uint8 BGR."""
        pose = self._poses[number % len(self._poses)]
        frame = deepcopy(pose.frame)
        left, top, right, bottom = pose.box
        scaled = np.asarray(cv2.resize(face, (right - left, bottom - top)))
        body, mouth = Image.fromarray(frame[:, :, ::-1]), Image.fromarray(scaled[:, :, ::-1])
        around = body.crop(pose.crop)
        around.paste(mouth, (left - pose.crop[0], top - pose.crop[1]))
        body.paste(around, pose.crop[:2], Image.fromarray(pose.mask))
        return np.array(body)[:, :, ::-1]

    def _network(self, kind: Any, config: Path, weights: Path) -> Any:
        with torch.device("meta"):
            network = kind.from_config(read_config(config))
        network.load_state_dict(read_weights(weights), assign=True)
        network.eval().requires_grad_(False)
        return torch.nn.Module.to(network, self._device, self._dtype)


def _each(
    waiting: "Queue[tuple[int, Pixels] | None]", paste: Callable[[int, Pixels], None]
) -> None:
    while (one := waiting.get()) is not None:
        paste(*one)


def _pose(avatar: PreparedAvatar, index: int) -> Pose:
    place = avatar.place(index)
    left, top, right, bottom = place.box
    half = int(max(right - left, bottom - top) // 2 * AROUND)
    x, y = (left + right) // 2, (top + bottom) // 2
    crop = (x - half, y - half, x + half, y + half)
    mask = np.zeros((2 * half, 2 * half), np.uint8)
    mask[top - crop[1] : bottom - crop[1], left - crop[0] : right - crop[0]] = place.mask
    return Pose(np.array(avatar.frame(index)), place.box, crop, mask)
