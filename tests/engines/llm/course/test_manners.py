import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.llm.course.manners import Manner, greets, manner_of


@pytest.mark.parametrize(
    ("utterance", "manner"),
    [
        ("Hello!", Manner.GREETING),
        ("hi there", Manner.GREETING),
        ("Good morning, teacher.", Manner.GREETING),
        ("Hello, how are you?", Manner.GREETING),
        ("can you hear me", Manner.GREETING),
        ("你好！", Manner.GREETING),
        ("老师，早上好", Manner.GREETING),
        ("喂，听得到吗？", Manner.GREETING),
        ("Thank you very much!", Manner.THANKS),
        ("ok thanks", Manner.THANKS),
        ("I see, that helps.", Manner.THANKS),
        ("谢谢老师", Manner.THANKS),
        ("嗯，我明白了。", Manner.THANKS),
        ("Goodbye!", Manner.GOODBYE),
        ("OK, thanks, bye bye", Manner.GOODBYE),
        ("再见", Manner.GOODBYE),
        ("好的谢谢，老师再见！", Manner.GOODBYE),
        ("Again, please.", Manner.AGAIN),
        ("Sorry, can you say that again?", Manner.AGAIN),
        ("could you repeat that", Manner.AGAIN),
        ("Pardon?", Manner.AGAIN),
        ("I didn’t hear you", Manner.AGAIN),
        ("再说一遍", Manner.AGAIN),
        ("请你再说一次好吗？", Manner.AGAIN),
        ("我没听清楚", Manner.AGAIN),
        ("Slower, please", Manner.SLOWER),
        ("can you say it again slower", Manner.SLOWER),
        ("Again, slowly.", Manner.SLOWER),
        ("Sorry, I don't understand.", Manner.SLOWER),
        ("慢一点", Manner.SLOWER),
        ("能不能说慢一点", Manner.SLOWER),
        ("老师，我没听懂，请再说一遍", Manner.SLOWER),
        ("What can you teach me?", Manner.ABOUT),
        ("Hello, what can I learn here?", Manner.ABOUT),
        ("Who are you?", Manner.ABOUT),
        ("What’s your name?", Manner.ABOUT),
        ("你能教我什么？", Manner.ABOUT),
        ("你好，你叫什么名字？", Manner.ABOUT),
        ("这门课讲什么", Manner.ABOUT),
        ("Tell me more", Manner.MORE),
        ("go on", Manner.MORE),
        ("继续", Manner.MORE),
        ("还有呢？", Manner.MORE),
        ("Yes.", Manner.YES),
        ("yeah, of course", Manner.YES),
        ("OK", Manner.YES),
        ("是的", Manner.YES),
        ("好的", Manner.YES),
        ("ＯＫ！", Manner.YES),
        ("What's my name?", Manner.MY_NAME),
        ("你还记得我吗？", Manner.MY_NAME),
        ("What's your name?", Manner.ABOUT),
        ("No.", Manner.NO),
        ("No, not really", Manner.NO),
        ("不是", Manner.NO),
        ("不用了", Manner.NO),
        ("ok 谢谢", Manner.THANKS),
    ],
)
def test_courtesies_are_known(utterance: str, manner: Manner) -> None:
    assert manner_of(utterance) is manner


@pytest.mark.parametrize(
    "utterance",
    [
        "",
        "…",
        "please",
        "What is evaporation?",
        "Hello, what is fog?",
        "Thanks, and why does ice float?",
        "Why does it rain again?",
        "Does water freeze slower when it is salty?",
        "What can you teach me about clouds?",
        "Is fog good?",
        "yesterday",
        "higher",
        "什么是雾？",
        "你好，什么是蒸发？",
        "再说一遍蒸发",
        "为什么水不能喝？",
        "谢谢，那云呢？",
        "你知道什么是露吗？",
        "thanks " * 40,
    ],
)
def test_whatever_else_is_said_makes_it_a_question(utterance: str) -> None:
    assert manner_of(utterance) is None


@pytest.mark.parametrize(
    "utterance", ["Hello Anna!", "hi Mr Smith", "你好，小梅", "Good morning, class"]
)
def test_a_greeting_may_name_somebody(utterance: str) -> None:
    assert greets(utterance)


@pytest.mark.parametrize(
    "utterance",
    ["Anna", "Hello, what is this all about", "你好，什么是二十四节气", "thanks Anna", ""],
)
def test_but_no_more_than_that(utterance: str) -> None:
    assert not greets(utterance)


@given(st.text())
def test_any_text_is_judged(utterance: str) -> None:
    manner_of(utterance)
    greets(utterance)
