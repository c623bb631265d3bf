"""What MuseTalk hears: for every frame of 40 ms, Whisper's view of the 200 ms around it.

Whisper looks at 30 s at a time and gives a row for every 20 ms. A frame is told 10 rows, from 80 ms
before it to 80 ms after it, of the encoder's 5 layers each: 50 tokens of 384 numbers. Where there
is no sound yet, or none any more, rows are zero.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from engines.avatar.musetalk.folder import misfit, read_config, read_weights
from engines.avatar.musetalk.speech import ROW_SAMPLES, SEGMENT_SAMPLES, Sound, Stretch
from engines.avatar.musetalk.unet import CHANNELS, CHUNK_TOKENS
from engines.base import HEARING_RATE_HZ

if TYPE_CHECKING:
    from transformers import WhisperFeatureExtractor
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

Chunks = npt.NDArray[np.floating[Any]]
"""[frames, 50, 384], in the number format of the encoder."""

SEGMENT_ROWS = SEGMENT_SAMPLES // ROW_SAMPLES  # 1500

ROWS_BEFORE = 4
ROWS_AFTER = 6
"""Rows of a frame's window, counted from the frame's first one: as the UNet was trained."""

WINDOW_ROWS = ROWS_BEFORE + ROWS_AFTER
LAYERS = CHUNK_TOKENS // WINDOW_ROWS  # 5: what goes in, and what each of the 4 layers makes of it

TOGETHER = {"cuda": 8, "cpu": 1}
"""Segments in one run. A CPU gains nothing by more, and one alone is reckoned as the published code
does, to the bit."""


class WhisperFeatures:
    """Whisper's encoder, for several sessions in one run. Any thread may use it."""

    def __init__(self, encoder: "WhisperEncoder", extractor: "WhisperFeatureExtractor") -> None:
        self._encoder = encoder
        self._extractor = extractor
        weight = encoder.conv1.weight
        self._device, self._dtype = weight.device, weight.dtype
        self._together = TOGETHER.get(self._device.type, 1)

    @torch.inference_mode()
    def chunks(self, stretches: Sequence[Stretch]) -> list[Chunks]:
        """For each stretch [frames, 50, 384], the positions not yet added.

        On a CPU the same numbers as the published code's, bit for bit. On a GPU segments of
        several sessions are encoded at once, and sums taken in another order, which is seen in the
        last digit. (The published code counts rows and frames in floating point and so loses the
        last of one length in 7,000; here none is lost.)
        """
        views = [_View(stretch) for stretch in stretches]
        segments = [sound for view in views for sound in view.segments()]
        encoded = self._encoded(segments)
        return [view.gathered(encoded, self._dtype).cpu().numpy() for view in views]

    def _encoded(self, segments: Sequence[Sound]) -> Iterator[torch.Tensor]:
        """Of each segment in turn [1500, 5, 384]."""
        for first in range(0, len(segments), self._together):
            heard = self._extractor(
                list(segments[first : first + self._together]),
                sampling_rate=HEARING_RATE_HZ,
                return_tensors="pt",
                device=str(self._device),
            )
            mel = heard.input_features.to(self._device, self._dtype)
            layers = self._encoder(mel, output_hidden_states=True).hidden_states
            yield from torch.stack(layers, dim=2)


class _View:
    """Which rows a stretch needs, and of which segments they are."""

    def __init__(self, stretch: Stretch) -> None:
        self._sound = stretch.sound
        rows = len(stretch.sound) // ROW_SAMPLES
        self._begin = stretch.begin // ROW_SAMPLES - ROWS_BEFORE
        self._end = self._begin + 2 * (stretch.frames - 1) + WINDOW_ROWS
        self._first = max(self._begin, 0)
        self._last = max(min(self._end, rows), self._first)  # behind the last one that there is
        self._numbers = range(self._first // SEGMENT_ROWS, -(-self._last // SEGMENT_ROWS))
        if not stretch.frames or self._last == self._first:
            self._numbers = range(0)
        self._frames = stretch.frames

    def segments(self) -> Iterator[Sound]:
        for number in self._numbers:
            yield self._sound[number * SEGMENT_SAMPLES : (number + 1) * SEGMENT_SAMPLES]

    def gathered(self, encoded: Iterator[torch.Tensor], dtype: torch.dtype) -> torch.Tensor:
        """[frames, 50, 384]; takes of `encoded` what `segments` gave."""
        parts = [next(encoded) for _ in self._numbers]
        if not parts:
            return torch.zeros(self._frames, CHUNK_TOKENS, CHANNELS, dtype=dtype)
        start = self._numbers.start * SEGMENT_ROWS
        known = torch.cat(parts)[self._first - start : self._last - start]
        rows = known.new_zeros(self._end - self._begin, LAYERS, CHANNELS)
        rows[self._first - self._begin : self._last - self._begin] = known
        windows = rows.unfold(0, WINDOW_ROWS, 2)  # [frames, 5, 384, 10], 2 rows a frame
        return windows.permute(0, 3, 1, 2).reshape(self._frames, CHUNK_TOKENS, CHANNELS)


def load_features(folder: Path, device: torch.device, dtype: torch.dtype) -> WhisperFeatures:
    """The encoder alone; the half of Whisper that writes is not needed. Raises
    `EngineUnavailable`."""
    import transformers
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    file = folder / "pytorch_model.bin"
    measures, tensors = read_config(folder / "config.json"), read_weights(file)
    listening = read_config(folder / "preprocessor_config.json")
    try:
        making: Any = transformers.WhisperFeatureExtractor  # it has no types
        extractor = making(**listening)
        config = transformers.WhisperConfig.from_dict(measures)
        if (config.d_model, config.encoder_layers + 1) != (CHANNELS, LAYERS):
            raise ValueError(
                f"{config.d_model} channels in {config.encoder_layers} layers: only a"
                " Whisper tiny fits MuseTalk"
            )
        with torch.device("meta"):
            encoder = WhisperEncoder(config)
        encoder.load_state_dict(_of_encoder(tensors), assign=True)
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise misfit(file, error) from error
    network: torch.nn.Module = encoder  # whose own methods are typed
    network.eval().requires_grad_(False).to(device=device, dtype=dtype)
    return WhisperFeatures(encoder, extractor)


def _of_encoder(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The hub's files begin each name with `model.`."""
    mine = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    begin = "encoder."
    return {name[len(begin) :]: tensor for name, tensor in mine.items() if name.startswith(begin)}
