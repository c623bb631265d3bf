"""Plain text: which encoding it is in, and where its paragraphs and chapters are."""

import re
import unicodedata
from collections.abc import Iterator

from charset_normalizer import from_bytes

from engines.errors import UnusableDocument
from engines.knowledge.documents.draft import Draft
from engines.knowledge.documents.lines import joined

PROBE_BYTES = 1_000_000
"""Of it the encoding is told."""

MOST_CONTROLS = 0.01
"""Share of control characters; text has none, other files many."""

WRAPPED_AT = 50
"""Columns, of which a Chinese character takes two. A line at least as long, without the end of a
sentence, was broken by an editor."""

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_TWO_HIGH_BYTES = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")
_HIGH_BYTE = re.compile(rb"[\x80-\xff]")
_COMMON = re.compile(
    "[的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以，。、]"
)
_HAN = re.compile("[\u4e00-\u9fff]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")

_CHAPTER = re.compile(
    r"第\s*[〇零一二三四五六七八九十百\d]{1,6}\s*[章回篇编课部单讲].{0,40}"
    r"|(?:Chapter|Lesson|Unit|Part|CHAPTER|LESSON|UNIT|PART)\s+(?:\d{1,3}|[IVXLC]{1,6})\b.{0,80}"
)
_SECTION = re.compile(r"第\s*[〇零一二三四五六七八九十百\d]{1,6}\s*节.{0,40}")
_SENTENCE_END = re.compile("[.!?:;。！？：；…][\"'”’）)」』]*\\Z")
_ITEM = re.compile(r"\s*(?:[-*•·●○▪]|\(?\d{1,3}[.)、]|[（(][\d一二三四五六七八九十]+[)）])")


def read(data: bytes, draft: Draft) -> None:
    for paragraph in re.split(r"\n\s*\n", decoded(data)):
        for text in _unwrapped(paragraph.split("\n")):
            if _CHAPTER.fullmatch(text.strip()) and not _SENTENCE_END.search(text):
                draft.heading(1, text)
            elif _SECTION.fullmatch(text.strip()) and not _SENTENCE_END.search(text):
                draft.heading(2, text)
            else:
                draft.add(text)


def _unwrapped(lines: list[str]) -> Iterator[str]:
    """The lines as their author meant them: those that an editor broke are one."""
    together: list[str] = []
    for line in lines:
        if together and (not _is_broken(together[-1]) or _ITEM.match(line)):
            yield joined(together)
            together = []
        together.append(line)
    yield joined(together)


def _is_broken(line: str) -> bool:
    line = line.strip()
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in line)
    return len(line) + wide >= WRAPPED_AT and not _SENTENCE_END.search(line)


def decoded(data: bytes, declared: str | None = None) -> str:
    """Text with `\\n` for line ends. `declared`: the encoding that the file itself names.
    Raises `UnusableDocument` for what is no text."""
    text = _decoded(data, declared)
    if len(_CONTROL.findall(text[:PROBE_BYTES])) > MOST_CONTROLS * len(text[:PROBE_BYTES]) + 2:
        raise UnusableDocument(
            "The file is no text, and none of the kinds of documents that can be read. Please save"
            " it as PDF, DOCX, PPTX or as text in UTF-8."
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decoded(data: bytes, declared: str | None) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    for named in ("utf-8", declared):
        try:
            return data.decode(named or "utf-8")
        except (UnicodeDecodeError, LookupError):
            continue
    probe = data[:PROBE_BYTES]
    if _is_chinese(probe):
        return data.decode("gb18030", errors="replace")
    found = from_bytes(probe).best()
    return data.decode(found.encoding if found else "utf-8", errors="replace")


def _is_chinese(data: bytes) -> bool:
    """GB18030, or GBK or GB2312 that are parts of it: its characters come in two high bytes, as
    Korean ones do, but some are far more common than the others."""
    high = len(_HIGH_BYTE.findall(data))
    if not high or 2 * len(_TWO_HIGH_BYTES.findall(data)) < 0.9 * high:
        return False
    text = data.decode("gb18030", errors="ignore")
    han = len(_HAN.findall(text))
    return han > 0 and (han < 20 or len(_COMMON.findall(text)) >= 0.02 * han)
