"""Texts and questions to the terms they are searched by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.knowledge.terms import (
    MAX_QUESTION_CHARS,
    MAX_TERM_CHARS,
    passage_terms,
    question_words,
)


def test_english_words_lose_their_ends_and_their_case() -> None:
    assert passage_terms("Boiling water EVAPORATES") == ["boil", "water", "evapor"]


def test_chinese_gives_characters_and_pairs_in_order() -> None:
    assert passage_terms("水沸腾") == ["水", "水沸", "沸", "沸腾", "腾"]


def test_numbers_and_formulas_stay_whole() -> None:
    assert passage_terms("1,000.5 m of H₂O, CO₂ and C++") == [
        *("1000.5", "m", "of", "h2o"),
        *("co2", "and", "c++"),
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ＡＢＣ１２３", "abc123"),
        ("蒸發與凝結", "蒸发与凝结"),
        ("café", "cafe"),
        ("Ἀθῆναι", "αθηναι"),
        ("مُحَمَّد", "محمد"),
        ("STRASSE", "straße"),
    ],
)
def test_ways_of_writing_are_one(one: str, other: str) -> None:
    assert passage_terms(one) == passage_terms(other) != []


@pytest.mark.parametrize(
    "text", ["मौसम क्या है", "Погода сегодня", "東京タワー", "날씨가 좋다", "อากาศดี"]
)
def test_other_scripts_find_themselves(text: str) -> None:
    held = set(passage_terms(text))
    words = question_words(text)
    assert words
    assert {term for word in words for term in word} <= held


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("What is the boiling point of water?", [("boil",), ("point",), ("water",)]),
        ("水为什么会沸腾？", [("水",), ("沸腾",)]),
        ("請問水為什麼會沸騰？", [("水",), ("沸腾",)]),
        ("光合作用需要哪些条件？", [("光合", "合作", "作用"), ("条件",)]),
        ("How far away is the Moon?", [("moon",)]),
        ("water, water and Water", [("water",)]),
    ],
)
def test_a_question_is_what_it_asks_about(question: str, words: list[tuple[str, ...]]) -> None:
    assert list(question_words(question)) == words


@pytest.mark.parametrize(
    "question", ["", "?!", "你好吗", "为什么呢？", "What is it?", "hello, how are you"]
)
def test_a_question_about_nothing_has_no_words(question: str) -> None:
    assert question_words(question) == ()


def test_pairs_across_two_words_are_not_asked_for() -> None:
    assert ("水沸",) not in question_words("水沸腾的温度")


def test_what_is_too_long_is_left_out() -> None:
    assert passage_terms("x" * (MAX_TERM_CHARS + 1)) == []
    assert question_words("? " * MAX_QUESTION_CHARS + "water") == ()


@given(st.text())
def test_any_text_gives_terms_without_spaces(text: str) -> None:
    """They are kept with spaces between."""
    terms = passage_terms(text)
    assert all(terms)
    assert " ".join(terms).split() == terms
    for word in question_words(text):
        assert all(term and " ".join(term.split()) == term for term in word)
