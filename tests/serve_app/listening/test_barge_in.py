import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.listening.barge_in import BargeIn, BargeInLimits, Verdict

HOLD, STOP, RESUME = Verdict.HOLD, Verdict.STOP, Verdict.RESUME


def spoken(barge_in: BargeIn, until_ms: float, from_ms: float = 0) -> list[Verdict]:
    windows = range(int(from_ms // 32) + 1, int(until_ms // 32) + 1)
    return [verdict for window in windows if (verdict := barge_in.voice(window * 32))]


def held() -> BargeIn:
    barge_in = BargeIn()
    assert spoken(barge_in, 400) == [HOLD]
    assert barge_in.held
    return barge_in


def test_a_click_does_nothing() -> None:
    barge_in = BargeIn()
    assert spoken(barge_in, 280) == []
    assert barge_in.ended("") is None
    assert not barge_in.held
    assert not barge_in.stopped


@pytest.mark.parametrize("text", ["", "mm-hm", "Yeah.", "嗯嗯", "what"])
def test_the_tutor_goes_on_after_a_backchannel(text: str) -> None:
    barge_in = held()
    assert barge_in.ended(text) is RESUME
    assert not barge_in.held
    assert not barge_in.stopped


@pytest.mark.parametrize("text", ["What is a verb?", "Stop!", "停一下", "为什么呢"])
def test_the_tutor_stops_for_words(text: str) -> None:
    barge_in = held()
    assert barge_in.words(text) is STOP
    assert barge_in.stopped
    assert not barge_in.held
    assert barge_in.ended(text) is None


def test_a_short_halt_stops_without_having_held() -> None:
    barge_in = BargeIn()
    assert spoken(barge_in, 200) == []
    assert barge_in.ended("Stop!") is STOP


def test_long_speech_stops_before_its_words_are_known() -> None:
    barge_in = BargeIn()
    assert spoken(barge_in, 2000) == [HOLD, STOP]
    assert barge_in.ended("mm-hm") is None


def test_half_a_question_does_not_let_the_tutor_go_on() -> None:
    barge_in = held()
    assert barge_in.words("Yeah", paused=False) is None
    assert barge_in.held
    assert barge_in.words("Yeah but why", paused=False) is STOP


def test_known_backchannels_do_not_add_up_to_a_question() -> None:
    barge_in = held()
    assert barge_in.words("Yeah.") is RESUME
    assert spoken(barge_in, 1100, from_ms=400) == []
    assert spoken(barge_in, 2000, from_ms=1100) == [STOP]


def test_each_utterance_is_decided_anew() -> None:
    barge_in = BargeIn(BargeInLimits(hold_ms=100, stop_ms=200))
    for _ in range(3):
        assert spoken(barge_in, 1000) == [HOLD, STOP]
        barge_in.reset()
        assert not barge_in.stopped


texts = st.sampled_from(["", "yeah", "stop", "what is that", "嗯", "等等", "the"])
steps = st.one_of(st.floats(0, 1500), texts, st.tuples(texts))


@given(st.lists(steps), texts)
def test_verdicts_come_once_and_in_order(todo: list[float | str | tuple[str]], last: str) -> None:
    barge_in, verdicts = BargeIn(), list[Verdict]()
    for step in todo:
        if isinstance(step, float):
            verdict = barge_in.voice(step)
        elif isinstance(step, str):
            verdict = barge_in.words(step)
        else:
            verdict = barge_in.words(step[0], paused=False)
        verdicts += [verdict] if verdict else []
        assert barge_in.held is (verdicts[-1:] == [HOLD])
        assert barge_in.stopped is (STOP in verdicts)
    final = barge_in.ended(last)
    verdicts += [final] if final else []
    order: tuple[list[Verdict], ...] = (
        [],
        [STOP],
        [HOLD, STOP],
        [HOLD, RESUME],
        [HOLD, RESUME, STOP],
    )
    assert verdicts in order
    assert not barge_in.held
