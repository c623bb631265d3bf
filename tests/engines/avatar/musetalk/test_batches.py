import numpy as np
import pytest
import torch

from engines.avatar.musetalk.batches import Array, Batches, is_out_of_memory
from engines.errors import EngineUnavailable

CPU = torch.device("cpu")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


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
    with pytest.raises(EngineUnavailable, match="ran out of memory. Raise `gpu`"):
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


@needs_gpu
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
