"""The child, and what strangers may send it."""

import json
import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import psutil
import pytest
from reportlab.lib import colors
from reportlab.pdfgen.canvas import Canvas

from engines.errors import DocumentTooLarge, UnusableDocument
from engines.knowledge.base import Extracted
from engines.knowledge.documents.extract import READER, USUAL, _wish, extract
from engines.knowledge.documents.limits import LIMIT_BYTES, ChildLimits
from engines.knowledge.passages import passages
from tests.documents_made import documents, worksheet
from tests.engines.knowledge.documents.conftest import Reading
from tests.pdfs_made import SECRET, drawn, locked, scan
from tests.processes import command, lives
from tests.running import PROJECT, eventually

Read = Callable[[bytes, str], Extracted]


@pytest.mark.parametrize("name", sorted(documents()))
def test_each_kind_is_read_without_what_is_hidden(made: Reading, name: str) -> None:
    found = made(name)
    assert passages(found)
    whole = " ".join([*(block.text for block in found.blocks), *found.notes])
    assert "Ignore previous" not in whole
    assert "praise" not in whole


@pytest.mark.parametrize(
    ("name", "question", "page", "heading"),
    [
        ("book.pdf", "sweat cools the skin", 1, "Water and its three states › 1 Evaporation"),
        ("book.pdf", "Melts at: 327 °C", 2, "Water and its three states › 4 Melting points"),
        ("book.pdf", "高山上的气压较低", 2, "Water and its three states › 第五章 水的沸腾"),
        ("worksheet.docx", "Copper; Resistivity", None, "Electricity › Ohm's law › Materials"),
        ("worksheet.docx", "单位是安培", None, "Electricity › 第二节 电流"),
        ("slides.pptx", "Oxygen; Share: 21 %", 2, "Gases"),
        ("slides.pptx", "植物利用光能", 4, "光合作用"),
        ("motion.md", r"$v = \frac{s}{t}$", None, "Motion › Speed"),
        ("cells.html", "holds the genes", None, "The cell › Parts"),
        ("cities.csv", "上海; 人口（万）: 2487", None, ""),
        ("water.txt", "蒸发则可以", None, "第一章 水"),
        ("boiling.txt", "At sea level", None, "Chapter 1 Boiling"),
    ],
)
def test_passages_have_their_page_and_heading(
    made: Reading, name: str, question: str, page: int | None, heading: str
) -> None:
    found = [passage for passage in passages(made(name)) if question in passage.text]
    assert {(passage.page, passage.heading) for passage in found} == {(page, heading)}


# What it is, whatever it is called


def test_a_pdf_is_one_under_every_name(read: Read) -> None:
    content = drawn(lambda canvas: canvas.drawString(72, 700, "Water boils."))
    assert read(content, "notes.txt") == read(content, "notes.pdf")


def test_a_page_is_one_without_its_ending(read: Read) -> None:
    content = b"<!DOCTYPE html><title>T</title><h1>Ice</h1><p>Ice swims."
    (block,) = read(content, "saved.txt").blocks
    assert (block.text, block.headings) == ("Ice swims.", ("Ice",))


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (b"", "empty.txt", "no text"),
        (b"Only text.", "notes.pdf", "is none"),
        (b"Only text.", "notes.docx", "is none"),
        (b"\xd0\xcf\x11\xe0 old", "notes.doc", "old Word"),
        (b"\x89PNG\r\n", "notes.pdf", "a picture"),
        (b"{\\rtf1 x}", "notes.rtf", "RTF"),
        (bytes(range(256)) * 20, "notes.txt", "no text"),
        (b"PK\x03\x04 and no more", "notes.docx", "damaged"),
        (scan(), "scan.pdf", "OCR"),
        (locked(), "locked.pdf", "password"),
        (drawn(lambda canvas: canvas.drawString(72, 700, "x"))[:120], "cut.pdf", "damaged"),
        (worksheet()[:-2_000], "cut.docx", "damaged"),
    ],
)
def test_what_cannot_be_read_is_told(read: Read, content: bytes, name: str, sentence: str) -> None:
    with pytest.raises(UnusableDocument, match=sentence):
        read(content, name)


@pytest.mark.parametrize(
    ("member", "sentence"),
    [("xl/workbook.xml", "Excel"), ("mimetype", "OpenDocument"), ("a.txt", "unpack it")],
)
def test_other_archives_are_told_apart(read: Read, member: str, sentence: str) -> None:
    with pytest.raises(UnusableDocument, match=sentence):
        read(archive({member: b"x"}), "notes.docx")


# Bombs


def archive(members: dict[str, bytes]) -> bytes:
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return made.getvalue()


def word_of(body: str, before: str = "") -> bytes:
    xml = (
        f'<?xml version="1.0"?>{before}<w:document xmlns:w="http://schemas.openxmlformats.org/'
        f'wordprocessingml/2006/main"><w:body>{body}</w:body></w:document>'
    )
    return archive({"word/document.xml": xml.encode()})


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def test_a_small_file_that_unpacks_to_a_large_one_is_too_large(read: Read) -> None:
    with pytest.raises(DocumentTooLarge, match="packed"):
        read(word_of(paragraph(" " * 30_000_000)), "bomb.docx")


def test_entities_do_not_unfold(read: Read) -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(12))
    with pytest.raises(UnusableDocument):
        read(word_of(paragraph("&l11;"), f"<!DOCTYPE x [{laughs}]>"), "laughs.docx")


def test_no_file_of_this_machine_is_read(read: Read, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret of this machine")
    entity = f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}">]>'
    with pytest.raises(UnusableDocument):
        read(word_of(paragraph("Open &e; text"), entity), "entity.docx")


def test_elements_within_elements_come_to_an_end(read: Read) -> None:
    with pytest.raises(UnusableDocument):
        read(word_of("<w:tbl>" * 100_000), "deep.docx")
    with pytest.raises(UnusableDocument, match="elements within elements"):
        read(b"<html>" + b"<div>" * 100_000 + b"x", "deep.html")


def test_a_table_within_tables_is_read(read: Read) -> None:
    inside = "<w:tbl><w:tr><w:tc>" * 30 + paragraph("Deep.") + "</w:tc></w:tr></w:tbl>" * 30
    assert [block.text for block in read(word_of(inside), "tables.docx").blocks] == ["Deep."]


def pdf_of(content: bytes, pages: int = 1, filters: bytes = b"") -> bytes:
    """As plain as a PDF can be, every page with the same content."""
    kids = b" ".join([b"3 0 R"] * pages)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%b] /Count %d >>" % (kids, pages),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F"
        b" << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(content), filters, content),
    ]
    made, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return made + (
        b"xref\n0 5\n0000000000 65535 f \n%btrailer\n<< /Size 5 /Root 1 0 R >>\n" % table
        + b"startxref\n%d\n%%%%EOF" % len(made)
    )


def test_a_pdf_of_too_many_pages_is_too_large(read: Read) -> None:
    content = b"BT /F 12 Tf 72 700 Td (Water.) Tj ET"
    assert read(pdf_of(content, pages=20), "short.pdf").pages == 20
    with pytest.raises(DocumentTooLarge, match="2001 pages"):
        read(pdf_of(content, pages=2_001), "long.pdf")


def test_a_page_with_more_letters_than_any_is_too_large(read: Read) -> None:
    letters = b"".join(
        b"1 0 0 1 5 %.2f Tm (%b) Tj " % (place / 5, b"%05d " % place * 40) for place in range(4_000)
    )
    with pytest.raises(DocumentTooLarge, match="letters"):
        read(pdf_of(b"BT /F 4 Tf " + letters + b"ET"), "letters.pdf")


def test_a_page_of_a_million_drawings_ends(read: Read) -> None:
    drawings = b"0 0 m 9 9 l S " * 500_000 + b"BT /F 12 Tf 72 700 Td (Water.) Tj ET"
    assert [block.text for block in read(pdf_of(drawings), "drawings.pdf").blocks] == ["Water."]


def test_a_stream_that_unpacks_without_end_harms_nobody(tmp_path: Path) -> None:
    packed = zlib.compress(b"0 0 m 9 9 l S\n" * 10_000_000)
    file = tmp_path / "bomb"
    file.write_bytes(pdf_of(packed, filters=b"/Filter /FlateDecode"))
    with pytest.raises(UnusableDocument):
        extract(file, "bomb.pdf", limits=ChildLimits(memory=700_000_000, cpu_s=20))


def test_a_large_file_is_not_opened(tmp_path: Path) -> None:
    file = tmp_path / "large"
    with file.open("wb") as opened:
        opened.truncate(LIMIT_BYTES + 1)
    with pytest.raises(DocumentTooLarge, match="100 MB"):
        extract(file, "large.pdf")


def test_more_text_than_is_read_is_too_large(read: Read) -> None:
    with pytest.raises(DocumentTooLarge, match="20 million characters"):
        read(b"Wasser ist nass. " * 1_300_000, "long.txt")


# The child


SLOW = b"<style>" + b"p:not(p ~ p ~ p ~ p ~ p) {display:none}" * 300 + b"</style>" + b"<p>x" * 4_000


def test_a_document_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    file = tmp_path / "slow"
    file.write_bytes(SLOW)
    for limits in (ChildLimits(cpu_s=1), ChildLimits(wall_s=1)):
        with pytest.raises(DocumentTooLarge, match="too long"):
            extract(file, "slow.html", limits=limits)
    assert [child for child in children() if "knowledge" in command(child)] == []


def children() -> Iterator[psutil.Process]:
    yield from psutil.Process().children(recursive=True)


def test_memory_comes_to_an_end(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(b"<p>" + b"<b>x</b>" * 3_000_000)
    with pytest.raises(UnusableDocument, match=r"0\.4 GB"):
        extract(file, "large.html", limits=ChildLimits(memory=400_000_000))


def test_the_child_knows_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, read: Read
) -> None:
    """A module in the working directory does not take the place of one of Python's, either."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    monkeypatch.chdir(tmp_path)
    told = tmp_path / "told.json"
    source = f"import json, os\njson.dump(dict(os.environ), open({str(told)!r}, 'w'))\n"
    (tmp_path / "resource.py").write_text(source)
    assert read(b"Water boils.", "notes.txt").blocks
    assert not told.exists()
    (tmp_path / "resource.py").rename(tmp_path / "sitecustomize.py")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.getcwd()]))
    assert read(b"Water boils.", "notes.txt").blocks
    assert "DATABASE_URL" not in json.loads(told.read_text())


def test_a_document_of_nothing_but_hidden_text_is_none(read: Read) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setFillColor(colors.white)
        canvas.drawString(72, 700, SECRET)

    with pytest.raises(UnusableDocument, match=r"no text .* Hidden text was left out on page 1"):
        read(drawn(draw), "white.pdf")


def test_what_is_hidden_is_told_with_its_page(made: Reading, read: Read) -> None:
    assert made("book.pdf").notes == ()
    notes = " ".join(made("slides.pptx").notes)
    assert "on page 4" in notes
    assert "slide 3 was left out" in notes
    tags = "".join(chr(0xE0000 + ord(letter)) for letter in SECRET)
    (note,) = read(f"Water boils.{tags}".encode(), "tags.txt").notes
    assert note == f"Hidden text was left out: {len(SECRET)} characters (tag characters)."


PARENT = """
import sys
from pathlib import Path
from engines.knowledge.documents.extract import extract

extract(Path(sys.argv[1]), "slow.html")
"""


async def test_the_child_ends_with_its_parent(tmp_path: Path) -> None:
    file = tmp_path / "slow"
    file.write_bytes(SLOW)
    command = [sys.executable, "-c", PARENT, str(file)]
    parent = psutil.Popen(command, cwd=PROJECT)
    try:
        # As soon as it has taken its limits it has also said with whom it ends.
        await eventually(lambda: any(map(_is_confined, parent.children())), 60)
        children = parent.children()
    finally:
        parent.kill()
        parent.wait()
    await eventually(lambda: not any(map(lives, children)), 60)


def _is_confined(child: psutil.Process) -> bool:
    return child.rlimit(psutil.RLIMIT_AS)[0] == USUAL.memory


def test_a_child_whose_parent_has_gone_before_does_not_begin(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("Water boils.")
    wish = json.loads(_wish(file, "notes.txt", USUAL))
    command = [sys.executable, "-m", READER]
    for parent, answers in ((os.getpid(), True), (1 << 30, False)):
        told = json.dumps({**wish, "parent": parent}).encode()
        ended = subprocess.run(command, input=told, capture_output=True, cwd=PROJECT, check=False)
        assert (b"Water boils." in ended.stdout) == answers


def test_rows_of_comments_are_told_apart_at_once(tmp_path: Path) -> None:
    file = tmp_path / "comments"
    limits = ChildLimits(cpu_s=10)
    file.write_bytes(b"<!-- a -->" * 300 + b"Water boils.")
    assert extract(file, "notes.txt", limits=limits).blocks
    file.write_bytes(b"<!-- a -->" * 300 + b"<html><p>Water boils.")
    (block,) = extract(file, "notes.txt", limits=limits).blocks
    assert block.text == "Water boils."


def test_an_answer_that_is_too_long_is_the_document_s_fault(tmp_path: Path) -> None:
    headings = b"".join(b"<h%d>%s</h%d>" % (i, b"Heading" * 25, i) for i in range(1, 7))
    file = tmp_path / "many"
    file.write_bytes(headings + b"<p>x</p>" * 2_000)
    with pytest.raises(DocumentTooLarge, match="too much in the document"):
        extract(file, "many.html", limits=ChildLimits(answer=1_000_000))
