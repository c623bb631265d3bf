"""How much of the GPU's memory a Whisper model takes, and whether its share suffices.

CTranslate2 takes what it needs and knows no limit, so the limit is kept beforehand: by the
precision of the weights, and by how much is worked on at once.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20

LIBRARIES = 400 * MIB
"""CUDA itself, cuBLAS and what the library keeps for the next run."""

SIZES = {"float32": 2.0, "bfloat16": 1.0, "float16": 1.0, "int8_float16": 0.55, "int8": 0.55}
"""Weights in memory over the published file, which holds sixteen bits each; in eight, the word
table and the norms stay as they are."""

WINDOW_PER_CHANNEL = 220_000
"""Bytes at sixteen bits, reckoned, not measured: for each 64 channels the encoder compares 1500
positions with 1500, before and after its softmax (9 MB); its wide layers and the five beams of the
decoder take about half as much again. 280 MB for 1280 channels."""

ASK = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")
ASK_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Room:
    """Memory for a model; without limits when nothing is known."""

    share: float = float("inf")
    """Bytes that it may take."""
    file: int = 0
    """Bytes of its `model.bin`."""

    def suffices(self, precision: str) -> bool:
        """For the weights in this precision."""
        return self._left(precision) > 0

    def windows(self, precision: str, channels: int, most: int) -> int:
        """How many can be worked on at once: 1 to `most`."""
        window = channels * WINDOW_PER_CHANNEL * (2 if precision == "float32" else 1)
        return int(max(1, min(most, self._left(precision) // window)))

    def _left(self, precision: str) -> float:
        return self.share - LIBRARIES - SIZES.get(precision, 1.0) * self.file


def gpu_room(folder: Path, share: float) -> Room:
    """For the model in `folder`, with this share of the memory of the smallest GPU; without limits
    where the driver cannot be asked, or the whole GPU is its own."""
    if share >= 1:
        return Room()
    try:
        asked = subprocess.run(ASK, capture_output=True, text=True, timeout=ASK_LIMIT_S, check=True)
        smallest = min(int(line) for line in asked.stdout.split())
    except (OSError, ValueError, subprocess.SubprocessError):
        return Room()
    return Room(share * smallest * MIB, (folder / "model.bin").stat().st_size)
