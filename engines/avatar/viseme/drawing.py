"""A person's SVG: the face's own file around the head that all faces share."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from string import Template
from typing import Literal

from engines.avatar.viseme.looks import LOOKS, Look
from engines.base import FRAME_SIZE_PX

CENTRE_X = 256
"""The axis of every face, in the drawing and in the frame."""

MOUTH_Y = 305
"""Height of the line between the lips, in the drawing."""

VIEW = (30, 36, 452)
"""Left, top and size of the square of the drawing that a frame shows."""

Shut = Literal["half", "closed"]
"""How far an eyelid is down."""

LID_EDGES: dict[Shut, tuple[str, str]] = {
    "half": ("C-14-4 8-4 20 4", "C8-4-14-4-24 1Z"),
    "closed": ("C-13 10 9 11 20 5", "C9 11-13 10-24 1Z"),
}
"""SVG of a lid's lower edge, from its outer to its inner corner and back."""

SCALE = FRAME_SIZE_PX / VIEW[2]
"""Pixels of the frame for one unit of the drawing."""


def to_frame(x: float, y: float) -> tuple[float, float]:
    """From the drawing to the frame."""
    return (x - VIEW[0]) * SCALE, (y - VIEW[1]) * SCALE


def figure(name: str) -> str:
    """The SVG of one person in front of the wall, eyes open, without a mouth."""
    values = _values(LOOKS[name])
    values["eye"] = Template(_text("eye.svg")).substitute(values)
    head = Template(_text("head.svg")).substitute(values)
    # Clothes lie over the throat and under the chin, so the head comes in two pieces.
    cut = head.index('<g id="ears">')
    return Template(_text(f"{name}.svg")).substitute(throat=head[:cut], head=head[cut:])


def lids(name: str, shut: Shut) -> str:
    """The SVG of nothing but two eyelids."""
    values = _values(LOOKS[name])
    edge, back = LID_EDGES[shut]
    values["lid"] = Template(_text("lid.svg")).substitute(values, edge=edge, edge_back=back)
    return Template(_text("lids.svg")).substitute(values)


def _text(name: str) -> str:
    return (files("engines.avatar.viseme") / "faces" / name).read_text("utf-8")


def _values(look: Look) -> dict[str, str]:
    return {key: str(value) for key, value in asdict(look).items()} | _shapes(look)


def _shapes(look: Look) -> dict[str, str]:
    return {
        "face": _face(look),
        "neck": _neck(look),
        "neck_side": str(CENTRE_X + look.neck_px - 18),
        "nostril": _nostrils(look),
        "eye_left": str(CENTRE_X - look.eye_px),
        "eye_right": str(CENTRE_X + look.eye_px),
        "glint_left": str(CENTRE_X - look.eye_px - 4),
        "glint_right": str(CENTRE_X + look.eye_px - 3),
        "lash_up": str(look.eye_up + look.lash_px),
        "wing_x": str(-21.5 - 1.3 * look.lash_px),
        "wing_y": str(-look.lash_px),
        "lash_in": str(look.eye_up - 3),
    }


def _face(look: Look) -> str:
    """Skull, cheek, jaw, chin: one half as Bezier points, the other its mirror image."""
    w, j, c, y = look.cheek_px, look.jaw_px, look.chin_px, look.chin_y
    half = [
        (0, 92), (0.62 * w, 92), (w, 138), (w, 205),
        (w, 246), (j + 11, 272), (j, y - 48),
        (j - 12, y - 20), (c + 12, y), (0, y),
    ]  # fmt: skip
    left = [(CENTRE_X - dx, dy) for dx, dy in half]
    right = [(CENTRE_X + dx, dy) for dx, dy in reversed(half)]
    return f"M{_points(left[:1])}C{_points(left[1:])}C{_points(right[1:])}Z"


def _neck(look: Look) -> str:
    n = look.neck_px
    half = [
        (n, 310), (n, 350), (n - 1, 376), (n + 4, 392),
        (n + 10, 410), (n + 40, 420), (n + 62, 436),
    ]  # fmt: skip
    left = [(CENTRE_X - dx, dy) for dx, dy in half]
    right = [(CENTRE_X + dx, dy) for dx, dy in reversed(half)]
    return (
        f"M{_points(left[:1])}C{_points(left[1:])}L256 480L{_points(right[:1])}"
        f"C{_points(right[1:])}Z"
    )


def _nostrils(look: Look) -> str:
    n = look.nose_px
    return (
        f"{CENTRE_X - n + 1} 261C{CENTRE_X - n - 3} 267 {CENTRE_X - n} 274 {CENTRE_X - n + 6} 272"
        f"M{CENTRE_X + n - 1} 261C{CENTRE_X + n + 3} 267 {CENTRE_X + n} 274 {CENTRE_X + n - 6} 272"
    )


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f} {y:.1f}" for x, y in points)
