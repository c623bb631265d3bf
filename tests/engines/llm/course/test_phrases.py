import pytest

from engines.knowledge.base import Found, Passage
from engines.knowledge.quoting import Quote
from engines.llm.course.manners import Manner
from engines.llm.course.phrases import (
    LONGEST_NAME,
    courtesy,
    innermost,
    not_found,
    quoted,
    spoken_name,
)


def quote(
    text: str, document: str, page: int | None = None, heading: str = "", kind: str = "sentence"
) -> Quote:
    return Quote(Found("kb", document, Passage(text, page, heading, 0), 1.0), text, kind)


@pytest.mark.parametrize(
    ("found", "language", "expected"),
    [
        (
            quote("Water rises.", "The water cycle.pdf", 3),
            "en",
            "In “The water cycle”, page 3, it says: “Water rises.”",
        ),
        (quote("水会上升。", "水循环.pdf", 3), "zh", "在《水循环》第3页里写着：“水会上升。”"),
        (
            quote("Water rises.", "water.pptx", 2),
            "en",
            "In “Water”, slide 2, it says: “Water rises.”",
        ),
        (quote("水会上升。", "水.pptx", 2), "zh", "在《水》第2张幻灯片里写着：“水会上升。”"),
        (
            quote("Fog is a cloud.", "weather.md", None, "Weather › Fog"),
            "en",
            "In “Weather”, under “Fog”, it says: “Fog is a cloud.”",
        ),
        (
            quote("雾是云。", "天气.md", None, "天气 › 雾"),
            "zh",
            "在《天气》的“雾”里写着：“雾是云。”",
        ),
        (quote("Fog.", "weather.md", None, "Weather"), "en", "In “Weather” it says: “Fog.”"),
        (quote("雾。", "天气.txt"), "zh", "在《天气》里写着：“雾。”"),
        (
            quote("Metal: iron; Melts at: 1538 °C", "metals.csv", kind="row"),
            "en",
            "In “Metals” the table says: “Metal: iron; Melts at: 1538 °C”",
        ),
        (
            quote("雾是云。", "天气.md"),
            "en",
            "I found this in Chinese. In “天气” it says: “雾是云。”",
        ),
        (quote("Fog.", "weather.md"), "zh", "这段内容只有英文的。在《Weather》里写着：“Fog.”"),
        (quote("He said “no”.", "a.md"), "en", "In “A” it says: ‘He said “no”.’"),
        (quote("“瑞雪”是雪。", "雪.md"), "zh", "在《雪》里写着：「“瑞雪”是雪。」"),
    ],
)
def test_a_quote_names_its_source(found: Quote, language: str, expected: str) -> None:
    assert quoted(found, language) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("the_water-cycle.pdf", "The water-cycle"),
        ("the-water-cycle.md", "The water cycle"),
        ("水循环.md", "水循环"),
        ("2.1 Melting points", "Melting points"),
        ("三、天气", "天气"),
        ("3.14", "3.14"),
        ("notes", "Notes"),
        ("a" * 100, "A" + "a" * (LONGEST_NAME - 1) + "…"),
        ("", ""),
    ],
)
def test_names_of_files_are_made_to_be_said(name: str, expected: str) -> None:
    assert spoken_name(name) == expected


def test_of_several_headings_the_innermost_is_named() -> None:
    assert innermost(Passage("", None, "Water › Boiling", 0)) == "Boiling"
    assert innermost(Passage("", None, "", 0)) == ""


@pytest.mark.parametrize(
    ("chapters", "language", "expected"),
    [
        ([], "en", "I did not find that in the course. Can you ask it in other words?"),
        (
            ["Rain"],
            "en",
            "I did not find that in the course. It has chapters on “Rain”: which one do you mean?",
        ),
        (
            ["Rain", "Snow", "Rain", "Fog"],
            "en",
            "I did not find that in the course. It has chapters on “Rain”, “Snow” and “Fog”: "
            "which one do you mean?",
        ),
        (
            ["A", "B", "C", "D", "E"],
            "en",
            "I did not find that in the course. It has chapters on “A”, “B”, “C”, “D” and more: "
            "which one do you mean?",
        ),
        ([], "zh", "我在课程里没有找到这个内容。你能换个说法再问一次吗？"),
        (
            ["雨", "雪"],
            "zh",
            "我在课程里没有找到这个内容。课程里有“雨”和“雪”，你想问哪一个？",
        ),
    ],
)
def test_asking_back_names_what_there_is(chapters: list[str], language: str, expected: str) -> None:
    assert not_found([], chapters, language) == expected


def test_what_is_near_is_asked_about_first() -> None:
    assert not_found(["Rain", "Snow"], ["Fog"], "en") == (
        "I did not find that in the course. The nearest I have is “Rain” and “Snow”: "
        "what would you like to know about that?"
    )
    assert not_found(["雨"], ["雾"], "zh") == (
        "我在课程里没有找到这个内容。比较接近的有“雨”，你想知道其中的什么？"
    )


@pytest.mark.parametrize("manner", [m for m in Manner if m not in (Manner.AGAIN, Manner.SLOWER)])
@pytest.mark.parametrize(("language", "chapter"), [("en", "Rain"), ("zh", "雨")])
def test_every_courtesy_is_answered(manner: Manner, language: str, chapter: str) -> None:
    answer = courtesy(manner, [chapter], language)
    tells = {Manner.ABOUT, Manner.MORE, Manner.YES, Manner.NO}
    assert (chapter in answer) is (manner in tells)
    assert answer.endswith((".", "!", "?", "。", "！", "？"))
    assert courtesy(manner, [], language) in answer
