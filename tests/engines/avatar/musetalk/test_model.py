import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from engines.avatar.musetalk import model as module
from engines.avatar.musetalk.batches import Batches
from engines.avatar.musetalk.model import FIRST_ROW, MuseTalkModel, MuseTalkOptions
from engines.avatar.musetalk.speech import Stretch
from engines.errors import DeviceBroken, EngineUnavailable
from tests.plain_musetalk import (
    FRAMES,
    GOLDEN,
    THINNED,
    PlainMuseTalk,
    made_up_face,
    made_up_sound,
)

CPU = MuseTalkOptions(device="cpu", sizes=(1, 2, 4))


def some_chunks(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(1).normal(0, 1, (count, 50, 384)).astype(np.float32)


def some_latents(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(2).normal(0, 0.2, (count, 8, 32, 32)).astype(np.float32)


def apart(one: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], other: object) -> int:
    """Grey levels between two pictures, at most."""
    return int(np.abs(one.astype(int) - np.asarray(other).astype(int)).max())


def test_it_makes_what_was_made_when_its_figures_were_stored(model: MuseTalkModel) -> None:
    """Wider than the other tests, because processors take sums in different orders."""
    with np.load(GOLDEN) as golden:
        chunks = model.chunks([Stretch.whole(made_up_sound())])[0][list(FRAMES)]
        assert np.abs(chunks - golden["chunks"]).max() < 1e-3
        latents = model.latents(made_up_face()[None])
        assert np.abs(latents - golden["latents"]).max() < 5e-3
        faces = model.faces(np.repeat(golden["latents"], len(FRAMES), 0), golden["chunks"])
        thinned = faces.pixels[:, ::THINNED, ::THINNED]
        assert apart(thinned, golden["faces"]) <= 2
        assert (thinned != golden["faces"]).mean() < 0.01


def test_all_steps_together_are_the_published_ones(
    model: MuseTalkModel, plain: PlainMuseTalk
) -> None:
    face, sound = made_up_face(), made_up_sound(0.4)
    chunks = model.chunks([Stretch.whole(sound)])[0][4:7]
    latents = np.repeat(model.latents(face[None]), 3, 0)
    faces = model.faces(latents, chunks)
    shown = plain.shown(np.repeat(plain.latents(face), 3, 0), plain.chunks(sound)[4:7])
    assert apart(faces.pixels, plain.faces(shown)) <= 1
    assert faces.finite.all()
    assert apart(faces.pixels[0], faces.pixels[2]) > 10  # the sound moves something


def test_more_frames_than_a_batch_holds_are_made_in_order(musetalk_folder: Path) -> None:
    model = MuseTalkModel.load(musetalk_folder, CPU)
    latents, chunks = some_latents(6), some_chunks(6)
    faces = model.faces(latents, chunks)
    assert faces.pixels.shape == (6, 256 - FIRST_ROW, 256, 3)
    last = model.faces(latents[5:], chunks[5:])
    assert apart(faces.pixels[5], last.pixels[0]) <= 1
    model.close()


def test_only_the_visible_rows_are_given(model: MuseTalkModel, musetalk_folder: Path) -> None:
    latents, chunks = some_latents(1), some_chunks(1)
    whole = model.faces(latents, chunks).pixels
    with_rows = MuseTalkModel.load(
        musetalk_folder, MuseTalkOptions(device="cpu", first_row=200, sizes=(1,))
    )
    assert np.array_equal(with_rows.faces(latents, chunks).pixels, whole[:, 200:])


def test_a_face_that_is_no_number_spoils_no_other(model: MuseTalkModel) -> None:
    latents, chunks = some_latents(2), some_chunks(2)
    expected = model.faces(latents, chunks).pixels[0]
    latents[1, 0, 0, 0] = np.nan
    faces = model.faces(latents, chunks)
    assert faces.finite.tolist() == [True, False]
    assert apart(faces.pixels[0], expected) == 0


def test_files_that_are_mapped_and_read_only_will_do(model: MuseTalkModel, tmp_path: Path) -> None:
    np.save(tmp_path / "faces.npy", np.stack([made_up_face()] * 2))
    np.save(tmp_path / "latents.npy", some_latents(1).astype(np.float16))
    faces, latents = (np.load(tmp_path / name, "r") for name in ("faces.npy", "latents.npy"))
    encoded = model.latents(faces)
    assert np.array_equal(encoded[0], encoded[1])
    assert model.faces(latents, some_chunks(1)).finite.all()


def test_each_version_has_its_own_weights(musetalk_folder: Path, model: MuseTalkModel) -> None:
    old = MuseTalkModel.load(musetalk_folder, MuseTalkOptions(version="v1", first_row=0))
    assert (old.version, model.version) == ("v1", "v1.5")
    latents, chunks = some_latents(1), some_chunks(1)
    assert apart(old.faces(latents, chunks).pixels, model.faces(latents, chunks).pixels) > 10


def test_the_tiny_decoder_shows_other_faces(musetalk_folder: Path, model: MuseTalkModel) -> None:
    tiny = MuseTalkModel.load(
        musetalk_folder, MuseTalkOptions(device="cpu", decoder="tiny", first_row=0, sizes=(1,))
    )
    latents, chunks = some_latents(1), some_chunks(1)
    faces = tiny.faces(latents, chunks)
    assert faces.finite.all()
    assert apart(faces.pixels, model.faces(latents, chunks).pixels) > 10


@pytest.mark.gpu
# PyTorch's compiler still uses what it calls deprecated.
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("decoder", ["kl", "compiled"])
def test_a_gpu_shows_the_same(
    musetalk_folder: Path, model: MuseTalkModel, decoder: Literal["kl", "compiled"]
) -> None:
    options = MuseTalkOptions(
        device="cuda", decoder=decoder, dtype="float32", memory_fraction=0.4, first_row=0
    )
    on_gpu = MuseTalkModel.load(musetalk_folder, options)
    latents, chunks = some_latents(5), some_chunks(5)
    faces = on_gpu.faces(latents, chunks)
    off = np.abs(faces.pixels.astype(int) - model.faces(latents, chunks).pixels)
    assert off.mean() < 1
    assert faces.finite.all()
    on_gpu.close()


def test_a_broken_file_is_told_by_its_name(musetalk_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(musetalk_folder, tmp_path / "musetalk"))
    (folder / "musetalkV15" / "unet.pth").write_bytes(b"cut off")
    with pytest.raises(EngineUnavailable, match="unet.pth. cannot be read") as refused:
        MuseTalkModel.load(folder, CPU)
    assert refused.value.__cause__ is None  # nothing keeps the networks that were loaded


def test_a_gpu_that_is_not_there_is_told(
    musetalk_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineUnavailable, match="sees no GPU"):
        MuseTalkModel.load(musetalk_folder, MuseTalkOptions(device="cuda"))


def test_a_row_that_no_face_has_is_refused(musetalk_folder: Path) -> None:
    with pytest.raises(EngineUnavailable, match="no row 256"):
        MuseTalkModel.load(musetalk_folder, MuseTalkOptions(device="cpu", first_row=256))


@pytest.mark.parametrize(("name", "number"), [("auto", 2), ("cuda", 2), ("cuda:1", 1)])
def test_the_share_of_a_gpus_memory_is_set_for_that_gpu(
    name: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch's own function, but for what it asks of the driver."""
    told: list[tuple[float, int]] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 2)
    monkeypatch.setattr(torch.cuda.memory, "_lazy_init", lambda: None)
    monkeypatch.setattr(
        torch._C, "_cuda_setMemoryFraction", lambda *share: told.append(share), raising=False
    )
    device, dtype = module._place(MuseTalkOptions(device=name, memory_fraction=0.4))
    assert (device, dtype) == (torch.device("cuda", number), torch.float16)
    assert told == [(0.4, number)]


def test_what_pytorch_refuses_is_told(
    musetalk_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("Expected a torch.device with a specified index.")

    monkeypatch.setattr(module, "_place", refuse)
    with pytest.raises(EngineUnavailable, match="could not be started.*a specified index"):
        MuseTalkModel.load(musetalk_folder, CPU)


def test_a_broken_gpu_is_told_when_it_is_loaded(
    musetalk_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(module, "_place", refuse)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", refuse)
    with pytest.raises(DeviceBroken):
        MuseTalkModel.load(musetalk_folder, CPU)


def test_batches_are_captured_beside_room_for_hearing_and_encoding(
    musetalk_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight segments of speech and a face: the most that is done at once beside the batches."""
    events: list[str] = []

    @contextmanager
    def room(device: torch.device, works: Sequence[Callable[[], Any]]) -> Iterator[None]:
        heard, face = (work() for work in works)
        assert [chunks.shape for chunks in heard] == [(1, 50, 384)] * 8
        assert face.shape == (1, 8, 32, 32)
        events.append("room")
        yield
        events.append("free")

    class Captured(Batches):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            events.append("captured")

    monkeypatch.setattr(module, "room_for", room)
    monkeypatch.setattr(module, "Batches", Captured)
    MuseTalkModel.load(musetalk_folder, CPU).close()
    assert events == ["room", "captured", "free"]
