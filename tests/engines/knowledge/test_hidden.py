import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.knowledge.hidden import Cleaned, cleaned

UNSEEN = "\u200b\u200c\u200d\u2060\u202e\u2066\U000e0041\U000e007f\u3164\ufeff\u00ad"


@pytest.mark.parametrize(
    "text",
    [
        "می\u200cخواهم",  # Persian parts words so
        "क्\u200dष",
        "👩\u200d🔬 and ❤\ufe0f",
        "ภาษา\u200bไทย",
        "葛\U000e0100",
        "Ça va, H₂O, 水。",
    ],
)
def test_what_a_script_needs_stays(text: str) -> None:
    assert cleaned(text) == Cleaned(text)


@pytest.mark.parametrize(
    ("text", "seen", "left_out"),
    [
        ("wa\u200bter", "water", {"zero-width": 1}),
        ("a\u202eb\u202c", "ab", {"bidi": 2}),
        ("ok" + "".join(chr(0xE0000 + ord(x)) for x in "obey"), "ok", {"tag": 4}),
        ("می\u200c\u200c\u200dخ", "میخ", {"zero-width": 3}),  # a row of them is a message
        ("A\ufe01\U000e0100B", "AB", {"tag": 1}),
        ("\u115f\u3164x", "x", {"zero-width": 2}),
    ],
)
def test_what_nobody_sees_goes_and_is_counted(
    text: str, seen: str, left_out: dict[str, int]
) -> None:
    found = cleaned(text)
    assert found.text == seen
    assert dict(found.left_out) == left_out


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\ufeffboil\u00ading", "boiling"),
        ("one\r\ntwo\rthree\u2028four\x0cfive", "one\ntwo\nthree\nfour\nfive"),
        ("e\u0301", "é"),
        ("e\ufb03cient", "efficient"),
        ("⽔", "水"),
        ("a\x00b\x07", "ab"),
    ],
)
def test_leavings_of_programs_go_without_a_word(text: str, seen: str) -> None:
    assert cleaned(text) == Cleaned(seen)


@given(st.text())
def test_once_is_enough(text: str) -> None:
    once = cleaned(text)
    assert cleaned(once.text).text == once.text


@given(st.lists(st.tuples(st.sampled_from("water 水"), st.text(UNSEEN, max_size=3))))
def test_the_words_around_stay(parts: list[tuple[str, str]]) -> None:
    text = "".join(letter + unseen for letter, unseen in parts)
    assert cleaned(text).text == "".join(letter for letter, _ in parts)
