import pytest

from serve_app.citations import cited, without_citations


def test_citations_are_read_in_their_order() -> None:
    assert cited("Steam [2]. Water [1][2], 水【3】。 [3, 1]", 3) == [2, 1, 3]
    assert cited("So it is [2-3]. And so, °C[1].", 3) == [2, 3, 1]


@pytest.mark.parametrize(
    "text",
    ["None [4], [0], [x], 1, (2)", "a[1] and x2", "within [0, 1]", "[1, 4]", "[1](http://x)"],
)
def test_what_is_no_source_is_not_cited_and_is_read_out(text: str) -> None:
    assert cited(text, 3) == []
    assert without_citations(text, 3) == text


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Ice melts [1, 2].", "Ice melts."),
        ("Ice melts[1][3].", "Ice melts."),
        ("冰会融化[1、3]。", "冰会融化。"),
        ("水【2】。", "水。"),
        ("At 100 °C[1].", "At 100 °C."),
        ("We do it[1-3].", "We do it."),
        ("Steam [ 1 ], water [2;3].", "Steam, water."),
        ("[1]", ""),
    ],
)
def test_citations_are_not_read_out(text: str, read: str) -> None:
    assert without_citations(text, 3) == read


def test_without_sources_nothing_is_a_citation() -> None:
    assert without_citations("The list [1, 2] is short.", 0) == "The list [1, 2] is short."
    assert cited("The list [1, 2] is short.", 0) == []
