import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.knowledge.statements import LONGEST_STATEMENT, sentences, statements


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Rain falls. Snow, too!", ["Rain falls.", "Snow, too!"]),
        ("It is 23.5 degrees. Really?", ["It is 23.5 degrees.", "Really?"]),
        (
            "See e.g. Fig. 3 by Dr. Lee. It shows rain.",
            ["See e.g. Fig. 3 by Dr. Lee.", "It shows rain."],
        ),
        ("“Why?” he asked. Nobody knew.", ["“Why?” he asked.", "Nobody knew."]),
        ("云是小水滴。它很轻！为什么？", ["云是小水滴。", "它很轻！", "为什么？"]),
        ("他说：“下雨了。”我们回家。", ["他说：“下雨了。”", "我们回家。"]),
        ("水在100℃沸腾。Water boils. 冰", ["水在100℃沸腾。", "Water boils.", "冰"]),
        ("Use $a. b$ here. Then stop.", ["Use $a. b$ here.", "Then stop."]),
        ("Wait... it rains. Good.", ["Wait... it rains.", "Good."]),
        ("No end", ["No end"]),
        ("", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_lines_are_paragraphs_rows_and_formulas() -> None:
    said = statements(
        "Metals melt. Each at its own heat:\n"
        "Metal: iron; Melts at: 1538 °C\n"
        "$$F = \\frac{9}{5} C\n+ 32$$\n"
        "- an item of a list\n"
        "Note: this is a sentence."
    )
    assert [(s.kind, s.text, s.paragraph) for s in said] == [
        ("sentence", "Metals melt.", 0),
        ("sentence", "Each at its own heat:", 0),
        ("row", "Metal: iron; Melts at: 1538 °C", 1),
        ("formula", "$$F = \\frac{9}{5} C + 32$$", 2),
        ("sentence", "an item of a list", 3),
        ("sentence", "Note: this is a sentence.", 4),
    ]


def test_what_has_no_end_is_cut_between_words() -> None:
    said = sentences("drop " * 300)
    assert len(said) > 2
    assert all(len(each) <= LONGEST_STATEMENT and set(each.split()) == {"drop"} for each in said)


@given(st.text(alphabet="ab AB.!?…。！？“”’() \n,;:，$\\|-1水雨", max_size=300))
def test_nothing_is_lost_added_or_moved(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


@given(st.text(alphabet="ab.。\n$#-1 水|:;", max_size=300))
def test_every_statement_stands_in_the_passage(text: str) -> None:
    plain = "".join(text.split())
    position = 0
    for statement in statements(text):
        words = "".join(statement.text.split())
        position = plain.index(words, position) + len(words)
