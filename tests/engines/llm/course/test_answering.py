from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.base import Message
from engines.knowledge.base import Found
from engines.language import language_of
from engines.llm.course.answering import NEAR, answer, answer_from_course, in_short_sentences
from engines.llm.course.phrases import innermost
from engines.memory.base import Note
from tests.course import chapters, course, search

LAST = (
    "In “Weather”, under “Fog”, it says: “Fog is a cloud that lies on the ground, and it is made "
    "of 30,000 drops; the sun warms it.”"
)
LAST_CHINESE = "在《天气》的“雾”里写着：“雾是贴近地面的云，由小水滴组成，能看见的距离不到一公里。”"


def says(question: str, last: str | None = None) -> str:
    return answer(question, search(question), language_of(question), last, chapters()).text


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is fog?", "In “Weather”, under “Fog”, it says: “Fog is a cloud that lies on the"),
        ("Hello, what is fog?", "In “Weather”, under “Fog”, it says: “Fog is a cloud"),
        (
            "Why does ice float?",
            "under “Why ice floats”, it says: “Ice floats because it is lighter",
        ),
        ("什么是水循环？", "在《水循环》的“什么是水循环”里写着：“水循环是"),
        ("你好，冰为什么浮在水面上？", "在《水循环》的“冰为什么浮在水面上”里写着：“冰能浮在水面上"),
        (
            "What is a monsoon?",
            "I found this in Chinese. In “天气”, under “季风”, it says: “季风是",
        ),
        ("Who wrote Romeo and Juliet?", "I did not find that in the course. It has chapters on"),
        ("《红楼梦》的作者是谁？", "我在课程里没有找到这个内容。课程里有"),
        ("and why?", "I did not find that in the course."),
        ("", "I did not find that in the course."),
        ("Hello!", "Hello! Nice to see you."),
        ("Hello Anna", "Hello! Nice to see you."),
        ("你好，小梅", "你好！很高兴见到你。"),
        ("Thank you!", "You are welcome!"),
        ("谢谢", "不客气！"),
        ("bye", "Goodbye!"),
        ("再见", "再见！"),
        ("What can you teach me?", "It has chapters on “What the water cycle is”, “Where the"),
        ("你能教我什么？", "课程里有“天气和气候”、“大气层”"),
        ("yes", "Good. What exactly would you like to know? It has chapters on"),
        ("不是", "好吧。那你想知道什么？课程里有"),
        ("again", "I have not said anything yet."),
        ("慢一点", "我还没有说过什么。"),
    ],
)
def test_what_it_says_first(question: str, expected: str) -> None:
    assert expected in says(question)


@pytest.mark.parametrize(
    ("question", "last"), [("again", LAST), ("再说一遍", LAST_CHINESE), ("again", LAST_CHINESE)]
)
def test_again_says_the_same_again(question: str, last: str) -> None:
    assert says(question, last) == last


def test_slower_says_the_same_in_shorter_sentences() -> None:
    assert says("slower, please", LAST) == (
        "In “Weather”, under “Fog”,\n"
        "it says: “Fog is a cloud that lies on the ground,\n"
        "and it is made of 30,000 drops;\n"
        "the sun warms it.”"
    )
    assert says("说慢一点", LAST_CHINESE) == (
        "在《天气》的“雾”里写着：\n“雾是贴近地面的云，\n由小水滴组成，\n能看见的距离不到一公里。”"
    )


def test_what_is_near_is_offered_and_what_is_far_is_not() -> None:
    fog, *others = search("What is the fog that clouds are made of?")
    weak = [Found(fog.kb_id, fog.document, fog.passage, NEAR)]
    far = [Found(f.kb_id, f.document, f.passage, NEAR - 0.01) for f in others]
    told = answer("what about the Moon", [*weak, *far], "en", None, chapters())
    assert told.text == (
        f"I did not find that in the course. The nearest I have is “{innermost(fog.passage)}”: "
        "what would you like to know about that?"
    )
    assert far and told.quoted is None


def test_it_tells_what_it_quotes() -> None:
    told = answer("What is fog?", search("What is fog?"), "en", None)
    assert told.quoted is not None
    assert innermost(told.quoted.passage) == "Fog"
    assert told.quote in told.text
    assert answer("Hello!", search("Hello!"), "en", None).quoted is None


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Hello!", "Welcome back, Anna! What would you like to know?"),
        ("Hi Mr Smith", "Welcome back, Anna! What would you like to know?"),
        ("你好", "欢迎回来，Anna！你想知道什么？"),
        ("Thank you", "You are welcome! What else would you like to know?"),
    ],
)
def test_who_comes_back_is_greeted_by_name(question: str, expected: str) -> None:
    system = Message("system", "Teach.", notes=(Note("name", "Anna"),))
    talk = [system, Message("user", question, (), chapters())]
    told = answer_from_course(talk)
    assert told is not None and told.text == expected
    told = answer_from_course([system, Message("assistant", LAST), talk[1]])
    assert told is not None and "Anna" not in told.text, "once in a conversation"


@pytest.mark.parametrize(
    ("before", "question", "expected"),
    [
        ("What is fog?", "What's my name?", "Your name is Anna."),
        ("My name is Bob", "Do you know my name?", "Your name is Bob."),
        ("我叫小明。", "我叫什么名字？", "你叫小明。"),
    ],
)
def test_a_name_that_was_said_is_known(before: str, question: str, expected: str) -> None:
    system = Message("system", "Teach.", notes=(Note("name", "Anna"),))
    fits = tuple(search("What is the wind named after?"))
    talk = [Message("user", before), Message("assistant", LAST)]
    told = answer_from_course([system, *talk, Message("user", question, fits, chapters())])
    assert told is not None and (told.text, told.quoted) == (expected, None)
    told = answer_from_course([Message("user", question, fits, chapters())])
    assert told is not None and told.quoted is None, "nor is a passage about names"


def test_who_introduces_themselves_is_greeted_and_told_of_no_wind() -> None:
    question = "Hello, my name is Anna"
    told = answer_from_course([Message("user", question, tuple(search(question)), chapters())])
    assert told is not None and told.quoted is None
    assert told.text == "Nice to meet you, Anna! What would you like to know?"


def test_a_question_with_a_greeting_is_answered_all_the_same() -> None:
    question = "Hello, what is fog?"
    told = answer(question, search(question), "en", None, (), "Anna")
    assert told.quoted is not None and "Anna" not in told.text


def test_a_conversation_without_a_course_is_not_answered() -> None:
    assert answer_from_course([Message("user", "What is fog?")]) is None
    assert answer_from_course([Message("system", "Teach.")]) is None


def test_the_newest_question_is_answered_and_the_last_answer_repeated() -> None:
    old = Message("user", "What is fog?", tuple(search("What is fog?")), chapters())
    new = Message("user", "again", (), chapters())
    told = answer_from_course([old, Message("assistant", LAST), new])
    assert told is not None and told.text == LAST


@given(st.text(alphabet="ab AB.!?。，、；：”“ \n,;:水雨30", max_size=300))
def test_slower_changes_nothing_but_the_lines(text: str) -> None:
    assert "".join(in_short_sentences(text).split()) == "".join(text.split())


@given(
    st.text(max_size=60) | st.sampled_from(["What is fog?", "什么是雾？", "why", "again", "hello"]),
    st.lists(
        st.builds(
            lambda f, s: Found(f.kb_id, f.document, f.passage, s),
            st.sampled_from(course()),
            st.floats(0, 1),
        ),
        max_size=3,
    ),
    st.sampled_from(["en", "zh"]),
)
def test_it_quotes_word_for_word_or_not_at_all(
    question: str, found: Sequence[Found], language: str
) -> None:
    told = answer(question, found, language, None, chapters())
    assert told.text
    if told.quoted is None:
        assert told.quote == ""
    else:
        assert told.quoted in found
        assert "".join(told.quote.split()) in "".join(told.quoted.passage.text.split())
        assert told.quote in told.text
