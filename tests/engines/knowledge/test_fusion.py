"""How well a passage fits a question, and which are handed on."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.knowledge.base import Found, Passage
from engines.knowledge.fusion import (
    LEAST_SCORE,
    Asked,
    Candidate,
    Fit,
    chosen,
    fit,
    meaning_score,
    rareness,
    weighed,
    within,
)
from engines.knowledge.terms import Word

HOLDERS = {"water": 90, "boil": 5, "ice": 5, "the": 100}
"""Of 100 passages."""


def asked(*words: Word, nearly: Mapping[str, float] | None = None) -> Asked:
    return weighed(words, lambda term: HOLDERS.get(term, 0), 100, lambda term: nearly or {})


def test_a_passage_with_every_word_close_together_has_all() -> None:
    assert fit(asked(("water",), ("boil",)), "", "water boil").score == pytest.approx(1)


def test_a_rare_word_weighs_more() -> None:
    question = asked(("water",), ("boil",))
    assert fit(question, "", "boil").score > 5 * fit(question, "", "water").score > 0


def test_a_word_the_base_lacks_weighs_the_most() -> None:
    """So that a question about something else stays low, whatever else it says."""
    assert fit(asked(("water",), ("boil",), ("saxophone",)), "", "water boil").score < 0.5


def test_words_far_apart_count_less() -> None:
    question = asked(("ice",), ("boil",))
    apart = f"ice {'x ' * 100}boil"
    assert fit(question, "", apart).score < fit(question, "", "x ice boil").score


def test_the_best_window_may_lie_anywhere() -> None:
    question = asked(("ice",), ("boil",), ("water",))
    late = f"ice {'x ' * 100}ice boil water"
    assert fit(question, "", late).score == pytest.approx(1)


def test_a_word_within_another_is_not_met() -> None:
    assert fit(asked(("ice",)), "", "price icecream").score == 0


def test_the_pairs_of_a_long_word_weigh_as_one_word() -> None:
    question = asked(("ab", "bc", "cd"), ("ice",))
    assert fit(question, "", "ice").score < 0.5
    assert 0 < fit(question, "", "bc").score < 0.25


def test_a_word_that_is_nearly_right_is_nearly_enough() -> None:
    question = asked(("boild",), nearly={"boil": 0.7})
    assert fit(question, "", "boil").score == pytest.approx(0.7)


def test_only_the_heading_s_words_make_it_titled() -> None:
    question = asked(("ice",))
    assert fit(question, "ice", "ice x").titled == pytest.approx(1)
    assert fit(question, "x", "x ice").titled == 0


def test_rareness_goes_from_everywhere_to_nowhere() -> None:
    values = [rareness(holders, 100) for holders in (0, 1, 50, 100, 200)]
    assert values[0] == 1
    assert values == sorted(values, reverse=True)
    assert values[-1] == values[-2] > 0


@given(
    st.lists(st.sampled_from([*HOLDERS, "nowhere", "x"])),
    st.lists(st.sampled_from([*HOLDERS, "nowhere"]), unique=True),
)
def test_a_score_is_a_share(terms: list[str], words: list[str]) -> None:
    got = fit(asked(*[(word,) for word in words]), " ".join(terms[:2]), " ".join(terms))
    assert 0 <= got.score <= 1 + 1e-9
    assert 0 <= got.titled <= 1 + 1e-9


@pytest.mark.parametrize(
    ("likeness", "score"), [(0.3, 0), (0.5, 0), (0.55, 0), (0.7, 0.53), (1.0, 0.9)]
)
def test_likeness_counts_against_that_of_the_whole_base(likeness: float, score: float) -> None:
    assert meaning_score(likeness, 0.3, 0.1) == pytest.approx(score, abs=0.01)


def test_a_base_that_is_all_alike_means_nothing() -> None:
    assert meaning_score(0.5, 0.5, 0.0) == 0


def candidate(
    number: int, score: float, *, terms: str = "", meaning: float = 0.0, titled: float = 0.0
) -> Candidate:
    passage = Passage("text", None, "", number)
    return Candidate("a.md", passage, terms or str(number), Fit(score, titled), meaning)


def numbers(candidates: list[Candidate]) -> list[int]:
    return [each.passage.number for each in candidates]


def test_words_and_meaning_together_are_more_than_each() -> None:
    both = candidate(0, 0.5, meaning=0.5).score
    assert both > candidate(0, 0.5).score
    assert both > candidate(0, 0, meaning=0.5).score > 0
    assert candidate(0, 1, meaning=1).score == 1


def test_the_best_come_first_and_no_more_than_wanted() -> None:
    assert numbers(chosen([candidate(0, 0.3), candidate(1, 0.9), candidate(2, 0.6)], 2)) == [1, 2]


def test_of_like_ones_the_titled_comes_first_and_else_the_earlier() -> None:
    like = [candidate(2, 0.6), candidate(1, 0.6), candidate(3, 0.55, titled=1)]
    assert numbers(chosen(like, 3)) == [3, 1, 2]


def test_what_repeats_a_better_one_is_left_out() -> None:
    words = "a b c d e f g h i"
    twice = [
        candidate(0, 0.9, terms=words),
        candidate(1, 0.8, terms=f"{words} j"),
        candidate(2, 0.1),
    ]
    assert numbers(chosen(twice, 3)) == [0, 2]


def test_what_hardly_fits_is_left_out() -> None:
    assert chosen([candidate(0, LEAST_SCORE / 2)], 3) == []


def found(text: str) -> Found:
    return Found("kb", "a.md", Passage(text, None, "Water", 0), 0.9)


def test_what_fits_into_the_budget_is_kept_from_the_best_on() -> None:
    each = [found("word " * 60), found("word " * 60), found("word")]
    assert within(each, 10_000) == each
    assert within(each, 160) == each[:1]
    assert within(each, 10) == []


def test_a_budget_is_counted_by_who_knows() -> None:
    assert within([found("x" * 1000)], 100, lambda text: 1) == [found("x" * 1000)]
