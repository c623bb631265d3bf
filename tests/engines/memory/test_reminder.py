import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.llm.context import Estimate
from engines.llm.grounding import noted
from engines.memory.base import KINDS, Fact, Note, Remembered, Said
from engines.memory.reminder import TOKENS, reminder, room


def tokens_of(notes: tuple[Note, ...]) -> int:
    return sum(map(Estimate(), noted(notes)))


def test_nothing_known_is_nothing_told() -> None:
    assert reminder(Remembered()) == ()


def test_what_is_known_is_told_with_the_name_first() -> None:
    known = Remembered(
        "Learnt about rain.",
        (Fact("interest", "likes frogs"), Fact("goal", "wants to swim"), Fact("name", "Anna")),
        (Said(True, "Bye"), Said(False, "See you")),
    )
    assert reminder(known) == (
        Note("name", "Anna"),
        Note("goal", "wants to swim"),
        Note("summary", "Learnt about rain."),
        Note("last session, tutor", "See you"),
        Note("last session, student", "Bye"),
        Note("interest", "likes frogs"),
    )


def test_what_does_not_fit_is_left_out_whole() -> None:
    known = Remembered(facts=(Fact("name", "Anna"), Fact("other", "x" * 120)))
    assert reminder(known, tokens_of((Note("name", "Anna"),)) + 20) == (Note("name", "Anna"),)
    assert reminder(known, 10) == ()


@pytest.mark.parametrize("sentence", ["学了雨和雪。", "Learnt about rain. "])
def test_a_whole_summary_is_told_in_every_language_if_need_be_cut(sentence: str) -> None:
    known = Remembered((sentence * 200)[:600], (Fact("name", "Anna"),))
    name, summary = reminder(known)
    assert (name.about, summary.about) == ("name", "summary")
    assert len(summary.text) >= 250
    assert known.summary.startswith(summary.text.rstrip("…"))


def test_a_small_context_has_little_room() -> None:
    assert room(None) == room(8192) == TOKENS
    assert room(512) == 64


@given(
    st.builds(
        Remembered,
        st.text(max_size=600),
        st.lists(st.builds(Fact, st.sampled_from(KINDS), st.text(max_size=120))).map(tuple),
        st.lists(st.builds(Said, st.booleans(), st.text(max_size=200))).map(tuple),
    ),
    st.integers(0, 1200),
)
def test_it_stays_within_its_tokens(known: Remembered, tokens: int) -> None:
    notes = reminder(known, tokens)
    assert not notes or tokens_of(notes) <= tokens
