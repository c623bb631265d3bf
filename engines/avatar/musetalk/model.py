"""MuseTalk as a whole: from its published folder to faces that say what they are told.

Plain and blocking: no event loop, no sessions. Whoever uses it gathers the frames of all sessions
into batches. PyTorch is imported with this module, which therefore is only imported by who wants a
model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch

from engines.avatar.musetalk.batches import (
    SIZES,
    Array,
    Batches,
    Faces,
    Rendering,
    broken,
    failure,
    free_memory,
    is_broken,
    is_out_of_memory,
    room_for,
)
from engines.avatar.musetalk.epilogue import finite, pixels
from engines.avatar.musetalk.features import TOGETHER, Chunks, WhisperFeatures, load_features
from engines.avatar.musetalk.folder import Published, Version, find, first_line
from engines.avatar.musetalk.speech import SEGMENT_SAMPLES, Stretch
from engines.avatar.musetalk.unet import TalkingUnet, load_unet
from engines.avatar.musetalk.vae import (
    FACE_PX,
    Decoder,
    FaceDecoder,
    FaceEncoder,
    load_tiny,
    load_vae,
)
from engines.base import Pixels
from engines.errors import EngineError, EngineUnavailable

FIRST_ROW = 96
"""Of a face's 256 rows; those above are never made into pixels. The mask begins at row 128 and is
blurred over at most 0.075 of the longer side of the face's box: this suffices for every box that is
not 1.6 times as wide as high."""


@dataclass(frozen=True, slots=True)
class MuseTalkOptions:
    """How MuseTalk is loaded."""

    version: Version = "auto"
    decoder: Decoder = "kl"
    device: str = "auto"
    """`cpu`, `cuda`, `cuda:1`, or whichever is there."""
    dtype: Literal["auto", "float16", "float32"] = "auto"
    """`auto`: half precision on a GPU, single precision on a CPU."""
    memory_fraction: float | None = None
    """Of the GPU's memory, at most; None: all that is free."""
    first_row: int = FIRST_ROW
    """Rows of a face from here on are given."""
    sizes: tuple[int, ...] = SIZES
    """Frames in a batch: smaller ones are filled up to the next of these."""


class MuseTalkModel:
    """Three verbs: encode an avatar's faces, hear, show. Each may be called from any thread;
    hearing and showing may go on at the same time."""

    def __init__(
        self,
        version: Literal["v1", "v1.5"],
        encoder: FaceEncoder,
        features: WhisperFeatures,
        batches: Batches,
    ) -> None:
        self.version = version
        self._encoder = encoder
        self._features = features
        self._batches = batches

    @classmethod
    def load(cls, folder: Path, options: MuseTalkOptions | None = None) -> Self:
        """Takes seconds to minutes: call it in a thread. Raises `EngineUnavailable` with what is
        missing and what to do."""
        options = options or MuseTalkOptions()
        published = find(folder, options.version, tiny=options.decoder == "tiny")
        try:
            return cls(published.version, *_networks(published, options))
        except EngineError as error:
            problem = type(error)(error.sentence)  # the old one holds on to what had been loaded
        except (RuntimeError, ValueError, TypeError, MemoryError, ImportError, OSError) as error:
            problem = _trouble(error, folder)
        free_memory()
        raise problem

    @property
    def sizes(self) -> tuple[int, ...]:
        """Frames in a batch that are made without filling up, in ascending order."""
        return self._batches.sizes

    def latents(self, faces: Pixels) -> Array:
        """Encode an avatar's faces, uint8 BGR [N, 256, 256, 3], to [N, 8, 32, 32] in the networks'
        number format: the same each time. One after the other, which a CPU is as quick at, and for
        which a GPU needs little memory. Raises `EngineUnavailable`."""
        try:
            return np.concatenate([self._encode(face[None]) for face in faces])
        except RuntimeError as error:
            problem = failure(error)
        free_memory()
        raise problem

    def chunks(self, stretches: Sequence[Stretch]) -> list[Chunks]:
        """Hear: [frames, 50, 384] of each stretch, of all sessions in one run. Raises
        `EngineUnavailable`."""
        try:
            return self._features.chunks(stretches)
        except RuntimeError as error:
            problem = failure(error)
        free_memory()
        raise problem

    def start(self, latents: Array, chunks: Array) -> Rendering:
        """Begin to show B frames, at most the largest of `sizes`; on a GPU this returns while they
        are made. Raises `EngineUnavailable`."""
        return self._batches.start(latents, chunks)

    def faces(self, latents: Array, chunks: Array) -> Faces:
        """Show any number of frames, and wait for them."""
        most = self.sizes[-1]
        parts = [
            self.start(latents[first : first + most], chunks[first : first + most])
            for first in range(0, len(latents), most)
        ]
        faces = [part.wait() for part in parts]
        if len(faces) == 1:
            return faces[0]
        return Faces(
            np.concatenate([part.pixels for part in faces]),
            np.concatenate([part.finite for part in faces]),
        )

    def close(self) -> None:
        """Give all memory back; nothing may be under way, and nothing works any more."""
        self._batches.close()
        del self._encoder, self._features, self._batches
        free_memory()

    def _encode(self, faces: Pixels) -> Array:
        latents = _encoded(self._encoder, faces)
        if not bool(torch.isfinite(latents).all()):
            raise RuntimeError("a face's latents are not finite")
        encoded: Array = latents.cpu().numpy()
        return encoded


def _networks(
    published: Published, options: MuseTalkOptions
) -> tuple[FaceEncoder, WhisperFeatures, Batches]:
    device, dtype = _place(options)
    encoder, decoder = load_vae(published.vae)
    if published.tiny is not None:
        decoder = load_tiny(published.tiny)
    unet = load_unet(published.unet_config, published.unet_weights)
    # With channels last, a GPU's tensor cores take what convolutions hand on as it lies. On a CPU
    # it brings little, and sums are taken in an order that strays further from the published one.
    order = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    networks: tuple[torch.nn.Module, ...] = (encoder, decoder, unet)
    for network in networks:
        # PyTorch's annotation leaves the order out.
        network.to(device=device, dtype=dtype).to(memory_format=order)  # type: ignore[call-overload]
    features = load_features(published.whisper, device, dtype)
    if options.decoder == "compiled":
        decoder.compile(dynamic=False, fullgraph=True)
    step = _Show(unet, decoder, options.first_row)
    with room_for(device, _besides(encoder, features)):
        return encoder, features, Batches(step, device, dtype, options.sizes)


def _besides(encoder: FaceEncoder, features: WhisperFeatures) -> list[Callable[[], object]]:
    """What is done on a GPU beside the batches, each as large as it ever is."""
    silence = Stretch(np.zeros(SEGMENT_SAMPLES, np.float32), 0, 1)
    return [
        lambda: features.chunks([silence] * TOGETHER["cuda"]),
        lambda: _encoded(encoder, np.zeros((1, FACE_PX, FACE_PX, 3), np.uint8)),
    ]


@torch.inference_mode()
def _encoded(encoder: FaceEncoder, faces: Pixels) -> torch.Tensor:
    # Copied, because an avatar's frames are mapped from its file and may not be written to.
    place = encoder.quant_conv.weight.device
    latents: torch.Tensor = encoder(torch.from_numpy(faces.copy()).to(place))
    return latents


class _Show:
    """The step of a batch."""

    def __init__(self, unet: TalkingUnet, decoder: FaceDecoder, first_row: int) -> None:
        if not 0 <= first_row < FACE_PX:
            raise ValueError(f"a face has no row {first_row}")
        self._unet = unet
        self._decoder = decoder
        self._first_row = first_row

    def __call__(
        self, latents: torch.Tensor, chunks: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        images = self._decoder(self._unet(latents, chunks))
        return pixels(images, self._first_row), finite(images)


def _place(options: MuseTalkOptions) -> tuple[torch.device, torch.dtype]:
    """From now on this process takes no more of the GPU's memory than it may."""
    name = options.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise EngineUnavailable("PyTorch sees no GPU here. Set `device: auto` for the avatar.")
    if device.type == "cuda" and device.index is None:  # which the share of the memory asks for
        device = torch.device("cuda", torch.cuda.current_device())
    if device.type == "cuda" and options.memory_fraction is not None:
        torch.cuda.set_per_process_memory_fraction(options.memory_fraction, device)
    half = options.dtype == "float16" or (options.dtype == "auto" and device.type == "cuda")
    return device, torch.float16 if half else torch.float32


def _trouble(error: Exception, folder: Path) -> EngineError:
    if isinstance(error, ImportError):
        return EngineUnavailable(
            f"{error.name or 'diffusers'} is missing, which MuseTalk needs; install it with `pip"
            " install -e .[gpu]`."
        )
    if is_out_of_memory(error) or isinstance(error, MemoryError):
        return EngineUnavailable(
            f"MuseTalk in `{folder}` does not fit into the memory. Raise `gpu` of the application"
            " `avatar` in configs/serve.yaml, or choose its `tiny` decoder."
        )
    if is_broken():
        return broken()
    return EngineUnavailable(
        f"MuseTalk in `{folder}` could not be started ({first_line(error)}). Check that the folder"
        " is whole and that this machine's PyTorch works."
    )
