"""What is behind the text of a slide, and where its shapes are: enough to tell what nobody sees."""

from dataclasses import dataclass

from engines.knowledge.documents.archive import Archive, Element, children, tag
from engines.knowledge.documents.colours import WHITE, Colour, from_hex

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"

_ROLES = {"bg1": "lt1", "tx1": "dk1", "bg2": "lt2", "tx2": "dk2"}
"""Which colours of the theme a slide's roles usually are; the master may change them."""

_FILLS = ("noFill", "solidFill", "gradFill", "blipFill", "pattFill", "grpFill")


@dataclass(frozen=True, slots=True)
class Box:
    """Of a shape, in the file's units, 12,700 a point."""

    left: int
    top: int
    width: int
    height: int

    def touches(self, other: "Box") -> bool:
        return (
            self.left < other.left + other.width
            and other.left < self.left + self.width
            and self.top < other.top + other.height
            and other.top < self.top + self.height
        )


@dataclass(frozen=True, slots=True)
class Backdrop:
    """Something drawn behind later text."""

    box: Box | None
    """None: where it is not known, and it may be anywhere."""
    colour: Colour | None
    """None: a picture or a gradient."""


class Theme:
    """The colours that a slide's roles stand for."""

    def __init__(self, theme: Element | None, master: Element | None) -> None:
        self._colours: dict[str, Colour] = {}
        scheme = None if theme is None else theme.find(f".//{A}clrScheme")
        for role in () if scheme is None else children(scheme):
            for code in children(role):
                found = from_hex(code.get("lastClr") or code.get("val"))
                if found:
                    self._colours[tag(role).removeprefix(A)] = found
        mapped = None if master is None else master.find(f"{P}clrMap")
        self._roles = {**_ROLES, **({} if mapped is None else dict(mapped.attrib.items()))}

    def colour(self, fill: Element | None) -> Colour | None:
        """Of an `a:solidFill` or anything that holds one colour; None: not known."""
        for code in () if fill is None else children(fill):
            if len(code):
                return None  # lighter or darker than it says
            if tag(code) == f"{A}srgbClr":
                return from_hex(code.get("val"))
            if tag(code) == f"{A}schemeClr":
                role = str(self._roles.get(code.get("val", ""), code.get("val", "")))
                return self._colours.get(role)
        return None


def fill_of(properties: Element | None) -> Element | None:
    """The first fill among the properties of a shape, a run or a background."""
    if properties is None:
        return None
    return next((child for child in children(properties) if _local(child) in _FILLS), None)


def background(slide: Element, theme: Theme) -> Backdrop | None:
    """None when this slide, layout or master leaves it to what it rests upon."""
    around = slide.find(f"{P}cSld/{P}bg")
    if around is None:
        return None
    reference = around.find(f"{P}bgRef")
    if reference is not None:
        return Backdrop(None, theme.colour(reference))
    fill = fill_of(around.find(f"{P}bgPr"))
    if fill is None or _local(fill) == "noFill":
        return Backdrop(None, WHITE)
    return Backdrop(None, theme.colour(fill) if _local(fill) == "solidFill" else None)


def box_of(shape: Element) -> Box | None:
    place = shape.find(f".//{A}xfrm")
    if place is None:
        place = shape.find(f"{P}xfrm")
    if place is None:
        return None
    offset, size = place.find(f"{A}off"), place.find(f"{A}ext")
    if offset is None or size is None:
        return None
    numbers = [offset.get("x"), offset.get("y"), size.get("cx"), size.get("cy")]
    try:
        return Box(*(int(number or "") for number in numbers))
    except ValueError:
        return None


def theme_of(archive: Archive, master: str) -> Theme:
    themes = archive.related(master, "theme")
    return Theme(archive.xml(themes[0]) if themes else None, archive.xml(master))


def _local(element: Element) -> str:
    return tag(element).rpartition("}")[2]
