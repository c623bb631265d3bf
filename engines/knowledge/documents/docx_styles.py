"""Word's styles, as far as they make headings and hide text."""

from collections.abc import Iterator
from dataclasses import dataclass

from engines.knowledge.documents.archive import Element
from engines.knowledge.documents.colours import (
    SMALLEST_PT,
    WHITE,
    Colour,
    from_hex,
    readable,
)

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"

MOST_BASES = 20
"""Styles that one style rests upon; a ring of them has no end."""

_OUTLINE_LEVELS = 9
"""A paragraph of the level behind them is no heading."""

_HIGHLIGHTS: dict[str, Colour] = {
    "white": WHITE,
    "black": (0, 0, 0),
    "yellow": (255, 255, 0),
    "lightGray": (192, 192, 192),
    "darkGray": (128, 128, 128),
}


def value(element: Element | None, name: str) -> str | None:
    """`w:val` of a property; empty where the property stands without one."""
    found = None if element is None else element.find(f"{W}{name}")
    return None if found is None else found.get(f"{W}val", "")


def is_on(setting: str | None) -> bool:
    return setting is not None and setting not in ("0", "false", "off", "none")


@dataclass(frozen=True, slots=True)
class Ground:
    """What is behind the text of a place."""

    colour: Colour | None = WHITE
    """None: not known."""

    def shaded(self, properties: Element | None) -> "Ground":
        """With the shading that is among these properties, if any."""
        shading = None if properties is None else properties.find(f"{W}shd")
        code = None if shading is None else shading.get(f"{W}fill")
        if code in (None, "auto", ""):
            return self
        return Ground(from_hex(code))


class Styles:
    """Of `word/styles.xml`; empty when the document has none."""

    def __init__(self, root: Element | None) -> None:
        self._styles: dict[str, Element] = {}
        self._default: Element | None = None
        self._usual: str | None = None
        if root is None:
            return
        self._default = root.find(f"{W}docDefaults/{W}rPrDefault/{W}rPr")
        for style in root.iter(f"{W}style"):
            name = style.get(f"{W}styleId", "")
            self._styles[name] = style
            if style.get(f"{W}type") == "paragraph" and is_on(style.get(f"{W}default")):
                self._usual = name

    def level(self, paragraph: Element | None) -> int | None:
        """Of a heading, from its properties: 1 the outermost, 0 the title of the whole; None: it is
        none."""
        own = value(paragraph, "outlineLvl")
        chain = list(self._chain(value(paragraph, "pStyle") or self._usual))
        outlines = [own, *(value(style.find(f"{W}pPr"), "outlineLvl") for style in chain)]
        for outline in outlines:
            if outline is not None:
                level = int(outline) if outline.isdecimal() else _OUTLINE_LEVELS
                return level + 1 if level < _OUTLINE_LEVELS else None
        return next(filter(lambda level: level is not None, map(_named_level, chain)), None)

    def is_shaded(self, table: Element | None) -> bool:
        """Whether a table's style colours cells; which ones depends on far too much."""
        return any(
            True
            for style in self._chain(value(table, "tblStyle"))
            for shading in style.iter(f"{W}shd")
            if shading.get(f"{W}fill") not in (None, "auto", "FFFFFF")
        )

    def why_unseen(self, run: Element | None, paragraph: Element | None, ground: Ground) -> str:
        """Of text with these properties; empty: it is seen."""
        layers = list(self._layers(run, paragraph))
        if is_on(_first(layers, "vanish")) or is_on(_first(layers, "specVanish")):
            return "set to be hidden"
        size = _first(layers, "sz") or ""
        if size.isdecimal() and int(size) < 2 * SMALLEST_PT:
            return "letters too small to see"
        colour = from_hex(_first(layers, "color"))
        behind = _behind(layers, ground.shaded(paragraph))
        if colour and behind and not readable(colour, behind):
            return "in the colour of what is behind"
        return ""

    def _layers(self, run: Element | None, paragraph: Element | None) -> Iterator[Element]:
        """Properties of text, those that go before others first."""
        if run is not None:
            yield run
        for name in (value(run, "rStyle"), value(paragraph, "pStyle") or self._usual):
            for style in self._chain(name):
                if (properties := style.find(f"{W}rPr")) is not None:
                    yield properties
        if self._default is not None:
            yield self._default

    def _chain(self, name: str | None) -> Iterator[Element]:
        """A style, and those that it rests upon."""
        for _ in range(MOST_BASES):
            style = self._styles.get(name or "")
            if style is None:
                return
            yield style
            name = value(style, "basedOn")


def _named_level(style: Element) -> int | None:
    """A style's name stays English in every language of Word."""
    name = (value(style, "name") or "").lower()
    if name == "title":
        return 0
    level = name.removeprefix("heading ")
    return int(level) if level != name and level.isdecimal() else None


def _first(layers: list[Element], name: str) -> str | None:
    found = (value(layer, name) for layer in layers)
    return next((setting for setting in found if setting is not None), None)


def _behind(layers: list[Element], ground: Ground) -> Colour | None:
    highlight = _first(layers, "highlight")
    if is_on(highlight):
        return _HIGHLIGHTS.get(highlight or "")
    for layer in layers:
        if (shaded := ground.shaded(layer)) is not ground:
            return shaded.colour
    return ground.colour
