from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.base import Message
from engines.memory.forgetting import (
    FORGOTTEN_CHINESE,
    FORGOTTEN_ENGLISH,
    ForgettingLlm,
    asks_to_forget,
    since_forgotten,
)
from engines.stub import StubLlm

ASKED = [
    "forget what you know about me",
    "Forget everything about me.",
    "Please forget everything you know about me!",
    "Can you forget what you know about me?",
    "forget me",
    "delete what you know about me",
    "Delete everything you have stored about me",
    "Erase your memory of me",
    "forget all you know about me please",
    "forget everything i told you",
    "Please delete my data",
    "stop remembering things about me",
    "Please clear your notes about me",
    "I want you to forget everything you know about me",
    "forget all about me",
    "FORGET WHAT YOU’VE LEARNED ABOUT ME, NOW!",
    "忘记你知道的关于我的一切",
    "请忘记我",
    "忘了我吧",
    "请把你知道的关于我的事情都忘掉",
    "把关于我的记忆都删除",
    "删除关于我的所有信息",
    "请忘掉关于我的一切。",
    "忘记你对我的了解",
    "你能不能忘记关于我的所有事情？",
    "清除你对我的记忆",
    "请忘记我告诉你的一切",
    "删除我的资料",
    "忘记所有关于我的事",
    "忘掉关于我的一切，好吗？",
]
NOT_ASKED = [
    "",
    "don't forget me",
    "Do not forget what you know about me",
    "Never forget about me",
    "Please don't delete my data",
    "I forget everything",
    "I forgot my homework",
    "forget it",
    "why do we forget things?",
    "forget the last question",
    "what do you know about me",
    "Did you forget what I told you?",
    "what happens if you forget everything about me",
    "How do I delete my data?",
    "Forget me not is a flower",
    "How do you say forget me in Chinese?",
    "Forget everything about fractions",
    "别忘记我",
    "不要忘了我",
    "请不要忘记关于我的一切",
    "不要删除关于我的信息",
    "我忘了",
    "你忘记我了吗",
    "你忘了我吗？",
    "你会忘记我吗",
    "忘记密码怎么办",
    "我想忘记他",
    "忘记这道题吧",
]


@pytest.mark.parametrize("words", ASKED)
def test_who_asks_to_be_forgotten_is_understood(words: str) -> None:
    assert asks_to_forget(words)


@pytest.mark.parametrize("words", NOT_ASKED)
def test_nobody_is_forgotten_by_mistake(words: str) -> None:
    assert not asks_to_forget(words)


@given(
    st.sampled_from(ASKED), st.sampled_from([" but not my name", " is a song", "，不要", "然后呢"])
)
def test_who_says_more_means_more(asked: str, more: str) -> None:
    assert not asks_to_forget(asked.rstrip(".!?。？吧") + more)


@given(st.text(alphabet="请你忘记了我的关于一切吗forget me about", max_size=100))
def test_whatever_is_said_is_judged(words: str) -> None:
    assert asks_to_forget(words) in (True, False)


@pytest.mark.parametrize(
    "words",
    [
        "请你" * 50,
        "你好的" * 33,
        "能不能" * 33,
        "please " * 14,
        "忘记关于我的" + "所有事情" * 23 + "x",
    ],
)
def test_it_is_judged_at_once_whatever_is_repeated(words: str) -> None:
    """A pattern that tried all ways to read these would not end within this test's life."""
    assert not asks_to_forget(words[:100])


@dataclass
class Entry:
    role: str
    content: str


def test_what_was_said_before_is_not_told_any_more() -> None:
    said = [
        Entry("user", "My name is Anna"),
        Entry("user", "Forget me"),
        Entry("assistant", "I have."),
        Entry("user", "Forget everything about me"),
        Entry("assistant", "forget me"),
        Entry("user", "What is rain?"),
        Entry("assistant", "Water."),
    ]
    assert since_forgotten(said) == said[5:]
    assert since_forgotten(said[4:]) == said[4:]
    assert since_forgotten(said[:5]) == []


async def told(words: str) -> str:
    messages = [
        Message("user", "Forget me"),
        Message("assistant", "I have."),
        Message("user", words),
    ]
    llm = ForgettingLlm(StubLlm(("a", "b")))
    return "".join([token async for token in llm.reply(messages)])


async def test_the_student_is_told_in_their_language() -> None:
    assert await told("Forget what you know about me") == FORGOTTEN_ENGLISH
    assert await told("请忘记我") == FORGOTTEN_CHINESE
    assert await told("What is rain?") == "ab"
