import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.llm.thinking import ThinkFilter


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
        ("One. <think>and then?</think> Two.", "One. Two."),
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
