"""One language model for many conversations: whoever asks while it writes joins between two steps.

A step writes one token of every answer, which takes hardly longer than one token of one answer.
Long prompts are read in pieces between the steps. Each conversation has a slot of the cache; a slot
keeps what it has read when its answer ends, so that the next turn of a conversation is only read
from where it differs.

transformers has a batcher of its own. It is not used: a step that fails there, as for want of
memory, ends every answer and its thread, and what a conversation has read is paged for GPUs.
"""

import atexit
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from engines.errors import EngineError

_log = logging.getLogger(__name__)

Delivery = int | EngineError | None
"""A token; what went wrong; or None at the end."""

INVALID: Final = -1
"""What `Steps` give in place of a token when the model computed no number."""

STEP_S = 0.05
"""Reading between two steps takes about this long: no voice falters, and who goes is soon gone."""

FEWEST_READ, MOST_READ = 16, 1024
"""Tokens of prompts between two steps."""

LEAST_COPY = 16
"""Tokens. Reading fewer again is as cheap as copying them from another slot."""

END_LIMIT_S = 5.0
"""No step takes longer."""

NO_MEMORY = (
    "There is no memory left for the language model's answer. Ask again when others have finished;"
    " if it happens often, lower LLM_CONTEXT_TOKENS or use a smaller model."
)
NO_NUMBER = (
    "The language model computed no valid word. If it happens again, load it with a wider number"
    " format, such as float32."
)
CLOSED = "The language model has been closed. Start the engine again."


class OutOfMemory(Exception):
    """A step did not fit into memory; it can be done again with less."""


class Steps(Protocol):
    """What a model can do for the slots of its cache. Called by one thread.

    All raise `OutOfMemory`, or whatever the model raises.
    """

    def read(self, slot: int, tokens: Sequence[int], begin: int) -> int:
        """Put tokens into a slot from position `begin` on; the token that comes next."""
        ...

    def write(self, slots: Sequence[int], tokens: Sequence[int], at: Sequence[int]) -> list[int]:
        """Put one token into each of the slots, at its position; the tokens that come next."""
        ...

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Have `target` begin with the same tokens as `source`."""
        ...

    def forget(self, slot: int) -> None:
        """Leave nothing in a slot that is no number."""
        ...

    def keep(self, slots: int, tokens: int) -> None:
        """Give back the memory of all but the first slots, and of what is beyond `tokens`."""
        ...


@dataclass(slots=True, eq=False)
class Request:
    """An answer that is wanted, and how far it is."""

    prompt: list[int]
    limit: int
    """Tokens of the longest answer."""
    deliver: Callable[[Delivery], None]
    """Called in the worker's thread; must not wait. When it raises, the answer is given up."""
    cancelled: bool = False
    last: int = INVALID
    """The newest token, not in the cache yet; INVALID while the prompt is being read."""
    written: int = 0


@dataclass(slots=True)
class _Slot:
    index: int
    known: list[int] = field(default_factory=list)
    """The tokens that are in the cache."""
    request: Request | None = None


class Batching:
    """The worker's thread, and its slots."""

    def __init__(self, steps: Steps, slots: int, ends: frozenset[int]) -> None:
        """`ends` are the tokens that an answer ends with."""
        self._steps = steps
        self._ends = ends
        self._slots = [_Slot(index) for index in range(slots)]
        self._reading: deque[_Slot] = deque()
        self._writing: list[_Slot] = []
        self._pace = MOST_READ // 4
        self._arrivals: deque[Request] = deque()
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="llm-batching", daemon=True)
        self._thread.start()
        atexit.register(_end, weakref.ref(self))

    def submit(self, prompt: list[int], limit: int, deliver: Callable[[Delivery], None]) -> Request:
        """Ask for an answer; it waits while all slots are taken. Raises `EngineError` when closed.

        Prompt and `limit` together must not be longer than the cache may become.
        """
        request = Request(prompt, limit, deliver)
        with self._changed:
            if self._closed:
                raise EngineError(CLOSED)
            self._arrivals.append(request)
            self._changed.notify()
        return request

    def cancel(self, request: Request) -> None:
        """Nothing is delivered any more after the step that is being done."""
        request.cancelled = True
        with self._changed:
            self._changed.notify()

    def resize(self, slots: int) -> None:
        """Have fewer slots, and forget what they know. Only while nothing is being answered."""
        self._slots = [_Slot(index) for index in range(slots)]

    def close(self) -> None:
        """End the worker after its step, without waiting; unfinished answers fail."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def join(self, timeout_s: float | None = None) -> None:
        """Wait for the worker's end."""
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while self._is_wanted():
            try:
                self._leave()
                self._enter()
                self._read()
                self._write()
            except Exception as error:  # must not end the worker: others still ask
                _log.exception("a step of the language model failed")
                self._fail_all(EngineError(f"The language model failed ({first_line(error)})."))
        self._fail_all(EngineError(CLOSED))
        self._steps.keep(0, 0)

    def _is_wanted(self) -> bool:
        """Wait for work; False when closed."""
        with self._changed:
            while not (self._closed or self._arrivals or self._reading or self._writing):
                self._changed.wait()
            return not self._closed

    def _leave(self) -> None:
        for slot in (*self._reading, *self._writing):
            if slot.request is not None and slot.request.cancelled:
                self._release(slot)

    def _enter(self) -> None:
        while self._arrivals and (free := [s for s in self._slots if s.request is None]):
            request = self._arrivals.popleft()
            if request.cancelled:
                continue
            slot = _best(free, request.prompt)
            slot.request = request
            self._reading.append(slot)
            self._guarded(self._recall, slot, request.prompt)

    def _recall(self, slot: _Slot, prompt: list[int]) -> None:
        """Keep of the slot what the prompt begins with, or copy a longer beginning from another."""
        # The last token is always read: what comes after it is not in the cache.
        beginning = prompt[:-1]
        own = shared(slot.known, beginning)
        other = max(self._slots, key=lambda other: shared(other.known, beginning))
        longest = shared(other.known, beginning)
        del slot.known[own:]
        if longest >= own + LEAST_COPY:
            self._steps.copy(other.index, slot.index, longest)
            slot.known = beginning[:longest]

    def _read(self) -> None:
        left = self._pace
        while self._reading and left > 0:
            slot = self._reading[0]
            request = slot.request
            assert request is not None  # a slot without one is in no queue
            begin = len(slot.known)
            piece = request.prompt[begin : begin + left]
            left -= len(piece)
            if not self._guarded(self._read_piece, slot, piece):
                continue
            if len(slot.known) == len(request.prompt):
                self._reading.popleft()
                self._writing.append(slot)
                self._hand_on(slot, request.last)

    def _read_piece(self, slot: _Slot, piece: list[int]) -> None:
        began_s = time.perf_counter()
        token = self._steps.read(slot.index, piece, len(slot.known))
        if len(piece) == self._pace:
            self._pace = paced(self._pace, time.perf_counter() - began_s)
        slot.known += piece
        if slot.request is not None:
            slot.request.last = token

    def _write(self) -> None:
        slots = list(self._writing)
        if not slots:
            return
        last = [slot.request.last for slot in slots if slot.request is not None]
        at = [len(slot.known) for slot in slots]
        tokens: list[int] | None = None
        with suppress(OutOfMemory):
            tokens = self._steps.write([slot.index for slot in slots], last, at)
        if tokens is None:
            # The others do the same step again, with the newest's memory.
            self._run_out_of_memory(slots[-1])
            return
        for slot, fed, token in zip(slots, last, tokens, strict=True):
            slot.known.append(fed)
            self._hand_on(slot, token)

    def _hand_on(self, slot: _Slot, token: int) -> None:
        request = slot.request
        assert request is not None  # only slots with one are read or written
        if token == INVALID:
            self._release(slot, EngineError(NO_NUMBER))
            slot.known.clear()
            # Attention looks beyond the tokens that are known, and zero times no number is none.
            self._steps.forget(slot.index)
            return
        request.last = token
        request.written += 1
        ended = token in self._ends
        if not ended:
            self._delivered(request, token)
        if ended or request.written >= request.limit:
            self._release(slot, None)

    def _guarded(
        self, work: Callable[[_Slot, list[int]], None], slot: _Slot, tokens: list[int]
    ) -> bool:
        """Do what concerns one slot only, so that its failure is nobody else's."""
        try:
            work(slot, tokens)
            return True
        except OutOfMemory:
            pass  # handled when the error no longer holds what the step has computed
        except Exception as error:  # foreign: the model's
            _log.exception("the language model failed to read a prompt")
            self._release(slot, EngineError(f"The language model failed ({first_line(error)})."))
            slot.known.clear()
            return False
        self._run_out_of_memory(slot)
        return False

    def _run_out_of_memory(self, slot: _Slot) -> None:
        _log.warning("no memory left for an answer of %d tokens", len(slot.known))
        self._release(slot, EngineError(NO_MEMORY))
        busy = [slot for slot in self._slots if slot.request is not None]
        for idle in self._slots:
            if idle.request is None:
                idle.known.clear()
        slots = max((slot.index + 1 for slot in busy), default=0)
        self._steps.keep(slots, max((len(slot.known) + 1 for slot in busy), default=0))

    def _release(self, slot: _Slot, *deliveries: EngineError | None) -> None:
        request, slot.request = slot.request, None
        if slot in self._reading:
            self._reading.remove(slot)
        if slot in self._writing:
            self._writing.remove(slot)
        for delivery in deliveries:
            if request is not None:
                self._delivered(request, delivery)

    def _delivered(self, request: Request, delivery: Delivery) -> bool:
        if request.cancelled:
            return False
        try:
            request.deliver(delivery)
        except Exception:  # whoever asked is gone, with its event loop
            request.cancelled = True
        return not request.cancelled

    def _fail_all(self, error: EngineError) -> None:
        for slot in (*self._reading, *self._writing):
            self._release(slot, error)
            slot.known.clear()
        with self._changed:
            waiting = list(self._arrivals) if self._closed else []
        for request in waiting:
            self._delivered(request, error)


def _end(batching: "weakref.ref[Batching]") -> None:
    """At the end of the process, which a thread that is just computing would abort."""
    if alive := batching():
        alive.close()
        alive.join(END_LIMIT_S)


def shared(known: list[int], wanted: list[int]) -> int:
    """How many tokens both begin with."""
    length = min(len(known), len(wanted))
    if known[:length] == wanted[:length]:
        return length
    return next(i for i in range(length) if known[i] != wanted[i])


def paced(tokens: int, seconds: float) -> int:
    """How many tokens to read at once, after so many took so long."""
    aim = int(tokens * STEP_S / max(seconds, 1e-6))
    return max(FEWEST_READ, min(aim, 2 * tokens, MOST_READ))


def _best(free: Sequence[_Slot], prompt: list[int]) -> _Slot:
    """The slot of the same conversation, or the one whose memory is worth the least."""
    alike = max(free, key=lambda slot: shared(slot.known, prompt))
    if 2 * shared(alike.known, prompt) > len(alike.known):
        return alike
    return min(free, key=lambda slot: len(slot.known))


def first_line(error: BaseException) -> str:
    """What a foreign error says, short enough for a sentence."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(".")
