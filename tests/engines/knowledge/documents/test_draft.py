import pytest

from engines.errors import DocumentTooLarge
from engines.knowledge.base import Block
from engines.knowledge.documents.draft import Draft, on_pages
from engines.knowledge.documents.limits import LIMIT_TEXT


def test_headings_end_where_one_of_their_level_begins() -> None:
    draft = Draft()
    for level, text in ((0, "Book"), (1, "A"), (3, "Deep"), (2, "B"), (1, "C")):
        draft.heading(level, text)
        draft.add(text.lower())
    assert [block.headings for block in draft.finish().blocks] == [
        ("Book",),
        ("Book", "A"),
        ("Book", "A", "Deep"),
        ("Book", "A", "B"),
        ("Book", "C"),
    ]


def test_a_paragraph_in_large_letters_is_no_heading() -> None:
    draft = Draft()
    draft.heading(1, "word " * 100)
    assert len(draft.finish().blocks) == 1


def test_spaces_are_tidied_but_in_programs() -> None:
    draft = Draft()
    draft.add(" one \t two \n\n three ")
    draft.add("if x:\n    y", verbatim=True)
    draft.add(" \n ")
    assert draft.finish().blocks == (Block("one two\nthree"), Block("if x:\n    y"))


def test_what_is_hidden_is_counted_by_reason_and_page() -> None:
    draft = Draft()
    draft.hidden("white", "one two", 3)
    draft.hidden("white", "x", 1)
    draft.hidden("white", "  ", 2)
    draft.add("wa\u200bter", 5)
    assert draft.finish().notes == (
        "Hidden text was left out on pages 1 and 3: 7 characters (white).",
        "Hidden text was left out on page 5: 1 character (zero-width characters).",
    )


def test_more_text_than_is_read_is_told() -> None:
    draft = Draft()
    draft.add("x" * LIMIT_TEXT)
    with pytest.raises(DocumentTooLarge, match="divide"):
        draft.add("y")


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        ([], ""),
        ([2, 2], " on page 2"),
        ([3, 1, 2], " on pages 1, 2 and 3"),
        (range(1, 21), " on pages 1, 2, 3, 4, 5, 6, 7, 8 and 12 more"),
    ],
)
def test_pages_are_named(pages: list[int], words: str) -> None:
    assert on_pages(pages) == words
