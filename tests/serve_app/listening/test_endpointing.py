from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.base import HEARING_RATE_HZ, VAD_WINDOW
from engines.vad.silero import SileroVad
from serve_app.listening.endpointing import (
    LONGEST_MS,
    STILL_VOICE,
    VOICE,
    WINDOW_MS,
    Endpointer,
    Mark,
    Pauses,
    Sound,
    sounds,
)
from tests.speech import say

SPEECH, SILENCE = 0.9, 0.02

NEXT = {
    None: {Mark.BEGAN},
    Mark.BEGAN: {Mark.PAUSED, Mark.ENDED},
    Mark.PAUSED: {Mark.RESUMED, Mark.ENDED},
    Mark.RESUMED: {Mark.PAUSED, Mark.ENDED},
    Mark.ENDED: {Mark.BEGAN},
}


def feed(endpointer: Endpointer, chance: float, windows: int) -> list[Mark]:
    marks = [endpointer.feed(chance) for _ in range(windows)]
    return [mark for mark in marks if mark]


def speaking() -> Endpointer:
    endpointer = Endpointer()
    assert feed(endpointer, SPEECH, 20) == [Mark.BEGAN]
    return endpointer


def paused() -> Endpointer:
    endpointer = speaking()
    while endpointer.feed(SILENCE) is not Mark.PAUSED:
        pass
    return endpointer


def silence_until_the_end(endpointer: Endpointer) -> float:
    while endpointer.speaking:
        silence_ms = endpointer.silence_ms
        endpointer.feed(SILENCE)
    return silence_ms + WINDOW_MS


@pytest.mark.parametrize(
    ("chances", "begins"),
    [
        ([SPEECH, SPEECH, SPEECH], True),
        ([SPEECH, SILENCE, SPEECH, SPEECH], True),
        ([SPEECH, SPEECH, SILENCE, SILENCE, SPEECH, SPEECH], False),
        ([SPEECH, SILENCE] * 10, False),
        ([0.45] * 50, False),
        ([float("nan")] * 50, False),
    ],
)
def test_an_utterance_begins_with_three_windows_of_speech(
    chances: list[float], begins: bool
) -> None:
    endpointer = Endpointer()
    marks = [endpointer.feed(chance) for chance in chances]
    assert (Mark.BEGAN in marks) is begins
    assert endpointer.speaking is begins


def test_soft_consonants_do_not_end_speech() -> None:
    endpointer = speaking()
    assert not feed(endpointer, (STILL_VOICE + VOICE) / 2, 100)
    assert endpointer.voiced_ms == 120 * WINDOW_MS


def test_a_pause_says_when_to_recognise() -> None:
    endpointer = speaking()
    assert feed(endpointer, SILENCE, 5) == []
    assert feed(endpointer, SILENCE, 1) == [Mark.PAUSED]
    assert endpointer.paused
    assert endpointer.speaking
    assert abs(endpointer.silence_ms - Pauses().finished_ms) <= WINDOW_MS / 2
    assert endpointer.voiced_ms == 20 * WINDOW_MS


def test_words_that_are_found_quickly_are_wanted_earlier_and_end_nothing_earlier() -> None:
    endpointer = speaking()
    endpointer.recognise_ms = 96
    assert feed(endpointer, SILENCE, 3) == [Mark.PAUSED]
    assert endpointer.judge("What is a verb?") is None
    assert feed(endpointer, SILENCE, 2) == []
    assert feed(endpointer, SILENCE, 1) == [Mark.ENDED]


def test_a_finished_sentence_ends_as_soon_as_it_is_understood() -> None:
    endpointer = paused()
    assert endpointer.judge("What is a verb?") is Mark.ENDED
    assert not endpointer.speaking
    assert endpointer.silence_ms == 0
    assert endpointer.voiced_ms == 20 * WINDOW_MS  # of the utterance that has ended
    assert endpointer.judge("What is a verb?") is None


@pytest.mark.parametrize(
    ("text", "wait_ms"), [("what is a verb", 500), ("I want to learn and.", 1200), (None, 1200)]
)
def test_the_words_decide_how_long_is_waited(text: str | None, wait_ms: float) -> None:
    endpointer = paused()
    if text is not None:
        assert endpointer.judge(text) is None
    assert wait_ms <= silence_until_the_end(endpointer) < wait_ms + WINDOW_MS


def test_words_that_come_late_end_a_silence_that_was_long_enough() -> None:
    endpointer = paused()
    feed(endpointer, SILENCE, 12)
    assert endpointer.silence_ms > Pauses().unsure_ms
    assert endpointer.judge("the verb") is Mark.ENDED


def test_a_noise_ends_at_once() -> None:
    assert paused().judge("") is Mark.ENDED


def test_voice_resumes_an_utterance_and_its_words_are_asked_for_again() -> None:
    endpointer = paused()
    endpointer.judge("I want to learn and")
    assert feed(endpointer, SPEECH, 1) == []
    assert feed(endpointer, SPEECH, 1) == [Mark.RESUMED]
    assert endpointer.voiced_ms == 22 * WINDOW_MS
    assert endpointer.judge("I want to learn and.") is None  # too late, it is no pause any more
    assert feed(endpointer, SILENCE, 7) == [Mark.PAUSED]
    assert silence_until_the_end(endpointer) >= Pauses().hanging_ms


def test_a_click_in_a_pause_is_no_voice() -> None:
    endpointer = paused()
    marks = [endpointer.feed(chance) for chance in [SPEECH, SILENCE, SILENCE] * 20]
    assert [mark for mark in marks if mark] == [Mark.ENDED]


def test_the_first_window_of_the_next_word_is_not_cut_off() -> None:
    endpointer = paused()
    endpointer.judge("the verb")
    while endpointer.silence_ms + WINDOW_MS < Pauses().unsure_ms:
        assert endpointer.feed(SILENCE) is None
    assert feed(endpointer, SPEECH, 2) == [Mark.RESUMED]


def test_an_endless_noise_is_cut() -> None:
    endpointer = Endpointer()
    marks = feed(endpointer, SPEECH, int(2.5 * LONGEST_MS / WINDOW_MS))
    assert marks == [Mark.BEGAN, Mark.ENDED, Mark.BEGAN, Mark.ENDED, Mark.BEGAN]


def test_reset_forgets() -> None:
    endpointer = paused()
    endpointer.reset()
    assert (endpointer.speaking, endpointer.paused) == (False, False)
    assert (endpointer.voiced_ms, endpointer.silence_ms) == (0, 0)
    assert feed(endpointer, SILENCE, 100) == []


steps = st.one_of(
    st.floats(0, 1), st.sampled_from(["", "yes", "and", "Really?", "然后", "我 learn the"])
)


@given(st.lists(st.tuples(steps, st.integers(1, 30)), max_size=60))
def test_marks_come_in_order_and_every_utterance_ends(todo: list[tuple[float | str, int]]) -> None:
    endpointer, marks = Endpointer(), list[Mark | None]([None])
    for step, times in todo:
        for _ in range(times):
            mark = endpointer.judge(step) if isinstance(step, str) else endpointer.feed(step)
            marks += [mark] if mark else []
            assert endpointer.speaking is (marks[-1] not in (None, Mark.ENDED))
            assert endpointer.paused is (marks[-1] is Mark.PAUSED)
    marks += feed(endpointer, SILENCE, int(Pauses().hanging_ms / WINDOW_MS) + 2)
    for before, mark in pairwise(marks):
        assert mark in NEXT[before]
    assert marks[-1] in (None, Mark.ENDED)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("how do plants make sugar", "How do plants make sugar?"),
        ("天空为什么是蓝色的", "天空为什么是蓝色的？"),
    ],
)
async def test_a_spoken_question_is_one_utterance(words: str, text: str) -> None:
    silence = np.zeros(int(1.5 * HEARING_RATE_HZ), np.int16)
    sound = np.concatenate([silence, (await say(words)).samples, silence])
    vad, endpointer, marks = SileroVad(), Endpointer(), []
    for begin in range(0, len(sound) - VAD_WINDOW, VAD_WINDOW):
        mark = endpointer.feed(vad.speech(sound[begin : begin + VAD_WINDOW]))
        marks += [mark] if mark else []
        if mark is Mark.PAUSED and begin > len(sound) - len(silence):
            assert endpointer.judge(text) is Mark.ENDED
            marks.append(Mark.ENDED)
    within = {Mark.PAUSED, Mark.RESUMED}
    assert [mark for mark in marks if mark not in within] == [Mark.BEGAN, Mark.ENDED]


FINISHED = """
What is a verb?|What are you looking for?|Stop!|I like plants.|It is a noun."|Well done.|I think so.
Yes, it is.|I don't know what it is.|How are you?|I want to learn more.|No.|Tell me who he is.
天空是蓝色的。|你是谁？|这是对的吗|你明白了吗|我懂了|那你呢|走吧|“为什么？”|你說的對嗎|嗯嗯。|他很温和。
我没有听懂你说的话。|好的。|是。|I understand that.|Because?|and?||。|...|  |?|Go ahead!!
"""
HANGING = """
I want to learn and.|I want to learn and|Because...|So, um|Um.|My favourite is the|I like apples,
The answer is:|What I mean is—|I would like to know if.|It depends on the size of the.|I’m|Let me.
I saw a|I wanted to ask, because|the plant -|and|I|"I think that"|AND.|The word that...|I like my.
我想学习，因为|因为。|然后…|我喜欢苹果和|如果你有时间的话|嗯|嗯。|那个……|我觉得|比如说|我觉得最重要的是
還有|如果|这是为了|但是，|我想知道|他说：|所以。。。|我想学 Python 和|我想学 and
"""
UNSURE = """
what is a verb|how do plants make sugar|the answer forty two|天空为什么是蓝色的|光合作用|yes
我不知道|42|understand|sand|him|a bra|什么是 Python
"""


def cases(listed: str) -> list[str]:
    return listed.strip("\n").replace("\n", "|").split("|")


@pytest.mark.parametrize(
    ("text", "sound"),
    [(text, "finished") for text in cases(FINISHED)]
    + [(text, "hanging") for text in cases(HANGING)]
    + [(text, "unsure") for text in cases(UNSURE)],
)
def test_how_words_sound(text: str, sound: Sound) -> None:
    assert sounds(text) == sound


@given(st.text())
def test_any_text_sounds_somehow(text: str) -> None:
    assert sounds(text) in ("finished", "unsure", "hanging")
