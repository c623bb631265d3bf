import pytest

from serve_app.playout import Playout


def playout(*sentences: tuple[str, float]) -> Playout:
    made = Playout()
    for sentence, seconds in sentences:
        made.begin(sentence)
        if seconds:
            made.sent(seconds, now_s=100.0)
    return made


def test_nothing_is_heard_before_the_first_sound() -> None:
    assert playout(("Hello. ", 0)).heard(500) == ""
    assert not playout().is_playing(0)


def test_whole_sentences_are_heard_as_their_time_passes() -> None:
    made = playout(("One two. ", 1.0), ("Three four five six.", 2.0))
    assert made.heard(100.0) == ""
    assert made.heard(101.0) == "One two."
    assert made.heard(102.0) == "One two. Three four"
    assert made.heard(200.0) == "One two. Three four five six."
    assert made.is_playing(102.9)
    assert not made.is_playing(103.0)


def test_sentences_without_spaces_between_them_are_told_apart() -> None:
    assert playout(("One.", 1.0), ("Two.", 1.0)).heard(200) == "One. Two."
    assert playout(("一。", 1.0), ("二。", 1.0)).heard(200) == "一。二。"


def test_chinese_is_heard_character_by_character() -> None:
    assert playout(("天空是蓝色的", 6.0)).heard(103) == "天空是"


def test_what_is_not_spoken_is_heard_with_its_neighbours() -> None:
    assert playout(("One.", 1.0), ("***", 0), ("Two.", 1.0)).heard(200) == "One. *** Two."


def test_a_client_that_gets_everything_at_once_begins_to_play_then() -> None:
    made = playout(("One two.", 1.0))
    made.restart(200.0)
    assert made.heard(200.5) == "One"


def test_live_only_what_the_clock_has_released_is_heard() -> None:
    playout = Playout()
    playout.live()
    playout.begin("One two three four.")
    playout.sent(2.0, now_s=10.0)
    assert playout.heard(now_s=100.0) == "", "however long ago it was made"
    for _ in range(25):
        playout.released()
    assert playout.heard(now_s=100.0) == "One two"
    assert playout.is_playing(now_s=100.0)
    for _ in range(25):
        playout.released()
    assert playout.heard(now_s=100.0) == "One two three four."
    assert not playout.is_playing(now_s=100.0)


def test_captions_come_once_each_when_their_sentence_begins() -> None:
    playout = Playout()
    playout.begin("One.")
    playout.sent(1.0, now_s=0.0)
    playout.begin("Two.")
    playout.sent(1.0, now_s=0.0)
    assert playout.captions(now_s=0.0) == []
    assert playout.captions(now_s=0.04) == [("One.", 0.0)]
    assert playout.captions(now_s=0.9) == []
    assert playout.captions(now_s=1.1) == [("Two.", 1.0)]
    assert playout.captions(now_s=9.0) == []


def test_a_sentence_without_sound_is_captioned_with_its_neighbour() -> None:
    playout = Playout()
    playout.begin("***")
    playout.begin("Words.")
    playout.sent(1.0, now_s=0.0)
    assert [sentence for sentence, _ in playout.captions(now_s=0.1)] == ["***", "Words."]


@pytest.mark.parametrize("frames", range(1, 40))
def test_a_voice_that_has_been_released_whole_does_not_play_any_more(frames: int) -> None:
    playout = Playout()
    playout.live()
    playout.begin("Words.")
    for _ in range(frames):
        playout.sent(0.04, now_s=0.0)
        playout.released()
    assert not playout.is_playing(now_s=1.0)
    assert playout.heard(now_s=1.0) == "Words."
