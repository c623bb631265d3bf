import asyncio
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.base import Audio, Voice
from engines.errors import EngineError, EngineUnavailable, UnknownVoice
from engines.tts import coqui_model
from engines.tts.coqui import PIECE_S, TAIL_S, CoquiTts
from engines.tts.espeak import EspeakTts
from engines.tts.loudness import LevelledTts, level_db

torch = pytest.importorskip("torch")
pytest.importorskip("TTS", reason="coqui-tts is not installed", exc_type=ImportError)

from tests import tiny_coqui  # noqa: E402  # needs what may be missing

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    # The library and what it stands on warn of each other's older names.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

ENGLISH = "Good morning, what shall we learn today?"
XTTS_S = 60 * 1024 / 22_050
"""Of every part that the tiny XTTS reads."""


@pytest.fixture(scope="module")
def xtts_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_coqui.make_tiny_xtts(tmp_path_factory.mktemp("xtts"))


@pytest.fixture(scope="module")
def vits_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_coqui.make_tiny_vits(tmp_path_factory.mktemp("vits"), speakers=("anna", "david"))


def load_xtts(folder: Path) -> CoquiTts:
    with tiny_coqui.narrow_vocoder():
        return CoquiTts.load(str(folder), "cpu", licence_agreed=True)


@pytest.fixture(scope="module")
def xtts(xtts_folder: Path) -> Iterator[CoquiTts]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(coqui_model.XTTS_TOKENS, "cpu", 4)  # as on a GPU
        yield load_xtts(xtts_folder)


@pytest.fixture(scope="module")
def vits(vits_folder: Path) -> CoquiTts:
    return CoquiTts.load(str(vits_folder), "cpu")


async def said(tts: Any, sentence: str, voice: Voice | None = None) -> list[Audio]:
    return [piece async for piece in tts.speak(sentence, voice or Voice())]


def sound(pieces: list[Audio]) -> np.ndarray[Any, Any]:
    return np.concatenate([piece.samples for piece in pieces]).astype(np.float64)


def seconds(pieces: list[Audio]) -> float:
    return sum(piece.seconds for piece in pieces)


def recording(pitch_hz: float, length_s: float = 4.0) -> bytes:
    """Something like a voice: a buzz of that pitch, in syllables."""
    at = np.arange(round(length_s * 16_000)) / 16_000
    buzz = sum(np.sin(2 * np.pi * pitch_hz * k * at) / k for k in range(1, 9))
    return (4_000 * buzz * (at % 0.4 < 0.3)).astype("<i2").tobytes()


# ── XTTS ──────────────────────────────────────────────────────────────────────────────────────


async def test_xtts_speaks_in_small_pieces(xtts: CoquiTts) -> None:
    pieces = await said(xtts, ENGLISH)
    assert {piece.rate_hz for piece in pieces} == {24_000}
    assert max(piece.seconds for piece in pieces) <= PIECE_S
    assert np.median([piece.seconds for piece in pieces]) >= 0.12
    assert seconds(pieces) == pytest.approx(XTTS_S + TAIL_S, abs=0.1)
    assert np.abs(sound(pieces)).max() > 500


async def test_the_first_piece_comes_before_the_sentence_is_made(xtts: CoquiTts) -> None:
    begin_s = time.perf_counter()
    async with aclosing(xtts.speak(ENGLISH, Voice())) as pieces:
        await anext(pieces)
        first_s = time.perf_counter() - begin_s
        async for _ in pieces:
            pass
    assert first_s < (time.perf_counter() - begin_s) / 2


@pytest.mark.parametrize("pieces_before", [1, 3])
async def test_closing_stops_the_model_within_100_ms(xtts: CoquiTts, pieces_before: int) -> None:
    stops = []
    for _ in range(3):
        async with aclosing(xtts.speak(ENGLISH, Voice())) as pieces:
            for _ in range(pieces_before):
                await anext(pieces)
        stops.append(await idle_after_s(xtts))
    assert min(stops) < 0.1


async def test_cancelling_stops_the_model_in_mid_step(
    xtts: CoquiTts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(coqui_model.XTTS_TOKENS, "cpu", 60)  # the whole sentence in one step
    stops = []
    for wait_s in (0.02, 0.05, 0.08):
        speaking = asyncio.create_task(said(xtts, ENGLISH))
        await asyncio.sleep(wait_s)
        speaking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await speaking
        stops.append(await idle_after_s(xtts))
    assert min(stops) < 0.1


async def idle_after_s(tts: CoquiTts) -> float:
    begin_s = time.perf_counter()
    await asyncio.get_running_loop().run_in_executor(tts._worker, lambda: None)
    return time.perf_counter() - begin_s


async def test_a_stopped_sentence_leaves_no_trace(xtts: CoquiTts) -> None:
    alone = sound(await said(xtts, ENGLISH))
    async with aclosing(xtts.speak("Another one, of a different length.", Voice())) as pieces:
        await anext(pieces)
    assert (sound(await said(xtts, ENGLISH)) == alone).all()


async def test_sessions_take_turns_and_do_not_mix(xtts: CoquiTts) -> None:
    """Each sounds as it does alone, though the library keeps a sentence in the model."""
    other, voice = "No, that is not what I have meant to say at all.", Voice("Damien Black")
    alone = [sound(await said(xtts, ENGLISH)), sound(await said(xtts, other, voice))]
    order: list[int] = []
    heard: list[list[Audio]] = [[], []]

    async def hear(who: int, sentence: str, voice: Voice) -> None:
        async for piece in xtts.speak(sentence, voice):
            order.append(who)
            heard[who].append(piece)

    await asyncio.gather(hear(0, ENGLISH, Voice()), hear(1, other, voice))
    turns = sum(a != b for a, b in zip(order, order[1:], strict=False))
    assert turns > len(order) / 2
    assert (sound(heard[0]) == alone[0]).all()
    assert (sound(heard[1]) == alone[1]).all()


async def test_a_cloned_voice_follows_its_recording(xtts: CoquiTts) -> None:
    voices = [Voice("mine", reference=recording(pitch_hz)) for pitch_hz in (110, 110, 280)]
    low, again, high = [sound(await said(xtts, ENGLISH, voice)) for voice in voices]
    own = sound(await said(xtts, ENGLISH))
    assert (low == again).all()
    assert (low != high).any()
    assert (low != own).any()
    cloned = list(xtts._model._cloned.values())  # type: ignore[attr-defined]  # XTTS' own
    for one, other in zip(*cloned[-2:], strict=True):  # what the decoder and the vocoder are given
        assert one.shape == other.shape
        assert not torch.allclose(one, other, rtol=0.01)


async def test_latents_are_made_once_for_each_recording_and_in_the_worker(
    xtts_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tts = load_xtts(xtts_folder)
    made: list[str] = []
    clone = coqui_model.XttsModel._clone

    def counted(self: Any, reference: bytes) -> Any:
        made.append(threading.current_thread().name)
        return clone(self, reference)

    monkeypatch.setattr(coqui_model.XttsModel, "_clone", counted)
    one, other = recording(110), recording(200)
    await asyncio.gather(*(said(tts, "Hi.", Voice("a", reference=one)) for _ in range(3)))
    await said(tts, "Hi.", Voice("b", reference=other))
    assert len(made) == 2
    assert all(name.startswith("coqui") for name in made)


async def test_rate_is_a_factor(xtts: CoquiTts) -> None:
    slow, natural, fast = [
        seconds(await said(xtts, "Yes.", Voice(rate=rate))) - TAIL_S for rate in (0.5, 1, 2)
    ]
    assert slow / natural == pytest.approx(2, rel=0.1)
    assert natural / fast == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize(("name", "speaker"), [("f3", 0), ("m1", 1), ("", 0), ("Damien Black", 1)])
async def test_voices_by_their_own_name_and_by_espeaks(
    xtts: CoquiTts, name: str, speaker: int
) -> None:
    expected = await said(xtts, "Yes.", Voice(tiny_coqui.SPEAKERS[speaker]))
    assert (sound(await said(xtts, "Yes.", Voice(name))) == sound(expected)).all()


async def test_an_unknown_voice_is_an_error_that_names_the_known(xtts: CoquiTts) -> None:
    with pytest.raises(UnknownVoice, match=r"nobody.*Claribel Dervla, Damien Black"):
        await said(xtts, "Hello.", Voice("nobody"))


async def test_languages_are_those_of_the_model(xtts: CoquiTts) -> None:
    assert xtts.languages == {"en", "es", "zh"}
    assert seconds(await said(xtts, "你好，我们今天学什么？")) > 1
    assert not xtts.speaks("Hallo", Voice(language="de"))
    with pytest.raises(UnknownVoice, match="does not speak 'de'"):
        await said(xtts, "Hallo.", Voice(language="de"))


@pytest.mark.parametrize("sentence", ["", " \n", "...", "。！？", "😀"])
async def test_nothing_to_say_is_no_sound(xtts: CoquiTts, sentence: str) -> None:
    assert await said(xtts, sentence) == []


async def test_a_text_that_is_too_long_for_the_model_is_read_in_parts(xtts: CoquiTts) -> None:
    pieces = await said(xtts, "one two three four five, " * 20)  # 500 characters, 250 at once
    assert seconds(pieces) == pytest.approx(2 * XTTS_S + TAIL_S, abs=0.15)


async def test_without_memory_it_says_so_and_speaks_again(
    xtts: CoquiTts, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed: list[bool] = []
    monkeypatch.setattr(coqui_model, "free_memory", lambda: freed.append(True))

    def exhausted(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    vocoder = xtts._model._network.hifigan_decoder  # type: ignore[attr-defined]  # XTTS' own
    hook = vocoder.register_forward_pre_hook(exhausted)
    with pytest.raises(EngineUnavailable, match="ran out of GPU memory.*TTS_MODEL"):
        await said(xtts, ENGLISH)
    assert freed
    hook.remove()
    assert seconds(await said(xtts, ENGLISH)) > 1


@pytest.mark.parametrize("lost", [True, False])
async def test_a_failing_model_is_an_engine_error(xtts: CoquiTts, lost: bool) -> None:
    def broken(*_: object) -> None:
        raise torch.AcceleratorError("odd") if lost else RuntimeError("odd")

    vocoder = xtts._model._network.hifigan_decoder  # type: ignore[attr-defined]  # XTTS' own
    hook = vocoder.register_forward_pre_hook(broken)
    with pytest.raises(EngineError, match="odd") as told:
        await said(xtts, ENGLISH)
    hook.remove()
    assert isinstance(told.value, EngineUnavailable) is lost


# ── VITS ──────────────────────────────────────────────────────────────────────────────────────


async def test_vits_speaks_in_small_pieces(vits: CoquiTts) -> None:
    pieces = await said(vits, ENGLISH)
    *spoken, tail = pieces
    assert {piece.rate_hz for piece in pieces} == {22_050}
    assert all(0.1 <= piece.seconds <= PIECE_S for piece in spoken)
    assert tail.seconds == pytest.approx(TAIL_S, abs=0.001)


async def test_vits_reads_a_long_sentence_in_parts(vits: CoquiTts) -> None:
    begin_s = time.perf_counter()
    async with aclosing(vits.speak("one two three four five, " * 40, Voice())) as pieces:
        await anext(pieces)
        first_s = time.perf_counter() - begin_s
        async for _ in pieces:
            pass
    assert first_s < (time.perf_counter() - begin_s) / 4


async def test_vits_stops_within_100_ms(vits: CoquiTts) -> None:
    stops = []
    for wait_s in (0.01, 0.03, 0.06):
        speaking = asyncio.create_task(said(vits, "word " * 300))
        await asyncio.sleep(wait_s)
        speaking.cancel()
        await asyncio.wait([speaking])
        stops.append(await idle_after_s(vits))
    assert min(stops) < 0.1


async def test_vits_has_speakers_and_cannot_clone(vits: CoquiTts) -> None:
    assert [voice.name for voice in vits.voices] == ["anna", "david"]
    torch.manual_seed(0)
    anna = sound(await said(vits, ENGLISH, Voice("anna")))
    torch.manual_seed(0)
    david = sound(await said(vits, ENGLISH, Voice("david")))
    assert len(anna) != len(david) or not np.allclose(anna, david, atol=20)
    assert await said(vits, ENGLISH, Voice("mine", reference=recording(110)))


async def test_vits_with_one_voice_needs_no_name(tmp_path: Path) -> None:
    tts = CoquiTts.load(str(tiny_coqui.make_tiny_vits(tmp_path)), "cpu")
    assert tts.voices == []
    assert await said(tts, ENGLISH, Voice("f3"))


async def test_vits_rate_is_a_factor(vits: CoquiTts) -> None:
    slow, fast = [seconds(await said(vits, ENGLISH, Voice(rate=rate))) for rate in (0.5, 2)]
    assert slow > 1.4 * fast  # random durations are short, and rounded up


# ── Loudness ──────────────────────────────────────────────────────────────────────────────────


async def test_all_engines_are_equally_loud(xtts: CoquiTts, vits: CoquiTts) -> None:
    levels = []
    for tts in (xtts, vits, EspeakTts()):
        levelled = LevelledTts(tts)
        for _ in range(2):
            pieces = await said(levelled, ENGLISH)
        level = level_db(Audio(sound(pieces).astype(np.int16), pieces[0].rate_hz))
        assert level is not None
        levels.append(level)
    assert max(levels) - min(levels) < 2


# ── What is missing ───────────────────────────────────────────────────────────────────────────


def test_the_licence_must_be_agreed_to_by_name(xtts_folder: Path) -> None:
    with pytest.raises(EngineUnavailable, match="COQUI_TOS_AGREED=1"):
        CoquiTts.load(str(xtts_folder), "cpu")
    with pytest.raises(EngineUnavailable, match="COQUI_TOS_AGREED=1"):
        CoquiTts.load("tts_models/multilingual/multi-dataset/xtts_v2", "cpu")


def test_coquis_own_note_of_the_agreement_counts(xtts_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(xtts_folder, tmp_path / "xtts"))
    (folder / "tos_agreed.txt").write_text("I have read, understood and agreed to it.")
    with tiny_coqui.narrow_vocoder():
        assert CoquiTts.load(str(folder), "cpu").kind == "XTTS"


@pytest.mark.parametrize("name", ["/nowhere/model", "nowhere", "~/nowhere"])
def test_a_missing_folder_is_unavailable(name: str) -> None:
    with pytest.raises(EngineUnavailable, match=r"does not exist.*TTS_MODEL"):
        CoquiTts.load(name)


def test_an_unpublished_name_is_unavailable() -> None:
    with pytest.raises(EngineUnavailable, match=r"published no voice model.*TTS_MODEL"):
        CoquiTts.load("tts_models/en/nobody/vits")


@pytest.mark.parametrize("gone", ["config.json", "model.pth", "vocab.json"])
def test_a_missing_file_is_named(xtts_folder: Path, tmp_path: Path, gone: str) -> None:
    folder = Path(shutil.copytree(xtts_folder, tmp_path / "xtts"))
    (folder / gone).unlink()
    with pytest.raises(EngineUnavailable, match=gone):
        CoquiTts.load(str(folder), "cpu", licence_agreed=True)


def test_another_kind_of_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model": "tacotron2"}))
    (tmp_path / "model.pth").touch()
    with pytest.raises(EngineUnavailable, match="'tacotron2'"):
        CoquiTts.load(str(tmp_path), "cpu")


def test_a_damaged_model_is_unavailable(xtts_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(xtts_folder, tmp_path / "xtts"))
    (folder / "model.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(EngineUnavailable, match="could not be loaded"):
        CoquiTts.load(str(folder), "cpu", licence_agreed=True)


def test_a_missing_package_is_unavailable(
    vits_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "TTS.tts.models.xtts", None)
    with pytest.raises(EngineUnavailable, match="pip install.*torchaudio"):
        CoquiTts.load(str(vits_folder), "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="here is a GPU")
def test_a_gpu_that_is_not_there_is_named(vits_folder: Path) -> None:
    with pytest.raises(EngineUnavailable, match="no GPU"):
        CoquiTts.load(str(vits_folder), "cuda")


def test_the_configuration_stays_as_it_was(vits_folder: Path) -> None:
    before = (vits_folder / "config.json").read_bytes()
    CoquiTts.load(str(vits_folder), "cpu")
    assert (vits_folder / "config.json").read_bytes() == before
