"""What a voice should read of a sentence that was written to be seen. Pure.

Each step takes one kind of notation away, from the outermost (code, formulas) to the innermost
(single characters); what a later step sees is already words. `_keep` is the last one: no mark that
a voice would name comes through, whatever the steps before it did not know.
"""

import html
import re
import unicodedata
from collections.abc import Callable

from engines.language import language_of
from serve_app.citations import without_citations
from serve_app.formulas import spoken_formula, symbol_words, tidy
from serve_app.sentences import is_money

_FENCED = re.compile(
    r"^[ \t>]*(`{3,}|~{3,})[^`\n]*(?:\n.*?)??(?:\n[ \t>]*\1[`~]*[ \t]*$|\Z)", re.S | re.M
)
_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.S)
_DISPLAY = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)", re.S)
_INLINE = re.compile(r"(?<![\\A-Za-z0-9$])\$(?=[^\s$])([^$\n]*?[^$\s\\])\$(?!\d)")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_IMAGE_OR_LINK = re.compile(
    r"!?\[((?:[^\[\]]|\[[^\[\]]*\])*)\](?:\([^()\s]*(?:\s[^()]*)?\)|\[[^\]]*\])"
)
_FOOTNOTE = re.compile(r"\[\^[^\]\s]*\]:?")
_ADDRESS = re.compile(
    r"<?(?:https?|ftp)://(?:www\.)?([A-Za-z\d-]+(?:\.[A-Za-z\d-]+)*)"
    r"(?:[:/?#][^\s<>\"，。！？；、（）]*?)?"
    r"(?:>|(?=[.,;:!?)'\"\]]*(?:[\s<>\"，。！？；、（）]|\Z)))"
)
_CITATION = re.compile(r"((?<![°º\w])(?<!\d )[A-Za-z_]\d?)?\s*[\[［【]\d{1,2}[\]］】](?!\()")
_PATH = re.compile(r"\b((?:[\w-]+\.)+[a-zA-Z]{2,})/[\w/?=&%#.~+-]*\w/?")
_MAIL = re.compile(r"<?([\w.+-]+)@([\w-]+(?:\.[\w-]+)+)>?")
_TAG = re.compile(
    r"<!--.*?-->|</?[A-Za-z][\w-]*\s*/?>"
    r"|<(?:a|p|br|hr|img|div|span|font|table|t[dhr]|h[1-6]|ol|ul|li|video|audio|code|pre)\s[^<>]*>",
    re.S,
)
_RAISED = re.compile(r"<(su[bp])>([^<>]{1,20})</\1>")
_RULE = re.compile(r"\s*(?:[-*_=]\s*){3,}")
_TABLE_RULE = frozenset(" \t|:+-")
_QUOTE = re.compile(r"\s*(?:>\s?)+")
_HEADING = re.compile(r"\s*#{1,6}\s+(.*?)\s*#*\s*")
_BULLET = re.compile(r"\s*[-*+•·▪◦]\s+(?:\[[ xX]\]\s+)?")
_NUMBERED = re.compile(r"\s*(\**)(\d{1,3})[.)、]\1(?:\s+|(?=[^\d\s]))")
_STARRED = re.compile(r"(?<![A-Za-z\d])\*{1,3}(?=\S)(.+?)(?<=\S)\*{1,3}", re.S)

_OPERAND = r"(?:\d+(?:\.\d+)?[A-Za-zα-ω]{0,2}|[A-Za-zα-ω]{1,2})"
_GROUP = r"\((?:[^()\n]{1,40})\)"
_SCRIPT = r"(?:[\^_](?:\{[^{}\n]*\}|\([^()\n]*\)|-?[A-Za-z\dα-ω]+)|[⁰¹²³⁴-⁹₀-₉])"
# Atomic: where a term ends is never tried twice, so that no text takes long.
_TERM = rf"(?>[-−√]?(?:{_OPERAND}|{_GROUP}){_SCRIPT}*+(?:(?:{_OPERAND}|{_GROUP}){_SCRIPT}++)*+)"
_PLAIN = re.compile(
    rf"(?<![A-Za-z\d_.$^/\\-]){_TERM}(?:\s*[-−+*/=<>×÷·≤≥≠≈±]\s*{_TERM})*+(?![A-Za-z\d_])"
)
_TELLTALE = re.compile(r"[=^+×÷≤≥≠≈±√<>⁰¹²³⁴-⁹₀-₉]|_\{|_\d| [*] |\d\*\d")
_COMPOUND = re.compile(
    r"\b(?:(?:[A-Z][a-z]?|\([A-Z][A-Za-z]*\))(?:_\{?\d+\}?|[₀-₉]+)?)+(?![A-Za-z\d_])"
)

_CURRENCIES = {
    "$": ("dollar", "dollars", "美元"),
    "€": ("euro", "euros", "欧元"),
    "£": ("pound", "pounds", "英镑"),
    "¥": ("yuan", "yuan", "元"),
    "￥": ("yuan", "yuan", "元"),
}
_PRICE = re.compile(
    r"(?:US|CA|AU)?([$€£¥￥])\s?(\d+(?:,\d{3})*(?:\.\d+)?)(\s?(?:million|billion|trillion|万亿|[万亿])\b)?"
)
_PRICE_BEHIND = re.compile(r"(\d+(?:,\d{3})*(?:\.\d+)?)\s?([$€£])(?!\d)")
_UNITS = r"(?:km|cm|mm|kg|mg|mL|ml|mol|kJ|min|m|g|s|h|L|J|N|W)"
_PER = re.compile(rf"(?<=\d)(\s?{_UNITS})/({_UNITS})\b")

_TYPED: tuple[tuple[str, str], ...] = (
    (r"<[-=]+>", "↔"),
    (r"[-=]+>", "→"),
    (r"<-+(?=\s)", "←"),
    (r"<=", "≤"),
    (r">=", "≥"),
    (r"!==?|=/=", "≠"),
    (r"={2,}", "="),
)
_SIGNS: tuple[tuple[str, str, str], ...] = (
    (r"(\d+(?:\.\d+)?)\s*[%％]", r"\1 percent", r"百分之\1"),
    (r"[°º]\s?C\b|℃", " degrees Celsius ", "摄氏度"),
    (r"[°º]\s?F\b|℉", " degrees Fahrenheit ", "华氏度"),
    (r"[↔⇔⟷]", " to and from ", "和"),
    (r"[→⟶⇒➜➡]", " to ", "到"),
    (r"[←⇐]", " from ", "来自"),
    (r"=+", " equals ", "等于"),
    (r"<", " is less than ", "小于"),
    (r">", " is greater than ", "大于"),
    (r"(?<=\w)\s+\*\s+(?=\w)|(?<=\d)\*(?=\d)", " times ", "乘"),
    (r"(?<=\s)/(?=\s)", " over ", "除以"),
    (r"(?<=\s)\+(?=\s)", " plus ", "加"),
    (r"(?<![\d/.])(\d+)/(\d+)\b(?!/)", r"\1 over \2", r"\2分之\1"),
    (r"(?<![-–\d.])(\d+)\s?[-–]\s?(\d+)(?![-–\d.])", r"\1 to \2", r"\1到\2"),
    (r"~(?=\s?\d)", " about ", "约"),
    (r"#(?=\d)", " number ", "第"),
    (r"(?<=\b[A-G])#", " sharp", " sharp"),
    (r"\s*&\s*", " and ", "和"),
    (r"(?<=[A-Za-z])/(?=[A-Za-z])", " ", " "),
    (r"\s[-–—]\s", ", ", "，"),
)
_NAMED = frozenset("*_#`\\$|~^{}<>")
_PIECE_OF_CODE = {"en": "Here is a piece of code.", "zh": "这里有一段代码。"}
_PER_WORDS = {"en": r"\1 per \2", "zh": r"\1每\2"}


def speakable(sentence: str, language: str | None = None, sources: int = 0) -> str:
    """The words to read aloud; empty when there are none. `language` defaults to the words' own;
    `sources` of the answer are numbered from 1, and what cites them is mute."""
    sentence = without_citations(sentence, sources)
    if language is None:
        language = language_of(_CODE.sub(" ", _INLINE.sub(" ", _DISPLAY.sub(" ", sentence))))
    language = "zh" if language.lower().startswith("zh") else "en"
    text = _without_code(sentence, language)
    text = _without_formulas(text, language)
    text = _without_links(_ESCAPE.sub(_escaped, _CITATION.sub(_cited, text)))
    text = " ".join(_line(line, language) for line in text.splitlines())
    text = _without_signs(_STARRED.sub(r"\1", text), language)
    text = tidy("".join(_keep(character, language) for character in text))
    text = re.sub(r"\(\s*\)|（\s*）|^[\s,，;；:：.。]+", "", text)
    return text.strip() if any(character.isalnum() for character in text) else ""


def _without_code(text: str, language: str) -> str:
    text = _FENCED.sub(f" {_PIECE_OF_CODE[language]} ", text)
    return _CODE.sub(lambda found: f" {_code_words(found.group(2), language)} ", text)


def _code_words(code: str, language: str) -> str:
    """A name as its words, a calculation as its operators."""
    code = re.sub(r"(?<=[a-z\d])(?=[A-Z])", " ", code)  # camelCase
    code = re.sub(r"(?<=\w)\.(?=[A-Za-z_])", "点" if language == "zh" else " dot ", code)
    code = re.sub(r"[^\w\s.+\-*/=<>%,!]|_", " ", code)
    return _without_signs(code, language)


def _without_formulas(text: str, language: str) -> str:
    def display(found: re.Match[str]) -> str:
        return f" {spoken_formula(found[1] or found[2] or found[3], language)} "

    def inline(found: re.Match[str]) -> str:
        if is_money(text, found.start()):
            return found.group()
        return f" {spoken_formula(found[1], language)} "

    text = _DISPLAY.sub(display, text)
    return _INLINE.sub(inline, text)


def _escaped(found: re.Match[str]) -> str:
    """An escaped mark is meant to be seen: the dollar of a price stays, the others are mute."""
    return found[1] if found[1] in "$%&.,;:!?()[]-+" else " "


def _cited(found: re.Match[str]) -> str:
    """The number of a source is seen, not said; an index stays with its variable."""
    is_index = found[1] and not found[0][len(found[1])].isspace()
    return found[0] if is_index else found[1] or ""


def _without_links(text: str) -> str:
    text = _FOOTNOTE.sub(" ", text)
    for _ in range(2):  # an image within a link
        text = _IMAGE_OR_LINK.sub(r"\1", text)
    text = _PATH.sub(r"\1", _ADDRESS.sub(r" \1 ", text))
    text = _MAIL.sub(r" \1 at \2 ", text)
    text = _RAISED.sub(lambda found: f"{'^' if found[1] == 'sup' else '_'}{{{found[2]}}}", text)
    return html.unescape(_TAG.sub(" ", text))


def _line(line: str, language: str) -> str:
    if _RULE.fullmatch(line) or ("--" in line and _TABLE_RULE.issuperset(line)):
        return ""
    if quoted := _QUOTE.match(line):
        line = line[quoted.end() :]
    if heading := _HEADING.fullmatch(line):
        line = heading[1]
    if bullet := _BULLET.match(line):
        line = line[bullet.end() :]
    comma = "，" if language == "zh" else ", "
    if numbered := _NUMBERED.match(line):
        line = numbered[2] + comma + line[numbered.end() :]
    if line.lstrip().startswith("|"):
        line = comma.join(cell.strip() for cell in line.split("|") if cell.strip())
    return line


def _without_signs(text: str, language: str) -> str:
    chinese = language == "zh"
    text = _PRICE.sub(lambda found: _price(found[2], found[1], found[3] or "", chinese), text)
    text = _PRICE_BEHIND.sub(lambda found: _price(found[1], found[2], "", chinese), text)
    text = _PER.sub(_PER_WORDS[language], text)
    for typed, mark in _TYPED:
        text = re.sub(typed, mark, text)
    text = _COMPOUND.sub(_calculation(language, "_₀₁₂₃₄₅₆₇₈₉"), text)
    text = _PLAIN.sub(_calculation(language), text)
    for mark, english, chinese_word in _SIGNS:
        text = re.sub(mark, chinese_word if chinese else english, text)
    return text


def _price(amount: str, sign: str, scale: str, chinese: bool) -> str:
    one, many, name = _CURRENCIES[sign]
    if chinese:
        return f"{amount}{scale}{name}"
    return f"{amount}{scale} {one if amount == '1' and not scale else many}"


def _calculation(language: str, telltale: str = "") -> Callable[[re.Match[str]], str]:
    def read(found: re.Match[str]) -> str:
        text = found.group()
        shown = any(mark in text for mark in telltale) if telltale else _TELLTALE.search(text)
        return f" {spoken_formula(text, language)} " if shown else text

    return read


def _keep(character: str, language: str) -> str:
    """Letters, digits and punctuation; words for mathematical signs; a space for all else."""
    if character in _NAMED:
        return " "
    if character == "+" or character.isspace():
        return character if character == "+" else " "
    if words := symbol_words(character, language) if character != "…" else None:
        return f" {words} "
    category = unicodedata.category(character)
    if category in ("Mn", "Cf", "Me") and not "\u0300" <= character <= "\u036f":
        # Joins or colours an emoji; but vowel signs of other scripts belong to their letters.
        return character if "\u0590" <= character <= "\u1fff" else ""
    return character if category[0] in "LMNP" else " "
