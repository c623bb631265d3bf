from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.knowledge.base import Found, Passage
from engines.knowledge.quoting import AS_GOOD, ENOUGH, LONG, fitting, quote
from engines.language import language_of

WATER = (
    "Evaporation is the change of water into a gas. It happens at every temperature. "
    "Wet clothes dry faster in the wind because it carries the damp air away. "
    "Is that not strange? A tree gives off 300 litres a day.\n"
    "Place: Air; Time: nine days\n"
    "Place: Oceans; Time: three thousand years\n"
    "To change Celsius into Fahrenheit, multiply and add:\n"
    "$$F = \\frac{9}{5} C + 32$$"
)
CHINESE = (
    "蒸发是水变成水汽的过程。它在任何温度下都会发生。"
    "有风的时候衣服干得快，因为风带走了潮湿的空气。一棵树一天散发三百升水。"
)


def found(text: str, score: float = 0.9, number: int = 0) -> Found:
    return Found("kb", "water.md", Passage(text, None, "Water › Evaporation", number), score)


def said(question: str, *passages: Found) -> str:
    best = quote(question, passages, language_of(question))
    return best.text if best else ""


@pytest.mark.parametrize(
    ("question", "begin"),
    [
        ("What is evaporation?", "Evaporation is the change of water into a gas."),
        ("Why do clothes dry faster in the wind?", "Wet clothes dry faster"),
        ("How many litres does a tree give off?", "A tree gives off 300 litres"),
        ("How long does water stay in the oceans?", "Place: Oceans; Time: three thousand years"),
        ("How long does water stay in the air?", "Place: Air; Time: nine days"),
    ],
)
def test_it_chooses_the_sentence_that_answers(question: str, begin: str) -> None:
    assert said(question, found(WATER)).startswith(begin)


@pytest.mark.parametrize(
    ("question", "begin"),
    [
        ("什么是蒸发？", "蒸发是水变成水汽的过程。"),
        ("有风的时候衣服为什么干得快？", "有风的时候衣服干得快，因为"),
        ("一棵树一天散发多少水？", "一棵树一天散发三百升水。"),
    ],
)
def test_so_in_chinese(question: str, begin: str) -> None:
    assert said(question, found(CHINESE)).startswith(begin)


def test_a_sentence_that_points_back_brings_the_one_before() -> None:
    text = "Rain is water. It may freeze at night in the far north."
    assert said("Does rain freeze at night in the north?", found(text)) == text


def test_a_formula_comes_with_its_words() -> None:
    told = said("What is the formula from Celsius to Fahrenheit?", found(WATER))
    assert told.startswith("To change Celsius") and told.endswith("32$$")


def test_a_question_of_the_text_is_no_answer() -> None:
    text = "Why does ice float? Ice floats since it is lighter than the water around."
    assert said("Why does ice float?", found(text)).startswith("Ice floats")


def test_the_language_of_the_question_goes_first() -> None:
    english, chinese = found(WATER, 0.9), found(CHINESE, 0.99)
    assert fitting([chinese, english], "en") == [english]
    assert fitting([chinese, english], "zh") == [chinese]


@pytest.mark.parametrize("score", [ENOUGH - 0.01, AS_GOOD * 0.99 - 0.01])
def test_unless_another_has_clearly_more(score: float) -> None:
    english, chinese = found(WATER, score), found(CHINESE, 0.99)
    assert fitting([english, chinese], "en")[0] == chinese


def test_only_passages_about_as_good_as_the_best_are_looked_into() -> None:
    best, good, fair = (found("Rain is water.", score) for score in (0.6, 0.55, 0.45))
    assert fitting([fair, good, best], "en") == [best, good]


def test_the_first_sentence_answers_what_the_heading_asks() -> None:
    passage = Passage(
        "Warm air rises and its vapour condenses. Drops turn grey when clouds grow thick.",
        None,
        "How clouds form",
        0,
    )
    told = quote("How do clouds form?", [Found("kb", "w.md", passage, 1.0)], "en")
    assert told is not None and told.text.startswith("Warm air rises")


def test_outside_the_course_nothing_is_quoted() -> None:
    assert quote("What is rain?", [found(WATER, ENOUGH - 0.01)], "en") is None
    assert quote("What is rain?", [], "en") is None
    assert quote("What is rain?", [found("  \n ", 1.0)], "en") is None


texts = st.lists(
    st.sampled_from([*WATER.splitlines(), *CHINESE.split("。"), "“Rain” (x). ", "e.g. 3.5", "  "]),
    min_size=1,
    max_size=6,
).map("\n".join)
passages = st.lists(
    st.builds(found, texts | st.text(max_size=200), st.floats(0, 1), st.integers(0, 9)), max_size=4
)
questions = st.sampled_from(["What is evaporation?", "why", "蒸发是什么？", "多少升水？", "?", ""])


@given(questions | st.text(max_size=60), passages, st.sampled_from(["en", "zh"]))
def test_nothing_is_quoted_that_does_not_stand_in_the_passage(
    question: str, given_passages: Sequence[Found], language: str
) -> None:
    best = quote(question, given_passages, language)
    if best is None:
        return
    assert best.found in given_passages
    assert best.found.score >= AS_GOOD * ENOUGH
    assert max(f.score for f in given_passages) >= ENOUGH
    assert best.text.strip()
    assert _plain(best.text) in _plain(best.found.passage.text)
    assert len(best.text) <= max(2 * LONG["en"], 450)


def _plain(text: str) -> str:
    """Without white space and the marks of items and headings."""
    lines = (line.strip().lstrip("#-*+•·▪◦") for line in text.splitlines())
    return "".join("".join(lines).split())
