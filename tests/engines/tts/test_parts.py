import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.tts.parts import parts


def test_a_short_sentence_stays_whole() -> None:
    assert list(parts("Hello, my friend.", 80)) == ["Hello, my friend."]


def test_parts_end_at_clauses_or_else_at_words() -> None:
    assert list(parts("One two, three four five.", 12)) == ["One two,", "three four", "five."]
    assert list(parts("今天天气很好，我们去公园吧。", 8)) == ["今天天气很好，", "我们去公园吧。"]


@pytest.mark.parametrize("nothing", ["", "  ", "...", "—"])
def test_what_says_nothing_is_left_out(nothing: str) -> None:
    assert list(parts(nothing, 80)) == []


@given(st.text("ab ,.今，", max_size=200), st.integers(1, 30))
def test_nothing_is_lost_and_nothing_is_too_long(sentence: str, characters: int) -> None:
    cut = list(parts(sentence, characters))
    assert all(0 < len(part) <= characters for part in cut)
    words = [c for c in "".join(cut) if c.isalnum()]
    assert words == [c for c in sentence if c.isalnum()]
