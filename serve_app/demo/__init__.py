"""A page to meet the tutor on, at `/demo`: plain HTML and ES modules, served as they lie here.

The page shows the live face when there is a WebRTC connection. Without one it moves a portrait of
its own, so the drawn people are served as SVG too: `anna.svg` is the portrait, `anna-motion.svg`
what moves on it.
"""

import re
from functools import cache
from importlib.resources import files

import numpy as np
from fastapi import APIRouter, HTTPException, Response

from engines.avatar.viseme.drawing import CENTRE_X, MOUTH_Y, SCALE, figure, lids
from engines.avatar.viseme.looks import LOOKS, Look
from engines.avatar.viseme.masks import Curve
from engines.avatar.viseme.mouth import INSIDE, TEETH, Outline, outline
from engines.avatar.viseme.visemes import REST

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml; charset=utf-8",
}

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self' ws: wss:; media-src 'self' blob:; "
        "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

OPENINGS = (0.0, 0.12, 0.25, 0.4, 0.6, 0.8)
"""How far the jaw is down in each mouth of a portrait."""

SMILE = 0.15

demo = APIRouter(include_in_schema=False)


@demo.get("/demo")
def page() -> Response:
    return _answer("index.html")


@demo.get("/demo/{file}")
def page_file(file: str) -> Response:
    return _answer(file)


def _answer(file: str) -> Response:
    texts = _texts()
    if file not in texts:
        raise HTTPException(404, "The page has no such file.")
    kind = TYPES[file.rpartition(".")[2]]
    return Response(texts[file], media_type=kind, headers=HEADERS)


@cache
def _texts() -> dict[str, str]:
    """All that is served, by name: nothing outside of it can be asked for."""
    texts = {
        item.name: item.read_text("utf-8")
        for item in files(__name__).iterdir()
        if item.name.rpartition(".")[2] in TYPES
    }
    for name, look in LOOKS.items():
        texts[f"{name}.svg"] = figure(name).replace("</svg>", f"{_mouth(look, 0.0)}</svg>")
        texts[f"{name}-motion.svg"] = _motion(name, look)
    return texts


def _motion(name: str, look: Look) -> str:
    """Closed eyes, and mouths from shut to wide open; the page shows one at a time."""
    closed = lids(name, "closed")
    mouths = "".join(_mouth(look, jaw) for jaw in OPENINGS)
    eyes = re.sub(r"</?svg[^>]*>", "", closed)
    head = closed[: closed.index(">") + 1]
    return f'{head}<g id="lids">{eyes}</g><g id="mouths">{mouths}</g></svg>'


def _mouth(look: Look, jaw: float) -> str:
    shape = outline(look, REST._replace(jaw=jaw, wide=SMILE), 1.0)
    parts = [
        (look.lip_lower, _between(shape.upper_outer, shape.lower_outer)),
        (look.lip_upper, _between(shape.upper_outer, shape.upper_inner)),
    ]
    if shape.gap_px > 0:
        parts.append((INSIDE, _between(shape.upper_inner, shape.lower_inner)))
        parts.append((TEETH, _teeth(shape)))
    shapes = "".join(f'<path d="{d}" fill="{colour}"/>' for colour, d in parts)
    shine = f'<path d="{_line(shape.upper_inner)}" fill="none" stroke="{look.lip_line}"/>'
    return f'<g transform="translate({CENTRE_X},{MOUTH_Y})">{shapes}{shine}</g>'


def _teeth(shape: Outline) -> str:
    upper = shape.upper_inner * np.array([0.84, 1.0])
    edge = upper + np.array([0.0, min(0.4 * shape.gap_px, 6.0 / SCALE)])
    return _between(upper, edge)


def _between(upper: Curve, lower: Curve) -> str:
    return _line(np.concatenate([upper[::2], lower[::-2]])) + "Z"


def _line(points: Curve) -> str:
    return "M" + " ".join(f"{x:.1f} {y:.1f}" for x, y in points)
