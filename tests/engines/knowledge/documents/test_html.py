import pytest

from engines.knowledge.base import Block, Extracted
from engines.knowledge.documents import html
from engines.knowledge.documents.draft import Draft


def page(text: str) -> Extracted:
    draft = Draft()
    html.read(text.encode(), draft)
    return draft.finish()


def texts(text: str) -> list[str]:
    return [block.text for block in page(text).blocks]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("<p>One <b>bold</b>ly.<p>Two<br>lines", ["One boldly.", "Two\nlines"]),
        ("loose <div>block</div> loose", ["loose", "block", "loose"]),
        ("<p>m<sup>2</sup>, H<sub>2</sub>O, 10<sup>-3</sup></p>", ["m^2, H2O, 10^(-3)"]),
        ("<ol><li>first</li><li>second</li></ol>", ["1. first", "2. second"]),
        ("<ol start=3><li>third</li></ol><ul><li>any</li></ul>", ["3. third", "any"]),
        ("<pre>a\n  b</pre>", ["a\n  b"]),
        ("<script>no</script><style>no</style><nav>no</nav><p>yes", ["yes"]),
        (
            "<p>an <math><mfrac><mi>a</mi><mn>2</mn></mfrac></math> in it",
            [r"an $\frac{a}{2}$ in it"],
        ),
        ("<p>so <script type='math/tex'>x^2</script>", ["so $x^2$"]),
        ("", []),
    ],
)
def test_text_is_read_as_it_is_seen(text: str, seen: list[str]) -> None:
    assert texts(text) == seen


@pytest.mark.parametrize(
    "hidden",
    [
        '<p style="display:none">Gone.</p>',
        '<p style="visibility: hidden">Gone.</p>',
        "<p hidden>Gone.</p>",
        "<div hidden><p>Gone.</p></div>",
        '<p style="opacity:0">Gone.</p>',
        '<p style="color:white">Gone.</p>',
        '<p style="COLOR: #FFF !important">Gone.</p>',
        '<font color="#fefefe">Gone.</font>',
        '<p style="color:rgba(0,0,0,0)">Gone.</p>',
        '<p style="background:#000">Gone.</p>',
        '<p style="font-size:1px">Gone.</p>',
        '<div style="font-size:10%"><p style="font-size:0.5em">Gone.</p></div>',
        '<p style="position:absolute;left:-9999px">Gone.</p>',
        '<p style="text-indent:-999em">Gone.</p>',
        '<p style="clip:rect(0,0,0,0);position:absolute">Gone.</p>',
        '<p style="height:0;overflow:hidden">Gone.</p>',
        "<style>.x > p { display: none }</style><div class=x><p>Gone.</p></div>",
        "<style>@media screen { .x { display: none } }</style><p class=x>Gone.</p>",
        "<dialog>Gone.</dialog>",
        "<table><tr hidden><td>Gone.<td>Gone.</tr><tr><td></table>",
    ],
)
def test_what_nobody_sees_is_left_out_and_told(hidden: str) -> None:
    found = page(f"<p>Seen.</p>{hidden}")
    assert [block.text for block in found.blocks] == ["Seen."]
    assert "Hidden text was left out" in " ".join(found.notes)


@pytest.mark.parametrize(
    "shown",
    [
        '<div style="background-color:#123"><p style="color:white">Seen.</p></div>',
        '<div style="background:url(x.png)"><p style="color:white">Seen.</p></div>',
        "<style>body { background: black; color: white }</style><p>Seen.</p>",
        "<style>.x { display: none } .x.on { display: block }</style><p class='x on'>Seen.</p>",
        "<style>@media print { p { display: none } }</style><p>Seen.</p>",
        '<p style="height:0">Seen.</p>',
        '<p style="color:var(--text)">Seen.</p>',
    ],
)
def test_what_is_seen_stays(shown: str) -> None:
    found = page(shown)
    assert ([block.text for block in found.blocks], found.notes) == (["Seen."], ())


def test_tables_have_the_names_of_their_columns() -> None:
    text = (
        "<table><caption>Parts</caption><tr><th>Part<th>Task</tr>"
        "<tr><td rowspan=2>Wall<td>supports</tr><tr><td>protects</tr></table>"
    )
    assert page(text).blocks == (
        Block("Parts"),
        Block("Part: Wall; Task: supports\nPart: Wall; Task: protects", kind="table"),
    )


def test_a_table_that_only_places_things_is_none() -> None:
    assert texts("<table><tr><td><h1>A</h1><p>One.<td><p>Two.</table>") == ["One.", "Two."]


def test_headings_lead_to_their_text() -> None:
    found = page("<title>Site</title><h1>A</h1><h2>B</h2><p>one<h3>C</h3><p>two<h2>D</h2><p>three")
    assert [block.headings for block in found.blocks] == [("A", "B"), ("A", "B", "C"), ("A", "D")]


def test_a_page_without_a_heading_has_its_title() -> None:
    assert page("<title>Cells</title><p>Text.").blocks == (Block("Text.", None, ("Cells",)),)


def test_a_page_says_itself_how_it_is_encoded() -> None:
    draft = Draft()
    html.read('<meta charset="gb2312"><p>细胞</p>'.encode("gb18030"), draft)
    assert [block.text for block in draft.finish().blocks] == ["细胞"]
