import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from engines.errors import EngineError
from engines.llm.batching import (
    FEWEST_READ,
    INVALID,
    MOST_READ,
    NO_MEMORY,
    NO_NUMBER,
    STEP_S,
    Batching,
    Delivery,
    OutOfMemory,
    paced,
    shared,
)

END = 1
LIMIT_S = 10.0


def following(content: Sequence[int]) -> int:
    """What the model of these tests writes: depends on every token, at its place."""
    return hash(tuple(content)) % 1000 + 100


def answer(prompt: list[int], tokens: int) -> list[int]:
    content = list(prompt)
    for _ in range(tokens):
        content.append(following(content))
    return content[len(prompt) :]


class ScriptedSteps:
    """A cache of token lists, which remembers what it was asked to do."""

    def __init__(self) -> None:
        self.contents: dict[int, list[int]] = {}
        self.log: list[tuple[str, int]] = []
        """The verb, and how many tokens or slots."""
        self.before: Callable[[str, Sequence[int]], None] = lambda verb, slots: None
        """Called with the verb and the slots; may raise."""
        self.go = threading.Event()
        """Nothing is done before it is set."""
        self.go.set()

    def read(self, slot: int, tokens: Sequence[int], begin: int) -> int:
        self.go.wait(LIMIT_S)
        self.before("read", [slot])
        self.log.append(("read", len(tokens)))
        return self._put(slot, tokens, begin)

    def write(self, slots: Sequence[int], tokens: Sequence[int], at: Sequence[int]) -> list[int]:
        self.go.wait(LIMIT_S)
        self.before("write", slots)
        self.log.append(("write", len(slots)))
        rows = zip(slots, tokens, at, strict=True)
        return [self._put(slot, [token], begin) for slot, token, begin in rows]

    def copy(self, source: int, target: int, tokens: int) -> None:
        self.log.append(("copy", tokens))
        self.contents[target] = self.contents[source][:tokens]

    def forget(self, slot: int) -> None:
        self.log.append(("forget", slot))

    def keep(self, slots: int, tokens: int) -> None:
        self.log.append(("keep", slots))
        for slot in [slot for slot in self.contents if slot >= slots]:
            del self.contents[slot]

    def _put(self, slot: int, tokens: Sequence[int], begin: int) -> int:
        content = self.contents.setdefault(slot, [])
        assert begin <= len(content)
        content[begin:] = tokens
        return following(content)


class Asked:
    """Somebody who asks, and what comes."""

    def __init__(self, batching: Batching, prompt: list[int], limit: int = 20) -> None:
        self.tokens: list[int] = []
        self.error: EngineError | None = None
        self.ended = threading.Event()
        self.begun = threading.Event()
        self.request = batching.submit(prompt, limit, self._take)

    def _take(self, delivery: Delivery) -> None:
        if isinstance(delivery, int):
            self.tokens.append(delivery)
            self.begun.set()
            return
        self.error = delivery
        self.ended.set()

    def result(self) -> list[int]:
        assert self.ended.wait(LIMIT_S)
        if self.error:
            raise self.error
        return self.tokens


@pytest.fixture
def steps() -> ScriptedSteps:
    return ScriptedSteps()


@pytest.fixture
def batching(steps: ScriptedSteps) -> Iterator[Batching]:
    batching = Batching(steps, slots=4, ends=frozenset({END}))
    yield batching
    batching.close()
    batching.join(LIMIT_S)


def prompt(seed: int, length: int = 30) -> list[int]:
    return [(seed * 7919 + n * 104_729) % 1000 + 2000 for n in range(length)]


def test_more_than_there_are_slots_are_all_answered(batching: Batching) -> None:
    prompts = [prompt(seed, 10 + 97 * seed) for seed in range(20)]
    asked = [Asked(batching, p, limit=5 + n) for n, p in enumerate(prompts)]
    for n, (who, text) in enumerate(zip(asked, prompts, strict=True)):
        assert who.result() == answer(text, 5 + n)


def test_an_answer_ends_with_its_mark(steps: ScriptedSteps) -> None:
    text = prompt(1)
    ninth = answer(text, 9)[-1]
    batching = Batching(steps, 1, frozenset({ninth}))
    assert Asked(batching, text).result() == answer(text, 8)
    batching.close()


def test_who_comes_later_joins_between_two_steps(batching: Batching, steps: ScriptedSteps) -> None:
    step = threading.Semaphore(0)

    def before(verb: str, slots: Sequence[int]) -> None:
        if verb == "write":
            step.acquire()

    steps.before = before
    first = Asked(batching, prompt(1))
    assert first.begun.wait(LIMIT_S)
    for _ in range(5):
        step.release()
    second = Asked(batching, prompt(2))
    step.release()  # the step that may have begun before
    assert second.begun.wait(LIMIT_S)
    assert not first.ended.is_set()
    step.release(100)
    assert first.result() == answer(prompt(1), 20)
    assert second.result() == answer(prompt(2), 20)
    assert ("write", 2) in steps.log


def test_a_long_prompt_is_read_in_pieces_between_which_others_write(
    batching: Batching, steps: ScriptedSteps
) -> None:
    long = prompt(2, 8 * MOST_READ)
    steps.go.clear()
    writer, reader = Asked(batching, prompt(1), limit=50), Asked(batching, long, limit=3)
    steps.go.set()
    assert writer.result() == answer(prompt(1), 50)
    assert reader.result() == answer(long, 3)
    pieces = [n for verb, n in steps.log if verb == "read"]
    assert max(pieces) <= MOST_READ
    reads = [index for index, (verb, n) in enumerate(steps.log) if verb == "read" and n > 30]
    assert all(("write", 1) in steps.log[a:b] for a, b in zip(reads[1:], reads[2:], strict=False))


def test_who_cancels_gets_nothing_more_and_makes_place(steps: ScriptedSteps) -> None:
    batching = Batching(steps, 1, frozenset())
    endless = Asked(batching, prompt(1), limit=10**9)
    waiting = Asked(batching, prompt(2))
    given_up = Asked(batching, prompt(3))
    assert endless.begun.wait(LIMIT_S)
    batching.cancel(given_up.request)
    batching.cancel(endless.request)
    assert waiting.result() == answer(prompt(2), 20)
    written = len(endless.tokens)
    time.sleep(0.05)
    assert len(endless.tokens) == written
    assert not endless.ended.is_set()
    assert not given_up.tokens
    batching.close()


def test_without_memory_the_newest_fails_and_the_others_go_on(
    batching: Batching, steps: ScriptedSteps
) -> None:
    def before(verb: str, slots: Sequence[int]) -> None:
        if verb == "write" and len(slots) > 2:
            raise OutOfMemory

    steps.before = before
    steps.go.clear()
    asked = [Asked(batching, prompt(seed)) for seed in range(3)]
    steps.go.set()
    for seed in (0, 1):
        assert asked[seed].result() == answer(prompt(seed), 20)
    with pytest.raises(EngineError) as failure:
        asked[2].result()
    assert failure.value.sentence == NO_MEMORY
    assert ("keep", 2) in steps.log
    assert Asked(batching, prompt(2)).result() == answer(prompt(2), 20)


def test_without_memory_for_a_prompt_only_that_fails(
    batching: Batching, steps: ScriptedSteps
) -> None:
    def before(verb: str, slots: Sequence[int]) -> None:
        if verb == "read" and slots == [1]:
            raise OutOfMemory

    steps.before = before
    steps.go.clear()
    first, second = Asked(batching, prompt(1)), Asked(batching, prompt(2))
    steps.go.set()
    assert first.result() == answer(prompt(1), 20)
    with pytest.raises(EngineError, match="no memory left"):
        second.result()


def test_a_model_that_fails_at_a_prompt_fails_for_that_only(
    batching: Batching, steps: ScriptedSteps
) -> None:
    def before(verb: str, slots: Sequence[int]) -> None:
        if verb == "read" and slots == [1]:
            raise IndexError("index out of range in self")

    steps.before = before
    steps.go.clear()
    first, second = Asked(batching, prompt(1)), Asked(batching, prompt(2))
    steps.go.set()
    assert first.result() == answer(prompt(1), 20)
    with pytest.raises(EngineError, match=r"failed \(index out of range in self\)\.$"):
        second.result()


def test_after_a_failed_step_the_worker_still_works(
    batching: Batching, steps: ScriptedSteps
) -> None:
    failing = [True]

    def before(verb: str, slots: Sequence[int]) -> None:
        if verb == "write" and failing:
            failing.pop()
            raise RuntimeError("CUDA error\nat some line")

    steps.before = before
    with pytest.raises(EngineError, match=r"failed \(CUDA error\)\.$"):
        Asked(batching, prompt(1)).result()
    assert Asked(batching, prompt(1)).result() == answer(prompt(1), 20)


def test_a_slot_with_invalid_numbers_is_read_anew(
    batching: Batching, steps: ScriptedSteps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScriptedSteps, "write", lambda self, slots, tokens, at: [INVALID])
    with pytest.raises(EngineError) as failure:
        Asked(batching, prompt(1)).result()
    assert failure.value.sentence == NO_NUMBER
    monkeypatch.undo()
    assert Asked(batching, prompt(1)).result() == answer(prompt(1), 20)
    assert steps.log[1:3] == [("forget", 0), ("read", 30)]


def test_the_next_turn_is_read_from_where_it_differs(
    batching: Batching, steps: ScriptedSteps
) -> None:
    first = prompt(1, 200)
    told = Asked(batching, first).result()
    Asked(batching, prompt(2, 200)).result()
    steps.log.clear()
    second = first + told + prompt(3, 10)
    assert Asked(batching, second).result() == answer(second, 20)
    assert steps.log[0] == ("read", 11)  # the last token was never read


def test_the_same_prompt_again_is_read_at_its_last_token(
    batching: Batching, steps: ScriptedSteps
) -> None:
    for _ in range(2):
        steps.log.clear()
        assert Asked(batching, prompt(1)).result() == answer(prompt(1), 20)
    assert steps.log[0] == ("read", 1)


def test_a_beginning_that_another_has_is_copied(batching: Batching, steps: ScriptedSteps) -> None:
    lesson = prompt(0, 150)  # as a tutor's prompt, the same for all
    Asked(batching, lesson + prompt(1, 400)).result()
    steps.log.clear()
    text = lesson + prompt(2, 10)
    assert Asked(batching, text).result() == answer(text, 20)
    assert steps.log[:2] == [("copy", 150), ("read", 10)]
    # The one that was copied from still knows all.
    steps.log.clear()
    Asked(batching, lesson + prompt(1, 400) + [5]).result()
    assert steps.log[0][1] < 10


def test_who_is_gone_without_a_word_harms_nobody(batching: Batching) -> None:
    def gone(_: Delivery) -> None:
        raise RuntimeError("Event loop is closed")

    batching.submit(prompt(1), 10**9, gone)
    assert Asked(batching, prompt(2)).result() == answer(prompt(2), 20)


def test_closing_fails_all_that_is_unfinished(steps: ScriptedSteps) -> None:
    batching = Batching(steps, 1, frozenset())
    asked = [Asked(batching, prompt(seed), limit=10**9) for seed in range(2)]
    assert asked[0].begun.wait(LIMIT_S)
    batching.close()
    for who in asked:
        with pytest.raises(EngineError, match="has been closed"):
            who.result()
    batching.join(LIMIT_S)
    assert "llm-batching" not in {thread.name for thread in threading.enumerate()}
    assert steps.contents == {}
    with pytest.raises(EngineError, match="has been closed"):
        batching.submit([1], 1, lambda delivery: None)


def test_reading_takes_its_time_and_no_more() -> None:
    assert paced(100, STEP_S) == 100
    assert paced(100, 10 * STEP_S) == FEWEST_READ
    assert paced(100, 2 * STEP_S) == 50
    assert paced(100, 0.0) == 200
    assert paced(MOST_READ, 0.0) == MOST_READ


@pytest.mark.parametrize(
    ("known", "wanted", "both"),
    [([], [1], 0), ([1, 2], [1, 2, 3], 2), ([1, 2, 3], [1, 2], 2), ([1, 9], [1, 2], 1)],
)
def test_what_two_begin_with(known: list[int], wanted: list[int], both: int) -> None:
    assert shared(known, wanted) == both
