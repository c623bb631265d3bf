"""From speech to what is pasted onto the picture, with real networks of tiny size."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.avatar.musetalk import engine as module
from engines.avatar.musetalk.batches import Faces
from engines.avatar.musetalk.blending import blended, placement
from engines.avatar.musetalk.engine import MuseTalkAvatar
from engines.avatar.musetalk.model import MuseTalkModel, MuseTalkOptions
from engines.avatar.musetalk.prepared import AvatarCache, PreparedAvatar
from engines.avatar.musetalk.scheduler import Scheduler
from engines.avatar.musetalk.speech import Stretch, sound
from engines.base import Audio, Cue, Patch, Pcm, Pixels
from engines.errors import EngineUnavailable, UnknownAvatar
from tests.engines.avatar.musetalk.avatars import BLUE, RED, prepared
from tests.plain_musetalk import made_up_sound
from tests.running import eventually

FRAME = 640


@pytest.fixture(scope="module")
def avatars(model: MuseTalkModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("avatars")
    prepared(folder, "Red", RED, model.latents)
    prepared(folder, "Blue", BLUE, model.latents)
    prepared(folder, "Old", RED, model.latents, frames=1, version="v1")
    return folder


@asynccontextmanager
async def running(model: Any, avatars: Path) -> AsyncIterator[MuseTalkAvatar]:
    """`model` stays open for other tests."""
    scheduler = Scheduler(model)
    try:
        yield MuseTalkAvatar(model, AvatarCache(avatars, 10**9), scheduler)
    finally:
        await asyncio.to_thread(scheduler.close)


def speech(seconds: float = 0.6) -> Audio:
    """Without a pause."""
    at = np.arange(int(seconds * 16_000)) / 16_000
    hum = np.sin(2 * np.pi * (120 + 60 * at) * at) + 0.5 * np.sin(2 * np.pi * 700 * at)
    return Audio((6000 * hum).astype(np.int16), 16_000)


def cue(name: str, frames: int, first: int = 0, begin: int = 0) -> Cue:
    return Cue(name, first, begin * FRAME, frames)


async def shown(avatar: MuseTalkAvatar, said: Audio, wanted: Cue) -> list[Patch]:
    patches = [patch async for patch in avatar.animate(said, wanted)]
    expected = wanted.first_frame
    for patch in patches:
        assert patch.first_frame == expected
        expected += len(patch.pixels)
        assert not patch.pixels.flags.writeable
        assert (patch.x % 2, patch.y % 2) == (0, 0)
        assert (patch.pixels.shape[1] % 2, patch.pixels.shape[2] % 2) == (0, 0)
    assert expected == wanted.first_frame + wanted.frames
    return patches


def pasted(patches: list[Patch], face: PreparedAvatar) -> list[Pixels]:
    """The whole frames, as the gateway composes them."""
    frames = []
    for patch in patches:
        height, width = patch.pixels.shape[1:3]
        for offset, mouth in enumerate(patch.pixels):
            frame = face.frame(patch.first_frame + offset).copy()
            frame[patch.y : patch.y + height, patch.x : patch.x + width] = mouth
            frames.append(frame)
    return frames


def expected(model: MuseTalkModel, said: Audio, face: PreparedAvatar, wanted: Cue) -> list[Pixels]:
    """Frame by frame, without scheduler, patches and silence."""
    stretch = Stretch(sound(said.samples), wanted.begin, wanted.frames)
    chunks = model.chunks([stretch])[0]
    numbers = range(wanted.first_frame, wanted.first_frame + wanted.frames)
    faces = model.faces(np.stack([face.latent(index) for index in numbers]), chunks).pixels
    frames = []
    for index, made in zip(numbers, faces, strict=True):
        place = face.place(index)
        where = placement(place.box, place.mask)
        mouth = blended(face.frame(index), made, where)
        frame = face.frame(index).copy()
        height, width = mouth.shape[:2]
        frame[where.y : where.y + height, where.x : where.x + width] = mouth
        frames.append(frame)
    return frames


def hidden(face: PreparedAvatar, index: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Where the frame must be as it was filmed."""
    visible = np.zeros((512, 512), np.bool_)
    place = face.place(index)
    left, top, right, bottom = place.box
    visible[top:bottom, left:right] = place.mask > 0
    return ~visible


async def test_two_faces_speak_at_once_each_with_its_own_mouth(
    model: MuseTalkModel, avatars: Path
) -> None:
    said = speech()
    cues = [cue("Red", 4, 2), cue("Blue", 4, 1), cue("Red", 4, 5)]
    async with running(model, avatars) as avatar:
        found = await asyncio.gather(*(shown(avatar, said, wanted) for wanted in cues))
        batches = avatar.statistics
    for wanted, patches in zip(cues, found, strict=True):
        face = PreparedAvatar.open(avatars / wanted.avatar)
        truth = expected(model, said, face, wanted)
        for index, (frame, right) in enumerate(zip(pasted(patches, face), truth, strict=True)):
            rest = hidden(face, wanted.first_frame + index)
            filmed = face.frame(wanted.first_frame + index)
            assert np.array_equal(frame[rest], filmed[rest]), "the rest is as it was filmed"
            # A batch of another size takes sums in another order.
            assert np.abs(frame.astype(int) - right).max() <= 2
            assert (frame != filmed).any(axis=2)[~rest].mean() > 0.9, "the mouth moves"
    assert batches.frames > 2, "the batches were common ones"
    assert batches.batches < 12


async def test_a_stretch_is_told_what_was_said_before_it(
    model: MuseTalkModel, avatars: Path
) -> None:
    said, face = speech(), PreparedAvatar.open(avatars / "Red")
    wanted = cue("Red", 2, first=9, begin=8)
    async with running(model, avatars) as avatar:
        frames = pasted(await shown(avatar, said, wanted), face)
        short = Audio(said.samples[5 * FRAME :], 16_000)
        other = pasted(await shown(avatar, short, cue("Red", 2, first=9, begin=3)), face)
    truth = expected(model, said, face, wanted)
    assert all(np.abs(a.astype(int) - b).max() <= 2 for a, b in zip(frames, truth, strict=True))
    assert any(np.abs(a.astype(int) - b).max() > 10 for a, b in zip(other, truth, strict=True))


async def test_silence_shows_the_avatar_as_it_was_filmed_and_fades(
    model: MuseTalkModel, avatars: Path
) -> None:
    silence, voice = np.zeros(12 * FRAME, np.int16), speech(0.08).samples
    said = Audio(np.concatenate([silence, voice, silence]), 16_000)
    wanted, face = cue("Red", 26), PreparedAvatar.open(avatars / "Red")
    async with running(model, avatars) as avatar:
        frames = pasted(await shown(avatar, said, wanted), face)
        made = avatar.statistics.batches * avatar.statistics.frames
    truth = expected(model, said, face, wanted)
    away = [np.abs(frame.astype(int) - face.frame(i)).mean() for i, frame in enumerate(frames)]
    full = [np.abs(frame.astype(int) - face.frame(i)).mean() for i, frame in enumerate(truth)]
    strength = [a / b for a, b in zip(away, full, strict=True)]
    expected_strength = [*[0] * 9, 0.25, 0.5, 0.75, *[1] * 7, 0.75, 0.5, 0.25, *[0] * 4]
    assert strength == pytest.approx(expected_strength, abs=0.05)
    assert made == pytest.approx(sum(one > 0 for one in expected_strength))


async def test_in_silence_the_networks_rest(avatars: Path) -> None:
    class Resting:
        version = "v1.5"
        sizes = (1,)

        def chunks(self, stretches: object) -> Any:
            raise AssertionError

        start = chunks

    said, face = Audio(np.zeros(24_000, np.int16), 24_000), PreparedAvatar.open(avatars / "Blue")
    async with running(Resting(), avatars) as avatar:
        frames = pasted(await shown(avatar, said, cue("Blue", 25, 100)), face)
    assert all(np.array_equal(frame, face.frame(100 + i)) for i, frame in enumerate(frames))


class Spoiled:
    """A real model, of which some faces are no numbers."""

    def __init__(self, model: MuseTalkModel, spoil: Callable[[Faces], Faces]) -> None:
        self.version, self.sizes = model.version, model.sizes
        self.chunks = model.chunks
        self._model, self._spoil = model, spoil

    def start(self, latents: Any, chunks: Any) -> Any:
        rendering = self._model.start(latents, chunks)
        spoil = self._spoil

        class Waiting:
            def wait(self) -> Faces:
                return spoil(rendering.wait())

        return Waiting()


async def test_a_face_that_is_no_number_is_not_shown(
    model: MuseTalkModel, avatars: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def spoil(faces: Faces) -> Faces:
        finite = faces.finite.copy()
        finite[0] = False
        return Faces(faces.pixels, finite)

    face = PreparedAvatar.open(avatars / "Red")
    async with running(Spoiled(model, spoil), avatars) as avatar:
        frames = pasted(await shown(avatar, speech(), cue("Red", 4)), face)
    filmed = [np.array_equal(frame, face.frame(index)) for index, frame in enumerate(frames)]
    assert filmed == [True, False, True, False], "the first of each batch of two"
    assert "no numbers" in caplog.text


async def test_latents_that_are_no_numbers_leave_the_picture_as_it_was_filmed(
    model: MuseTalkModel, avatars: Path, tmp_path: Path
) -> None:
    prepared(tmp_path, "Broken", RED, model.latents, frames=1)
    latents = np.lib.format.open_memmap(tmp_path / "Broken" / "latents.npy", mode="r+")
    latents[:] = np.nan
    latents.flush()
    face = PreparedAvatar.open(tmp_path / "Broken")
    async with running(model, tmp_path) as avatar:
        frames = pasted(await shown(avatar, speech(), cue("Broken", 2)), face)
    assert all(np.array_equal(frame, face.frame(0)) for frame in frames)


async def test_an_interrupted_turn_frees_its_place(model: MuseTalkModel, avatars: Path) -> None:
    async with running(model, avatars) as avatar:
        async with aclosing(avatar.animate(speech(2.0), cue("Red", 50))) as patches:
            first = await anext(patches)
            assert len(first.pixels) <= 2
        assert avatar._scheduler.waiting == 0
        before = avatar.statistics.batches
        await shown(avatar, speech(), cue("Blue", 2))
        # What was under way, then the two frames.
        assert avatar.statistics.batches - before <= 2


async def test_a_cancelled_task_frees_its_place(model: MuseTalkModel, avatars: Path) -> None:
    async with running(model, avatars) as avatar:
        task = asyncio.create_task(shown(avatar, speech(2.0), cue("Red", 50)))
        await eventually(lambda: avatar._scheduler.waiting > 0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert avatar._scheduler.waiting == 0


@pytest.mark.parametrize("rate_hz", [22_050, 24_000, 48_000])
async def test_a_voice_of_any_rate_is_heard_alike(
    model: MuseTalkModel, avatars: Path, rate_hz: int
) -> None:
    at = np.arange(int(0.4 * rate_hz)) / rate_hz
    said = Audio((8000 * np.sin(2 * np.pi * 220 * at)).astype(np.int16), rate_hz)
    slow = np.arange(int(0.4 * 16_000)) / 16_000
    same = Audio((8000 * np.sin(2 * np.pi * 220 * slow)).astype(np.int16), 16_000)
    face = PreparedAvatar.open(avatars / "Red")
    async with running(model, avatars) as avatar:
        wanted = Cue("Red", 0, rate_hz // 25 * 4, 2)
        frames = pasted(await shown(avatar, said, wanted), face)
        others = pasted(await shown(avatar, same, cue("Red", 2, begin=4)), face)
    for frame, other in zip(frames, others, strict=True):
        assert np.abs(frame.astype(int) - other).mean() < 0.2


async def test_what_cannot_be_shown_is_told(model: MuseTalkModel, avatars: Path) -> None:
    async with running(model, avatars) as avatar:
        with pytest.raises(UnknownAvatar):
            await shown(avatar, speech(), cue("Nobody", 2))
        with pytest.raises(EngineUnavailable, match="made for MuseTalk v1, and v1.5 is loaded"):
            await shown(avatar, speech(), cue("Old", 2))
        for frames in (0, module.MOST_FRAMES + 1):
            with pytest.raises(ValueError, match="a cue has"):
                await shown(avatar, speech(), cue("Red", frames))


async def test_it_loads_tells_its_pace_and_gives_all_back(
    musetalk_folder: Path, avatars: Path
) -> None:
    told: list[int] = []
    options = MuseTalkOptions(device="cpu", sizes=(1, 2))
    avatar = await asyncio.to_thread(
        MuseTalkAvatar.load,
        musetalk_folder,
        options,
        AvatarCache(avatars, 10**9),
        lambda frames, sessions, waited_s: told.append(frames),
    )
    assert avatar.pace > 0
    assert (avatar.version, avatar.place) == ("v1.5", "the CPU")
    faces = np.zeros((1, 256, 256, 3), np.uint8)
    assert avatar.latents(faces).dtype == np.float16
    patches = await shown(avatar, Audio(made_up_int16(), 16_000), cue("Red", 3))
    assert patches[0].pixels.any()
    assert sum(told) == 3
    await asyncio.to_thread(avatar.close)
    with pytest.raises(EngineUnavailable, match="has been stopped"):
        await shown(avatar, speech(), cue("Red", 2))
    with pytest.raises(EngineUnavailable, match="has been stopped"):
        avatar.latents(faces)


async def test_frames_of_silence_do_not_wait_for_the_model(
    model: MuseTalkModel, avatars: Path
) -> None:
    said = Audio(np.concatenate([np.zeros(14 * FRAME, np.int16), speech(0.4).samples]), 16_000)
    may_work = threading.Event()

    class Held(Spoiled):
        def start(self, latents: Any, chunks: Any) -> Any:
            may_work.wait(10)
            return super().start(latents, chunks)

    async with running(Held(model, lambda faces: faces), avatars) as avatar:
        patches = []
        async with asyncio.timeout(60):
            async for patch in avatar.animate(said, cue("Red", 20)):
                patches.append(patch)
                if sum(len(each.pixels) for each in patches) == 11:  # then the mouth fades in
                    may_work.set()
    assert [len(patch.pixels) for patch in patches][:2] == [10, 1]
    assert sum(len(patch.pixels) for patch in patches) == 20


@pytest.mark.parametrize(
    ("batch_s", "sizes"),
    [
        ({1: 0.01, 2: 0.01, 4: 0.02, 8: 0.05, 16: 0.1}, (1, 2, 4, 8, 16)),
        ({1: 0.042, 2: 0.058, 4: 0.089, 8: 0.167, 16: 0.317}, (1, 2, 4)),
        ({1: 0.09, 2: 0.12, 4: 0.15, 8: 0.29}, (1, 2, 4)),
        ({1: 0.3, 2: 0.6, 4: 0.4}, (1, 4)),
        ({8: 5.0}, (8,)),
    ],
)
def test_batches_are_short_unless_longer_ones_bring_much(
    batch_s: dict[int, float], sizes: tuple[int, ...]
) -> None:
    assert module.short_sizes(batch_s) == sizes


def test_the_pace_is_that_of_the_quickest_run() -> None:
    """Seconds between readings of a clock: of each run how long it takes."""

    def quickest(*runs_s: float) -> tuple[float, int]:
        readings = [reading for run_s in runs_s for reading in (0.0, run_s)]
        found = module.quickest_s(lambda: None, lambda: readings.pop(0))
        return found, len(readings) // 2

    assert quickest(0.5, 0.04, 0.3) == (0.04, 0)
    assert quickest(30.0, 0.04, 0.3) == (30.0, 2), "what is slow is not made to wait for twice"


def made_up_int16() -> Pcm:
    return np.asarray(made_up_sound(0.4) * 32767, np.int16)
