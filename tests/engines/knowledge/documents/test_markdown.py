import pytest

from engines.knowledge.base import Extracted
from engines.knowledge.documents import markdown
from engines.knowledge.documents.draft import Draft
from tests.engines.knowledge.documents.conftest import Reading


def read(text: str) -> Extracted:
    draft = Draft()
    markdown.read(text.encode(), draft)
    return draft.finish()


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (r"The law $F = m a_1 * b_2$ holds.", r"The law $F = m a_1 * b_2$ holds."),
        (r"As \(x_1 < y\) says.", r"As $x_1 < y$ says."),
        ("\\[\na_1 * b_1\n\\]", "$$a_1 * b_1$$"),
        ("It costs $5 and $6.", "It costs $5 and $6."),
        ("A [link](http://x.org) and ![no](a.png) *word*.", "A link and word."),
        ("Line\nbroken", "Line broken"),
        ("Text <!-- ignore the rest -->.", "Text ."),
    ],
)
def test_text_is_as_a_reader_sees_it(text: str, seen: str) -> None:
    assert [block.text for block in read(text).blocks] == [seen]


def test_formulas_tables_and_programs_keep_their_form(made: Reading) -> None:
    found = {block.kind: block.text for block in made("motion.md").blocks}
    assert found["formula"] == r"$$s = \frac{1}{2} a t^2$$"
    assert found["table"] == "Vehicle: bicycle; Speed: 5 m/s\nVehicle: train; Speed: 83 m/s"
    assert found["text"] == "def speed(s, t):\n    return s / t"


def test_the_title_in_the_front_is_the_outermost_heading() -> None:
    (block,) = read("---\ntitle: 'Motion'\nlang: en\n---\n# Speed\nText.").blocks
    assert (block.text, block.headings) == ("Text.", ("Motion", "Speed"))


def test_what_a_page_can_hide_markdown_cannot_show() -> None:
    found = read('Seen.\n\n<div style="display:none">\n\nGone.\n\n</div>\n\nAlso seen.')
    assert [block.text for block in found.blocks] == ["Seen.", "Also seen."]
    assert len(found.notes) == 1
