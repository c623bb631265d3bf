import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.sentences import SentenceCutter


def cut(text: str, size: int | None = None, eager_first: bool = False) -> list[str]:
    """The sentences of a text that comes in tokens of `size` characters."""
    cutter = SentenceCutter(eager_first)
    step = size or max(1, len(text))
    sentences = []
    for begin in range(0, len(text), step):
        sentences += cutter.feed(text[begin : begin + step])
    return sentences + cutter.flush()


def both(*sentences: str) -> tuple[str, list[str]]:
    return " ".join(sentences), list(sentences)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        both("Plants need light.", "Do they?", "Yes!", "They do"),
        both("What?!", "Really?", "No way!!!", "Oh."),
        # Chinese
        ("植物需要阳光。是吗？是的！好；走", ["植物需要阳光。", "是吗？", "是的！", "好；", "走"]),
        ("什么？！真的……也许吧。", ["什么？！", "真的……", "也许吧。"]),
        ("他说：“好。”然后走了。", ["他说：“好。”", "然后走了。"]),
        ("（见图。）「是。」完", ["（见图。）", "「是。」", "完"]),
        ("你好. 再见!走吧", ["你好.", "再见!", "走吧"]),
        ("你好。**重点**是这个。", ["你好。", "**重点**是这个。"]),
        ('他说"好。"然后走。', ['他说"好。"', "然后走。"]),
        (
            "Python 3.11。看 https://a.com/?q=1。好",
            ["Python 3.11。", "看 https://a.com/?q=1。", "好"],
        ),
        # Quotes and brackets stay
        both('He said "Hi."', "Then he left."),
        both("(See there.)", "“Good.”", "**Note.**", "Well _done._", "End"),
        both('"Why?" he asked.', "“Stop!” she said."),
        # Numbers, versions, addresses
        both("Pi is 3.14 or so.", "Use v1.2.3.", "Next"),
        both("Open main.py or example.com.", "Mail a.b@c.org.", "See x.de/a.b?c=d!e now.", "Ok"),
        both("It was 1990.", "Then came 1991."),
        # Abbreviations
        both("Dr. Smith met Mrs. Jones, e.g. at St. Mary, vs. us.", "Ok"),
        both("It opens at 5 p.m. every day, i.e. late.", "It closes at 9 a.m.", "We go"),
        both("The U.S. Army came.", "It left the U.S.", "This is so."),
        both("Apples, pears, etc. are fruit.", "Also nuts, etc.", "Plants grow."),
        both("No.", "That is wrong.", "See No. 5, Fig. 3, Eq. 2 and p. 12.", "Ok"),
        both("J. K. Rowling and George W. Bush.", "Take vitamin C.", "It helps.", "So do I."),
        both("This is plan B.", "It is good."),
        # Ellipsis
        both("Well... maybe.", "Hm...", "Maybe… not.", "So…", "Yes"),
        # Lists and lines
        ("1. First one. More.\n2. Second", ["1. First one.", "More.", "2. Second"]),
        ("1) One\n2) Two", ["1) One", "2) Two"]),
        ("- a. Then\n- b\n\n* c", ["- a. Then", "- b", "* c"]),
        ("**1.** Bold. Ok", ["**1.** Bold.", "Ok"]),
        ("Two steps: 1. Look. 2. Act.", ["Two steps: 1. Look.", "2. Act."]),
        ("## Title\nText\n\nMore", ["## Title", "Text", "More"]),
        (
            "| a. B | c |\n|---|---|\n| 1. D | e |\nEnd.",
            ["| a. B | c |", "|---|---|", "| 1. D | e |", "End."],
        ),
        # Code
        (
            "Look:\n```python\nx = 1. Y\n\nprint(x)\n```\nDone.",
            ["Look:", "```python\nx = 1. Y\n\nprint(x)\n```", "Done."],
        ),
        ("````\na\n```\nb\n````\nDone.", ["````\na\n```\nb\n````", "Done."]),
        ("~~~\na. B\n~~~\nOk", ["~~~\na. B\n~~~", "Ok"]),
        ("```\nnever closed. Yes.\n\nNo.", ["```\nnever closed. Yes.\n\nNo."]),
        both("Use `a. B` or ``c. `D``.", "Then ```e. F```.", "Ok"),
        both("An open ` tick.", "Goes on."),
        # Formulas and money
        both("With $x. Y$ it is.", "And \\(a. B\\) too.", "Ok"),
        both("Here $$a.\nB$$ it is.", "And \\[c!\nD\\] too.", "Ok"),
        both("It costs $5.", "Or $6.50 a piece.", "Or $7 million?", "Or 8$.", "Ok"),
        both("Both $5x. Y$ and $2 = 1. Z$ hold.", "Escaped \\$5.", "Ok $"),
        ("", []),
        (" \n\n ", []),
        ("...", ["..."]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [None, 1, 2, 3, 7])
def test_a_text_is_cut_into_its_sentences(
    text: str, sentences: list[str], size: int | None
) -> None:
    assert cut(text, size) == sentences


@pytest.mark.parametrize(
    ("tokens", "at_once"),
    [
        (["Sure", " thing."], ["Sure thing."]),
        (["Yes."], ["Yes."]),
        (["That", " isn't."], ["That isn't."]),
        (["Really", "?"], ["Really?"]),
        (["当然", "。"], ["当然。"]),
        (["好", "！"], ["好！"]),
        (["“好", "。”"], ["“好。”"]),
        (["你好."], ["你好."]),
        # Not clear
        (["Dr."], []),
        (["It is 3."], []),
        (["See No."], []),
        (["George W."], []),
        (["1."], []),
        (["iv."], []),
        (["Well..."], []),
        (["嗯…"], []),
        (["Fruits, etc."], []),
        (["See https://a.com/?"], []),
        (["in the U.S."], []),
        (["Use `a."], []),
        (["With $x!"], []),
        (["```\nok."], []),
        (["| a."], []),
    ],
)
def test_the_first_sentence_is_cut_at_once_where_its_end_is_clear(
    tokens: list[str], at_once: list[str]
) -> None:
    cutter = SentenceCutter()
    assert [sentence for token in tokens for sentence in cutter.feed(token)] == at_once
    rest = cutter.feed(" Next") + cutter.flush()
    assert "".join(at_once + rest).replace(" ", "") == "".join([*tokens, "Next"]).replace(" ", "")


def test_only_the_first_sentence_is_eager() -> None:
    cutter = SentenceCutter()
    assert cutter.feed("One thing.") == ["One thing."]
    assert cutter.feed(" Another thing.") == []
    assert cutter.feed(" And") == ["Another thing."]
    assert cutter.flush() == ["And"]
    assert cutter.feed("New answer.") == ["New answer."]


def test_eagerness_can_be_switched_off() -> None:
    cutter = SentenceCutter(eager_first=False)
    assert cutter.feed("好。") == []
    assert cutter.feed("”") == []
    assert cutter.feed("再") == ["好。”"]


def test_a_quote_that_comes_too_late_is_not_lost() -> None:
    cutter = SentenceCutter()
    assert cutter.feed("“好。") == ["“好。"]
    assert cutter.feed("”他说。") + cutter.flush() == ["”他说。"]


def test_a_sentence_comes_as_soon_as_its_end_is_known() -> None:
    cutter = SentenceCutter(eager_first=False)
    assert cutter.feed("One thing.") == []
    assert cutter.feed(" A") == ["One thing."]
    assert cutter.feed("\n") == ["A"]


@pytest.mark.parametrize(
    ("text", "first_at_most", "later_at_most"),
    [
        ("a few words, and more; " * 40, 100, 225),
        ("有几个字，还有更多、" * 40, 35, 90),
        ("a word " * 200, 401, 401),
        ("没有标点的句子" * 100, 155, 165),
        ("x" * 2_000, 401, 401),
    ],
)
def test_a_sentence_without_end_is_cut(text: str, first_at_most: int, later_at_most: int) -> None:
    first, *later = cut(text, 5)
    assert len(first) <= first_at_most
    assert later
    assert max(map(len, later)) <= later_at_most
    if "," in text or "，" in text:
        assert all(sentence[-1] in ",;，、" for sentence in [first, *later])
    if " " in text:
        assert all(sentence.split()[-1] in text.split() for sentence in later)


def test_a_short_clause_does_not_stand_alone() -> None:
    first, *_ = cut("Well, " + "words without a mark " * 10)
    assert first != "Well,"


def test_what_is_never_closed_is_given_up() -> None:
    for opening in ("$$", "\\["):
        cutter = SentenceCutter()
        text = f"So {opening} is odd. " + "It goes on. " * 100
        sentences = [sentence for mark in text for sentence in cutter.feed(mark)]
        assert sentences[0] == f"So {opening} is odd."


def test_a_long_formula_is_whole() -> None:
    formula = "$$" + "a + b. C, " * 60 + "$$"
    assert formula in cut(f"Look at {formula} well. Ok.", 4)[0]


def test_a_long_program_is_whole() -> None:
    program = "```\n" + "x = 1. Y\n" * 500 + "```"
    assert cut(f"{program}\nOk.", 50) == [program, "Ok."]


PARTS = st.sampled_from(
    [
        *"abcABZ019 .,!?;:。！？；…，、：“”‘’\"'()（）*_`$|~\\[]{}#-\n 你好我",
        " ",
        " ",
        "\n\n",
        "```",
        "$$",
    ]
    + ["\\(", "\\)", "Dr.", "e.g.", "etc.", "U.S.", "No.", "3.14", "$5", "a.com", "1. ", "words "]
)
TEXTS = st.lists(PARTS, max_size=60).map("".join) | st.text(max_size=80)


@settings(deadline=None, max_examples=150)
@given(TEXTS, st.booleans())
def test_nothing_is_lost_and_nothing_added(text: str, eager_first: bool) -> None:
    sentences = cut(text, 3, eager_first)
    assert re.sub(r"\s", "", "".join(sentences)) == re.sub(r"\s", "", text)
    assert all(sentence == sentence.strip() != "" for sentence in sentences)


@settings(deadline=None, max_examples=300)
@given(TEXTS, st.integers(1, 9))
def test_the_tokens_do_not_matter(text: str, size: int) -> None:
    assert cut(text, size) == cut(text)


@settings(deadline=None, max_examples=100)
@given(st.lists(PARTS, max_size=40).map("".join), st.integers(1, 5))
def test_the_tokens_do_not_matter_in_long_texts(text: str, size: int) -> None:
    assert cut(text * 15, size) == cut(text * 15)
