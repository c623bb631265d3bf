"""What the tutor of a course says around its quotes, in English and Chinese. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from engines.knowledge.base import Found, Passage
from engines.knowledge.quoting import Quote
from engines.language import language_of
from engines.llm.course.manners import Manner

MOST_CHAPTERS = 4
"""As many a listener keeps in mind."""

LONGEST_NAME = 60
"""Characters of a document or chapter that are spoken."""

_SUFFIX = re.compile(r"\.(?:pdf|docx?|pptx?|md|markdown|html?|txt|csv|tsv)\Z", re.I)
_NUMBERED = re.compile(
    r"\A\s*(?:\d{1,3}(?:\.\d{1,3})*[.)、]?\s+|[一二三四五六七八九十]{1,3}、\s*)(?=\S)"
)


@dataclass(frozen=True, slots=True)
class _Phrases:
    page: str
    slide: str
    heading: str
    plain: str
    table: str
    quote: str
    inner: tuple[str, str]
    """Marks around a quote that has the usual ones inside."""
    foreign: str
    chapters: str
    and_more: str
    name: str
    comma: str
    last_comma: str
    not_found: str
    near: str
    which: str
    other_words: str
    manners: dict[Manner, str]
    welcome_back: str
    your_name: str
    nice_to_meet: str
    nothing_said: str


_ENGLISH = _Phrases(
    page="In “{name}”, page {page}, ",
    slide="In “{name}”, slide {page}, ",
    heading="In “{name}”, under “{heading}”, ",
    plain="In “{name}” ",
    table="the table says: ",
    quote="it says: ",
    inner=("‘", "’"),
    foreign="I found this in Chinese. ",
    chapters="It has chapters on {chapters}",
    and_more=" and more",
    name="“{name}”",
    comma=", ",
    last_comma=" and ",
    not_found="I did not find that in the course.",
    near="The nearest I have is {chapters}: what would you like to know about that?",
    which="{chapters}: which one do you mean?",
    other_words="Can you ask it in other words?",
    manners={
        Manner.GREETING: "Hello! Nice to see you. What would you like to know?",
        Manner.THANKS: "You are welcome! What else would you like to know?",
        Manner.GOODBYE: "Goodbye! See you next time.",
        Manner.ABOUT: "No language model is connected to me, so I read out what the course says.",
        Manner.MY_NAME: "You have not told me your name yet.",
        Manner.MORE: "Ask me about one thing, and I look for it in the course.",
        Manner.YES: "Good. What exactly would you like to know?",
        Manner.NO: "All right. What would you like to know instead?",
    },
    welcome_back="Welcome back, {name}! What would you like to know?",
    your_name="Your name is {name}.",
    nice_to_meet="Nice to meet you, {name}! What would you like to know?",
    nothing_said="I have not said anything yet. What would you like to know?",
)
_CHINESE = _Phrases(
    page="在《{name}》第{page}页里",
    slide="在《{name}》第{page}张幻灯片里",
    heading="在《{name}》的“{heading}”里",
    plain="在《{name}》里",
    table="，表格写着：",
    quote="写着：",
    inner=("「", "」"),
    foreign="这段内容只有英文的。",
    chapters="课程里有{chapters}",
    and_more="等内容",
    name="“{name}”",
    comma="、",
    last_comma="和",
    not_found="我在课程里没有找到这个内容。",
    near="比较接近的有{chapters}，你想知道其中的什么？",
    which="{chapters}，你想问哪一个？",
    other_words="你能换个说法再问一次吗？",
    manners={
        Manner.GREETING: "你好！很高兴见到你。你想知道什么？",
        Manner.THANKS: "不客气！你还想知道什么？",
        Manner.GOODBYE: "再见！下次见。",
        Manner.ABOUT: "我没有连接语言模型，所以我把课程里写的读给你听。",
        Manner.MY_NAME: "你还没有告诉我你叫什么名字。",
        Manner.MORE: "请问一个具体的内容，我就在课程里找。",
        Manner.YES: "好的。你具体想知道什么？",
        Manner.NO: "好吧。那你想知道什么？",
    },
    welcome_back="欢迎回来，{name}！你想知道什么？",
    your_name="你叫{name}。",
    nice_to_meet="很高兴认识你，{name}！你想知道什么？",
    nothing_said="我还没有说过什么。你想知道什么？",
)


def _phrases(language: str) -> _Phrases:
    return _CHINESE if language == "zh" else _ENGLISH


def quoted(quote: Quote, language: str) -> str:
    """The quote, behind its source."""
    words = _phrases(language)
    says = words.table if quote.kind == "row" else words.quote
    foreign = words.foreign if language_of(quote.text) != language else ""
    begin, end = words.inner if "“" in quote.text else ("“", "”")
    return f"{foreign}{_source(quote.found, words)}{says}{begin}{quote.text}{end}"


def not_found(near: Sequence[str], chapters: Sequence[str], language: str) -> str:
    """Asks back: about what is near the question, or else about what there is at all."""
    words = _phrases(language)
    if near:
        ask = words.near.format(chapters=_listed(near, words))
    elif chapters:
        ask = words.which.format(chapters=_told(chapters, words))
    else:
        ask = words.other_words
    return f"{words.not_found}{_space(language)}{ask}"


def courtesy(manner: Manner, chapters: Sequence[str], language: str) -> str:
    """What answers a courtesy; the chapters are told where the learner wants to know them."""
    words = _phrases(language)
    answer = words.manners[manner]
    if manner in (Manner.ABOUT, Manner.MORE, Manner.YES, Manner.NO):
        end = "。" if language == "zh" else "."
        told = f"{_space(language)}{_told(chapters, words)}{end}" if chapters else ""
        return f"{answer}{told}"
    return answer


def welcome_back(name: str, language: str) -> str:
    """What a student hears first whom the tutor has taught before."""
    return _phrases(language).welcome_back.format(name=name)


def your_name(name: str, language: str) -> str:
    return _phrases(language).your_name.format(name=name)


def nice_to_meet(name: str, language: str) -> str:
    return _phrases(language).nice_to_meet.format(name=name)


def nothing_said(language: str) -> str:
    return _phrases(language).nothing_said


def spoken_name(name: str) -> str:
    """A file's name, or a heading, as it is said: `the_water-cycle.pdf` is The water cycle."""
    name = _SUFFIX.sub("", name.strip()).replace("_", " ")
    if " " not in name:
        name = name.replace("-", " ")
    name = _NUMBERED.sub("", name.strip())
    if len(name) > LONGEST_NAME:
        name = name[:LONGEST_NAME].rstrip() + "…"
    return name[:1].upper() + name[1:]


def innermost(passage: Passage) -> str:
    """The last of the headings over a passage; empty: none."""
    return passage.heading.rsplit("›", 1)[-1].strip()


def _source(found: Found, words: _Phrases) -> str:
    name, passage = spoken_name(found.document), found.passage
    heading = spoken_name(innermost(passage))
    if passage.page is not None:
        slides = found.document.lower().endswith((".pptx", ".ppt"))
        return (words.slide if slides else words.page).format(name=name, page=passage.page)
    if heading and heading != name:
        return words.heading.format(name=name, heading=heading)
    return words.plain.format(name=name)


def _told(chapters: Sequence[str], words: _Phrases) -> str:
    """`It has chapters on “Rain” and “Snow”`."""
    return words.chapters.format(chapters=_listed(chapters, words))


def _listed(chapters: Sequence[str], words: _Phrases) -> str:
    """`“Rain”, “Snow” and “Fog”`, or of more the first ones `and more`."""
    names = [words.name.format(name=spoken_name(chapter)) for chapter in dict.fromkeys(chapters)]
    if len(names) > MOST_CHAPTERS:
        return words.comma.join(names[:MOST_CHAPTERS]) + words.and_more
    *others, last = names
    return words.last_comma.join([words.comma.join(others), last] if others else [last])


def _space(language: str) -> str:
    return "" if language == "zh" else " "
