from collections.abc import Callable

import pytest
from reportlab.pdfgen.canvas import Canvas

from engines.knowledge.base import Extracted
from tests.engines.knowledge.documents.conftest import Reading
from tests.pdfs_made import HEIGHT_PT, drawn, hiding, scan

Read = Callable[[bytes, str], Extracted]

LEFT = [
    "The pressure of the air is what",
    "keeps water together. Where the",
    "air presses less, water boils ear-",
    "lier, and eggs stay soft there.",
]
RIGHT = [
    "Salt in the water has the other",
    "effect, though a small one. A",
    "spoon of it in a pot changes the",
    "boiling point by less than one.",
]


def texts(found: Extracted) -> list[str]:
    return [block.text for block in found.blocks]


def lines(*lines: tuple[float, float, str]) -> bytes:
    """A page with these lines: from the left, from the top, and the text."""

    def draw(canvas: Canvas) -> None:
        for x, y, text in lines:
            canvas.drawString(x, HEIGHT_PT - y, text)

    return drawn(draw)


def pages(*pages: list[tuple[float, float, str]]) -> bytes:
    def draw(canvas: Canvas) -> None:
        for page in pages:
            canvas.setFont("Helvetica", 12)
            for x, y, text in page:
                canvas.drawString(x, HEIGHT_PT - y, text)
            canvas.showPage()

    return drawn(draw)


def test_columns_are_read_one_after_the_other(read: Read) -> None:
    """Though the file has them line by line."""
    written: list[tuple[float, float, str]] = [
        (60, 80, "All of this page is about how water boils on mountains and in pots.")
    ]
    for row, (left, right) in enumerate(zip(LEFT, RIGHT, strict=True)):
        written += [(60, 120 + 15 * row, left), (300, 120 + 15 * row, right)]
    assert texts(read(lines(*written), "columns.pdf")) == [
        "All of this page is about how water boils on mountains and in pots.",
        "The pressure of the air is what keeps water together. Where the air presses less, water"
        " boils earlier, and eggs stay soft there.",
        "Salt in the water has the other effect, though a small one. A spoon of it in a pot changes"
        " the boiling point by less than one.",
    ]


def test_a_book_keeps_its_order_and_leaves_its_running_heads(made: Reading) -> None:
    found = made("book.pdf")
    whole = " ".join(texts(found))
    places = [whole.find(words) for words in ("Evaporation turns", "Boiling happens", "Dew on")]
    assert -1 < places[0] < places[1] < places[2]
    assert "School physics" not in whole
    assert "Page 1" not in whole
    assert found.pages == 2


def test_cells_below_one_another_are_a_table(read: Read) -> None:
    rows = [("Metal", "Melts at", "Found in"), ("Iron", "1538", "ore"), ("Gold", "1064", "rivers")]
    written = [
        (60 + 150 * column, 100 + 16 * row, cell)
        for row, cells in enumerate(rows)
        for column, cell in enumerate(cells)
    ]
    (block,) = read(lines((60, 60, "Metals melt."), *written), "table.pdf").blocks[1:]
    assert block.kind == "table"
    assert block.text == (
        "Metal: Iron; Melts at: 1538; Found in: ore\nMetal: Gold; Melts at: 1064; Found in: rivers"
    )


def test_the_numbers_of_a_list_are_no_column(read: Read) -> None:
    items = ["Fill the pot with water.", "Heat the water.", "Read the thermometer."]
    written = [
        part
        for row, item in enumerate(items)
        for part in ((60.0, 100.0 + 20 * row, f"{row + 1}."), (90.0, 100.0 + 20 * row, item))
    ]
    assert texts(read(lines(*written), "list.pdf")) == [
        f"{number}. {item}" for number, item in enumerate(items, 1)
    ]


def test_a_word_with_a_hyphen_of_its_own_keeps_it(read: Read) -> None:
    written = [
        (60.0, 100.0, "This is a well-known law, and nobody doubts that it is a well-"),
        (60.0, 115.0, "known one, or that water evapo-"),
        (60.0, 130.0, "rates."),
    ]
    (text,) = texts(read(lines(*written), "hyphens.pdf"))
    assert text == (
        "This is a well-known law, and nobody doubts that it is a well-known one, or that water"
        " evaporates."
    )


def test_a_sentence_goes_on_over_the_page(read: Read) -> None:
    """Its end belongs to the page where it begins, the rest to its own."""
    first = [(60.0, 400.0, "Bubbles form everywhere in the")]
    second = [(60.0, 200.0, "liquid. Then they rise.")]
    found = read(pages(first, second), "pages.pdf")
    assert [(block.page, block.text) for block in found.blocks] == [
        (1, "Bubbles form everywhere in the liquid."),
        (2, "Then they rise."),
    ]


def test_page_numbers_and_running_heads_are_left_out(read: Read) -> None:
    content = pages(
        *[
            [
                (60.0, 40.0, f"Physics {number}"),
                (60.0, 300.0, f"Paragraph {word} stands here."),
                (290.0, 810.0, f"{number + 4}"),
            ]
            for number, word in enumerate(["one", "two", "three", "four"])
        ]
    )
    assert texts(read(content, "book.pdf")) == [
        f"Paragraph {word} stands here." for word in ("one", "two", "three", "four")
    ]


def test_a_number_that_is_no_page_number_stays(read: Read) -> None:
    found = read(pages([(60.0, 40.0, "1848")], [(60.0, 400.0, "The year.")]), "year.pdf")
    assert texts(found) == ["1848", "The year."]


@pytest.mark.parametrize("turns", [90, 180, 270])
def test_a_page_that_is_turned_for_its_reader_is_read(read: Read, turns: int) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setPageRotation(turns)
        if turns == 90:
            canvas.translate(500, 100)
        elif turns == 180:
            canvas.translate(500, 700)
        else:
            canvas.translate(100, 500)
        canvas.rotate(turns)
        canvas.drawString(0, 0, "First line.")
        canvas.drawString(0, -40, "Second line.")

    assert texts(read(drawn(draw), "turned.pdf")) == ["First line.", "Second line."]


def test_what_nobody_sees_is_left_out_and_told(read: Read) -> None:
    found = read(hiding(), "hiding.pdf")
    assert texts(found) == [
        "Plants need light, water and air.",
        "White on black is read by everybody.",
    ]
    told = " ".join(found.notes)
    for why in ("colour of what is behind", "behind something", "outside", "too small", "never"):
        assert why in told
    assert told.count("on page 1") == len(found.notes) == 5


def test_what_was_recognised_in_a_scan_is_read_and_told(read: Read) -> None:
    found = read(scan("Water boils at one hundred degrees."), "scan.pdf")
    assert texts(found) == ["Water boils at one hundred degrees."]
    (note,) = found.notes
    assert "page 1 was recognised" in note


def test_a_page_without_text_is_told(read: Read) -> None:
    found = read(pages([(60.0, 100.0, "Text.")], []), "half.pdf")
    assert found.pages == 2
    assert found.notes == ("There is no text on page 2; perhaps these are scanned pictures.",)
