import pytest

from engines.knowledge.documents.tables import is_number, table_lines


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        ([["Metal", "Melts", "Use"], ["iron", "1538", ""]], ["Metal: iron; Melts: 1538"]),
        ([["Gas", "Share"], ["oxygen", "21 %"]], ["Gas: oxygen; Share: 21 %"]),
        ([["Name", "Anna"], ["Town", "Jena"]], ["Name: Anna", "Town: Jena"]),
        ([["1", "2", "3"], ["4", "5", "6"]], ["1; 2; 3", "4; 5; 6"]),
        ([["a", "a", "b"], ["1", "2", "3"]], ["a; a; b", "1; 2; 3"]),
        ([["A", "B", "C"], ["1", "2", "3", "4"]], ["A: 1; B: 2; C: 3; 4"]),
        ([["", " "], ["x", "two\nlines"]], ["x: two lines"]),
        ([["alone"]], ["alone"]),
        ([], []),
    ],
)
def test_a_row_is_a_line(rows: list[list[str]], lines: list[str]) -> None:
    assert list(table_lines(rows)) == lines


def test_who_knows_that_the_first_row_has_names_is_believed() -> None:
    rows = [["Term", "Meaning"], ["dew", "water on grass"]]
    assert list(table_lines(rows, header=True)) == ["Term: dew; Meaning: water on grass"]
    assert list(table_lines(rows, header=False)) == ["Term: Meaning", "dew: water on grass"]


@pytest.mark.parametrize("cell", ["5", "-39 °C", "1,538.5", "21 %", "≈ 3.0e-8 Ω·m", "300 km/h"])
def test_numbers_have_signs_and_units(cell: str) -> None:
    assert is_number(cell)


@pytest.mark.parametrize("cell", ["", "iron", "Speed", "H2O", "a 5"])
def test_words_are_no_numbers(cell: str) -> None:
    assert not is_number(cell)
