from tests.engines.knowledge.documents.conftest import Reading


def test_slides_are_pages_and_their_titles_headings(made: Reading) -> None:
    found = made("slides.pptx")
    assert [(block.page, block.headings, block.kind, block.text) for block in found.blocks] == [
        (
            1,
            ("Photosynthesis",),
            "text",
            "Plants make sugar from light.\nChlorophyll is green.",
        ),
        (1, ("Photosynthesis",), "text", "Show the leaf under the microscope."),
        (2, ("Gases",), "table", "Gas: Nitrogen; Share: 78 %\nGas: Oxygen; Share: 21 %"),
        (4, ("光合作用",), "text", "植物利用光能，把二氧化碳和水变成有机物。"),
        (4, ("光合作用",), "text", "White on black is read."),
    ]
    assert found.pages == 4


def test_what_a_show_does_not_show_is_told(made: Reading) -> None:
    *hidden, slide = made("slides.pptx").notes
    assert slide == "What stands on slide 3 was left out: a show skips it."
    ways = ("colour of what is behind", "too small", "outside of the slide", "set to be hidden")
    assert [way in note for way, note in zip(ways, hidden, strict=True)] == [True] * 4
