"""What is left to do when a face has been decoded, on the device that decoded it: the visible rows
become pixels there, so that an eighth of the numbers leaves it."""

import torch


def pixels(images: torch.Tensor, first_row: int) -> torch.Tensor:
    """RGB images [B, 3, 256, 256], -1 to 1 and beyond → uint8 BGR [B, 256 - first_row, 256, 3].

    Bit for bit what the published code reckons with numpy: half precision up to 0…1, single
    precision from there, halves rounded to even.
    """
    visible = images[:, :, first_row:]
    unit = (visible / 2 + 0.5).clamp(0, 1).float()
    return (unit * 255).round().to(torch.uint8).flip(1).permute(0, 2, 3, 1).contiguous()


def finite(images: torch.Tensor) -> torch.Tensor:
    """Bool [B]: whether a face is made of numbers. Half precision runs over now and then, and
    what comes of it must not be shown."""
    return torch.isfinite(images).flatten(1).all(1)
