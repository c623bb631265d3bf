import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.knowledge.sentences import first_sentence, sentences


@pytest.mark.parametrize(
    "parts",
    [
        ["Water boils. ", "Ice swims! ", "Why?"],
        ["水在一百度沸腾。", "冰浮在水上！", "为什么？"],
        ["He said “Stop.” ", "They did."],
        ["See Fig. 3 and Dr. Ohm, e.g. in No. 5. ", "It is 3.14 m."],
        ["1. Measure the distance. ", "2. Wait."],
        ["One line\n", "another"],
        ["The law is $a = b. C$ and holds. ", "So it is."],
        ["पानी उबलता है। ", "बर्फ तैरती है।"],
        ["他问：“为什么？”", "没有人回答。"],
        ["Wait... what? ", "Yes."],
    ],
)
def test_they_are_cut_where_they_end(parts: list[str]) -> None:
    assert list(sentences("".join(parts))) == parts


@given(st.text(alphabet="ab .。!?\n$1A”"))
def test_together_they_are_the_text(text: str) -> None:
    parts = list(sentences(text))
    assert "".join(parts) == text
    assert all(parts)


def test_the_first_is_parted_from_the_rest() -> None:
    assert first_sentence("goes on. Then this.") == ("goes on.", "Then this.")
    assert first_sentence("goes on") == ("goes on", "")
