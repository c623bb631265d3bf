"""As much of CSS as it takes to know what a page does not show. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from engines.knowledge.documents.colours import (
    BLACK,
    SMALLEST_PT,
    WHITE,
    Colour,
    from_hex,
    readable,
)

WATCHED = frozenset(
    {
        "display",
        "visibility",
        "opacity",
        "color",
        "background",
        "background-color",
        "font-size",
        "font",
        "position",
        "left",
        "top",
        "text-indent",
        "clip",
        "clip-path",
        "width",
        "height",
        "overflow",
    }
)
"""Properties that can make text invisible."""

FAR_PX = 500.0
"""Nobody scrolls to what is moved so far to the left or above the page."""

SMALLEST_PX = SMALLEST_PT * 4 / 3

Style = Mapping[str, str]

_NAMES: dict[str, Colour] = {
    "white": WHITE,
    "black": BLACK,
    "snow": (255, 250, 250),
    "ivory": (255, 255, 240),
    "ghostwhite": (248, 248, 255),
    "whitesmoke": (245, 245, 245),
    "red": (255, 0, 0),
    "green": (0, 128, 0),
    "blue": (0, 0, 255),
    "navy": (0, 0, 128),
    "gray": (128, 128, 128),
    "grey": (128, 128, 128),
    "silver": (192, 192, 192),
    "yellow": (255, 255, 0),
    "orange": (255, 165, 0),
}
_RGB = re.compile(
    r"rgba?\(\s*(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})\s*(?:[,/]\s*([\d.]+%?)\s*)?\)"
)
_LENGTH = re.compile(r"(-?\d*\.?\d+)\s*(px|pt|em|rem|%|vw|vh|)")
_PX_EACH = {"px": 1.0, "": 1.0, "pt": 4 / 3, "rem": 16.0, "vw": 12.0, "vh": 8.0}
_FONT_SIZE = re.compile(r"(?:^|\s)([\d.]+(?:px|pt|em|rem|%))")
_COMMENT = re.compile(r"/\*.*?\*/", re.S)
_PRINT = re.compile(r"@media[^{]*print[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", re.I)
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Look:
    """How text looks at some place of a page."""

    colour: Colour | None = BLACK
    """None: not known."""
    behind: Colour | None = WHITE
    """None: not known, such as a picture."""
    size_px: float = 16.0
    hidden: str = ""
    """Why it is not seen; empty: it is."""

    def why_unseen(self) -> str:
        """Empty: it is seen."""
        if self.hidden:
            return self.hidden
        if self.size_px < SMALLEST_PX:
            return "letters too small to see"
        if self.colour and self.behind and not readable(self.colour, self.behind):
            return "in the colour of what is behind"
        return ""


def rules(sheet: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Selectors and what they set of the watched properties."""
    sheet = _PRINT.sub("", _COMMENT.sub("", sheet))
    for selector, body in _RULE.findall(sheet):
        if set_ := declared(body):
            yield selector.rpartition(";")[2].strip(), set_


def declared(body: str) -> dict[str, str]:
    """`display: none; margin: 0` → {"display": "none"}."""
    found = {}
    for declaration in body.split(";"):
        name, _, value = declaration.partition(":")
        if (name := name.strip().lower()) in WATCHED:
            found[name] = value.replace("!important", "").strip().lower()
    return found


def look(parent: Look, style: Style) -> Look:
    """Of an element within another."""
    size_px = _size_px(style, parent.size_px)
    here = replace(parent, size_px=size_px, behind=_behind(style, parent.behind))
    if (code := style.get("color")) is not None:
        here = replace(here, colour=colour_of(code, parent.colour, here.behind))
    return replace(here, hidden=parent.hidden or _hidden(style, size_px))


def colour_of(code: str, inherited: Colour | None, behind: Colour | None) -> Colour | None:
    """None for what is not known here."""
    code = code.strip()
    if code in ("inherit", "currentcolor", "unset"):
        return inherited
    if code == "transparent":
        return behind
    if found := _RGB.fullmatch(code):
        if found[4] is not None and _length_px(found[4].rstrip("%"), 1) < 0.05:
            return behind
        red, green, blue = (min(int(found[channel]), 255) for channel in (1, 2, 3))
        return red, green, blue
    if re.fullmatch("#[0-9a-f]{3}", code):
        code = "#" + "".join(2 * digit for digit in code[1:])
    return _NAMES.get(code) or from_hex(code)


def _behind(style: Style, inherited: Colour | None) -> Colour | None:
    behind = inherited
    for name in ("background", "background-color"):
        value = style.get(name, "")
        if "url(" in value or "gradient" in value:
            return None
        if value and value not in ("none", "inherit", "initial", "unset", "transparent"):
            rgb = _RGB.search(value)
            behind = colour_of(rgb[0] if rgb else value.split()[0], None, behind)
    return behind


def _size_px(style: Style, parent_px: float) -> float:
    size = style.get("font-size", "")
    if not size and (found := _FONT_SIZE.search(style.get("font", ""))):
        size = found[1]
    return _length_px(size, parent_px, parent_px)


def _length_px(value: str, em_px: float, otherwise: float = 0.0) -> float:
    found = _LENGTH.fullmatch(value.strip())
    if found is None:
        return otherwise
    number, unit = float(found[1]), found[2]
    if unit == "em":
        return number * em_px
    return number * em_px / 100 if unit == "%" else number * _PX_EACH[unit]


def _hidden(style: Style, size_px: float) -> str:
    if style.get("display") == "none" or style.get("visibility") in ("hidden", "collapse"):
        return "set to be hidden"
    if _length_px(style.get("opacity", "1"), 1, 1) < 0.05:
        return "transparent"
    if _is_moved_away(style, size_px) or _is_clipped(style, size_px):
        return "outside of what is shown"
    return ""


def _is_moved_away(style: Style, size_px: float) -> bool:
    moved = ["text-indent"]
    if style.get("position") in ("absolute", "fixed", "relative"):
        moved += ["left", "top"]
    return any(_length_px(style.get(name, "0"), size_px) < -FAR_PX for name in moved)


def _is_clipped(style: Style, size_px: float) -> bool:
    if re.match(r"rect\(\s*[01](px)?[\s,]+[01](px)?[\s,]+[01]", style.get("clip", "")):
        return True
    if re.match(r"inset\(\s*(50|100)%", style.get("clip-path", "")):
        return True
    sides = [_length_px(style.get(side, "auto"), size_px, 100) for side in ("width", "height")]
    return style.get("overflow") in ("hidden", "clip") and min(sides) <= 1
