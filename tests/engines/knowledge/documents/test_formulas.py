import pytest
from lxml import etree

from engines.knowledge.documents.formulas import latex, latex_of_mathml

NAMESPACE = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'


def run(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


def part(name: str, *texts: str) -> str:
    return f"<m:{name}>{''.join(map(run, texts))}</m:{name}>"


@pytest.mark.parametrize(
    ("formula", "written"),
    [
        (f"<m:f>{part('num', 'a')}{part('den', 'b')}</m:f>", r"\frac{a}{b}"),
        (f"<m:sSup>{part('e', 'x')}{part('sup', '2')}</m:sSup>", "x^{2}"),
        (f"<m:sSub>{part('e', 'ab')}{part('sub', 'i')}</m:sSub>", "{ab}_{i}"),
        (f"<m:rad>{part('deg', '3')}{part('e', 'x')}</m:rad>", r"\sqrt[3]{x}"),
        (
            "<m:nary><m:naryPr><m:chr m:val='∑'/></m:naryPr>"
            f"{part('sub', 'i=1')}{part('sup', 'n')}{part('e', 'i')}</m:nary>",
            r"\sum_{i=1}^{n} i",
        ),
        (f"<m:d>{part('e', 'a+b')}</m:d>", "(a+b)"),
        (
            "<m:d><m:dPr><m:begChr m:val='{'/><m:endChr m:val=''/></m:dPr>"
            f"<m:e><m:eqArr>{part('e', 'x')}{part('e', 'y')}</m:eqArr></m:e></m:d>",
            r"\left\{x \\ y\right.",
        ),
        (f"<m:func>{part('fName', 'sin')}{part('e', 'α')}</m:func>", r"\sin α"),
        ("<m:acc><m:accPr><m:chr m:val='⃗'/></m:accPr>" + part("e", "F") + "</m:acc>", r"\vec{F}"),
        (
            f"<m:m><m:mr>{part('e', '1')}{part('e', '2')}</m:mr></m:m>",
            r"\begin{matrix} 1 & 2 \end{matrix}",
        ),
        (run("a ≤ b"), "a ≤ b"),
        (f"<m:new>{run('x')}</m:new>", "x"),
    ],
)
def test_words_formulas(formula: str, written: str) -> None:
    assert latex(etree.fromstring(f"<m:oMath {NAMESPACE}>{formula}</m:oMath>")) == written


@pytest.mark.parametrize(
    ("formula", "written"),
    [
        ("<msup><mi>x</mi><mn>2</mn></msup>", "x^{2}"),
        ("<mroot><mi>x</mi><mn>3</mn></mroot>", r"\sqrt[3]{x}"),
        ("<msqrt><mi>a</mi><mo>+</mo><mi>b</mi></msqrt>", r"\sqrt{a+b}"),
        (
            "<semantics><mi>y</mi><annotation encoding='application/x-tex'>\\bar y</annotation>"
            "</semantics>",
            r"\bar y",
        ),
    ],
)
def test_formulas_of_pages(formula: str, written: str) -> None:
    assert latex_of_mathml(etree.fromstring(f"<math>{formula}</math>")) == written
