import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.formulas import spoken_formula, symbol_words

FORMULAS = [
    (r"x^2", "x squared", "x的平方"),
    (r"x^{3}", "x cubed", "x的立方"),
    (r"x^n", "x to the power of n", "x的n次方"),
    (r"10^{-3}", "10 to the power of negative 3", "10的负3次方"),
    (r"x^-1", "x to the power of negative 1", "x的负1次方"),
    (r"E = mc^2", "E equals m c squared", "E等于m c的平方"),
    (r"\frac{a}{b}", "a over b", "b分之a"),
    (r"\frac12", "12 over", "分之12"),
    (r"\dfrac{a+b}{2}", "a plus b, all over 2", "2分之a加b"),
    (r"\sqrt{x}", "the square root of x", "根号x"),
    (r"\sqrt[3]{8}", "the cube root of 8", "三次根号8"),
    (r"\sqrt[n]{x}", "the root of order n of x", "n次根号x"),
    ("√2", "the square root of 2", "根号2"),
    (r"x_1", "x sub 1", "x下标1"),
    (r"a_{i}^2", "a sub i squared", "a下标i的平方"),
    (r"\alpha + \Beta", "alpha plus capital beta", "阿尔法加大写贝塔"),
    (r"2\pi r", "2 pi r", "2派r"),
    (r"a \neq b", "a is not equal to b", "a不等于b"),
    (r"a \le b \geq c", "a is less than or equal to b is greater than or equal to c",
     "a小于等于b大于等于c"),
    (r"3 \times 4 \div 2", "3 times 4 divided by 2", "3乘4除以2"),
    (r"\pm 1", "plus or minus 1", "正负1"),
    (r"y = -x", "y equals negative x", "y等于负x"),
    (r"5 - 3", "5 minus 3", "5减3"),
    (r"n \to \infty", "n goes to infinity", "n趋于无穷大"),
    (r"A \Rightarrow B", "A implies B", "A推出B"),
    (r"\sum_{i=1}^{n} i", "the sum from i equals 1 to n of i", "从i等于1到n求和i"),
    (r"\int_0^1 x\,dx", "the integral from 0 to 1 of x d x", "从0到1积分x d x"),
    (r"\int f", "the integral of f", "积分f"),
    (r"\lim_{x \to 0} x", "the limit as x goes to 0 of x", "当x趋于0时的极限x"),
    (r"\log_2 8", "log base 2 8", "以2为底的对数8"),
    (r"\sin \theta", "sine theta", "正弦西塔"),
    (r"90^\circ", "90 degrees", "90度"),
    (r"f'(x)", "f prime x", "f撇x"),
    (r"f(x)", "f of x", "f x"),
    (r"(a+b)^2", "the quantity a plus b squared", "括号a加b的平方"),
    (r"2(a+b)", "2 a plus b", "2 a加b"),
    (r"\vec{F} = m\vec{a}", "vector F equals m vector a", "向量F等于m向量a"),
    (r"\bar{x}", "x bar", "x拔"),
    (r"\text{speed} = 5", "speed equals 5", "speed等于5"),
    (r"\mathrm{d}x", "d x", "d x"),
    (r"\mathbb{R}", "R", "R"),
    (r"\left( a \right)", "a", "a"),
    (r"\begin{cases} a \\ b \end{cases}", "a, b", "a，b"),
    (r"\unknown{x} \foo", "x", "x"),
    (r"50\%", "50 percent", "50百分号"),
    ("H_2O", "H 2 O", "H 2 O"),
    ("C_6H_{12}O_6", "C 6 H 12 O 6", "C 6 H 12 O 6"),
    ("x² ≤ α", "x squared is less than or equal to alpha", "x的平方小于等于阿尔法"),
    ("3 < 4 > 2", "3 is less than 4 is greater than 2", "3小于4大于2"),
    ("3.14 + 2", "3.14 plus 2", "3.14加2"),
    ("n!", "n factorial", "n的阶乘"),
    ("", "", ""),
    (r"\\", ",", "，"),
]  # fmt: skip


@pytest.mark.parametrize(("formula", "english", "chinese"), FORMULAS)
def test_a_formula_is_words(formula: str, english: str, chinese: str) -> None:
    assert spoken_formula(formula, "en") == english
    assert spoken_formula(formula, "zh") == chinese


def test_single_signs_have_words() -> None:
    assert symbol_words("±", "en") == "plus or minus"
    assert symbol_words("π", "zh") == "派"
    assert symbol_words("a", "en") is None


def test_braces_without_end_are_read_to_the_end() -> None:
    assert spoken_formula("{" * 5_000 + "x", "en") == "x"
    assert spoken_formula("(" * 5_000 + "x", "en") == "x"
    assert spoken_formula(r"\sqrt" * 5_000 + "x", "en").startswith("the square root of the square")
    assert spoken_formula("x" + "^{x" * 5_000, "en").startswith("x to the power of x")


PARTS = st.sampled_from(
    [*"abxyz0123 +-*/=<>(){}[]^_.,!'|&%$#~π√²₂", "\\frac", "\\sqrt", "\\sum", "\\text{", "\\left"]
    + ["\\\\", "\\alpha", "\\lim", "\\log", "\\vec", "\\begin{a}", "\\%", "\\{", "\\unknown", "中"]
)


@settings(deadline=None, max_examples=200)
@given(st.lists(PARTS, max_size=60).map("".join), st.sampled_from(["en", "zh"]))
def test_no_mark_is_ever_in_the_words(formula: str, language: str) -> None:
    assert not set(spoken_formula(formula, language)) & set("*_#`\\$|~^{}<>&")
