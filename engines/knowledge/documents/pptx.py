"""Presentations: each slide is a page, its title the heading; then what the speaker notes say.
Hidden slides are left out, and told."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engines.errors import DocumentTooLarge, UnusableDocument
from engines.knowledge.base import Extracted
from engines.knowledge.documents.archive import Archive, Element, children, opened, tag
from engines.knowledge.documents.colours import SMALLEST_PT, WHITE, Colour, readable
from engines.knowledge.documents.draft import Draft, on_pages
from engines.knowledge.documents.formulas import M, latex
from engines.knowledge.documents.limits import LIMIT_PAGES
from engines.knowledge.documents.pptx_look import (
    A,
    Backdrop,
    Box,
    P,
    Theme,
    background,
    box_of,
    fill_of,
    theme_of,
)
from engines.knowledge.documents.tables import table_lines

MAIN = "ppt/presentation.xml"

RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
_DIAGRAM_DATA = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}dm"
_ALTERNATIVES = "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent"
_CHOICE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Choice"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"

_TITLES = ("title", "ctrTitle")
_FURNITURE = ("dt", "ftr", "sldNum", "hdr", "sldImg")
"""Date, footer and number that each slide repeats."""


def read(file: Path, draft: Draft) -> Extracted:
    with opened(file) as archive:
        deck = _Deck(archive, draft)
        hidden = [n for n, name in enumerate(deck.slides, 1) if not deck.read_slide(n, name)]
    if hidden:
        where = on_pages(hidden).replace("page", "slide")
        draft.note(f"What stands{where} was left out: a show skips it.")
    return draft.finish(len(deck.slides))


@dataclass(frozen=True, slots=True)
class _Setting:
    """What a slide takes from its layout and master."""

    theme: Theme
    behind: list[Backdrop]
    places: dict[tuple[str, str], Box]
    """Of placeholders by type and number; those of a slide mostly do not say where they are."""


class _Deck:
    """A presentation whose slides are read in order."""

    def __init__(self, archive: Archive, draft: Draft) -> None:
        self._archive = archive
        self._draft = draft
        self._settings: dict[str, _Setting] = {}
        root = archive.xml(MAIN)
        if root is None:
            raise UnusableDocument("The presentation has no slides; please save it again.")
        self._area = _area(root)
        targets = archive.relations(MAIN)
        ids = [slide.get(RELATION, "") for slide in root.iter(f"{P}sldId")]
        self.slides = [targets[identity][1] for identity in ids if identity in targets]
        if len(self.slides) > LIMIT_PAGES:
            raise DocumentTooLarge(
                f"The presentation has {len(self.slides)} slides, of which {LIMIT_PAGES} are read;"
                " please divide it into several files."
            )

    def read_slide(self, number: int, name: str) -> bool:
        """False for one that is hidden."""
        root = self._archive.xml(name)
        if root is None:
            return True
        if root.get("show") in ("0", "false"):
            return False
        setting = self._setting(name)
        slide = _Slide(self._draft, number, setting, self._area)
        slide.read(root, background(root, setting.theme))
        for frame, text in self._diagrams(root, name):
            slide.say(text, frame)
        self._read_notes(name, number)
        return True

    def _setting(self, slide: str) -> _Setting:
        layout = next(iter(self._archive.related(slide, "slideLayout")), "")
        if layout not in self._settings:
            master = next(iter(self._archive.related(layout, "slideMaster")), "")
            theme = theme_of(self._archive, master) if master else Theme(None, None)
            roots = [self._archive.xml(part) for part in (master, layout) if part]
            parts = [part for part in roots if part is not None]
            behind = [Backdrop(None, WHITE)]
            for part in parts:
                behind += filter(None, [background(part, theme)])
                behind += _drawn(part, theme)
            places = {key: box for part in parts for key, box in _places(part)}
            self._settings[layout] = _Setting(theme, behind, places)
        return self._settings[layout]

    def _diagrams(self, root: Element, name: str) -> Iterator[tuple[Element, str]]:
        """SmartArt, whose words stand in a part of their own."""
        for frame in root.iter(f"{P}graphicFrame"):
            for reference in frame.iter(_DIAGRAM):
                target = self._archive.relations(name).get(reference.get(_DIAGRAM_DATA, ""))
                data = self._archive.xml(target[1]) if target else None
                if data is not None:
                    yield frame, "\n".join(_paragraph_texts(data))

    def _read_notes(self, slide: str, number: int) -> None:
        for name in self._archive.related(slide, "notesSlide"):
            root = self._archive.xml(name)
            for shape in () if root is None else root.iter(f"{P}sp"):
                if _placeholder(shape)[0] == "body":
                    self._draft.add("\n".join(_paragraph_texts(shape)), number)


class _Slide:
    """One slide that is shown."""

    def __init__(self, draft: Draft, number: int, setting: _Setting, area: Box | None) -> None:
        self._draft = draft
        self._number = number
        self._setting = setting
        self._area = area
        self._behind = list(setting.behind)

    def read(self, root: Element, ground: Backdrop | None) -> None:
        if ground is not None:
            self._behind = [ground, *_drawn_only(self._behind)]
        self._draft.no_heading()
        titles = [shape for shape in root.iter(f"{P}sp") if _placeholder(shape)[0] in _TITLES]
        for title in titles[:1]:
            if not self._why_hidden(title):
                self._draft.heading(1, " ".join(self._lines(title)), self._number)
        tree = root.find(f"{P}cSld/{P}spTree")
        if tree is not None:
            self._shapes(tree, titles[:1], grouped=False)

    def say(self, text: str, shape: Element) -> None:
        """The text of a shape, if the shape is seen."""
        if why := self._why_hidden(shape):
            self._draft.hidden(why, text, self._number)
        else:
            self._draft.add(text, self._number)

    def _shapes(self, parent: Element, read: list[Element], *, grouped: bool) -> None:
        for shape in children(parent):
            name = tag(shape).removeprefix(P)
            if name == "grpSp":
                self._group(shape, read)
            elif name == "graphicFrame":
                self._table(shape)
            elif tag(shape) == _ALTERNATIVES:
                for choice in shape.findall(_CHOICE)[:1]:
                    self._shapes(choice, read, grouped=grouped)
            elif name in ("sp", "pic"):
                if name == "sp" and shape not in read:
                    self._text_shape(shape)
                self._behind += _backdrop(shape, self._setting.theme, grouped=grouped)

    def _group(self, group: Element, read: list[Element]) -> None:
        if why := self._why_hidden(group):
            text = "".join(part.text or "" for part in group.iter(f"{A}t"))
            self._draft.hidden(why, text, self._number)
        else:
            self._shapes(group, read, grouped=True)

    def _text_shape(self, shape: Element) -> None:
        if _placeholder(shape)[0] in _FURNITURE:
            return
        lines = self._lines(shape)
        words = "".join(text.text or "" for text in shape.iter(f"{A}t")).strip()
        formulas = sum(1 for _ in shape.iter(f"{M}oMath"))
        if not words and formulas == 1 and len(lines) == 1 and not self._why_hidden(shape):
            self._draft.add(f"${lines[0]}$", self._number, "formula")
        else:
            self.say("\n".join(lines), shape)

    def _lines(self, shape: Element) -> list[str]:
        behind = self._ground(shape)
        return [self._line(paragraph, behind) for paragraph in shape.iter(f"{A}p")]

    def _line(self, parent: Element, behind: Colour | None) -> str:
        pieces = []
        for element in children(parent):
            if tag(element) in (f"{A}r", f"{A}fld"):
                text = element.findtext(f"{A}t") or ""
                if why := self._why_unseen(element.find(f"{A}rPr"), behind):
                    self._draft.hidden(why, text, self._number)
                else:
                    pieces.append(text)
            elif tag(element) == f"{A}br":
                pieces.append("\n")
            elif tag(element) == f"{M}oMath":
                pieces.append(f"${latex(element)}$")
            elif tag(element) != _FALLBACK:
                pieces.append(self._line(element, behind))
        return "".join(pieces)

    def _table(self, frame: Element) -> None:
        table = frame.find(f".//{A}tbl")
        if table is None:
            return
        above: list[str] = []
        rows = [above := self._row(row, above) for row in table.findall(f"{A}tr")]
        properties = table.find(f"{A}tblPr")
        named = properties is not None and properties.get("firstRow") in ("1", "true")
        text = "\n".join(table_lines(rows, named or None))
        if why := self._why_hidden(frame):
            self._draft.hidden(why, text, self._number)
        else:
            self._draft.add(text, self._number, "table")

    def _row(self, row: Element, above: list[str]) -> list[str]:
        cells: list[str] = []
        for cell in row.findall(f"{A}tc"):
            fill = fill_of(cell.find(f"{A}tcPr"))
            # Without a colour of its own the cell has that of the table's style.
            behind = self._setting.theme.colour(fill)
            text = " ".join(self._line(part, behind) for part in cell.iter(f"{A}p"))
            if cell.get("vMerge") in ("1", "true") and len(cells) < len(above):
                text = above[len(cells)]
            cells.append(text)
        return cells

    # What is seen

    def _why_unseen(self, run: Element | None, behind: Colour | None) -> str:
        if run is None:
            return ""
        size = run.get("sz", "")
        if size.isdecimal() and int(size) < 100 * SMALLEST_PT:
            return "letters too small to see"
        fill = fill_of(run)
        if fill is None:
            return ""
        if any(_is_clear(alpha.get("val", "")) for alpha in fill.iter(f"{A}alpha")):
            return "transparent"
        colour = self._setting.theme.colour(fill)
        if colour and behind and not readable(colour, behind):
            return "in the colour of what is behind"
        return ""

    def _why_hidden(self, shape: Element) -> str:
        named = next(shape.iter(f"{P}cNvPr"), None)
        if named is not None and named.get("hidden") in ("1", "true"):
            return "set to be hidden"
        around = shape.getparent()
        if around is not None and tag(around) == f"{P}grpSp":
            return ""  # its place is told in the group's own measure
        box = self._box(shape)
        if box and self._area and not box.touches(self._area):
            return "outside of the slide"
        return ""

    def _box(self, shape: Element) -> Box | None:
        kind, number = _placeholder(shape)
        places = self._setting.places
        return box_of(shape) or places.get((kind, number)) or places.get((kind, ""))

    def _ground(self, shape: Element) -> Colour | None:
        """The colour behind the shape's text; None: not known."""
        own = _backdrop(shape, self._setting.theme, grouped=False)
        if own:
            return own[0].colour
        box = self._box(shape)
        for backdrop in reversed(self._behind):
            if backdrop.box is None or box is None or backdrop.box.touches(box):
                return backdrop.colour
        return WHITE


def _is_clear(alpha: str) -> bool:
    """In thousandths of a percent."""
    return alpha.isdecimal() and int(alpha) < 5_000


def _backdrop(shape: Element, theme: Theme, *, grouped: bool) -> list[Backdrop]:
    """What the shape puts behind later ones: one or none."""
    box = None if grouped else box_of(shape)
    if tag(shape) == f"{P}pic":
        return [Backdrop(box, None)]
    fill = fill_of(shape.find(f"{P}spPr"))
    if fill is not None:
        name = tag(fill).removeprefix(A)
        if name == "noFill":
            return []
        return [Backdrop(box, theme.colour(fill) if name == "solidFill" else None)]
    style = shape.find(f"{P}style/{A}fillRef")
    if style is None or style.get("idx") == "0":
        return []
    return [Backdrop(box, theme.colour(style))]


def _drawn(part: Element, theme: Theme) -> list[Backdrop]:
    """By a layout or master, around its placeholders."""
    shapes = (shape for shape in part.iter(f"{P}sp", f"{P}pic") if not _placeholder(shape)[0])
    return [backdrop for shape in shapes for backdrop in _backdrop(shape, theme, grouped=False)]


def _drawn_only(behind: list[Backdrop]) -> list[Backdrop]:
    return [backdrop for backdrop in behind if backdrop.box is not None]


def _places(part: Element) -> Iterator[tuple[tuple[str, str], Box]]:
    for shape in part.iter(f"{P}sp"):
        kind, number = _placeholder(shape)
        if kind and (box := box_of(shape)):
            yield (kind, number), box
            yield (kind, ""), box


def _placeholder(shape: Element) -> tuple[str, str]:
    """Its type and number; two empty words for another shape."""
    found = next(shape.iter(f"{P}ph"), None)
    return ("", "") if found is None else (found.get("type", "obj"), found.get("idx", ""))


def _area(presentation: Element) -> Box | None:
    size = presentation.find(f"{P}sldSz")
    try:
        return None if size is None else Box(0, 0, int(size.get("cx", "")), int(size.get("cy", "")))
    except ValueError:
        return None


def _paragraph_texts(root: Element) -> Iterator[str]:
    for paragraph in root.iter(f"{A}p"):
        yield "".join(text.text or "" for text in paragraph.iter(f"{A}t"))
