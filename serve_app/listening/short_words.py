"""What a learner says while the tutor speaks: "mm-hm", "stop", or something of their own. Pure.

Recognisers differ in punctuation and in script, so both are evened out first.
"""

import re

from engines.language import HAN

LONGEST_SHORT_WORD = 6
"""Letters. A single word up to here is rarely a question, and often a noise that was recognised."""

LONGEST_SHORT_CHINESE = 2
"""Characters: one word."""

_SIMPLIFIED = str.maketrans(
    "對別說講錯謝這個還後為話嗎雖爾儘關於過據數與聽係沒們樣課閉靜夠來會麼給問無論師請開繼續覺認實當瞭",
    "对别说讲错谢这个还后为话吗虽尔尽关于过据数与听系没们样课闭静够来会么给问无论师请开继续觉认实当了",
)

_BETWEEN = r"[\W_]*"

_BACKCHANNELS = (
    r"m+|m*h+m+|u+h+|h+u+h+|u+h+u+h+|u+m+|a+h+a*|aha+|o+h+|wow|yeah+|yea+|yep|yup|yes"
    r"|ok|okay|o[\W_]k|k|right|alright|all right|sure|sure thing|true|exactly|indeed|really"
    r"|cool|nice|great|good|very good|fine|perfect|i see|i know|i understand|i got it|got it|gotcha"
    r"|makes sense|that makes sense|of course|absolutely|interesting|go on|please go on|continue"
    r"|thank you|thank you very much|thanks|ha|haha+|hehe+"
    r"|嗯|恩|唔|哼|哦|噢|喔|啊|呃|额|哈|呵|嘿|咳|诶|欸|哎|哇"
    r"|好|好的|好吧|好啊|好嘞|对|对的|对啊|对呀|是|是的|是啊|是呀|没错|行|可以|当然|确实"
    r"|明白|明白了|我明白|我明白了|知道|知道了|我知道|我知道了|懂|懂了|我懂了|了解|原来如此|原来是这样"
    r"|这样啊|有道理|有意思|真的|真的吗|是吗|不错|继续|请继续|谢谢"
)

_LEADS = r"ok|okay|oh|hey|no|please|can you|could you|just|now|嗯|哦|啊|好|好了|请|你|您|先|老师|那"
_HALTS = (
    r"stop|stop it|stop that|stop talking|stop speaking|wait|wait up|hold on|hold it|hang on"
    r"|no[\W_]+no|pause|shut up|be quiet|quiet|hush|shush|shh+|silence|enough|that's enough"
    r"|that is enough|one moment|one second|one sec|just a moment|just a second|just a minute"
    r"|停|停下|停下来|停止|停一下|停一停|暂停|打住|等等|等|等一下|等一等|等下|等会|等会儿|稍等|稍等一下"
    r"|慢着|且慢|别说了|别说|别讲了|别讲|不要说了|不要讲了|不用说了|不用讲了|够了|闭嘴|住口|住嘴|安静"
    r"|安静一下|不对|不是|不不"
)
_TAILS = (
    r"please|now|there|it|talking|a moment|a second|a sec|a minute|a bit|for a moment|for a second"
    r"|tutor|teacher|no|吧|啊|呀|了|老师|好吗|一下"
)

_BACKCHANNEL = re.compile(f"(?:{_BETWEEN}(?:{_BACKCHANNELS})(?![a-z']))*{_BETWEEN}")
_HALT = re.compile(
    f"(?:{_BETWEEN}(?:{_LEADS})(?![a-z'])){{0,4}}"
    f"(?:{_BETWEEN}(?:{_HALTS})(?![a-z']))+"
    f"(?:{_BETWEEN}(?:{_TAILS})(?![a-z'])){{0,4}}{_BETWEEN}"
)
_WORD = re.compile(rf"[{HAN}]|[^\W_{HAN}]+(?:['-][^\W_{HAN}]+)*")
_HAN = re.compile(f"[{HAN}]")


def plain(text: str) -> str:
    """In small letters, with straight apostrophes and in simplified characters where it matters."""
    return text.lower().replace("’", "'").translate(_SIMPLIFIED)


def is_backchannel(text: str) -> bool:
    """Whether this only says "I am listening". A text without words, a cough, is one too."""
    return _BACKCHANNEL.fullmatch(plain(text)) is not None


def is_halt(text: str) -> bool:
    """Whether this asks the tutor to be silent and nothing else."""
    return _HALT.fullmatch(plain(text)) is not None


def interrupts(text: str) -> bool:
    """Whether the tutor should stop for these words."""
    if is_halt(text):
        return True
    return not is_backchannel(text) and not _is_one_short_word(plain(text))


def _is_one_short_word(text: str) -> bool:
    words = _WORD.findall(text)
    if all(_HAN.match(word) for word in words):
        return len(words) <= LONGEST_SHORT_CHINESE
    return len(words) == 1 and len(words[0]) <= LONGEST_SHORT_WORD
