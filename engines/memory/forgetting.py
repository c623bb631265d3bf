"""A student who wants to be forgotten: understood without a model, and told so. Pure but for the
stream."""

import re
import unicodedata
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from itertools import dropwhile
from typing import Protocol, TypeVar, cast

from engines.base import Llm, Message
from engines.language import language_of

FORGOTTEN_ENGLISH = "I have forgotten what I knew about you. We start anew."
FORGOTTEN_CHINESE = "我已经忘记了我知道的关于你的一切。我们重新开始吧。"

LONGEST_CHARS = 100
"""Whoever says more wants more than that."""

_ME = r"(?:about me|of me|concerning me|on me)"
_WHAT = (
    rf"(?:(?:everything|all|anything|whatever|what|all of what|things|the things|all the things)"
    r"(?: that)?(?: (?:you|you've|you have))?(?: (?:ever|already))?"
    r"(?: (?:know|knew|remember|remembered|learn(?:ed|t)|saved|stored|kept|noted|have))?"
    rf"(?: {_ME})"
    r"|(?:everything|all|what|all the things)(?: that)? i(?: have|'ve)?(?: ever)?"
    r" (?:told|said to) you(?: about (?:me|myself))?"
    r"|(?:all )?(?:of )?my (?:personal )?(?:data|information|details)"
    r"|(?:all )?(?:your|the|any|all) (?:memory|memories|notes|information|data|knowledge)"
    rf"(?: (?:that )?you (?:have|keep|saved|stored))? {_ME}"
    r"|me(?: completely| entirely)?)"
)
_ENGLISH = re.compile(
    r"(?:(?:hey|ok|okay|hi|well|now|and|so|please|could you|can you|would you|will you"
    r"|you (?:should|must|may|can)|i want you to|i would like you to|i'd like you to|kindly|just"
    r"|actually|let's) )*"
    rf"(?:(?:forget|erase|delete|wipe|clear|remove)(?: about)? {_WHAT}"
    rf"|stop remembering {_WHAT})"
    r"(?: (?:please|now|again|right now|at once|immediately|thanks|thank you|forever|for good|ok))*"
)
_KNOWN = r"(?:知道|记得|记住|记下|了解|记忆|记录|储存|保存|听到|学到|掌握)"
_THINGS = r"(?:一切|事情|事|东西|信息|所有事情?|资料|记忆|记录|内容|全部|话|数据)"
_CHINESE = re.compile(
    r"(?!你?(?:忘|删|清).*(?<![好以行])吗$)"  # whether it has been done
    # Possessive, as words of it begin alike: it never gives back what it has taken.
    r"(?:可不可以|能不能|从现在起|希望你|我想让你|我想要你|我要你|你好的?|好的?|那么?|现在|请|麻烦|能否"
    r"|可以|能|帮我|你|把|将|都|全部|彻底)*+"
    rf"(?:(?:忘记|忘掉|忘了|删除|删掉|清除|清空|抹掉)(?:掉|了)?(?:所有|全部|一切|你)*"
    rf"(?:(?:所)?{_KNOWN}的?)?(?:关于|有关|对)(?:我|我自己)(?:的|{_KNOWN}|所有|全部|一切)*{_THINGS}*"
    rf"|(?:忘记|忘掉|忘了|删除|删掉|清除)(?:所有|全部|一切)?(?:我(?:跟|对|和|告诉)你?(?:说过|说|讲过|告诉你|的)*)的?"
    rf"{_THINGS}+"
    rf"|(?:你)?(?:所)?(?:{_KNOWN}的?)?(?:关于|有关)我的?(?:{_KNOWN}的?)?(?:所有|全部|一切)?的?{_THINGS}*(?:都|全部|全)*"
    r"(?:忘记|忘掉|忘了|删除|删掉|清除|清空|抹掉)"
    r"|(?:删除|删掉|清除|清空)(?:所有|全部)?我的(?:所有|全部)?(?:个人)?(?:资料|信息|记忆|数据|记录)+"
    r"|(?:忘记|忘掉|忘了)我)"
    r"(?:掉|了|吧|好吗|可以吗|行吗|谢谢|谢谢你|一下|啊|呀|吗)*"
)
_MARKS = re.compile(r"[^\w']+|_")
_HAN_GAP = re.compile(r"(?<=[\u3400-\u9fff]) (?=[\u3400-\u9fff])")


def asks_to_forget(words: str) -> bool:
    """Whether a student wants nothing else than that the tutor forgets them."""
    if len(words) > LONGEST_CHARS:
        return False
    folded = unicodedata.normalize("NFKC", words).casefold().replace("’", "'")
    text = _HAN_GAP.sub("", _MARKS.sub(" ", folded)).strip()
    return bool(_ENGLISH.fullmatch(text) or _CHINESE.fullmatch(text))


class _Entry(Protocol):
    @property
    def role(self) -> str: ...
    @property
    def content(self) -> str: ...


Entry = TypeVar("Entry", bound=_Entry)


def since_forgotten(conversation: Sequence[Entry]) -> list[Entry]:
    """What was said after the student last asked to be forgotten, from their next words on; all
    where they never did."""
    asked = [i for i, entry in enumerate(conversation) if _asks(entry)]
    if not asked:
        return list(conversation)
    since = conversation[asked[-1] + 1 :]
    return list(dropwhile(lambda entry: entry.role != "user", since))


def _asks(entry: _Entry) -> bool:
    return entry.role == "user" and asks_to_forget(entry.content)


class _Closable(AsyncIterator[str]):
    async def aclose(self) -> None: ...


class ForgettingLlm:
    """Another one's mind that, asked to forget the student, says that it has: whoever asks it has
    made that true before."""

    def __init__(self, llm: Llm) -> None:
        self._llm = llm

    async def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        asked = next((m.content for m in reversed(messages) if m.role == "user"), "")
        if asks_to_forget(asked):
            yield FORGOTTEN_CHINESE if language_of(asked) == "zh" else FORGOTTEN_ENGLISH
            return
        async with aclosing(cast(_Closable, self._llm.reply(messages))) as tokens:
            async for token in tokens:
                yield token
