import numpy as np
import pytest
import torch

from engines.avatar.musetalk.epilogue import finite, pixels


def published(images: torch.Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """As the published code has it: numpy does the last steps."""
    unit = (images / 2 + 0.5).clamp(0, 1)
    rgb = unit.permute(0, 2, 3, 1).float().numpy()
    return (rgb * 255).round().astype(np.uint8)[..., ::-1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("first_row", [0, 96, 255])
def test_pixels_are_the_published_ones_bit_for_bit(dtype: torch.dtype, first_row: int) -> None:
    images = (1.2 * torch.randn(2, 3, 256, 256, generator=torch.Generator().manual_seed(0))).to(
        dtype
    )
    made = pixels(images, first_row)
    assert made.dtype == torch.uint8
    assert made.is_contiguous()
    assert np.array_equal(made.numpy(), published(images)[:, first_row:])


def test_halves_are_rounded_to_even() -> None:
    levels = torch.arange(256, dtype=torch.float64)
    images = ((levels / 255 - 0.5) * 2).float().reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    made = pixels(images, 0)[0, :, :, 0].flatten()
    assert made.tolist() == list(range(256))
    half = torch.tensor(0.5 / 255 * 2 - 1).expand(1, 3, 1, 1)
    assert np.array_equal(pixels(half, 0).numpy(), published(half))


def test_a_face_that_is_no_number_is_told_from_the_others() -> None:
    images = torch.zeros(4, 3, 8, 8)
    images[1, 0, 0, 0] = torch.nan
    images[2, 2, 7, 7] = torch.inf
    assert finite(images).tolist() == [True, False, False, True]
