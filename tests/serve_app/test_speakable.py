import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.speakable import speakable


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Plants need light.", "Plants need light."),
        ("Plants need light [1]. And water[2][3].", "Plants need light. And water."),
        ("[2] And water.", "And water."),
        ("It is [1] light.", "It is light."),
        ("Take a[1] of the list, not [1](https://a.org/b).", "Take a[1] of the list, not 1."),
        ("The interval [0, 1].", "The interval [0, 1]."),
        # Markdown
        ("**Bold**, *it*, __x__, ~~old~~ and _one_.", "Bold, it, x, old and one."),
        ("***Both*** of them", "Both of them"),
        ("## Title ##", "Title"),
        ("- item", "item"),
        ("* [x] done", "done"),
        ("• item", "item"),
        ("1. First step", "1, First step"),
        ("**2.** Next", "2, Next"),
        ("3) Last", "3, Last"),
        ("> > quoted **text**", "quoted text"),
        ("See [the page](http://a.com/b_c).", "See the page."),
        ("[![alt](a.png)](http://x.y)", "alt"),
        ("A [word][ref] and a note[^1].", "A word and a note."),
        ("![A leaf](leaf.png)", "A leaf"),
        ("| Name | Age |", "Name, Age"),
        ("|---|:-:|", ""),
        ("---", ""),
        ("* * *", ""),
        ("===", ""),
        ("Hi <b>there</b> &amp; <br/>you", "Hi there and you"),
        ('<a href="x">Link</a>', "Link"),
        ("x<sup>2</sup> and H<sub>2</sub>O", "x squared and H 2 O"),
        ("Great 😀 job 👩‍💻!", "Great job!"),
        ("Well done 👍🏽", "Well done"),
        ("a \\* b \\_ c", "a b c"),
        # Code
        ("```python\nx = 1\n```", "Here is a piece of code."),
        ("~~~\nx\n~~~", "Here is a piece of code."),
        ("```\nnever closed", "Here is a piece of code."),
        ("Use `snake_case` or `getName()`.", "Use snake case or get Name."),
        ("Run `main.py` with `x = 1`.", "Run main dot py with x equals 1."),
        ("Call snake_case and __init__.", "Call snake case and init."),
        # Formulas
        ("$x^2$ is big", "x squared is big"),
        (r"So \(\frac{a}{b}\) is it.", "So a over b is it."),
        ("$$\nE = mc^2\n$$", "E equals m c squared"),
        (r"\[ a \leq b \]", "a is less than or equal to b"),
        ("x^2 + 3 = 7", "x squared plus 3 equals 7"),
        ("So y = mx + b.", "So y equals m x plus b."),
        ("10^6 people", "10 to the power of 6 people"),
        ("H_2O, CO₂ and CO_2", "H 2 O, C O 2 and C O 2"),
        ("The area is πr².", "The area is pi r squared."),
        ("speed = distance / time", "speed equals distance over time"),
        ("2 * 3 = 6 and 2*3", "2 times 3 equals 6 and 2 times 3"),
        ("if x < 5 and y >= 3", "if x is less than 5 and y is greater than or equal to 3"),
        ("a != b == c", "a is not equal to b equals c"),
        # Money
        ("It costs $5.", "It costs 5 dollars."),
        ("$1, $6.50 and $7 million", "1 dollar, 6.50 dollars and 7 million dollars"),
        ("From $5 to $10, or \\$3", "From 5 dollars to 10 dollars, or 3 dollars"),
        ("$1,200 or US$5", "1,200 dollars or 5 dollars"),
        ("5€ and £3", "5 euros and 3 pounds"),
        ("$5x$ is no price", "5 x is no price"),
        # Signs
        ("5% of 20°C", "5 percent of 20 degrees Celsius"),
        ("a 90° turn, 68 °F", "a 90 degrees turn, 68 degrees Fahrenheit"),
        ("light → sugar", "light to sugar"),
        ("a -> b => c", "a to b to c"),
        ("2-3 days", "2 to 3 days"),
        ("on 2024-05-01", "on 2024-05-01"),
        ("on 5/6/2024", "on 5/6/2024"),
        ("1/2 of 60 km/h", "1 over 2 of 60 km per h"),
        ("and/or", "and or"),
        ("C++, C# and #5", "C++, C sharp and number 5"),
        ("~5 or so", "about 5 or so"),
        ("yes - or no", "yes, or no"),
        ("well-known e-mail", "well-known e-mail"),
        ('He said "don\'t" (twice).', 'He said "don\'t" (twice).'),
        # Addresses
        ("See https://www.example.com/a?b=c_d.", "See example.com."),
        ("<https://a.org/x>", "a.org"),
        ("Go to docs.x.org/a/b_c now", "Go to docs.x.org now"),
        ("Mail me@x.org", "Mail me at x.org"),
        # Nothing to say
        ("", ""),
        ("😀", ""),
        ("***", ""),
        ("$", ""),
        ("...", ""),
        ("( )", ""),
    ],
)
def test_english(written: str, read: str) -> None:
    assert speakable(written) == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("**重点**是*这个*。", "重点是这个。"),
        ("水在一百度沸腾[1]。【2】冰在零度融化。", "水在一百度沸腾。冰在零度融化。"),
        ("1. 第一步", "1，第一步"),
        ("2、第二步", "2，第二步"),
        ("# 标题", "标题"),
        ("[链接](http://a.com)在这里", "链接在这里"),
        ("| 甲 | 乙 |", "甲，乙"),
        ("运行 `print_all()` 函数", "运行print all函数"),
        ("打开 `main.py`。", "打开main点py。"),
        ("$x^2$的导数是 $2x$。", "x的平方的导数是2 x。"),
        (r"求$\frac{\alpha}{\beta}$的值", "求贝塔分之阿尔法的值"),
        ("公式 x^2 + 3 = 7 成立", "公式x的平方加3等于7成立"),
        ("水是 H_2O。", "水是H 2 O。"),
        ("勾股定理：$a^2+b^2=c^2$。", "勾股定理：a的平方加b的平方等于c的平方。"),
        ("价格是 $5，或 ¥20。", "价格是5美元，或20元。"),
        ("5% 的 20°C", "百分之5的20摄氏度"),
        ("光 → 糖", "光到糖"),
        ("2-3 天，1/2", "2到3天，2分之1"),
        ("如果 x < 5，y >= 3", "如果x小于5，y大于等于3"),
        ("请看 https://www.example.com/a。好的", "请看example.com。好的"),
        ("你好😀！", "你好！"),
        ("角 α 和 π", "角阿尔法和派"),
        ("我们用 Python 写代码。", "我们用Python写代码。"),
    ],
)
def test_chinese(written: str, read: str) -> None:
    assert speakable(written) == read


def test_the_language_can_be_given() -> None:
    assert speakable("```\nx\n```", "zh") == "这里有一段代码。"
    assert speakable("$x^2$", "zh-CN") == "x的平方"
    assert speakable("$x^2$", "en") == "x squared"


PARTS = st.sampled_from(
    [*"abxyz019 .,!?()[]{}<>*_#`\\$|~^&%+-=/:@\n 你好。，😀π²₂°→€", "```", "$$", "\\(", "\\)", "**"]
    + ["http://a.b/c", "$5", "x^2", "a_1", "H_2O", "1. ", "- ", "<b>", "&lt;", "word", "| a |"]
)
TEXTS = st.lists(PARTS, max_size=60).map("".join) | st.text(max_size=100)


@settings(deadline=None, max_examples=300)
@given(TEXTS, st.sampled_from([None, "en", "zh", "de"]))
def test_no_mark_is_ever_read(text: str, language: str | None) -> None:
    read = speakable(text, language)
    assert not set(read) & set("*_#`\\$|~^{}<>\n")
    assert read == read.strip()
    assert read == "" or any(character.isalnum() for character in read)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from(["plants", "need", "light", "植物", "需要", "阳光"]), min_size=1))
def test_words_are_never_lost(words: list[str]) -> None:
    assert speakable(" ".join(words)).replace(" ", "") == "".join(words)


@pytest.mark.parametrize(
    "part",
    ["*", "_", "`", "$", "[", "(", "{", "<", "a_", "x^", "**a", "1+", "[a](", "\\(", "\\frac{", "~"]
    + ["a*b", "$a", "<a ", "- ", "|", "> ", "a.", "1-", "H_2", "(a", "http://a."],
)  # fmt: skip
def test_no_text_takes_long(part: str) -> None:
    begin = time.perf_counter()
    speakable(part * (2_000 // len(part)) + "!")
    assert time.perf_counter() - begin < 3  # a regular expression that runs away takes hours
