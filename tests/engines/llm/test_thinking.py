import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.llm.thinking import Habit, ThinkFilter


def spoken(*pieces: str) -> str:
    thoughts = ThinkFilter()
    return "".join([*map(thoughts.feed, pieces), thoughts.flush()])


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        ("Plain words.", "Plain words."),
        ("<think>Hm.</think>\n\nIt is blue.", "It is blue."),
        ("<think></think>Yes.", "Yes."),
        ("<Thinking>Hm.</Thinking> Yes.", "Yes."),
        ("<think>One.</think> <think>Two.</think> Three.", "Three."),
        ("A tag <think> and an answer.", "A tag <think> and an answer."),
        ("Use <think> and </think>: so.", "Use <think> and </think>: so."),
        ("<think>Is <think> one?</think> Yes.", "Yes."),
        ("<think>It never ends", ""),
        ("A lost end</think> is not read out.", "A lost end" + "is not read out."),
        ("If a < b and b <c, then <i>a</i> <t", "If a < b and b <c, then <i>a</i> <t"),
        ("  white space first", "white space first"),
        ("<think>嗯。</think>天是蓝的。", "天是蓝的。"),
    ],
)
def test_thoughts_are_not_spoken(written: str, heard: str) -> None:
    assert spoken(written) == heard
    assert spoken(*written) == heard, "character by character"


@settings(deadline=None)
@given(st.text("<>/think ab", max_size=60), st.data())
def test_where_the_pieces_end_makes_no_difference(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    assert spoken(text[:at], text[at:]) == spoken(text)


def test_plain_words_are_handed_on_at_once() -> None:
    thoughts = ThinkFilter()
    assert [thoughts.feed(word) for word in ("Blue ", "is ", "a <", "b")] == [
        "Blue ",
        "is ",
        "a ",
        "<b",
    ]


UNBEGUN = ("Okay, be brief.\n", "</th", "ink>\n\nFour", ".")


def answered(habit: Habit, *pieces: str, cut: bool = False) -> list[str]:
    thoughts = ThinkFilter(habit)
    return [*map(thoughts.feed, pieces), thoughts.flush(cut=cut)]


def test_a_thought_that_only_ends_is_learnt_from() -> None:
    habit = Habit()
    assert "".join(answered(habit, *UNBEGUN)) == "Okay, be brief.\nFour."
    for _ in range(2):
        assert answered(habit, *UNBEGUN) == ["", "", "Four", ".", ""]
    assert answered(habit, "<think>Hm.</think>", "Five.") == ["", "Five.", ""]


def test_an_answer_without_an_end_is_handed_out_late_and_unlearns_it() -> None:
    habit = Habit(inside=True)
    assert answered(habit, "Four", ".", " <th") == ["", "", "", "Four. <th"]
    assert answered(habit, "Four", ".") == ["Four", ".", ""]


def test_a_thought_that_was_cut_is_not_spoken() -> None:
    habit = Habit(inside=True)
    assert answered(habit, "Okay, the learner", cut=True) == ["", ""]
    assert answered(habit, *UNBEGUN)[0] == ""


@pytest.mark.parametrize(
    "answer", ["The tag </think> ends it.", "`</think>` ends it.", "</think>Yes.", "标记</think>。"]
)
def test_an_answer_that_tells_of_the_tag_is_no_habit(answer: str) -> None:
    habit = Habit()
    answered(habit, answer)
    assert habit == Habit()
