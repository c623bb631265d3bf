"""A drawn person, mouth closed: rasterised once, then breathing, swaying and blinking for ever."""

import math
import zlib
from functools import cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
import resvg_py

from engines.avatar.viseme.drawing import CENTRE_X, MOUTH_Y, SCALE, Shut, figure, lids, to_frame
from engines.avatar.viseme.looks import LOOKS
from engines.avatar.viseme.mouth import paint
from engines.avatar.viseme.visemes import REST, Mouth
from engines.base import FPS, FRAME_SIZE_PX, Pixels
from engines.errors import UnknownAvatar

FACES: Final = tuple(LOOKS)
"""Names of the drawn people."""

Box = tuple[int, int, int, int]
"""x, y, width, height."""

Pose = npt.NDArray[np.float64]
"""Affine matrix from the drawing to a frame, shape [2, 3]."""

PIVOT_Y = FRAME_SIZE_PX + 30
"""The body turns about a point just below the picture."""

SWAY_RAD = ((0.0042, 0.11), (0.0024, 0.043))
"""Amplitude and frequency (Hz) of the turning: at the head, 310 px above, at most 2 px."""

BREATH = ((0.0030, 0.23), (0.0010, 0.071))
"""Amplitude and frequency (Hz) of the growing: at the head at most 1.3 px."""

BLINK_SLOT = 87
"""Frames; each slot holds one blink."""

BLINK_SPREAD = 37
"""Frames; a blink begins this much later at most, so two are 51 to 123 frames (2 to 5 s) apart."""

BLINK = ("half", "closed", "closed", "half")
"""One blink, frame by frame."""

MOUTH_BOX: Box = (172, 268, 168, 126)
"""Holds lips, chin and jaw in every pose."""

_MARGIN = 8
"""Pixels of the drawing around the box that a pose may bring into it."""

CHIN_Y = 354
"""Height of the lowest point of a chin, in the drawing."""

JAW_DROP_PX = 7.0
"""How far the chin of a wide open mouth sinks."""

_REGION: Box = (206, 282, 100, 80)
"""What a mouth may cover in the drawing, with its shadow."""

_MIDDLE = (
    to_frame(CENTRE_X, MOUTH_Y)[0] - _REGION[0],
    to_frame(CENTRE_X, MOUTH_Y)[1] - _REGION[1],
)

_CORNER = (MOUTH_BOX[0] - _MARGIN, MOUTH_BOX[1] - _MARGIN)
"""Upper left corner of what may come into the mouth box."""


class Portrait:
    """One person; all arrays are made once and only read afterwards."""

    def __init__(self, name: str) -> None:
        self._look = LOOKS[name]
        self._seed = name
        drawing = figure(name)
        self._background = _background(drawing)
        bare = _raster(drawing, "#background{display:none}")
        self._bare = _chin(bare).copy()
        paint(_mouth_region(bare), _MIDDLE, self._look, REST, SCALE)
        self._figures = {
            "open": bare,
            "half": _with_lids(bare, name, "half"),
            "closed": _with_lids(bare, name, "closed"),
        }
        self._phase = zlib.crc32(name.encode()) % 628 / 100

    @property
    def mouth_box(self) -> Box:
        """Where the patches of this face lie, the same in every frame."""
        return MOUTH_BOX

    def frame(self, index: int) -> Pixels:
        """Frame `index` of the endless idle cycle, mouth closed; read-only."""
        whole = (0, 0, FRAME_SIZE_PX, FRAME_SIZE_PX)
        frame = self._posed(self._figures[self.eyes(index)], (0, 0), whole, index)
        frame.flags.writeable = False
        return frame

    def mouth(self, index: int, mouth: Mouth) -> Pixels:
        """The mouth box of frame `index` with the mouth held like this."""
        if mouth == REST:
            region = _chin(self._figures["open"])
        else:
            region = _lowered(self._bare, mouth.jaw)
            paint(_mouth_region(region, _CORNER), _MIDDLE, self._look, mouth, SCALE)
        return self._posed(region, _CORNER, MOUTH_BOX, index)

    def eyes(self, index: int) -> str:
        """`open`, `half` or `closed`."""
        slot = index // BLINK_SLOT
        begin = zlib.crc32(f"{self._seed} {slot}".encode()) % BLINK_SPREAD
        step = index - slot * BLINK_SLOT - begin
        return BLINK[step] if 0 <= step < len(BLINK) else "open"

    def pose(self, index: int) -> Pose:
        """Where frame `index` has the drawing."""
        seconds = index / FPS
        angle = _wave(SWAY_RAD, seconds, self._phase)
        growth = 1 + _wave(BREATH, seconds, 2 * self._phase)
        sin, cos = math.sin(angle), math.cos(angle)
        linear = np.array([[cos, -sin * growth], [sin, cos * growth]])
        pivot = np.array([CENTRE_X, PIVOT_Y], np.float64)
        return np.hstack([linear, (pivot - linear @ pivot)[:, None]])

    def _posed(self, figure: Pixels, origin: tuple[int, int], box: Box, index: int) -> Pixels:
        """The box of frame `index`: the figure, whose corner is `origin`, on the background."""
        x, y, w, h = box
        matrix = self.pose(index)
        matrix[:, 2] += matrix[:, :2] @ np.array(origin) - (x, y)
        warped = cv2.warpAffine(
            figure, matrix, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return _over(np.asarray(warped, np.uint8), self._background[y : y + h, x : x + w])


@cache
def portrait(name: str) -> Portrait:
    """The drawn person of that name, made at the first call."""
    if name not in LOOKS:
        raise UnknownAvatar(f"No drawn face is called {name!r}; there are {', '.join(FACES)}.")
    return Portrait(name)


def _wave(parts: tuple[tuple[float, float], ...], seconds: float, phase: float) -> float:
    return sum(a * math.sin(math.tau * hz * seconds + phase) for a, hz in parts)


def _raster(svg: str, style: str = "", size: int = FRAME_SIZE_PX) -> Pixels:
    """BGRA with colours multiplied by alpha, which is how pixels may be averaged."""
    png = resvg_py.svg_to_bytes(
        svg_string=svg, style_sheet=style, width=size, height=size, skip_system_fonts=True
    )
    straight = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if straight is None or straight.shape[2] != 4:
        raise RuntimeError("resvg gave no picture with transparency.")
    alpha = straight[..., 3:].astype(np.uint16)
    straight[..., :3] = (straight[..., :3] * alpha + 127) // 255
    return np.asarray(straight, np.uint8)


def _background(drawing: str) -> Pixels:
    """The wall is all blur: half the size is a quarter of the time and looks the same."""
    small = _raster(drawing, "#figure{display:none}", FRAME_SIZE_PX // 2)
    size = (FRAME_SIZE_PX, FRAME_SIZE_PX)
    return np.asarray(cv2.resize(small[..., :3], size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _with_lids(figure: Pixels, name: str, shut: Shut) -> Pixels:
    """The figure with its eyes as far shut."""
    over = _raster(lids(name, shut))
    clear = cv2.cvtColor(255 - over[..., 3], cv2.COLOR_GRAY2BGRA)
    clear[..., 3] = 255 - over[..., 3]
    return np.asarray(cv2.add(cv2.multiply(figure, clear, scale=1 / 255), over), np.uint8)


def _over(figure: Pixels, background: Pixels) -> Pixels:
    """Premultiplied BGRA on BGR."""
    clear = cv2.cvtColor(255 - figure[..., 3], cv2.COLOR_GRAY2BGR)
    behind = cv2.multiply(background, clear, scale=1 / 255)
    return np.asarray(cv2.add(cv2.cvtColor(figure, cv2.COLOR_BGRA2BGR), behind), np.uint8)


def _chin(figure: Pixels) -> Pixels:
    """A view of what may come into the mouth box."""
    x, y, w, h = MOUTH_BOX
    return figure[_CORNER[1] : y + h + _MARGIN, _CORNER[0] : x + w + _MARGIN]


def _mouth_region(figure: Pixels, corner: tuple[int, int] = (0, 0)) -> Pixels:
    """A view of the figure, whose upper left corner is at `corner` of the drawing."""
    x, y, w, h = _REGION
    left, top = x - corner[0], y - corner[1]
    return figure[top : top + h, left : left + w]


@cache
def _jaw_maps(height: int, width: int) -> tuple[npt.NDArray[np.float32], ...]:
    """Where each pixel comes from at rest, and how far above for a wide open mouth."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    top = _CORNER[1]
    mouth_y = _REGION[1] - top + _MIDDLE[1]
    chin_y = to_frame(CENTRE_X, CHIN_Y)[1] - top
    # Nothing moves within a margin of the box's rim, wherever the pose has it: no seam.
    rim = 2 * _MARGIN
    across = np.clip(1 - np.abs(x - width / 2) / (width / 2 - rim), 0, 1)
    down = np.clip((y - mouth_y + 8) / (chin_y - 12 - mouth_y), 0, 1)
    up = np.clip((height - rim - y) / (height - rim - chin_y), 0, 1)
    weight = _smooth(across) * _smooth(down) * _smooth(up)
    return x, y, (JAW_DROP_PX * weight).astype(np.float32)


def _lowered(region: Pixels, jaw: float) -> Pixels:
    """The lower face with its chin sunk."""
    x, y, drop = _jaw_maps(*region.shape[:2])
    moved = cv2.remap(region, x, y - jaw * drop, cv2.INTER_LINEAR)
    return np.asarray(moved, np.uint8)


def _smooth(ramp: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return ramp * ramp * (3 - 2 * ramp)
