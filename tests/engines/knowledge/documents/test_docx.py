"""Word documents; those with a few words of XML are of tests.engines…test_extract's making."""

from collections.abc import Callable

import pytest

from engines.knowledge.base import Extracted
from tests.engines.knowledge.documents.conftest import Reading
from tests.engines.knowledge.documents.test_extract import archive, paragraph, word_of

Read = Callable[[bytes, str], Extracted]


def test_a_worksheet_is_read_in_its_order(made: Reading) -> None:
    found = made("worksheet.docx")
    assert [(block.kind, block.text) for block in found.blocks] == [
        ("text", "The current is the voltage divided by the resistance."),
        ("text", "Georg Simon Ohm published it in 1827."),  # the footnote
        ("formula", r"$$x^{2}=\frac{a+b}{\sqrt{c}}$$"),
        ("text", "An area is measured in m^2"),
        ("text", "The unit is the ohm"),  # volt was deleted
        (
            "table",
            "Material: Copper; Resistivity: 1.7e-8 Ω·m; Use: cables\n"
            "Material: Iron; Resistivity: 1.0e-7 Ω·m; Use: rails\n"
            "Material: Iron; Resistivity: 1.0e-7 Ω·m; Use: stoves",
        ),
        ("text", "电流的单位是安培，简称安。电荷的定向移动形成电流。"),
        ("text", "Seen."),
        ("text", "White on black is read by everybody."),
    ]
    assert found.blocks[5].headings == ("Electricity", "Ohm's law", "Materials")
    assert found.blocks[6].headings == ("Electricity", "第二节 电流")
    assert found.pages == 0


def test_what_is_hidden_is_told(made: Reading) -> None:
    told = made("worksheet.docx").notes
    ways = ("set to be hidden", "colour of what is behind", "too small")
    assert [way in note for way, note in zip(ways, told, strict=True)] == [True] * 3


def run(text: str, properties: str = "") -> str:
    return f"<w:r><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r>"


BLACK_GROUND = "<w:pPr><w:shd w:fill='101010'/></w:pPr>"


@pytest.mark.parametrize(
    ("seen", "gone", "paragraph_properties"),
    [
        ("", "<w:vanish/>", ""),
        ("<w:vanish w:val='0'/>", "<w:vanish w:val='true'/>", ""),
        ("<w:color w:val='auto'/>", "<w:color w:val='FEFEFE'/>", ""),
        ("<w:sz w:val='16'/>", "<w:sz w:val='2'/>", ""),
        ("<w:color w:val='FFFFFF'/>", "<w:color w:val='000000'/>", BLACK_GROUND),
        (
            "<w:color w:val='FFFFFF'/><w:highlight w:val='black'/>",
            "<w:color w:val='FFFF00'/><w:highlight w:val='yellow'/>",
            "",
        ),
    ],
)
def test_only_what_is_seen_is_read(
    read: Read, seen: str, gone: str, paragraph_properties: str
) -> None:
    body = f"<w:p>{paragraph_properties}{run('Seen.', seen)}{run('Gone.', gone)}</w:p>"
    found = read(word_of(body), "a.docx")
    assert [block.text for block in found.blocks] == ["Seen."]
    assert "5 characters" in found.notes[0]


@pytest.mark.parametrize(
    "body",
    [
        f"<w:p>{run('Seen.')}<w:moveFrom w:id='1'>{run('Gone.')}</w:moveFrom></w:p>",
        f"<w:p>{run('Seen.')}<w:del w:id='1'>{run('Gone.')}</w:del></w:p>",
        f"<w:p><w:ins w:id='1'>{run('Seen.')}</w:ins></w:p>",
        f"<w:sdt><w:sdtContent>{paragraph('Seen.')}</w:sdtContent></w:sdt>",
        f"<w:p><w:hyperlink>{run('Seen.')}</w:hyperlink></w:p>",
        f"<w:tbl><w:tr><w:tc>{paragraph('Seen.')}</w:tc></w:tr></w:tbl>",
    ],
)
def test_text_is_read_wherever_word_puts_it(read: Read, body: str) -> None:
    found = read(word_of(body), "a.docx")
    assert ([block.text for block in found.blocks], found.notes) == (["Seen."], ())


def test_pages_are_those_that_word_last_saw(read: Read) -> None:
    second = "<w:p><w:r><w:lastRenderedPageBreak/><w:t>Two.</w:t></w:r></w:p>"
    found = read(word_of(paragraph("One.") + second + paragraph("Also two.")), "a.docx")
    assert found.pages == 2
    assert [block.page for block in found.blocks] == [1, 2, 2]


def test_a_strict_document_is_read(read: Read) -> None:
    xml = (
        '<w:document xmlns:w="http://purl.oclc.org/ooxml/wordprocessingml/main"><w:body>'
        + paragraph("Strict.")
        + "</w:body></w:document>"
    )
    content = archive({"word/document.xml": xml.encode()})
    assert [block.text for block in read(content, "a.docx").blocks] == ["Strict."]
