"""Web pages: what a reader of the page sees, in order, with its headings, tables and formulas.

Scripts are never run. Style sheets within the page are followed as far as they hide something.
"""

import re
from collections import defaultdict
from collections.abc import Iterator

from cssselect import HTMLTranslator, SelectorError
from lxml import etree

from engines.errors import UnusableDocument
from engines.knowledge.documents import css
from engines.knowledge.documents.archive import Element, children, raise_for_memory, tag
from engines.knowledge.documents.css import Look
from engines.knowledge.documents.draft import Draft
from engines.knowledge.documents.formulas import latex_of_mathml
from engines.knowledge.documents.tables import table_lines
from engines.knowledge.documents.text import decoded

MOST_RULES = 500
"""Of style sheets that are followed: each looks through the whole page."""

MOST_COLUMNS = 100
"""That one cell of a table may reach over."""

_SILENT = re.compile(
    "script|style|template|noscript|iframe|object|svg|canvas|audio|video|select|textarea|button|nav"
    "|head|input|datalist"
)
"""What is no text of the page, or leads to other pages."""

_INLINE = re.compile(
    "a|abbr|acronym|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|img|ins|kbd|label|mark|q|s|samp"
    "|small|span|strike|strong|time|tt|u|var|wbr"
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([\w-]{2,40})", re.I)
_EMBEDDED = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=\s]+")
"""Pictures within the page itself, which may be longer than a parser takes."""

_TEX = re.compile(r"math/tex")


def read(data: bytes, draft: Draft) -> None:
    declared = _CHARSET.search(data[:4096])
    read_page(decoded(data, declared[1].decode("ascii") if declared else None), draft)


def read_page(text: str, draft: Draft) -> None:
    root = _parsed(text)
    if root is None:
        return
    title = root.findtext(".//title")
    if title and root.find(".//h1") is None:
        draft.heading(0, title)
    _Reader(draft, _styles(root)).read(root, Look())


def _parsed(text: str) -> Element | None:
    """At most libxml2's 256 elements within each other, so that a reader may call itself."""
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True)
    if not text.strip():
        return None
    try:
        root = etree.fromstring(_EMBEDDED.sub("", text).encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError as error:
        raise_for_memory(error)
        return None  # nothing but comments
    if any("Excessive depth" in error.message for error in parser.error_log):
        raise UnusableDocument(
            "The page has elements within elements beyond any page; please save it from a browser"
            " as PDF and send that."
        )
    return root


Styles = dict[Element, dict[str, str]]


def _styles(root: Element) -> Styles:
    """What style sheets set of what can hide something; later rules go before earlier ones."""
    styles: Styles = defaultdict(dict)
    sheet = "\n".join(style.text or "" for style in root.iter("style"))
    translator = HTMLTranslator()
    for number, (selector, properties) in enumerate(css.rules(sheet)):
        if number >= MOST_RULES:
            break
        try:
            chosen = root.xpath(translator.css_to_xpath(selector))
        except (SelectorError, etree.XPathError):
            continue  # a rule for some program that is not followed
        if isinstance(chosen, list):
            for element in chosen:
                if isinstance(element, Element):
                    styles[element].update(properties)
    return styles


class _Reader:
    """Walks through a page and gathers its paragraphs."""

    def __init__(self, draft: Draft, styles: Styles) -> None:
        self._draft = draft
        self._styles = styles
        self._text: list[str] = []
        self._verbatim = False
        """Spaces and line ends are as they are written."""
        self._cells = 0
        """Within how many cells of tables: there, paragraphs are parts of the cell."""

    def read(self, element: Element, parent: Look) -> None:
        """An element and what is in it; the text behind it is its parent's."""
        name = tag(element).lower()
        if _SILENT.fullmatch(name):
            if name == "script" and _TEX.search(element.get("type", "")):
                self._text.append(f"${(element.text or '').strip()}$")
            return
        if "katex-html" in element.get("class", "").split():
            return  # KaTeX writes each formula twice, the other time as MathML
        look = css.look(parent, self._style(element))
        self._dispatch(name, element, look)

    def _dispatch(self, name: str, element: Element, look: Look) -> None:
        if name == "math":
            self._formula(element, look)
        elif name == "br":
            self._text.append("\n")
        elif name in ("sup", "sub"):
            self._script(name, element, look)
        elif _INLINE.fullmatch(name):
            self._inside(element, look)
        elif self._cells:
            self._text.append(" ")
            self._inside(element, look)
            self._text.append(" ")
        else:
            self._block(name, element, look)

    def _formula(self, element: Element, look: Look) -> None:
        formula = latex_of_mathml(element)
        if element.get("display") != "block" or self._cells or look.why_unseen():
            self._say(f"${formula}$", look)
            return
        self._flush()
        self._draft.add(f"$${formula}$$", kind="formula")

    def _style(self, element: Element) -> dict[str, str]:
        style = dict(self._styles.get(element, {}))
        style.update(css.declared(element.get("style", "")))
        for name, attribute in (("color", "color"), ("background-color", "bgcolor")):
            if value := element.get(attribute):
                style.setdefault(name, value.lower())
        closed = tag(element) == "dialog" and element.get("open") is None
        if element.get("hidden") is not None or closed:
            style["display"] = "none"
        return style

    def _inside(self, element: Element, look: Look) -> None:
        self._say(element.text or "", look)
        for child in element:
            if isinstance(child.tag, str):
                self.read(child, look)
            self._say(child.tail or "", look)

    def _say(self, text: str, look: Look) -> None:
        if why := look.why_unseen():
            self._draft.hidden(why, text)
        else:
            self._text.append(text if self._verbatim else re.sub(r"\s+", " ", text))

    def _script(self, name: str, element: Element, look: Look) -> None:
        """`x<sup>2</sup>` is x^2; H<sub>2</sub>O is H2O, as it is searched for."""
        text = self._captured(element, look)
        before = "".join(self._text[-1:])[-1:]
        if name == "sup" and text and (before.isalnum() or before in (")", "]")):
            text = f"^{text}" if len(text) == 1 or text.isdigit() else f"^({text})"
        self._text.append(text)

    def _captured(self, element: Element, look: Look) -> str:
        """The text within, as one line."""
        outer, self._text = self._text, []
        self._cells += 1
        self._inside(element, look)
        self._cells -= 1
        text, self._text = "".join(self._text), outer
        return " ".join(text.split())

    # Blocks

    def _block(self, name: str, element: Element, look: Look) -> None:
        self._flush()
        if name in _HEADINGS:
            self._draft.heading(_HEADINGS[name], self._captured(element, look))
        elif name == "table" and _is_data(element):
            self._table(element, look)
        elif name == "pre":
            self._verbatim = True
            self._inside(element, look)
            self._flush()
            self._verbatim = False
        else:
            if name == "li":
                self._text.append(_item_number(element))
            self._inside(element, look)
            self._flush()

    def _flush(self) -> None:
        self._draft.add("".join(self._text), verbatim=self._verbatim)
        self._text = []

    def _table(self, table: Element, look: Look) -> None:
        for caption in table.iter("caption"):
            self._draft.add(self._captured(caption, css.look(look, self._style(caption))))
        rows = list(self._rows(table, look))
        named = table.find(".//thead") is not None or _is_heading_row(table.find(".//tr"))
        self._draft.add("\n".join(table_lines(rows, named or None)), kind="table")

    def _rows(self, table: Element, look: Look) -> Iterator[list[str]]:
        below: dict[int, tuple[int, str]] = {}
        for row in table.iter("tr"):
            shown = look
            for around in reversed([*_up_to(row, table)]):
                shown = css.look(shown, self._style(around))
            yield self._row(row, shown, below)

    def _row(self, row: Element, look: Look, below: dict[int, tuple[int, str]]) -> list[str]:
        """Its cells; `below` keeps those that reach into further rows, by their columns."""
        cells: list[str] = []
        for cell in (child for child in children(row) if tag(child) in ("td", "th")):
            _fill(cells, below)
            text = self._captured(cell, css.look(look, self._style(cell)))
            if (rows := _span(cell, "rowspan")) > 1:
                below[len(cells)] = (rows - 1, text)
            cells += [text] + [""] * (_span(cell, "colspan") - 1)
        _fill(cells, below)
        return cells


def _fill(cells: list[str], below: dict[int, tuple[int, str]]) -> None:
    """With what reaches down into this row from above."""
    while (reaching := below.pop(len(cells), None)) is not None:
        rows, text = reaching
        if rows > 1:
            below[len(cells)] = (rows - 1, text)
        cells.append(text)


def _span(cell: Element, name: str) -> int:
    number = cell.get(name, "1")
    return max(1, min(int(number), MOST_COLUMNS)) if number.isdecimal() else 1


def _up_to(element: Element, top: Element) -> Iterator[Element]:
    around: Element | None = element
    while around is not None and around is not top:
        yield around
        around = around.getparent()


def _is_data(table: Element) -> bool:
    """Rather than a table that only puts things side by side."""
    if any(table.find(f".//{name}") is not None for name in ("table", *_HEADINGS)):
        return False
    rows = list(table.iter("tr"))
    return len(rows) > 1 and max(len(row) for row in rows) > 1


def _is_heading_row(row: Element | None) -> bool:
    return row is not None and len(row) > 1 and all(tag(cell) == "th" for cell in row)


def _item_number(item: Element) -> str:
    """Of a numbered list; empty of another."""
    around = item.getparent()
    if around is None or tag(around) != "ol":
        return ""
    before = sum(1 for sibling in item.itersiblings("li", preceding=True))
    start = around.get("start", "1")
    return f"{before + (int(start) if start.isdecimal() and len(start) < 7 else 1)}. "
