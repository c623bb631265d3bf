"""How much `bench_musetalk_gpu` measures, how it tells it, and what the GPU could reckon."""

import asyncio
import json
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import report
from benchmarks.musetalk.networks import PUBLISHED, Networks, operations
from engines.avatar.musetalk.batches import SIZES
from engines.avatar.musetalk.vae import Decoder

TFLOP_A_FRAME = {"kl": 0.790, "compiled": 0.790, "tiny": 0.205}
"""Of the published size, as the figure counts them; without what attention multiplies, which is 1 %
and more with `tiny` 4 %."""

NOMINAL = {"H100 80GB HBM3": 989, "H200": 989, "A100": 312, "4090": 165, "3090": 71}
"""TFLOP/s in half precision that the makers name, not counting zeros left out."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    name: str
    networks: Networks
    device: torch.device
    dtype: torch.dtype
    rounds: int = 5
    round_s: float = 2.0
    settle_s: float = 0.5
    """Of a round, before frames are counted."""
    firsts: int = 20
    """First frames, of each kind."""
    watched_s: float = 10.0
    """Of each number of live sessions."""
    numbers: tuple[int, ...] = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64)
    """Of live sessions, until one is too large."""
    sides: tuple[int, ...] = (4096, 8192, 16384)
    """Of the matrices that show what the GPU can reckon."""

    sizes: tuple[int, ...] = SIZES
    """Of batches."""
    patience: float = 1.0
    """By how much all bounds are stretched."""

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"


class Account:
    """What was measured; progress goes to stderr, figures to stdout and into the file."""

    def __init__(self, file: Path | None, limit_s: float, about: dict[str, Any]) -> None:
        self._file = file
        self.limit_s = limit_s
        self._content: dict[str, Any] = {**about, "figures": [], "progress": []}
        self._began_s = time.perf_counter()
        self.failed = False

    @property
    def spent_s(self) -> float:
        return time.perf_counter() - self._began_s

    def say(self, what: str) -> None:
        line = f"{self.spent_s:6.1f} s  {what}"
        print(line, file=sys.stderr, flush=True)
        self._content["progress"].append(line)
        self._write()

    def figure(
        self, name: str, value: float, unit: str, *, control: float = 0, goal: str = "-"
    ) -> None:
        report(name, value, unit, control=control, goal=goal)
        line = {"name": name, "value": value, "unit": unit, "control": control, "goal": goal}
        self._content["figures"].append(line)
        self._write()

    async def part(self, name: str, bound_s: float, work: Awaitable[None]) -> None:
        """One that fails or takes too long is told, and the next one begins."""
        self.say(f"{name}, at most {bound_s:.0f} s")
        try:
            async with asyncio.timeout(bound_s):
                await work
        except Exception as error:
            self.failed = True
            self.say(f"{name} FAILED: {type(error).__name__}: {error}")
            traceback.print_exc()

    def _write(self) -> None:
        """Each time anew, so that a run which is killed leaves what it had."""
        if self._file is not None:
            self._file.write_text(json.dumps(self._content, ensure_ascii=False, indent=1), "utf-8")


def tflop_a_frame(plan: Plan, decoder: Decoder) -> float:
    """As the figure counts, where it does."""
    if plan.networks is PUBLISHED:
        return TFLOP_A_FRAME[decoder]
    return operations(plan.networks, decoder == "tiny") / 1e12


def peak_tflops(plan: Plan) -> float:
    """The best that a product of square matrices reaches; of noise, zeros would be quicker."""
    return max(product_tflops(plan, side) for side in plan.sides)


def product_tflops(plan: Plan, side: int) -> float:
    left, right = (torch.randn(side, side, device=plan.device).to(plan.dtype) for _ in range(2))
    count = max(3, 40 * 4096**3 // side**3) if plan.on_gpu else 3

    def products() -> None:
        for _ in range(count):
            torch.mm(left, right)
        if plan.on_gpu:
            torch.cuda.synchronize()

    products()  # warm
    spent_ms = min(clock_ms(products) for _ in range(3))
    return 2 * side**3 * count / spent_ms / 1e9


def clock_ms(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began_s)
