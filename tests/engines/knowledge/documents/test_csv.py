import pytest

from engines.errors import UnusableDocument
from engines.knowledge.base import Extracted
from engines.knowledge.documents import csv
from engines.knowledge.documents.draft import Draft


def read(content: bytes) -> Extracted:
    draft = Draft()
    csv.read(content, draft)
    return draft.finish()


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"a,b,c\n1,2,3\n", ["a: 1; b: 2; c: 3"]),
        (b'a;b\n"1;5";2\n', ["a: 1;5; b: 2"]),
        (b"a\tb\n1\t2\n3\t\n", ["a: 1; b: 2", "a: 3"]),
        (b'a,b,c\n"two\nlines",2,3\n', ["a: two lines; b: 2; c: 3"]),
        (b"iron,solid\nwater,liquid\n", ["iron: solid", "water: liquid"]),
        (b"1,2\n3,4\n", ["1: 2", "3: 4"]),
        ("城市;人口\n北京;2189\n".encode("gb18030"), ["城市: 北京; 人口: 2189"]),
        ("城市,人口\n北京,2189\n".encode("utf-16"), ["城市: 北京; 人口: 2189"]),
    ],
)
def test_rows_name_their_columns(content: bytes, lines: list[str]) -> None:
    assert [line for block in read(content).blocks for line in block.text.split("\n")] == lines


def test_a_long_table_names_them_to_its_end() -> None:
    rows = "".join(f"{number},{number * 2},x\n" for number in range(1_000))
    found = read(f"Number,Twice,Other\n{rows}".encode())
    lines = [line for block in found.blocks for line in block.text.split("\n")]
    assert lines == [f"Number: {n}; Twice: {2 * n}; Other: x" for n in range(1_000)]


def test_a_line_above_the_table_is_its_name() -> None:
    (block,) = read(b"Melting points,,\nMetal,Degrees,Use\niron,1538,rails\n").blocks
    assert block.headings == ("Melting points",)
    assert block.text == "Metal: iron; Degrees: 1538; Use: rails"


def test_a_quotation_mark_that_is_never_closed_is_told() -> None:
    with pytest.raises(UnusableDocument, match="quotation mark"):
        read(b'a,b\n1,"' + b"x" * 2_000_000)
