"""One batch after the other for all sessions whose faces a model shows.

    faces() ─┐                    ┌ hear ─► whoever has come, together ┐
    faces() ─┼─► orders ─► thread ┤                                    ├─► each its own, in order
    faces() ─┘   (bounded)        └ show ─► the frames needed first    ┘

Nobody waits for company: what is there when a batch ends makes up the next one. Who begins to speak
gets a small batch, so that the first frame is early; who is cancelled is in no further batch.
"""

import asyncio
import heapq
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from engines.avatar.musetalk.speech import Stretch
from engines.base import FRAME_S, Pixels
from engines.errors import EngineBusy, EngineError, EngineUnavailable

if TYPE_CHECKING:  # they import PyTorch
    from engines.avatar.musetalk.batches import Rendering
    from engines.avatar.musetalk.model import MuseTalkModel

_log = logging.getLogger(__name__)

FIRST_FRAMES = 2
"""Frames of the batch with which somebody begins to speak: 80 ms of face, for as long as the rest
takes."""

FULL_ENOUGH = 7 / 8
"""A batch is filled up to the next size from here on. With fewer frames the smaller size is
quicker, and what is left over comes in the next batch: a batch of 8 and one of 4 take less time
than one of 16."""

MOST_FRAMES = 1024
"""Of all orders together: 40 s of faces, whose features take 40 MB. A GPU that is so far behind
will not catch up."""

HEARD_TOGETHER = 8
"""Orders whose speech is heard between two batches; more would make the batch late."""

RECENT = 100
"""Batches of which `/health` tells the mean: some seconds."""

Latents = npt.NDArray[np.floating[Any]]

OnBatch = Callable[[int, int, float], None]
"""Told of every batch, in the scheduler's thread: frames, the sessions that they are of, and the
seconds that the one that waited longest had waited."""


@dataclass(frozen=True, slots=True)
class Request:
    """Frames of one face that are wanted."""

    stretch: Stretch
    frames: Sequence[int]
    """Which of the stretch's frames, ascending; at least one."""
    latents: Latents
    """[len(frames), 8, 32, 32]: the face that each of them is made of."""
    ahead_s: float = 0.0
    """How much of this speech has its face already, and is still to be seen: the first frame is not
    needed before. 0: somebody begins to speak."""


@dataclass(frozen=True, slots=True)
class Made:
    """Some of the frames of a request, in order."""

    frames: tuple[int, ...]
    pixels: Pixels
    """uint8 BGR, [frames, rows, 256, 3]: the lowest rows of each face."""
    finite: npt.NDArray[np.bool_]
    """[frames]; where it is false the pixels mean nothing and must not be shown."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """How the batches were."""

    batches: int
    """Since the start."""
    frames: float
    """In a batch, on the average of the last `RECENT`."""
    sessions: float
    """That share a batch; also on the average. A session has one request at a time."""
    waited_s: float
    """From a request to its batch's start, for the frame of the batch that waited longest; also on
    the average."""


@dataclass(eq=False, slots=True)
class Order:
    """A request on its way. The lists are the thread's, the queue is the loop's."""

    request: Request
    asked_s: float
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Queue[Made | EngineError]"
    chunks: Any = None
    """[stretch.frames, 50, 384], once they have been heard."""
    taken: int = 0
    """Frames that have gone into a batch."""
    gone: bool = False
    """Nobody waits for it any more."""

    @property
    def begins(self) -> bool:
        """Whether its next frame is the first one of a speech."""
        return not self.request.ahead_s and not self.taken

    @property
    def left(self) -> int:
        return len(self.request.frames) - self.taken

    def due(self) -> Iterator[tuple[float, int]]:
        """When each frame that is left is needed, on the monotonic clock, and its place."""
        start_s = self.asked_s + self.request.ahead_s
        for place in range(self.taken, len(self.request.frames)):
            yield start_s + self.request.frames[place] * FRAME_S, place

    def deliver(self, what: Made | EngineError) -> None:
        """From the thread to whoever waits."""
        with suppress(RuntimeError):  # his loop has ended
            self.loop.call_soon_threadsafe(self.done.put_nowait, what)


Part = tuple[Order, int]
"""An order, and the place of one of its frames."""


def next_batch(orders: Sequence[Order], sizes: Sequence[int]) -> list[Part]:
    """The frames of the next batch, those of each order side by side and in order: earliest need
    first, of a number that the model is quick at. Pure."""

    def dated(number: int, order: Order) -> Iterator[tuple[float, int, int]]:
        return ((due_s, number, place) for due_s, place in order.due())

    due = heapq.merge(*(dated(number, order) for number, order in enumerate(orders)))
    chosen = list(islice(due, sizes[-1]))
    if orders[chosen[0][1]].begins:
        beginning = sum(order.begins for order in orders)
        chosen = chosen[: max(FIRST_FRAMES * beginning, sizes[0])]
    chosen = chosen[: filled(len(chosen), sizes)]
    return [(orders[number], place) for _, number, place in sorted(chosen, key=lambda one: one[1:])]


def filled(waiting: int, sizes: Sequence[int]) -> int:
    """How many of the frames that wait go into a batch, which is then filled up to the next of
    these sizes, so that little is made in vain. Pure."""
    upper = next((size for size in sizes if size >= waiting), None)
    if upper is None:
        return sizes[-1]
    if waiting >= FULL_ENOUGH * upper or upper == sizes[0]:
        return waiting
    return max(size for size in sizes if size < waiting)


class Scheduler:
    """`faces` may be called on any event loop. `close` ends its thread."""

    def __init__(
        self,
        model: "MuseTalkModel",
        *,
        sizes: Sequence[int] = (),
        overlap: bool = False,
        on_batch: OnBatch | None = None,
    ) -> None:
        """`sizes`: those of the model's that are used, in ascending order; none: all. `overlap`:
        start a batch while the one before is being made, as a GPU can."""
        self._model = model
        self._sizes = tuple(sizes) or model.sizes
        self._under_way = 2 if overlap else 1
        self._on_batch = on_batch
        self._untold = True
        self._orders: list[Order] = []
        self._open: set[Order] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._batches = 0
        self._recent: deque[tuple[int, int, float]] = deque(maxlen=RECENT)
        self._thread = threading.Thread(target=self._run, name="musetalk", daemon=True)
        self._thread.start()

    async def faces(self, request: Request) -> AsyncGenerator[Made, None]:
        """Stream the frames in order; closing the stream takes them out of the coming batches at
        once. Raises `EngineBusy` when too many wait, and what the model raises."""
        order = self._enter(request)
        try:
            missing = len(request.frames)
            while missing:
                made = await order.done.get()
                if isinstance(made, EngineError):
                    raise made
                missing -= len(made.frames)
                yield made
        finally:
            self._leave(order)

    @property
    def waiting(self) -> int:
        """Frames that are in no batch yet."""
        with self._changed:
            return sum(order.left for order in self._orders)

    @property
    def statistics(self) -> Statistics:
        with self._changed:
            recent = list(self._recent) or [(0, 0, 0.0)]
            means = (sum(column) / len(recent) for column in zip(*recent, strict=True))
            return Statistics(self._batches, *means)

    def close(self) -> None:
        """End the thread; who still waits is told. Blocks for as long as a batch takes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _enter(self, request: Request) -> Order:
        loop = asyncio.get_running_loop()
        # Bounded by the request: at most one entry for each frame, and one failure.
        done: asyncio.Queue[Made | EngineError] = asyncio.Queue(len(request.frames) + 1)
        order = Order(request, time.monotonic(), loop, done)
        with self._changed:
            if self._closed:
                raise closed()
            if sum(other.left for other in self._orders) + order.left > MOST_FRAMES:
                raise EngineBusy(
                    "Too many faces speak at once for this GPU. Try again in a moment, or raise"
                    " `max_replicas` of the application `avatar` in configs/serve.yaml."
                )
            self._orders.append(order)
            self._open.add(order)
            self._changed.notify_all()
        return order

    def _leave(self, order: Order) -> None:
        with self._changed:
            order.gone = True
            self._open.discard(order)
            if order in self._orders:
                self._orders.remove(order)

    # ── in the thread ─────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        why: EngineError = closed()
        try:
            self._work()
        except Exception as error:  # else all would wait for ever for a thread that has ended
            why = _told(error)
        with self._changed:
            self._closed = True
            left = list(self._open)
        self._dismiss(left, why)

    def _work(self) -> None:
        """Until it is closed; what is under way then is still delivered."""
        under_way: deque[tuple[list[Part], Rendering]] = deque()
        try:
            while self._something_to_do(bool(under_way)):
                self._hear()
                parts = self._take()
                if parts and (rendering := self._started(parts)) is not None:
                    under_way.append((parts, rendering))
                if under_way and (not parts or len(under_way) >= self._under_way):
                    self._finish(*under_way.popleft())
        finally:
            for parts, rendering in under_way:
                self._finish(parts, rendering)

    def _something_to_do(self, under_way: bool) -> bool:
        """Wait for it; False: it has been closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._orders or under_way or self._closed)
            return not self._closed

    def _hear(self) -> None:
        """The speech of who has come since, of all in one run."""
        with self._changed:
            new = [order for order in self._orders if order.chunks is None]
        new = sorted(new, key=lambda order: next(order.due())[0])[:HEARD_TOGETHER]
        if not new:
            return
        try:
            heard = self._model.chunks([order.request.stretch for order in new])
        except Exception as error:
            self._dismiss(new, _told(error))
            return
        for order, chunks in zip(new, heard, strict=True):
            order.chunks = chunks

    def _take(self) -> list[Part]:
        """The next batch; nothing of it waits any more."""
        with self._changed:
            heard = [order for order in self._orders if order.chunks is not None]
            parts = next_batch(heard, self._sizes) if heard else []
            for order, place in parts:
                order.taken = place + 1
            self._orders = [order for order in self._orders if order.left]
        if parts:
            self._note(parts)
        return parts

    def _note(self, parts: Sequence[Part]) -> None:
        waited_s = time.monotonic() - min(order.asked_s for order, _ in parts)
        batch = len(parts), len({order for order, _ in parts}), waited_s
        with self._changed:
            self._batches += 1
            self._recent.append(batch)
        if self._on_batch is None:
            return
        try:
            self._on_batch(*batch)
        except Exception:  # a figure that nobody gets costs nobody his face
            if self._untold:
                _log.exception("the batches cannot be told of")
            self._untold = False

    def _started(self, parts: Sequence[Part]) -> "Rendering | None":
        try:
            latents = np.stack([order.request.latents[place] for order, place in parts])
            chunks = np.stack([order.chunks[order.request.frames[place]] for order, place in parts])
            return self._model.start(latents, chunks)
        except Exception as error:
            self._dismiss([order for order, _ in parts], _told(error))
            return None

    def _finish(self, parts: Sequence[Part], rendering: "Rendering") -> None:
        try:
            faces = rendering.wait()
        except Exception as error:
            self._dismiss([order for order, _ in parts], _told(error))
            return
        begin = 0
        for _, group in groupby(parts, key=lambda part: id(part[0])):
            mine = list(group)
            order, end = mine[0][0], begin + len(mine)
            frames = tuple(order.request.frames[place] for _, place in mine)
            if not order.gone:
                order.deliver(Made(frames, faces.pixels[begin:end], faces.finite[begin:end]))
            begin = end

    def _dismiss(self, orders: Sequence[Order], why: EngineError) -> None:
        """They get nothing more."""
        for order in dict.fromkeys(orders):
            self._leave(order)
            order.deliver(why)


def _told(error: Exception) -> EngineError:
    if isinstance(error, EngineError):
        return error
    _log.error("MuseTalk failed in an unforeseen way", exc_info=error)
    return EngineUnavailable("MuseTalk failed; the log of the application `avatar` says why.")


def closed() -> EngineUnavailable:
    """For who comes too late."""
    return EngineUnavailable("MuseTalk has been stopped. Its state is in /health.")
