"""Runs the networks for fixed numbers of frames, which is what a GPU is quick at.

On a GPU each number of frames is a CUDA graph, captured once: a batch is then one launch instead of
some thousand, of which a small batch would consist. What goes in and what comes out passes through
pinned memory, so that nothing waits for a copy; whoever wants the faces waits for an event.
"""

import gc
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from engines.base import Pixels
from engines.errors import DeviceBroken, EngineError, EngineUnavailable, OutOfMemory

_log = logging.getLogger(__name__)

_untyped: Any = torch.cuda  # some of it has no types

SIZES = (1, 2, 4, 8, 16)
"""Frames in a batch. From 8 on a GPU gains little, and 16 frames are 0.64 s of one face."""

WARM_UPS = 3
"""Runs before the capture: the first ones choose kernels and reserve their memory."""

Flags = npt.NDArray[np.bool_]
Array = npt.NDArray[np.floating[Any]]

Step = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""Latents [B, 8, 32, 32] and chunks [B, 50, 384] → pixels uint8 BGR [B, rows, 256, 3] and, bool
[B], whether each face is one."""


@dataclass(frozen=True, slots=True)
class Faces:
    """What the networks made of a batch."""

    pixels: Pixels
    """uint8 BGR, [B, rows, 256, 3]: the lowest rows of each face."""
    finite: Flags
    """[B]; where it is false the pixels mean nothing and must not be shown."""


class Rendering:
    """A batch that is being made."""

    def __init__(
        self, pixels: torch.Tensor, finite: torch.Tensor, done: "torch.cuda.Event | None"
    ) -> None:
        self._pixels = pixels
        self._finite = finite
        self._done = done

    def wait(self) -> Faces:
        """Blocks until the faces have arrived. Raises `EngineUnavailable`."""
        try:
            if self._done is not None:
                self._done.synchronize()
        except RuntimeError as error:  # a launch that failed is told at the next meeting
            raise failure(error) from error
        return Faces(self._pixels.numpy(), self._finite.numpy())


@dataclass(frozen=True, slots=True)
class _Slot:
    """The place of one batch size on a GPU; the graph reads and writes these very tensors."""

    latents: torch.Tensor
    chunks: torch.Tensor
    pixels: torch.Tensor
    finite: torch.Tensor
    graph: "torch.cuda.CUDAGraph"


class Batches:
    """Any thread may call `start`; the batches are made one after the other."""

    def __init__(
        self, step: Step, device: torch.device, dtype: torch.dtype, sizes: Sequence[int] = SIZES
    ) -> None:
        """Warms up and captures, which takes seconds. Sizes for which the memory does not suffice
        are left out. Raises `EngineUnavailable` when not even the smallest one works."""
        self._step = step
        self._device, self._dtype = device, dtype
        if not sizes:
            raise ValueError("there must be a batch size")
        self._lock = threading.Lock()
        self._slots: dict[int, _Slot] = {}
        self.sizes = tuple(sorted(sizes))
        if device.type == "cuda":
            self._stream: torch.cuda.Stream = _untyped.Stream(device)
            self._capture_all()
        else:
            self._run(*self._blank(1))

    def start(self, latents: Array, chunks: Array) -> Rendering:
        """Begin a batch of [B, 8, 32, 32] and [B, 50, 384], B at most the largest size. Raises
        `EngineUnavailable`, after the memory has been given back."""
        count = len(latents)
        size = next((size for size in self.sizes if size >= count), None)
        if not count or size is None or len(chunks) != count:
            raise ValueError(f"a batch of {count} latents and {len(chunks)} chunks")
        try:
            with self._lock, torch.inference_mode():
                if slot := self._slots.get(size):
                    return self._replay(slot, latents, chunks)
                pixels, finite = self._run(*self._padded(size, latents, chunks))
                return Rendering(pixels[:count].cpu(), finite[:count].cpu(), None)
        except RuntimeError as error:  # torch.OutOfMemoryError is one
            problem = failure(error)
        # Here, because the exception held on to the step's tensors.
        free_memory()
        raise problem

    def close(self) -> None:
        """Give the graphs' memory back; no batch may be under way."""
        with self._lock:
            self._slots.clear()
            self._step = _closed

    def _run(
        self, latents: torch.Tensor, chunks: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.inference_mode():
            return self._step(latents, chunks)

    def _padded(
        self, size: int, latents: Array, chunks: Array
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """In the networks' number format, the frames that are missing black and silent."""
        whole = self._blank(size)
        for tensor, array in zip(whole, (latents, chunks), strict=True):
            tensor.numpy()[: len(array)] = array
        return whole

    def _blank(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        return (
            torch.zeros(size, 8, 32, 32, dtype=self._dtype),
            torch.zeros(size, 50, 384, dtype=self._dtype),
        )

    def _replay(self, slot: _Slot, latents: Array, chunks: Array) -> Rendering:
        """Everything is queued on one stream, in order, so that the slot's tensors are not
        overwritten before they have been read. Pinned memory comes from torch's own store, which
        gives none out again before the copy from or to it is done."""
        count = len(latents)
        with torch.cuda.stream(self._stream):
            for place, array in ((slot.latents, latents), (slot.chunks, chunks)):
                waiting = torch.empty(array.shape, dtype=self._dtype, pin_memory=True)
                waiting.numpy()[:] = array
                place[:count].copy_(waiting, non_blocking=True)
            slot.graph.replay()
            pixels = torch.empty(slot.pixels[:count].shape, dtype=torch.uint8, pin_memory=True)
            finite = torch.empty(count, dtype=torch.bool, pin_memory=True)
            pixels.copy_(slot.pixels[:count], non_blocking=True)
            finite.copy_(slot.finite[:count], non_blocking=True)
            return Rendering(pixels, finite, _end_of(self._stream))

    def _capture_all(self) -> None:
        """The largest first: smaller ones then find room in the same memory."""
        torch.cuda.synchronize(self._device)  # the weights may still be on their way
        pool = torch.cuda.graph_pool_handle()
        for size in reversed(self.sizes):
            try:
                self._slots[size] = self._captured(size, pool)
                continue
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                problem = failure(error)
            free_memory()
            pool = torch.cuda.graph_pool_handle()  # a capture that broke off spoils its own
            _log.warning("the GPU's memory is not enough for batches of %d frames", size)
        if not self._slots:
            raise problem
        self.sizes = tuple(sorted(self._slots))

    @torch.inference_mode()
    def _captured(self, size: int, pool: Any) -> _Slot:
        latents, chunks = (tensor.to(self._device) for tensor in self._blank(size))
        # Kernels are chosen by trial: the sizes are few, and each choice is kept in its graph.
        with (
            torch.backends.cudnn.flags(enabled=True, benchmark=True),
            torch.cuda.stream(self._stream),
        ):
            for _ in range(WARM_UPS):
                made = self._step(latents, chunks)
            # Outside the graphs' common memory, where the next graph would write over them.
            pixels, finite = (tensor.clone() for tensor in made)
            del made
            self._stream.synchronize()
            graph = torch.cuda.CUDAGraph()
            # Other threads of this process, such as the encoder's, may use the GPU meanwhile.
            with torch.cuda.graph(
                graph, pool=pool, stream=self._stream, capture_error_mode="thread_local"
            ):
                made = self._step(latents, chunks)
                pixels.copy_(made[0])
                finite.copy_(made[1])
        return _Slot(latents, chunks, pixels, finite, graph)


def _end_of(stream: "torch.cuda.Stream") -> "torch.cuda.Event":
    """Of all that has been queued on it so far."""
    # Blocking: else whoever waits for it keeps a processor's core busy all the time.
    done: torch.cuda.Event = _untyped.Event(blocking=True)
    done.record(stream)
    return done


@contextmanager
def room_for(device: torch.device, works: Sequence[Callable[[], object]]) -> Iterator[None]:
    """Does each of these once, and keeps so much of a GPU's memory occupied meanwhile as all of
    them took: what is captured meanwhile cannot take it, and they can afterwards, at the same time.

    That they have run is not enough: before each capture PyTorch gives back what it has in store.
    """
    if device.type != "cuda":
        yield
        return
    reserve = sum(_taken(device, work) for work in works)
    _log.info("%d MB of the GPU's memory are kept for hearing and encoding", reserve // 2**20)
    occupied = torch.empty(reserve, dtype=torch.uint8, device=device)
    try:
        yield
    finally:
        del occupied  # into PyTorch's store, where they find it


def _taken(device: torch.device, work: Callable[[], object]) -> int:
    """Bytes of a GPU's memory, at its height."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_reserved(device)
    work()
    return torch.cuda.max_memory_reserved(device) - before


def is_out_of_memory(error: BaseException) -> bool:
    """Also where a capture that broke off reports it in its own way."""
    if isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error).lower():
        return True
    return error.__context__ is not None and is_out_of_memory(error.__context__)


def failure(error: BaseException) -> EngineError:
    """What PyTorch reported, as a sentence."""
    if is_out_of_memory(error):
        _log.warning("MuseTalk ran out of memory: %s", error)
        return OutOfMemory(
            "MuseTalk ran out of memory. Raise `gpu` of the application `avatar` in"
            " configs/serve.yaml, or choose its `tiny` decoder."
        )
    _log.error("MuseTalk failed", exc_info=error)
    if is_broken():
        return broken()
    return EngineUnavailable(
        "MuseTalk's networks failed. Try again; the log of the application `avatar` says more."
    )


def is_broken() -> bool:
    """Whether this process can do nothing on its GPU any more, as after an illegal memory access:
    every call then fails, and nothing but a new process cures it."""
    if not _untyped.is_initialized():
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:  # torch.AcceleratorError is one
        return True
    return False


def broken() -> DeviceBroken:
    """For who would use the GPU."""
    return DeviceBroken(
        "The GPU failed, and this process cannot use it any more. It is replaced within a minute;"
        " if that comes back, the log of the application `avatar` says more."
    )


def free_memory() -> None:
    """Give back what PyTorch keeps in store, so that others on the GPU can use it."""
    gc.collect()
    try:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    except RuntimeError as error:  # the GPU is broken: its memory goes with the process
        _log.warning("the GPU's memory could not be given back: %s", error)


def _closed(*_: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    raise RuntimeError("the model has been closed")
