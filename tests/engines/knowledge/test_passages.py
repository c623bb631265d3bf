from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from engines.knowledge.base import Block, Extracted, Passage
from engines.knowledge.documents.draft import Kind
from engines.knowledge.passages import LEAST_WORDS, LONGEST_WORDS, passages, words_in

KINDS: list[Kind] = ["text", "text", "table", "formula"]
CHAPTERS = [("Water",), ("Water", "Boiling"), ("Ice",), ()]


@st.composite
def documents(draw: st.DrawFn) -> Extracted:
    """Of words that are all different: w0 w1 w2 … in sentences, paragraphs, pages and chapters."""
    count, blocks = 0, []
    for page in range(1, draw(st.integers(1, 4)) + 1):
        for _ in range(draw(st.integers(0, 4))):
            text = ""
            for length in draw(st.lists(st.integers(1, 300), max_size=6)):
                text += " ".join(f"w{count + n}" for n in range(length)) + ". "
                count += length
            kind: Kind = draw(st.sampled_from(KINDS))
            blocks.append(Block(text, page, draw(st.sampled_from(CHAPTERS)), kind))
    return Extracted(tuple(blocks), 4)


def words_of(text: str) -> list[str]:
    return [word.strip(".") for word in text.split()]


@given(documents())
def test_nothing_is_lost_and_the_order_is_kept(document: Extracted) -> None:
    written = [word for block in document.blocks for word in words_of(block.text)]
    found = [word for passage in passages(document) for word in words_of(passage.text)]
    assert list(dict.fromkeys(found)) == written


@given(documents())
def test_none_is_too_long_and_all_are_numbered(document: Extracted) -> None:
    found = passages(document)
    assert [passage.number for passage in found] == list(range(len(found)))
    assert all(0 < words_in(passage.text) <= LONGEST_WORDS for passage in found)


@given(documents())
def test_each_has_its_page_and_heading(document: Extracted) -> None:
    where = {word: block for block in document.blocks for word in words_of(block.text)}
    for passage in passages(document):
        blocks = [where[word] for word in words_of(passage.text)]
        assert passage.page == blocks[0].page
        assert {" › ".join(block.headings) for block in blocks} == {passage.heading}
        before_the_last_page = [block for block in blocks if block.page != blocks[-1].page]
        assert len(before_the_last_page) < LEAST_WORDS + 1 or not before_the_last_page


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=1500), max_size=4))
def test_any_text_is_kept(texts: list[str]) -> None:
    document = Extracted(tuple(Block(text) for text in texts), 0)
    found = iter("".join("".join(passage.text.split()) for passage in passages(document)))
    assert all(character in found for character in "".join("".join(texts).split()))


def test_the_next_begins_with_the_last_sentence_of_the_one_before() -> None:
    text = " ".join(f"Sentence {n} has these seven words." for n in range(100))
    first, second, *_ = passages(Extracted((Block(text, 1),), 1))
    last = first.text[first.text.rindex("Sentence") :]
    assert second.text.startswith(last)
    assert first.text.endswith(".")


def test_rows_of_a_table_are_neither_cut_nor_repeated() -> None:
    rows = [f"City: number {n}; People: {n} thousand" for n in range(200)]
    found = passages(Extracted((Block("\n".join(rows), kind="table"),), 0))
    assert len(found) > 1
    assert [row for passage in found for row in passage.text.split("\n")] == rows


def test_four_hundred_chinese_characters_fill_one() -> None:
    text = "水在标准大气压下于一百摄氏度沸腾。" * 60
    found = passages(Extracted((Block(text, 1, ("第一章",)),), 1))
    assert all(passage.text.endswith("。") for passage in found)
    assert max(len(passage.text) for passage in found) > 350
    assert all(len(passage.text) <= 400 for passage in found)


def test_paragraphs_stay_apart_and_a_program_keeps_its_lines() -> None:
    blocks = (Block("One."), Block("def f():\n    return 1"), Block("Two."))
    assert passages(Extracted(blocks, 0)) == [
        Passage("One.\ndef f():\n    return 1\nTwo.", None, "", 0)
    ]


def test_a_few_words_at_the_end_of_a_page_go_with_the_next() -> None:
    short, full = "A few words.", "word " * 30
    few = passages(Extracted((Block(short, 1), Block(full, 2)), 2))
    many = passages(Extracted((Block(full, 1), Block(full, 2)), 2))
    assert [passage.page for passage in few] == [1]
    assert [passage.page for passage in many] == [1, 2]


def test_a_heading_alone_is_none() -> None:
    assert passages(Extracted((), 3)) == []
    blocks = (Block("Text.", 1, ("A", "B")), Block("Text.", 1, ("A", "C")))
    headings = [passage.heading for passage in passages(Extracted(blocks, 1))]
    assert headings == [" › ".join(key) for key, _ in groupby(block.headings for block in blocks)]
