"""What kind of answer a question wants, and how a statement shows that it is one. Pure."""

import re
from enum import Enum, auto


class Wish(Enum):
    DEFINITION = auto()
    REASON = auto()
    WAY = auto()
    NUMBER = auto()
    TIME = auto()
    FORMULA = auto()
    DIFFERENCE = auto()


_ASKED: tuple[tuple[Wish, str], ...] = (
    (Wish.DIFFERENCE, r"\bdifferences?\b|\bdiffer(?:s|ent)?\b|区别|不同|差别|不一样"),
    (
        Wish.FORMULA,
        r"\b(?:formula|equation|calculate|convert|reckon|work out)\b|公式|换算|计算|怎么算",
    ),
    (Wish.REASON, r"\bwhy\b|\bhow come\b|\breasons?\b|\bwhat (?:causes?|makes?)\b"),
    (Wish.REASON, r"为什么|为何|为啥|怎么会|原因|干嘛"),
    (Wish.TIME, r"\bwhen\b|\bwhat (?:time|day|month|year|season)\b|\bwhich (?:day|month|year)\b"),
    (Wish.TIME, r"什么时[候间]|什么季节|何时|几[点月号日年]|哪[一]?[天年月]"),
    (
        Wish.NUMBER,
        r"\bhow (?:many|much|long|far|high|deep|big|large|hot|cold|fast|old|often|heavy|tall|wide"
        r"|thick|strong)\b|\b(?:what|which) (?:temperature|percentage|percent|number|share|speed"
        r"|height|size|distance|proportion)\b",
    ),
    (Wish.NUMBER, r"多少|几(?!乎)|多[大高长远深热冷快厚重久宽]|百分之"),
    (Wish.WAY, r"\bhow\b|\bwhat happens\b|怎么|怎样|如何|咋"),
    (
        Wish.DEFINITION,
        r"^\W*(?:\w+\W+){0,6}?wh?at(?:'s|’s| is| are| was| were)\b|\bmeans?\b|\bmeaning\b|\bdefin"
        r"|\bexplain\b|\bcalled\b|\btell me\b|\bwho (?:is|was)\b",
    ),
    (
        Wish.DEFINITION,
        r"什么是|是什么|什么叫|叫做?什么|什么意思|指什么|何谓|解释|讲讲|介绍|怎么回事",
    ),
)
_WISHES = tuple((wish, re.compile(pattern, re.I)) for wish, pattern in _ASKED)

_NUMERAL = (
    r"\d+(?:[.,]\d+)*|\b(?:half|third|quarter|tenth|dozen|hundred|thousand|million|billion|two|three|four|five"
    r"|six|seven|eight|nine|ten|twelve|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)s?\b"
    r"|百分之|[一二两三四五六七八九十百千万亿半][个度米升克天年周分倍里层种位条次小摄公厘毫平立百千万亿十]"
)
_SHOWN = {
    Wish.REASON: r"\b(?:because|since|therefore|reasons?|cause[sd]?|due to|that is why|so that)\b"
    r"|, (?:and )?so\b|, for\b|因为|由于|所以|因此|原因|道理|因而|使得|导致|来自",
    Wish.WAY: r"\b(?:by|when|if|first|then|until|forms?|formed|made|becomes?|divide|multiply"
    r"|rises?|begins?)\b|形成|先|然后|通过|直到|变成|合成",
    Wish.DIFFERENCE: r"\b(?:while|whereas|but|unlike|instead|rather)\b|而|却|则|不是|相反",
    Wish.NUMBER: _NUMERAL,
    Wish.TIME: r"\b(?:spring|summer|autumn|winter|january|february|march|april|may|june|july|august"
    r"|september|october|november|december|morning|noon|afternoon|evening|night|day|year)s?\b"
    r"|\b1\d{3}\b|\b20\d\d\b|春|夏|秋|冬|月|季|早|晚|午|夜|\d年|日",
    Wish.FORMULA: r"\$|\\\(|=|\b(?:divided?|multipl\w+|times|plus|minus)\b|乘|除|加|减|等于",
}
_SIGNS = {wish: re.compile(pattern, re.I) for wish, pattern in _SHOWN.items()}

_DEFINES = re.compile(
    r"\b(?:is|are|was|means?|called|named|tells|consists?)\b|是|叫|指|表示|意思", re.I
)
_OPENING = 40
"""Characters, in which a definition names its subject."""

_VERB = 60
"""Characters behind the subject, in which a definition says that it is one."""


def wish_of(question: str) -> Wish | None:
    """The kind of answer that a question wants; None where it does not say."""
    return next((wish for wish, pattern in _WISHES if pattern.search(question)), None)


def without_wish(question: str) -> str:
    """The question without the words that only say what kind of answer it wants."""
    wish = wish_of(question)
    for kind, pattern in _WISHES:
        if kind is wish:
            question = pattern.sub(" ", question)
    return question


def fulfils(statement: str, wish: Wish | None, question: str, subjects: frozenset[str]) -> bool:
    """Whether a statement looks like an answer of this kind; `subjects` are the terms of the
    question, of which a definition names one before it says what that is."""
    if wish is None:
        return False
    if wish is Wish.DEFINITION:
        return _defines(statement, subjects)
    signs = _SIGNS[wish].finditer(statement)
    if wish is Wish.NUMBER:  # one that the question has already told is no answer
        return any(sign.group() not in question for sign in signs)
    return any(signs)


def _defines(statement: str, subjects: frozenset[str]) -> bool:
    opening = statement[:_OPENING].casefold()
    named = [opening.find(subject) for subject in subjects if subject in opening]
    begin = min(named, default=None)
    return begin is not None and _DEFINES.search(statement, begin, begin + _VERB) is not None
