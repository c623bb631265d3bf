"""The one clock's list of units: nothing jumps, nothing stale is shown, nothing runs ahead."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serve_app.stage.reel import (
    FADE_FRAMES,
    LEAD_FRAMES,
    UNIT_SAMPLES,
    UNITS_AHEAD,
    MediaUnit,
    Mouth,
    Reel,
    Shown,
)

MOUTH = Mouth(0, 0, np.zeros((2, 2, 3), np.uint8))


def unit(reel: Reel, frame: int, level: int = 100) -> MediaUnit:
    return MediaUnit(reel.generation, frame, np.full(UNIT_SAMPLES, level, np.int16), MOUTH)


def speech(reel: Reel, count: int) -> list[Shown]:
    first = reel.begin()
    for offset in range(count):
        reel.add(unit(reel, first + offset))
    return [reel.next() for _ in range(count)]


def test_between_turns_the_body_goes_on_in_silence() -> None:
    reel = Reel()
    shown = [reel.next() for _ in range(10)]
    assert [later.frame - earlier.frame for earlier, later in pairwise(shown)] == [1] * 9
    assert not any(s.sound.any() or s.mouth or s.unit for s in shown)


def test_a_turn_goes_on_where_the_body_is_and_the_body_where_the_turn_ended() -> None:
    reel = Reel()
    idle = [reel.next() for _ in range(5)][-1]
    spoken = speech(reel, 8)
    reel.rest()
    after = reel.next()
    assert spoken[0].frame - idle.frame == LEAD_FRAMES + 1
    assert after.frame == spoken[-1].frame + 1


def test_the_body_waits_for_frames_that_are_being_drawn() -> None:
    reel = Reel()
    reel.next()
    first = reel.begin()
    waiting = [reel.next().frame for _ in range(6)]
    assert waiting[-1] == first - 1, "it does not run past the place"
    reel.add(unit(reel, first))
    assert reel.next().frame == first


def test_starved_in_mid_turn_it_holds_the_frame_and_sends_silence() -> None:
    reel = Reel()
    last = speech(reel, 3)[-1]
    starved = [reel.next() for _ in range(4)]
    assert {s.frame for s in starved} == {last.frame}
    assert all(s.mouth is MOUTH and s.strength == starved[0].strength for s in starved)
    assert not any(s.sound.any() for s in starved)
    reel.add(unit(reel, last.frame + 1))
    assert reel.next().frame == last.frame + 1


def test_the_mouth_fades_in_and_out() -> None:
    reel = Reel()
    coming = [s.strength for s in speech(reel, FADE_FRAMES)]
    reel.rest()
    going = [reel.next().strength for _ in range(FADE_FRAMES)]
    assert coming == sorted(coming) and coming[0] > 0 and coming[-1] == 1
    assert going == sorted(going, reverse=True) and going[-1] == 0
    assert reel.next().mouth is None


def test_a_cut_leaves_nothing_and_takes_nothing_stale() -> None:
    reel = Reel()
    stale = unit(reel, reel.begin())
    reel.add(stale)
    reel.cut()
    reel.add(stale)
    assert len(reel) == 0
    assert reel.next().unit is None


def test_held_it_is_silent_stays_and_goes_on_where_it_was() -> None:
    reel = Reel()
    first = reel.begin()
    for offset in range(4):
        reel.add(unit(reel, first + offset))
    played = reel.next()
    reel.hold("learner")
    held = [reel.next() for _ in range(FADE_FRAMES)]
    assert {s.frame for s in held} == {played.frame}
    assert held[-1].strength == 0, "the mouth closes while the learner speaks"
    assert not reel.ready
    reel.release("learner")
    assert reel.next().frame == played.frame + 1


def test_both_holders_must_let_go() -> None:
    reel = Reel()
    reel.hold("learner")
    reel.hold("network")
    reel.release("learner")
    assert reel.held
    reel.release("network")
    assert not reel.held


def test_a_cut_ends_the_learners_hold_but_not_the_networks() -> None:
    reel = Reel()
    reel.hold("learner")
    reel.hold("network")
    reel.cut()
    assert reel.held
    reel.release("network")
    assert not reel.held


STEPS = st.lists(st.sampled_from(["next", "speak", "rest", "cut", "hold", "release"]))


@given(STEPS)
def test_whatever_happens_the_body_never_jumps(steps: list[str]) -> None:
    reel, frames = Reel(), [0]

    def speak() -> None:
        first = reel.begin()
        for offset in range(UNITS_AHEAD - len(reel)):
            reel.add(unit(reel, first + offset))

    doing: dict[str, Callable[[], object]] = {
        "next": lambda: frames.append(reel.next().frame),
        "speak": speak,
        "rest": reel.rest,
        "cut": reel.cut,
        "hold": lambda: reel.hold("learner"),
        "release": lambda: reel.release("learner"),
    }
    for step in steps:
        doing[step]()
        assert len(reel) <= UNITS_AHEAD
    taken = [later - earlier for earlier, later in pairwise(frames)]
    assert all(0 <= step <= LEAD_FRAMES + 1 for step in taken)
