import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.llm.marks import broken, broken_speech, without_marks

MARKS = [
    "<|im_start|>",
    "<|eot_id|>",
    "<｜User｜>",
    "＜|im_start|＞",
    "[INST]",
    "［/INST］",
    "<<SYS>>",
    "<s>",
    "</s>",
    "<start_of_turn>",
    "</think>",
    "[SYSTEM_PROMPT]",
    "[gMASK]",
    "<tool_call>",
]


@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_is_broken_and_taken_out(mark: str) -> None:
    for text in (mark, mark.lower(), mark.upper()):
        for broke in (broken, broken_speech):
            assert text not in broke(f"so {text} it is")
            assert broke(f"so {text} it is").replace(" ", "") == f"so{text}itis"
        assert without_marks(f"so {text} it is") == "so   it is"


@pytest.mark.parametrize(
    "text",
    [
        "1 < 2 > 0",
        "a | b",
        "[1, 2]",
        "list[0]",
        "<p>hi</p>",
        "if (a<b)",
        "水【1】",
        "a || b",
        "<b>",
    ],
)
def test_everything_else_stays(text: str) -> None:
    assert broken(text) == broken_speech(text) == without_marks(text) == text


def test_who_speaks_is_a_mark_in_documents_alone() -> None:
    tag = "<user>Anna</user>"
    assert broken(tag) == "< user>Anna< /user>"
    assert broken_speech(tag) == tag


@given(st.lists(st.sampled_from([*MARKS, "<", "|", "[", ">", "s", "\n", "a"])).map("".join))
def test_no_mixture_leaves_a_mark(text: str) -> None:
    left = broken(text)
    assert not any(mark in left for mark in MARKS)
    assert broken(left) == left
