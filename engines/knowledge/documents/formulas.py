"""Formulas of Word (OMML) and of web pages (MathML) in the way of LaTeX. Pure.

Letters and signs stay as they are (α, ≤): people and models read them. Only what stands above,
below or under something needs a word: `\\frac{a}{b}`, `x^{2}`, `\\sqrt{x}`.
"""

import re
from collections.abc import Callable

from lxml import etree

from engines.knowledge.documents.archive import Element, children, tag

M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"

_LARGE = {
    "∑": "\\sum",
    "∏": "\\prod",
    "∐": "\\coprod",
    "∫": "\\int",
    "∬": "\\iint",
    "∭": "\\iiint",
    "∮": "\\oint",
    "⋃": "\\bigcup",
    "⋂": "\\bigcap",
    "⋁": "\\bigvee",
    "⋀": "\\bigwedge",
}
_ACCENTS = {
    "\u0300": "\\grave",
    "\u0301": "\\acute",
    "\u0302": "\\hat",
    "\u0303": "\\tilde",
    "\u0304": "\\bar",
    "\u0305": "\\bar",
    "\u0306": "\\breve",
    "\u0307": "\\dot",
    "\u0308": "\\ddot",
    "\u030c": "\\check",
    "\u20d7": "\\vec",
    "\u20d1": "\\vec",
    "→": "\\vec",
    "^": "\\hat",
    "~": "\\tilde",
}
_FUNCTIONS = re.compile(
    "sin|cos|tan|cot|sec|csc|sinh|cosh|tanh|arcsin|arccos|arctan|log|ln|exp|lim|max|min|sup|inf"
    "|det|gcd|arg|deg|dim|ker"
)
_BRACKETS = {"{": "\\{", "}": "\\}", "": ".", "⟨": "\\langle ", "⟩": "\\rangle "}


def latex(formula: Element) -> str:
    """Of an `m:oMath` or anything within, without dollar signs."""
    return " ".join(_inside(formula).split())


def _inside(element: Element) -> str:
    return "".join(_written(child) for child in children(element))


def _written(element: Element) -> str:
    if not tag(element).startswith(M):
        return _inside(element)  # Word wraps changes and bookmarks around parts of a formula
    name = tag(element).removeprefix(M)
    if name == "t":
        return element.text or ""
    if name.endswith("Pr"):
        return ""  # how it looks
    write = _WRITERS.get(name)
    return write(element) if write else _inside(element)


def _part(element: Element, name: str) -> str:
    found = element.find(f"{M}{name}")
    return "" if found is None else _inside(found).strip()


def _choice(element: Element, name: str, default: str = "") -> str:
    """A value of the element's properties, such as the sign of a sum."""
    for properties in children(element):
        if tag(properties).endswith("Pr"):
            found = properties.find(f"{M}{name}")
            if found is not None:
                return found.get(f"{M}val", "")
    return default


def _fraction(element: Element) -> str:
    above, below = _part(element, "num"), _part(element, "den")
    match _choice(element, "type", "bar"):
        case "lin":
            return f"{above}/{below}"
        case "noBar":
            return f"\\binom{{{above}}}{{{below}}}"
    return f"\\frac{{{above}}}{{{below}}}"


def _scripts(element: Element) -> str:
    below, above = _part(element, "sub"), _part(element, "sup")
    return (f"_{{{below}}}" if below else "") + (f"^{{{above}}}" if above else "")


def _scripted(element: Element) -> str:
    base = _part(element, "e")
    return (base if len(base) <= 1 or base.startswith("\\") else f"{{{base}}}") + _scripts(element)


def _before(element: Element) -> str:
    return f"{{}}{_scripts(element)}{_part(element, 'e')}"


def _root(element: Element) -> str:
    degree = _part(element, "deg")
    return "\\sqrt" + (f"[{degree}]" if degree else "") + f"{{{_part(element, 'e')}}}"


def _large(element: Element) -> str:
    sign = _choice(element, "chr", "∫")
    return f"{_LARGE.get(sign, sign)}{_scripts(element)} {_part(element, 'e')}"


def _bracketed(element: Element) -> str:
    begin, end = _choice(element, "begChr", "("), _choice(element, "endChr", ")")
    between = _choice(element, "sepChr", "|")
    parts = between.join(_inside(part) for part in element.findall(f"{M}e"))
    if begin and end and "\\" not in parts:
        return f"{_BRACKETS.get(begin, begin)}{parts}{_BRACKETS.get(end, end)}"
    return f"\\left{_BRACKETS.get(begin, begin)}{parts}\\right{_BRACKETS.get(end, end)}"


def _function(element: Element) -> str:
    name = _part(element, "fName")
    first = name.partition("_")[0].partition("^")[0]
    return ("\\" if _FUNCTIONS.fullmatch(first) else "") + f"{name} {_part(element, 'e')}"


def _limit(mark: str) -> Callable[[Element], str]:
    return lambda element: f"{_part(element, 'e')}{mark}{{{_part(element, 'lim')}}}"


def _accent(element: Element) -> str:
    sign = _choice(element, "chr", "\u0302")
    return f"{_ACCENTS.get(sign, chr(92) + 'hat')}{{{_part(element, 'e')}}}"


def _line(element: Element) -> str:
    name = "underline" if _choice(element, "pos", "bot") == "bot" else "overline"
    return f"\\{name}{{{_part(element, 'e')}}}"


def _matrix(element: Element) -> str:
    rows = (
        " & ".join(_inside(cell).strip() for cell in row.findall(f"{M}e"))
        for row in element.findall(f"{M}mr")
    )
    return "\\begin{matrix} " + " \\\\ ".join(rows) + " \\end{matrix}"


def _lines(element: Element) -> str:
    lines = (_inside(line).strip().replace("&", "") for line in element.findall(f"{M}e"))
    return " \\\\ ".join(lines)


_WRITERS: dict[str, Callable[[Element], str]] = {
    "f": _fraction,
    "sSup": _scripted,
    "sSub": _scripted,
    "sSubSup": _scripted,
    "sPre": _before,
    "rad": _root,
    "nary": _large,
    "d": _bracketed,
    "func": _function,
    "limLow": _limit("_"),
    "limUpp": _limit("^"),
    "acc": _accent,
    "bar": _line,
    "m": _matrix,
    "eqArr": _lines,
    "phant": lambda element: "",
}


def latex_of_mathml(formula: Element) -> str:
    """Of a `math` of a web page: as its author wrote it, where the page still has that."""
    for annotation in formula.iter("{*}annotation"):
        if annotation.get("encoding") in ("application/x-tex", "LaTeX", "TeX"):
            return " ".join((annotation.text or "").split())
    return " ".join(_mathml(formula).split())


def _mathml(element: Element) -> str:
    name = etree.QName(element).localname.lower()
    if name.startswith("annotation"):
        return ""
    parts = [_mathml(child).strip() for child in children(element)]
    pattern, count = _MATHML.get(name, ("", 0))
    if count and len(parts) == count:
        return pattern.format(*parts)
    if name == "msqrt":
        return f"\\sqrt{{{''.join(parts)}}}"
    if name == "mtr":
        return " & ".join(parts) + " \\\\ "
    return (element.text or "").strip() + "".join(parts)


_MATHML = {
    "mfrac": ("\\frac{{{}}}{{{}}}", 2),
    "msup": ("{}^{{{}}}", 2),
    "mover": ("{}^{{{}}}", 2),
    "msub": ("{}_{{{}}}", 2),
    "munder": ("{}_{{{}}}", 2),
    "msubsup": ("{}_{{{}}}^{{{}}}", 3),
    "munderover": ("{}_{{{}}}^{{{}}}", 3),
    "mroot": ("\\sqrt[{1}]{{{0}}}", 2),
}
