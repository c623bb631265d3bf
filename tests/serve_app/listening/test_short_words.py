import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.listening.short_words import interrupts, is_backchannel, is_halt

BACKCHANNELS = """
mm-hm|Mhm.|Mm.|uh-huh|Uh huh, yeah.|Yeah.|OK|O.K.|Okay, okay.|Right.|I see.|Yeah, right, I see.
Oh|Got it!|Hmm…|嗯|嗯嗯。|哦|好|好的，好的。|对对对|對|是|是的|明白|明白了
没错|沒錯|嗯，好的|||.|…|原来如此|Thank you.
"""
HALTS = """
Stop!|stop stop|Wait.|Wait, wait.|Hold on.|Hold on a second|No, no.|no no no|Shut up!|OK, stop.
Please stop talking.|Can you stop, please?
停|停。|停一下|等等|等等等等|等一下！|别说了|別說了|不对|不对不对
老师，等一下|请停一下|好了，停|不要说了
"""
SHORT = "No.|what|And|Why?|it's|plants|不|什么|你|苹果|5"
QUESTIONS = """
What is a verb?|photosynthesis|Why not|Yes, but why?|OK, and what is a noun?|Right angle
I see a tree|Wait, what is a verb?|不对，应该是三|为什么呢
好的那我们学数学|对不起|好了好了|ちょっと待って|是不是这样|Stop signs are red
"""


def cases(listed: str) -> list[str]:
    return listed.strip("\n").replace("\n", "|").split("|")


@pytest.mark.parametrize("text", cases(BACKCHANNELS))
def test_somebody_who_only_listens_does_not_interrupt(text: str) -> None:
    assert is_backchannel(text)
    assert not is_halt(text)
    assert not interrupts(text)


@pytest.mark.parametrize("text", cases(HALTS))
def test_a_halt_interrupts(text: str) -> None:
    assert is_halt(text)
    assert not is_backchannel(text)
    assert interrupts(text)


@pytest.mark.parametrize("text", cases(SHORT))
def test_one_short_word_may_be_a_noise(text: str) -> None:
    assert not is_halt(text)
    assert not interrupts(text)


@pytest.mark.parametrize("text", cases(QUESTIONS))
def test_words_of_their_own_interrupt(text: str) -> None:
    assert not is_backchannel(text)
    assert not is_halt(text)
    assert interrupts(text)


listening = st.sampled_from(cases(BACKCHANNELS))


@given(st.lists(listening), st.sampled_from([" ", ", ", ". ", "，", "… "]))
def test_backchannels_can_be_repeated(texts: list[str], between: str) -> None:
    assert is_backchannel(between.join(texts))
    assert is_backchannel(between.join(texts).upper())


@given(st.text())
def test_any_text_is_told_apart(text: str) -> None:
    assert not (is_backchannel(text) and is_halt(text))
    assert interrupts(text) or not is_halt(text)


@pytest.mark.parametrize("word", ["no ", "mm hm ", "o k ", "停一下", "uhuh", "好的", "hm", ". "])
def test_a_recogniser_stuck_in_a_loop_costs_no_time(word: str) -> None:
    begin = time.perf_counter()
    interrupts(word * 500 + "x")
    assert time.perf_counter() - begin < 1  # milliseconds, or for ever
