import pytest

from engines.errors import UnusableDocument
from engines.knowledge.base import Block, Extracted
from engines.knowledge.documents import text
from engines.knowledge.documents.draft import Draft
from tests.pdfs_made import WATER_ZH


def read(written: str) -> Extracted:
    draft = Draft()
    text.read(written.encode(), draft)
    return draft.finish()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030", "gbk"])
@pytest.mark.parametrize("written", [WATER_ZH, "水在一百度沸腾。", "Ice (冰) swims; 水 does not."])
def test_encodings_are_told(written: str, encoding: str) -> None:
    assert text.decoded(written.encode(encoding)) == written


@pytest.mark.parametrize(
    ("written", "encoding"),
    [
        ("Größe und Wärme, das Öl fließt über die Straße. " * 4, "cp1252"),
        ("Вода кипит при ста градусах, а лёд плавает на воде. " * 4, "cp1251"),
        ("물은 백 도에서 끓는다. 얼음은 물 위에 뜬다. 증발은 표면에서 일어난다. " * 4, "cp949"),
    ],
)
def test_other_encodings_are_guessed(written: str, encoding: str) -> None:
    assert text.decoded(written.encode(encoding)) == written


def test_what_is_no_text_is_told() -> None:
    with pytest.raises(UnusableDocument, match="no text"):
        text.decoded(bytes(range(32)) * 100)


def test_lines_that_an_editor_broke_are_one() -> None:
    written = (
        "Water boils at one hundred degrees where the air presses as it\n"
        "does at the sea.\n"
        "Short line\n"
        "- an item\n"
    )
    assert [block.text for block in read(written).blocks] == [
        "Water boils at one hundred degrees where the air presses as it does at the sea.",
        "Short line",
        "- an item",
    ]


def test_chinese_lines_are_joined_without_a_space() -> None:
    first, second = "水在标准大气压下于一百摄氏度沸腾，沸腾时液体内部和表面同时产生大量", "气泡。"
    assert [block.text for block in read(f"{first}\n{second}").blocks] == [first + second]


def test_chapters_are_headings() -> None:
    found = read("第一章 水\n第二节 沸腾\n水沸腾。\n\nChapter 2: Ice\nIce swims.\n\n第三章很难。")
    assert found.blocks == (
        Block("水沸腾。", None, ("第一章 水", "第二节 沸腾")),
        Block("Ice swims.", None, ("Chapter 2: Ice",)),
        Block("第三章很难。", None, ("Chapter 2: Ice",)),
    )
