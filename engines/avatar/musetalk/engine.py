"""The filmed tutor speaks: MuseTalk's mouth in a prepared avatar's frames.

speech ─► strengths ─► silent frames ─────────────────────────┐
   └────► features ──► Scheduler, with all other sessions ─► blended ─► Patch
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Self

import av
import numpy as np

from engines.avatar.musetalk.blending import Placement, blended, placement
from engines.avatar.musetalk.fading import Strengths, faded, strengths
from engines.avatar.musetalk.prepared import AvatarCache, Latents, PreparedAvatar
from engines.avatar.musetalk.scheduler import Made, OnBatch, Request, Scheduler, Statistics, closed
from engines.avatar.musetalk.speech import SEGMENT_SAMPLES, Stretch, sound
from engines.base import FRAME_S, FRAME_SIZE_PX, HEARING_RATE_HZ, Audio, Cue, Patch, Pcm, Pixels
from engines.errors import UnfitAvatar

if TYPE_CHECKING:  # it imports PyTorch
    from engines.avatar.musetalk.model import MuseTalkModel, MuseTalkOptions

_log = logging.getLogger(__name__)

PATCH_FRAMES = 10
"""In one patch at most: a megabyte."""

AHEAD_S = 0.2
"""A live turn keeps so much of its face ready, and asks for more when it has less. It cannot have
more than has been spoken."""

MOST_FRAMES = 250
"""Of one cue: 10 s. A live turn asks for 10 frames."""

TOGETHER = 8
"""Frames of the batch by which the pace is judged: most of what a live turn asks for at once."""

LONGEST_BATCH_S = 0.1
"""Who begins to speak waits for the batch that is being made."""

WORTH_WAITING = 1.25
"""A batch may take longer that makes so many times the frames a second."""

RUNS = 3
"""By the quickest of which the pace is judged."""

LONG_S = 2.0
"""A run that takes so long was not disturbed: it is slow."""

HOPELESS = 4.0
"""A pace with single frames that no batch would make good; a processor would need minutes for it.
"""


class MuseTalkAvatar:
    """Keeps nothing between calls but the avatars' files, so sessions may share it."""

    def __init__(
        self,
        model: "MuseTalkModel",
        avatars: AvatarCache,
        scheduler: Scheduler,
        *,
        on_gpu: bool = False,
    ) -> None:
        """The model and the scheduler are its own from now on."""
        self._model = model
        self._avatars = avatars
        self._scheduler = scheduler
        self._encoding = threading.Lock()
        self._closed = False
        self.version = model.version
        self.on_gpu = on_gpu
        self.pace = 0.0
        """Seconds of work for a second of one face, measured when it was loaded; 0: not yet."""

    @classmethod
    def load(
        cls,
        folder: Path,
        options: "MuseTalkOptions",
        avatars: AvatarCache,
        on_batch: OnBatch | None = None,
    ) -> Self:
        """Takes seconds to minutes: call it in a thread. Raises `EngineUnavailable`."""
        import torch

        from engines.avatar.musetalk.model import MuseTalkModel

        model = MuseTalkModel.load(folder, options)
        on_gpu = options.device != "cpu" and torch.cuda.is_available()
        try:
            # On a processor no batch is short, and nobody is answered live.
            sizes = _short_sizes(model) if on_gpu else model.sizes
            pace = _pace(model, sizes)
        except BaseException:
            model.close()
            raise
        scheduler = Scheduler(model, sizes=sizes, overlap=on_gpu, on_batch=on_batch)
        loaded = cls(model, avatars, scheduler, on_gpu=on_gpu)
        loaded.pace = pace
        return loaded

    @property
    def place(self) -> str:
        """Where the model works, for people to read."""
        return "the GPU" if self.on_gpu else "the CPU"

    @property
    def statistics(self) -> Statistics:
        return self._scheduler.statistics

    def fits(self, avatar: PreparedAvatar) -> bool:
        """Whether it was prepared for the version of MuseTalk that is loaded."""
        return avatar.facts.version == self.version

    async def animate(self, speech: Audio, cue: Cue) -> AsyncGenerator[Patch, None]:
        """Stream the mouth of `cue.frames` frames in order. `speech` should begin where the tutor
        began to speak, or a multiple of 30 s later: the model hears what came before. Raises
        `UnknownAvatar` and `EngineUnavailable`."""
        if not 0 < cue.frames <= MOST_FRAMES:
            raise ValueError(f"a cue has 1 to {MOST_FRAMES} frames, not {cue.frames}")
        shot = await asyncio.to_thread(self._shot, speech, cue)
        shown = 0
        if shot.request is not None:
            for frames in _pieces(range(shot.request.frames[0])):  # which need no model
                yield await asyncio.to_thread(shot.patch, frames, {})
            shown = shot.request.frames[0]
            async with aclosing(self._scheduler.faces(shot.request)) as parts:
                async for made in parts:
                    faces = _finite_faces(made)
                    for frames in _pieces(range(shown, made.frames[-1] + 1)):
                        yield await asyncio.to_thread(shot.patch, frames, faces)
                    shown = made.frames[-1] + 1
        for frames in _pieces(range(shown, cue.frames)):
            yield await asyncio.to_thread(shot.patch, frames, {})

    def latents(self, faces: Pixels) -> Latents:
        """For the preparation of an avatar: uint8 BGR [n, 256, 256, 3] → float16 [n, 8, 32, 32].
        Blocks. Raises `EngineUnavailable`."""
        with self._encoding:
            if self._closed:
                raise closed()
            return np.asarray(self._model.latents(faces), np.float16)

    def close(self) -> None:
        """Give the memory back; who still waits for frames is told. Blocks for a moment."""
        self._scheduler.close()
        with self._encoding:
            self._closed = True
            self._model.close()

    def _shot(self, speech: Audio, cue: Cue) -> "_Shot":
        avatar = self._avatars.get(cue.avatar)
        if not self.fits(avatar):
            raise wrong_version(avatar, self.version)
        seen = strengths(speech, cue)
        return _Shot(avatar, cue, seen, _request(avatar, speech, cue, seen))


@dataclass(frozen=True, slots=True)
class _Shot:
    """What one call is to show."""

    avatar: PreparedAvatar
    cue: Cue
    strengths: Strengths
    request: Request | None
    """For the frames in which the model is seen; None when there are none."""

    def patch(self, frames: range, faces: Mapping[int, Pixels]) -> Patch:
        """Of consecutive frames, those without a face as they were filmed: the smallest region that
        holds all their mouths. Blocks for a millisecond a frame."""
        first = self.cue.first_frame
        places = {frame: self._place(frame) for frame in frames}
        left, top, right, bottom = _around(list(filter(None, places.values())))
        pixels = np.empty((len(frames), bottom - top, right - left, 3), np.uint8)
        for picture, frame in zip(pixels, frames, strict=True):
            filmed = self.avatar.frame(first + frame)
            picture[:] = filmed[top:bottom, left:right]
            where, face = places[frame], faces.get(frame)
            if where is not None and face is not None:
                mouth = blended(filmed, face, faded(where, float(self.strengths[frame])))
                y, x = where.y - top, where.x - left
                picture[y : y + mouth.shape[0], x : x + mouth.shape[1]] = mouth
        pixels.flags.writeable = False
        return Patch(first + frames.start, left, top, pixels)

    def _place(self, frame: int) -> Placement | None:
        place = self.avatar.place(self.cue.first_frame + frame)
        try:
            return placement(place.box, place.mask)
        except ValueError:  # nothing of the face is seen there
            return None


def _request(avatar: PreparedAvatar, speech: Audio, cue: Cue, seen: Strengths) -> Request | None:
    frames: list[int] = np.flatnonzero(seen).tolist()
    if not frames:
        return None
    latents = np.stack([avatar.latent(cue.first_frame + frame) for frame in frames])
    begin = cue.begin * HEARING_RATE_HZ // speech.rate_hz
    stretch = Stretch(sound(_at_hearing_rate(speech)), begin, cue.frames)
    return Request(stretch, frames, latents, min(AHEAD_S, cue.begin / speech.rate_hz))


def wrong_version(avatar: PreparedAvatar, version: str) -> UnfitAvatar:
    """An avatar that the loaded model cannot animate."""
    return UnfitAvatar(
        f"The avatar {avatar.facts.name!r} was made for MuseTalk {avatar.facts.version}, and"
        f" {version} is loaded. Add it again under another name."
    )


def short_sizes(batch_s: Mapping[int, float]) -> tuple[int, ...]:
    """Of all sizes of batches, and the seconds that each takes, those that are to be made; the
    smallest always. Pure."""
    chosen: list[int] = []
    best = 0.0
    for size, took_s in sorted(batch_s.items()):
        if not chosen or took_s <= LONGEST_BATCH_S or size / took_s >= WORTH_WAITING * best:
            chosen.append(size)
            best = max(best, size / took_s)
    return tuple(chosen)


def _short_sizes(model: "MuseTalkModel") -> tuple[int, ...]:
    return short_sizes({size: _showing_s(model, size) for size in model.sizes})


def _showing_s(model: "MuseTalkModel", count: int) -> float:
    latents, chunks = np.zeros((count, 8, 32, 32)), np.zeros((count, 50, 384))
    return quickest_s(lambda: model.faces(latents, chunks))


def _pace(model: "MuseTalkModel", sizes: Sequence[int]) -> float:
    """Seconds of work for a second of one face that is shown alone."""
    frames = min(TOGETHER, sizes[-1])
    silence = Stretch(np.zeros(SEGMENT_SAMPLES, np.float32), 0, 1)
    model.chunks([silence])  # the first run is slower
    hearing_s = quickest_s(lambda: model.chunks([silence]))
    alone = (hearing_s / frames + _showing_s(model, 1)) / FRAME_S
    if alone > HOPELESS:
        return alone
    return (hearing_s + _showing_s(model, frames)) / frames / FRAME_S


def quickest_s(
    work: Callable[[], object], clock_s: Callable[[], float] = time.perf_counter
) -> float:
    """Seconds that it takes: of several runs the quickest, because others use the GPU as well,
    above all while everything starts."""
    best_s = inf
    for _ in range(RUNS):
        began_s = clock_s()
        work()
        best_s = min(best_s, clock_s() - began_s)
        if best_s > LONG_S:
            break
    return best_s


def _finite_faces(made: Made) -> Mapping[int, Pixels]:
    """Half precision runs over now and then: such a frame stays as it was filmed."""
    if not made.finite.all():
        _log.warning("%d faces were no numbers", int((~made.finite).sum()))
    faces = zip(made.frames, made.pixels, made.finite, strict=True)
    return {frame: pixels for frame, pixels, finite in faces if finite}


def _around(places: Sequence[Placement]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of all of them, on even pixels: the live picture has colour for
    every second one only, and leaves out a rim that is not."""
    if not places:
        return 0, 0, 2, 2
    left, top = min(place.x for place in places), min(place.y for place in places)
    right = max(place.x + place.mask.shape[1] for place in places)
    bottom = max(place.y + place.mask.shape[0] for place in places)
    edges = left // 2 * 2, top // 2 * 2, -(-right // 2) * 2, -(-bottom // 2) * 2
    assert max(edges) <= FRAME_SIZE_PX
    return edges


def _pieces(frames: range) -> Iterator[range]:
    for begin in range(frames.start, frames.stop, PATCH_FRAMES):
        yield range(begin, min(begin + PATCH_FRAMES, frames.stop))


def _at_hearing_rate(speech: Audio) -> Pcm:
    if speech.rate_hz == HEARING_RATE_HZ or not len(speech.samples):
        return speech.samples
    resampler = av.AudioResampler(format="s16", layout="mono", rate=HEARING_RATE_HZ)
    row = np.ascontiguousarray(speech.samples, np.int16).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(row, format="s16", layout="mono")
    frame.sample_rate = speech.rate_hz
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([np.asarray(part.to_ndarray()[0], np.int16) for part in frames])
