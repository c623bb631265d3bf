import pytest

from engines.language import language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Plants make sugar from light.", "en"),
        ("植物用阳光制造糖分。", "zh"),
        ("我们用 Python 写代码。", "zh"),
        ("什么是 machine learning？", "zh"),
        ("TensorFlow 和 PyTorch 都可以", "zh"),
        ("The word 你好 means hello.", "en"),
        ("In China, 谢谢 is what you say to thank someone.", "en"),
        ("Ça va très bien", "en"),
        ("3.14", "en"),
        ("3.14。", "zh"),
        ("？", "zh"),
        ("?", "en"),
        ("", "en"),
        ("😀", "en"),
        ("𠀀", "zh"),
    ],
)
def test_the_words_around_decide(text: str, language: str) -> None:
    assert language_of(text) == language
