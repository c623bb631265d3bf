import pytest

from engines.knowledge.terms import question_words
from engines.knowledge.wishes import Wish, fulfils, wish_of, without_wish


@pytest.mark.parametrize(
    ("question", "wish"),
    [
        ("What is fog?", Wish.DEFINITION),
        ("um so what's fog", Wish.DEFINITION),
        ("什么是雾？", Wish.DEFINITION),
        ("雾是什么意思", Wish.DEFINITION),
        ("Why does it rain?", Wish.REASON),
        ("What causes wind?", Wish.REASON),
        ("为什么会下雨？", Wish.REASON),
        ("How does hail form?", Wish.WAY),
        ("冰雹是怎么形成的？", Wish.WAY),
        ("How many litres is that?", Wish.NUMBER),
        ("At what temperature does it boil?", Wish.NUMBER),
        ("空气里有多少氧气？", Wish.NUMBER),
        ("When is the longest day?", Wish.TIME),
        ("什么时候最热？", Wish.TIME),
        ("How do I calculate the volume?", Wish.FORMULA),
        ("换算公式是什么？", Wish.FORMULA),
        ("What is the difference between dew and frost?", Wish.DIFFERENCE),
        ("露和霜有什么区别？", Wish.DIFFERENCE),
        ("fog", None),
        ("雾", None),
    ],
)
def test_a_question_says_what_it_wants(question: str, wish: Wish | None) -> None:
    assert wish_of(question) is wish


def test_the_words_that_only_ask_are_taken_away() -> None:
    assert "difference" not in without_wish("What is the difference between dew and frost?")
    assert without_wish("fog") == "fog"


@pytest.mark.parametrize(
    ("question", "statement", "expected"),
    [
        ("What is fog?", "Fog is a cloud on the ground.", True),
        ("What is fog?", "In the morning we often see that there is some fog.", False),
        ("什么是雾？", "雾是贴近地面的云。", True),
        ("什么是雾？", "清晨容易起雾。", False),
        ("Why is it salty?", "It is salty because of rivers.", True),
        ("Why is it salty?", "It holds 35 grams.", False),
        ("为什么咸？", "因为有盐。", True),
        ("How much salt?", "It holds 35 grams.", True),
        ("How much salt?", "It is salty.", False),
        ("How much rain are 24 hours?", "Rain of 24 hours is measured.", False),
        ("多少盐？", "大约是三十克。", True),
        ("When is it hot?", "In July.", True),
        ("露和霜有什么区别", "露是水，而霜是冰。", True),
        ("Rain", "Rain is water.", False),
    ],
)
def test_a_statement_shows_what_it_answers(question: str, statement: str, expected: bool) -> None:
    terms = frozenset(term for word in question_words(question) for term in word)
    assert fulfils(statement, wish_of(question), question, terms) is expected
