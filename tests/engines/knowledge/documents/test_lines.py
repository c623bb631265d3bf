import pytest

from engines.knowledge.documents.lines import joined


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["Water", "boils."], "Water boils."),
        (["evapo-", "rates"], "evaporates"),
        (["evapo\u00ad", "rates"], "evaporates"),
        (["evapo\x02", "rates"], "evaporates"),
        (["North-", "South"], "North-South"),
        (["well-", "known"], "well-known"),
        (["2-", "fold"], "2-fold"),
        (["水在一百", "度沸腾。"], "水在一百度沸腾。"),
        (["使用", "Python"], "使用 Python"),
        (["물은", "끓는다"], "물은 끓는다"),
        (["range 5 –", "7"], "range 5 – 7"),
        ([" ", "", "x "], "x"),
        ([], ""),
    ],
)
def test_lines_become_a_paragraph(lines: list[str], text: str) -> None:
    assert joined(lines, {"well-known"}) == text
