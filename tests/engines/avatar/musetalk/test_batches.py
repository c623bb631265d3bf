from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engines.avatar.musetalk import batches as module
from engines.avatar.musetalk.batches import (
    Array,
    Batches,
    failure,
    free_memory,
    is_broken,
    is_out_of_memory,
    room_for,
)
from engines.errors import DeviceBroken, EngineUnavailable, OutOfMemory

CPU = torch.device("cpu")


class Echo:
    """Shows of each frame its latents' and its chunk's first number."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.error: Exception | None = None

    def __call__(
        self, latents: torch.Tensor, chunks: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self.sizes.append(len(latents))
        if self.error is not None:
            raise self.error
        seen = torch.stack([latents[:, 0, 0, 0], chunks[:, 0, 0], latents[:, 7, 31, 31]], dim=1)
        pixels = seen.round().to(torch.uint8)[:, None, None].expand(-1, 4, 256, 3).contiguous()
        return pixels, torch.isfinite(latents).flatten(1).all(1)


def frames(*numbers: int) -> tuple[Array, Array]:
    values = np.array(numbers, np.float32)
    return (
        np.broadcast_to(values[:, None, None, None], (len(values), 8, 32, 32)).copy(),
        np.broadcast_to(values[:, None, None] + 100, (len(values), 50, 384)).astype(np.float16),
    )


@pytest.mark.parametrize(("count", "size"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8)])
def test_a_batch_is_filled_up_to_a_fixed_size(count: int, size: int) -> None:
    echo = Echo()
    batches = Batches(echo, CPU, torch.float32, (8, 1, 2, 4))
    assert (batches.sizes, echo.sizes) == ((1, 2, 4, 8), [1])  # the first one is the warm-up
    faces = batches.start(*frames(*range(count))).wait()
    assert echo.sizes[1:] == [size]
    assert faces.pixels.shape == (count, 4, 256, 3)
    assert faces.pixels[:, 0, 0].tolist() == [[n, n + 100, n] for n in range(count)]
    assert faces.finite.tolist() == [True] * count


def test_what_fills_up_a_batch_is_not_of_the_batch_before() -> None:
    latents, chunks = frames(7, 8, 9)
    batches = Batches(Echo(), CPU, torch.float32, (4,))
    batches.start(latents, chunks).wait()
    latents[1] = np.nan
    faces = batches.start(latents[:2], chunks[:2]).wait()
    assert faces.finite.tolist() == [True, False]


def test_a_batch_of_the_wrong_size_is_refused() -> None:
    batches = Batches(Echo(), CPU, torch.float32, (1, 2))
    latents, chunks = frames(1, 2, 3)
    for bad in ((latents, chunks), (latents[:0], chunks[:0]), (latents[:1], chunks[:2])):
        with pytest.raises(ValueError, match="a batch of"):
            batches.start(*bad)
    with pytest.raises(ValueError, match="must be a batch size"):
        Batches(Echo(), CPU, torch.float32, ())


def test_a_failure_costs_one_batch(caplog: pytest.LogCaptureFixture) -> None:
    echo = Echo()
    batches = Batches(echo, CPU, torch.float32, (1,))
    echo.error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    with pytest.raises(OutOfMemory, match="ran out of memory. Raise `gpu`"):
        batches.start(*frames(1))
    echo.error = RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED")
    with pytest.raises(EngineUnavailable, match="networks failed"):
        batches.start(*frames(1))
    assert "CUDNN_STATUS_EXECUTION_FAILED" in caplog.text
    echo.error = None
    assert batches.start(*frames(5)).wait().pixels[0, 0, 0].tolist() == [5, 105, 5]


def test_a_capture_that_broke_off_for_want_of_memory_is_known_as_such() -> None:
    try:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")
    except RuntimeError as error:
        assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("an illegal memory access was encountered"))


def test_nothing_is_made_once_it_is_closed() -> None:
    batches = Batches(Echo(), CPU, torch.float32, (1,))
    batches.close()
    with pytest.raises(EngineUnavailable):
        batches.start(*frames(1))


def refuse(*_: object) -> None:
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


def test_a_gpu_that_refuses_everything_is_broken_and_one_that_works_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = RuntimeError("CUDA error: an illegal memory access was encountered")
    assert not isinstance(failure(error), DeviceBroken), "no GPU is used here"
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    assert not is_broken()
    assert not isinstance(failure(error), DeviceBroken), "it concerned one batch"
    monkeypatch.setattr(torch.cuda, "synchronize", refuse)
    assert is_broken()
    assert isinstance(failure(error), DeviceBroken)
    assert isinstance(failure(torch.OutOfMemoryError("CUDA out of memory.")), OutOfMemory)


def test_memory_that_a_broken_gpu_keeps_is_no_further_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", refuse)
    free_memory()  # raises nothing
    assert "could not be given back" in caplog.text


class Occupied:
    def __init__(self, memory: "Memory", count: int) -> None:
        self._memory = memory
        memory.occupied = count

    def __del__(self) -> None:
        self._memory.occupied = 0


class Memory:
    """Of a GPU, as PyTorch tells of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reserved = self.most = 100
        self.occupied = 0
        told = {
            "empty_cache": self.give_back,
            "reset_peak_memory_stats": lambda device: setattr(self, "most", self.reserved),
            "memory_reserved": lambda device: self.reserved,
            "max_memory_reserved": lambda device: self.most,
        }
        for name, tell in told.items():
            monkeypatch.setattr(torch.cuda, name, tell)
        monkeypatch.setattr(torch, "empty", self.occupy)

    def take(self, count: int) -> None:
        self.reserved += count
        self.most = max(self.most, self.reserved)

    def give_back(self) -> None:
        self.reserved = 100

    def occupy(self, count: int, **_: object) -> Occupied:
        return Occupied(self, count)


def test_what_runs_beside_the_batches_keeps_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory(monkeypatch)
    works = [lambda: memory.take(30), lambda: memory.take(50)]
    with room_for(torch.device("cuda", 0), works):
        assert memory.occupied == 80, "of both, because they run at the same time"
    assert memory.occupied == 0, "they find it free"
    with room_for(CPU, works):
        assert memory.occupied == 0, "a processor's memory is not reserved"


def test_who_waits_for_a_batch_leaves_the_processor_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Event:
        def __init__(self, blocking: bool = False) -> None:
            self.blocking = blocking
            self.stream: object = None

        def record(self, stream: object) -> None:
            self.stream = stream

    monkeypatch.setattr(module, "_untyped", SimpleNamespace(Event=Event))
    stream: Any = object()
    end: Any = module._end_of(stream)
    assert (end.blocking, end.stream) == (True, stream)


@pytest.mark.gpu
def test_on_a_gpu_graphs_show_each_frame_its_own() -> None:
    echo = Echo()
    batches = Batches(echo, torch.device("cuda"), torch.float16, (1, 2, 4))
    captured = len(echo.sizes)
    under_way = [batches.start(*frames(*range(n, n + 1 + n % 4))) for n in range(40)]
    for n, rendering in enumerate(under_way):
        faces = rendering.wait()
        assert faces.pixels[:, 0, 0, 0].tolist() == list(range(n, n + 1 + n % 4))
        assert faces.finite.all()
    assert len(echo.sizes) == captured  # nothing ran but the graphs
    batches.close()
