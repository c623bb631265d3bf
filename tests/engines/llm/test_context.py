from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.base import Message
from engines.errors import QuestionRefused, QuestionTooLong
from engines.knowledge.base import Found, Passage
from engines.llm.context import (
    MESSAGE_TOKENS,
    Estimate,
    answer_tokens,
    cut,
    fitted,
    size,
)
from engines.llm.grounding import BEGIN, BEGIN_NOTES
from engines.memory.base import Note

SYSTEM = Message("system", "Teach.")
TALK = [
    Message("user", "first question"),
    Message("assistant", "first answer"),
    Message("user", "second question"),
    Message("assistant", "second answer"),
]
NEWEST = Message("user", "newest question")
ALL = [SYSTEM, *TALK, NEWEST]


def words(text: str) -> int:
    return len(text.split())


def room(*messages: Message) -> int:
    return size(messages, words)


def test_what_fits_is_left_as_it_is() -> None:
    assert cut(ALL, room(*ALL), words) == ALL


def test_the_oldest_goes_first_and_the_rest_begins_at_a_question() -> None:
    for missing in (1, 10):
        assert cut(ALL, room(*ALL) - missing, words) == [SYSTEM, *TALK[2:], NEWEST]
    assert cut(ALL, room(SYSTEM, TALK[3], NEWEST), words) == [SYSTEM, NEWEST]


def test_a_question_that_does_not_fit_is_refused_in_its_language() -> None:
    with pytest.raises(QuestionTooLong, match="too long"):
        cut(ALL, room(SYSTEM, NEWEST) - 1, words)
    with pytest.raises(QuestionTooLong, match="太长"):
        cut([SYSTEM, Message("user", "天" * 100)], 60, Estimate())


def test_a_prompt_that_leaves_no_room_is_the_operators_matter() -> None:
    with pytest.raises(QuestionRefused, match="LLM_CONTEXT_TOKENS") as refused:
        cut([Message("system", "word " * 100), NEWEST], 100, words)
    assert not isinstance(refused.value, QuestionTooLong)


def sourced(*texts: str) -> Message:
    sources = tuple(Found("kb", "water.md", Passage(t, 1, "", 0), 0.9) for t in texts)
    return Message("user", "newest question", sources, ("Water",))


def test_what_the_course_has_is_counted_as_it_is_told() -> None:
    asked = [SYSTEM, *TALK, sourced("Water boils.", "Ice melts.")]
    told = fitted(asked, room(*asked), words)
    assert [m.content.startswith(BEGIN) for m in told] == [False] * 5 + [True, False]
    assert room(*told) == room(*asked)


NOTES = (Note("name", "Anna"), Note("summary", "Learnt about rain."))


def test_notes_are_counted_as_they_are_told() -> None:
    asked = [Message("system", "Teach.", notes=NOTES), *TALK, sourced("Water boils.")]
    told = fitted(asked, room(*asked), words)
    assert told[1].content.startswith(BEGIN_NOTES)
    assert len(told) == len(asked) + 2
    assert room(*told) == room(*asked)


def test_a_question_that_leaves_no_room_for_notes_goes_before_them() -> None:
    asked = [Message("system", "Teach.", notes=NOTES), NEWEST]
    fewer = Message("system", "Teach.", notes=NOTES[:1])
    assert cut(asked, room(*asked) - 1, words) == [fewer, NEWEST]
    assert cut(asked, room(fewer, NEWEST) - 1, words) == [SYSTEM, NEWEST]
    with pytest.raises(QuestionTooLong):
        cut(asked, room(SYSTEM, NEWEST) - 1, words)


def test_the_course_goes_before_what_was_said_before() -> None:
    asked = sourced("Water boils.", "Ice melts.")
    assert cut([SYSTEM, *TALK, asked], room(SYSTEM, asked), words) == [SYSTEM, asked]


def test_sources_that_do_not_fit_are_left_out_the_last_first() -> None:
    asked = sourced("Water boils.", "Ice melts.")
    less = [asked, sourced("Water boils."), NEWEST]
    for one, next_one in pairwise(less):
        kept = cut([SYSTEM, *TALK, asked], room(SYSTEM, one) - 1, words)
        assert (kept[0], kept[-1]) == (SYSTEM, next_one)
    with pytest.raises(QuestionTooLong):
        cut([SYSTEM, asked], room(SYSTEM, NEWEST) - 1, words)


roles = st.sampled_from(["user", "assistant"])
talks = st.lists(st.builds(Message, roles, st.text("ab ", max_size=40)), max_size=12)


@settings(deadline=None)
@given(talks, st.integers(0, 300))
def test_the_cut_keeps_whole_messages_their_order_and_the_room(
    talk: list[Message], tokens: int
) -> None:
    messages = [SYSTEM, *talk, NEWEST]
    try:
        kept = cut(messages, tokens, words)
    except (QuestionRefused, QuestionTooLong):
        assert tokens < room(SYSTEM, NEWEST)
        return
    assert size(kept, words) <= tokens
    assert kept[0] == SYSTEM and kept[-1] == NEWEST
    assert messages[len(messages) - len(kept) + 1 :] == kept[1:]


def test_the_answer_leaves_the_prompt_at_least_half() -> None:
    assert answer_tokens(8192, 1024) == 1024
    assert answer_tokens(1000, 1024) == 500


def test_an_estimate_is_careful() -> None:
    estimate = Estimate()
    # 44 characters are 10 tokens of any current tokenizer; 8 Chinese ones at most 16.
    assert 10 <= estimate("The quick brown fox jumps over the lazy dog.") <= 20
    assert 8 <= estimate("天为什么是蓝色的") <= 17
    assert estimate("") >= 0


def test_an_estimate_learns_from_what_the_server_counts() -> None:
    english, chinese = Message("user", "word " * 400), Message("user", "天" * 600)
    estimate = Estimate()
    for _ in range(30):
        estimate = estimate.learned([english], 400 + MESSAGE_TOKENS)
        estimate = estimate.learned([chinese], 420 + MESSAGE_TOKENS)
    assert 400 < estimate(english.content) < 480
    assert 420 < estimate(chinese.content) < 500


def test_an_estimate_that_was_too_low_rises_at_once() -> None:
    message = Message("user", "天" * 600)
    assert Estimate().learned([message], 1800)(message.content) > 1780


def test_an_estimate_ignores_short_prompts_and_counts_of_a_cache() -> None:
    estimate = Estimate()
    assert estimate.learned([Message("user", "Hi.")], 30) == estimate
    assert estimate.learned([Message("user", "word " * 4000)], 210) == estimate
    assert estimate.learned([Message("user", "天 because " * 500)], 3000) == estimate, "mixed"


def test_empty_messages_teach_nothing() -> None:
    assert Estimate().learned([Message("user", "")], 400) == Estimate()
