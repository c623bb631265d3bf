"""Whether text can be told from what is behind it. Pure."""

import re

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)

LEAST_CONTRAST = 1.2
"""Of light to light as WCAG 2 reckons it, 1 to 21; #e8e8e8 on white. Nobody reads below that."""

SMALLEST_PT = 2.0
"""Letters below this size are no more than dots."""

_HEX = re.compile(r"#?([0-9A-Fa-f]{6})\b")


def readable(text: Colour, behind: Colour) -> bool:
    lighter, darker = sorted((_light(text), _light(behind)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05) >= LEAST_CONTRAST


def from_hex(code: str | None) -> Colour | None:
    """`FFFFFF` or `#ffffff`; None for anything else, such as `auto`."""
    found = _HEX.fullmatch(code or "")
    if found is None:
        return None
    red, green, blue = bytes.fromhex(found[1])
    return red, green, blue


def _light(colour: Colour) -> float:
    red, green, blue = (_linear(channel / 255) for channel in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.03928 else float(((channel + 0.055) / 1.055) ** 2.4)
