"""The clock's ticks against a made-up time."""

import pytest

from serve_app.stage.pacing import MOST_LATE_S, TICK_S, Pacing


def test_ticks_are_due_at_their_place_in_time() -> None:
    pacing = Pacing(10.0)
    assert pacing.take(10.0) == 0
    assert pacing.wait_s(10.0) == pytest.approx(TICK_S)
    assert pacing.take(10.02) == 1
    assert pacing.wait_s(10.05) == pytest.approx(-0.01), "late, and made up for at once"


def test_being_late_once_does_not_shift_what_follows() -> None:
    pacing = Pacing(0.0)
    for tick in range(100):
        late_s = 0.015 if tick % 7 == 0 else 0.0
        assert pacing.take(tick * TICK_S + late_s) == tick
    assert pacing.wait_s(100 * TICK_S) == pytest.approx(0)


def test_a_long_stall_is_let_go_instead_of_sent_in_a_burst() -> None:
    pacing = Pacing(0.0)
    pacing.take(0.0)
    stalled_s = 3.0
    tick = pacing.take(stalled_s)
    assert tick == pytest.approx(stalled_s / TICK_S, abs=1)
    assert pacing.wait_s(stalled_s) > 0


def test_a_short_stall_loses_nothing() -> None:
    pacing = Pacing(0.0)
    now_s = MOST_LATE_S * 0.9
    ticks = []
    while pacing.wait_s(now_s) <= 0:
        ticks.append(pacing.take(now_s))
    assert ticks == list(range(len(ticks)))
    assert len(ticks) == int(now_s / TICK_S) + 1
