"""Draws a mouth onto a face: outlines from the parameters, shading from blurred masks."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.avatar.viseme.looks import Look
from engines.avatar.viseme.masks import Canvas, Curve, Mask, soft
from engines.avatar.viseme.visemes import Mouth
from engines.base import Pixels

GAP_RATIO = 0.95
"""Height of a wide open mouth over half the width of the mouth at rest."""

TEETH_RATIO = 0.26
"""Height of the upper teeth over half the width of the mouth at rest."""

LOWER_TEETH = 0.6
"""The lower teeth show in what shows more of the upper ones than this."""

INSIDE = "#381016"
TONGUE = "#a8484f"
TEETH = "#f7f1ea"

_T = np.linspace(-1.0, 1.0, 41)
_ARCH = 1.0 - _T**2

Skin = npt.NDArray[np.float32]
"""BGR while it is painted on, 0 to 255, shape [height, width, 3]."""


@dataclass(frozen=True, slots=True)
class Outline:
    """The four curves between the corners of a mouth, in pixels from its middle."""

    upper_outer: Curve
    upper_inner: Curve
    lower_inner: Curve
    lower_outer: Curve
    gap_px: float
    half_px: float


def outline(look: Look, mouth: Mouth, scale: float) -> Outline:
    """Where the lips are for these parameters."""
    rounded, spread = max(-mouth.wide, 0.0), max(mouth.wide, 0.0)
    half = look.mouth_px * (1 + 0.15 * spread - 0.36 * rounded - 0.05 * mouth.jaw) * scale
    gap = look.mouth_px * GAP_RATIO * mouth.jaw * scale
    full = look.lip_px * (1 - 0.45 * mouth.press + 0.2 * rounded) * scale
    bend = 0.64 - 0.14 * rounded
    corners = -(4.0 + 0.8 * spread - 3.0 * rounded - 1.0 * mouth.press) * _T**2 * scale
    dip = 1.5 * scale * np.exp(-((_T / 0.28) ** 2)) * (1 - min(2 * mouth.jaw, 1.0))
    bow = _ARCH**0.8 * (1 - 0.26 * np.exp(-((_T / 0.14) ** 2)))
    upper = corners + dip - 0.24 * gap * _ARCH**bend
    lower = corners + dip + 0.76 * gap * _ARCH**bend
    thick = full * (1 - 0.14 * mouth.jaw)
    x = half * _T
    return Outline(
        upper_outer=np.stack([x, upper - 0.74 * full * bow], 1),
        upper_inner=np.stack([x, upper], 1),
        lower_inner=np.stack([x, lower], 1),
        lower_outer=np.stack([x, lower + thick * _ARCH**0.72], 1),
        gap_px=gap,
        half_px=half,
    )


def paint(roi: Pixels, middle: tuple[float, float], look: Look, mouth: Mouth, scale: float) -> None:
    """Draw the mouth into `roi` (BGR or BGRA, opaque there) with its middle at `middle`."""
    shape = outline(look, mouth, scale)
    canvas = Canvas(roi.shape[0], roi.shape[1], middle)
    skin = roi[..., :3].astype(np.float32)
    _paint_lips(skin, canvas, shape, look)
    if shape.gap_px > 0:
        _paint_inside(skin, canvas, shape, mouth, look.mouth_px * scale)
    _paint_line(skin, canvas, shape, look)
    roi[..., :3] = np.clip(skin + 0.5, 0, 255).astype(np.uint8)


def _paint_lips(skin: Skin, canvas: Canvas, shape: Outline, look: Look) -> None:
    half, lowest = shape.half_px, float(shape.lower_outer[20, 1])
    under = canvas.ellipse(0, lowest + 0.16 * half, 0.5 * half, 0.1 * half)
    _tint(skin, look.skin_line, 0.4 * soft(under, 3.0))
    lips = canvas.between(shape.upper_outer, shape.lower_outer)
    upper = canvas.between(shape.upper_outer, shape.upper_inner)
    _tint(skin, look.lip_lower, lips)
    _tint(skin, look.lip_upper, upper)
    inner = float(shape.lower_inner[20, 1])
    thick = lowest - inner
    _tint(skin, look.lip_line, 0.5 * lips * soft(_edge(canvas, shape), 1.6))
    shine = canvas.ellipse(-0.1 * half, inner + 0.45 * thick, 0.42 * half, 0.2 * thick)
    _tint(skin, look.lip_shine, 0.75 * soft(shine, 1.8) * lips)
    glow = canvas.line(shape.upper_outer - [0.0, 0.8], 1.6)
    _tint(skin, look.skin_glow, 0.35 * soft(glow, 0.9) * (1 - lips))


def _edge(canvas: Canvas, shape: Outline) -> Mask:
    """Where the lips curve away: along their meeting and at the foot of the lower one."""
    meeting = canvas.line(shape.upper_inner, 3.0)
    foot = canvas.line(shape.lower_outer - [0.0, 0.5], 2.4)
    return np.asarray(np.maximum(meeting, 0.8 * foot), np.float32)


def _paint_inside(
    skin: Skin, canvas: Canvas, shape: Outline, mouth: Mouth, rest_half: float
) -> None:
    inside = canvas.between(shape.upper_inner, shape.lower_inner)
    _tint(skin, INSIDE, inside)
    gap, half = shape.gap_px, shape.half_px
    floor = float(shape.lower_inner[20, 1])
    rise = (0.22 + 0.38 * mouth.tongue) * gap
    tongue = canvas.ellipse(0, floor + 0.14 * gap, 0.6 * half, rise + 0.14 * gap)
    _tint(skin, TONGUE, 0.9 * inside * soft(tongue, 1.2))
    height = min(TEETH_RATIO * rest_half * (0.5 + 0.5 * mouth.teeth), _shown(mouth) * gap)
    ridge = shape.upper_inner * [0.86, 1.0] + [0.0, height]
    ridge[:, 1] -= 0.3 * height * _T**2
    teeth = canvas.between(shape.upper_inner * [0.86, 1.0] - [0.0, 1.0], ridge) * inside
    # A row lower than a pixel or so would flicker as a white hair.
    seen = min(height / 2, 1.0)
    _tint(skin, TEETH, seen * teeth * _teeth_light(canvas, shape, gap))
    if mouth.teeth > LOWER_TEETH:
        lower = canvas.between(
            shape.lower_inner * [0.8, 1.0] - [0.0, 0.16 * rest_half],
            shape.lower_inner * [0.8, 1.0] + [0.0, 1.0],
        )
        _tint(skin, TEETH, 0.75 * (mouth.teeth - LOWER_TEETH) / (1 - LOWER_TEETH) * lower * inside)


def _shown(mouth: Mouth) -> float:
    """Share of the gap that the upper teeth fill; in a hiss both rows nearly meet."""
    return min(1.0, 2.2 * mouth.teeth) * (0.34 + 0.56 * max(mouth.teeth - 0.5, 0) / 0.5)


def _teeth_light(canvas: Canvas, shape: Outline, gap: float) -> Mask:
    """Teeth lie in the shade of the upper lip and of the cheeks, all the more in a small gap."""
    half = shape.half_px
    middle = canvas.ellipse(0, float(shape.upper_inner[20, 1]), 0.62 * half, 2 * gap + 4)
    shade = soft(canvas.line(shape.upper_inner, 3.0), 1.2)
    return np.asarray((0.62 + 0.34 * soft(middle, 4.0)) * (1 - 0.3 * shade), np.float32)


def _paint_line(skin: Skin, canvas: Canvas, shape: Outline, look: Look) -> None:
    """The line between the lips, which an open mouth does not have."""
    shut = max(0.0, 1 - shape.gap_px / 5)
    if shut > 0:
        _tint(skin, look.lip_line, shut * canvas.line(shape.upper_inner, 2.2))
    corners = canvas.ellipse(-shape.half_px, shape.upper_inner[0, 1], 2.2, 1.4) + canvas.ellipse(
        shape.half_px, shape.upper_inner[-1, 1], 2.2, 1.4
    )
    _tint(skin, look.lip_line, 0.5 * soft(corners, 1.0))


def _tint(skin: Skin, colour: str, amount: Mask) -> None:
    skin += amount * (_bgr(colour) - skin)


def _bgr(colour: str) -> npt.NDArray[np.float32]:
    return np.array([int(colour[i : i + 2], 16) for i in (5, 3, 1)], np.float32)
