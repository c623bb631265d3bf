"""Facts that a student states in so many words, in English and Chinese. Pure.

Careful rather than complete: a wrong fact is told at every session, a missed one is said again.
Without a language model nothing else is known of a student.
"""

import re
from collections.abc import Iterable, Iterator

from engines.language import HAN
from engines.memory.base import FACT_CHARS, FACTS, Fact, Kind
from engines.memory.plain import plain

LONGEST_CHARS = 500
"""Whoever says more at once is reading something out."""

_SENTENCE = re.compile(r"[^.!?。！？\n;；]+[.!?。！？]?")

_NOT_OF_ONESELF = re.compile(
    r"[\"“”「」《》]"  # a quote
    r"|[?？]\s*$|吗\s*$|呢\s*$"  # a question
    r"|\b(?:translate|pronounce|spell|sentence|mean|means|say|if|suppose|imagine|pretend|example)\b"
    r"|(?:什么|谁|哪里)\s*$|你觉得|[他她们师]说|翻译|怎么说|怎么读|造句|例如|比如|如果|假如|假设|假装|的意思",
    re.I,
)
"""What makes a sentence one about words, or about nobody."""

_WORD = r"[A-Za-z\u00c0-\u024f][A-Za-z\u00c0-\u024f'’-]*"
_NO_NAME = (
    r"(?!(?:and|but|or|i|i'm|i’m|from|so|because|what|who|not|no|you|it|it's|the|a|an|my|your|on|in"
    r"|at|for|to|very|too|really|hard|difficult|long|short|later|again|back|when|this|that|is|are"
    r"|nice|please|by|with|than|as|if|spelled|spelt|written|called|unknown|secret)\b)"
)
_NAME = rf"{_NO_NAME}{_WORD}(?: {_NO_NAME}{_WORD}){{0,2}}"
_HAN = f"[{HAN}]"
_HAN_NAME = (
    rf"(?![你您他她它什谁啥不没了的啊过到住出做名])(?:{_HAN}{{2,4}}?|[A-Z][A-Za-z'’-]{{1,20}})"
)
_HAN_END = r"(?=\s*(?:$|[，。！,.!、；;]|今年|来自|我|是|很高兴|你好))"
_REST = r"(?P<what>[^,，、。.!！?？]{2,80}?)"
_POINTER = r"(?!(?:it|this|that|these|those|you|he|she|they)\b)"
_THING = rf"(?:i think (?:that )?)?(?P<what>(?!i\b)(?:[\w'’-]+ ){{0,5}}?{_POINTER}{_WORD})"
_HAN_THING = r"(?P<what>(?![你您他她它这那])[^，,。.！!？?很太真好觉]{1,20}?)"
_VERY = r"(?:(?:so|very|too|really|quite|pretty|a bit|still) )*"
_HAN_VERY = r"(?:还是|实在)?(?:很|太|有点儿?|非常|特别|真的很|真|好|比较|挺)"

_STATED: tuple[tuple[Kind, str, str], ...] = (
    ("name", rf"\bmy (?:first )?name(?:'s|’s| is)\s+(?P<what>{_NAME})", "{}"),
    ("name", rf"\b(?:you can|please|just) call me\s+(?P<what>{_NAME})", "{}"),
    ("name", rf"(?<!你)我(?:的名字)?叫(?:做)?\s*(?P<what>{_HAN_NAME}){_HAN_END}", "{}"),
    ("name", rf"我的名字是\s*(?P<what>{_HAN_NAME}){_HAN_END}", "{}"),
    (
        "goal",
        r"\bi(?:'d like| would like|’d like| want| hope|'m trying|’m trying| am trying| need) to"
        r" (?P<verb>learn|understand|study|improve|practi[sc]e|get better at|become|pass|master)"
        rf" {_REST}(?=$|[,.!])",
        "wants to {verb} {}",
    ),
    (
        "goal",
        r"我(?:很|非常|一直|特别|也|还)?(?:想要?|希望能?)"
        r"(?P<verb>学习|学会|学好|学|了解|练习|练|提高|掌握|考上|考|成为)"
        r"(?P<what>[^，,。.！!？?、]{1,30}?)(?:了|啊|呀|呢)?(?=$|[，,。.！!、])",
        "想{verb}{}",
    ),
    (
        "difficulty",
        rf"(?:^|[,;]\s*|\b(?:but|and|because|think|that|so)\s+){_THING} (?:is|are|was|were|feels?)"
        rf" {_VERY}(?:hard|difficult|confusing|tricky|tough) (?:for|to) me\b",
        "finds {} hard",
    ),
    (
        "difficulty",
        rf"\bi (?:really )?find {_THING} {_VERY}(?:hard|difficult|confusing|tricky|tough)\b",
        "finds {} hard",
    ),
    (
        "difficulty",
        rf"\bi(?:'m|’m| am)? (?:have (?:trouble|difficult(?:y|ies)|problems)|struggl(?:e|ing)) with"
        rf" {_THING}(?=$|[,.!])",
        "finds {} hard",
    ),
    (
        "difficulty",
        rf"我(?:还是|一直|总)?觉得{_HAN_THING}{_HAN_VERY}(?:困难|难(?![过受看听吃道])|不容易)",
        "{}很难",
    ),
    ("difficulty", rf"(?:^|[，,]){_HAN_THING}对我来说{_HAN_VERY}(?:困难|难)", "{}很难"),
    (
        "interest",
        rf"\bi (?:really |also )?(?:like|love|enjoy) (?!to\b){_THING}(?=$|[,.!])",
        "likes {}",
    ),
    (
        "interest",
        rf"\bi(?:'m|’m| am) (?:very |really )?interested in {_THING}(?=$|[,.!])",
        "likes {}",
    ),
    (
        "interest",
        rf"(?:^|[，,])我(?:很|非常|特别|最|也|超)?喜欢{_HAN_THING}(?:了|啊|呀)?(?=$|[，,。.！!])",
        "喜欢{}",
    ),
    ("interest", rf"我对{_HAN_THING}(?:很|非常|特别|比较)?(?:感|有)兴趣", "喜欢{}"),
)
_PATTERNS = tuple((kind, re.compile(p, re.I), said) for kind, p, said in _STATED)


def noticed(words: str) -> list[Fact]:
    """What a student states of themselves in one message, in its order of kinds."""
    if len(words) > LONGEST_CHARS:
        return []
    return list(merged((), (fact for s in _SENTENCE.findall(words) for fact in _stated(s.strip()))))


def _stated(sentence: str) -> Iterator[Fact]:
    if _NOT_OF_ONESELF.search(sentence):
        return
    for kind, pattern, said in _PATTERNS:
        for match in pattern.finditer(sentence):
            parts = match.groupdict()
            text = said.format(parts.pop("what").strip(), **parts)
            if text := plain(text, FACT_CHARS):
                yield Fact(kind, text)


def merged(known: Iterable[Fact], new: Iterable[Fact]) -> tuple[Fact, ...]:
    """Both, without repetition; a new name takes the old one's place; of too many the oldest go,
    the name last."""
    facts: dict[tuple[str, str], Fact] = {}
    for fact in (*known, *new):
        key = (fact.kind, "" if fact.kind == "name" else fact.text.casefold())
        facts.pop(key, None)
        facts[key] = fact
    names = [fact for fact in facts.values() if fact.kind == "name"]
    others = [fact for fact in facts.values() if fact.kind != "name"]
    return (*names, *others[max(0, len(others) - (FACTS - len(names))) :])
