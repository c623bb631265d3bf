import asyncio
import subprocess
import sys
import time
from pathlib import Path

import faster_whisper
import numpy as np
import pytest

from engines.asr.whisper import WhisperAsr
from engines.base import HEARING_RATE_HZ, Audio, Transcript
from engines.errors import EngineError, EngineUnavailable
from tests.speech import say
from tests.tiny_whisper import make_tiny_whisper


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def ears(folder: Path) -> WhisperAsr:
    return WhisperAsr.load(str(folder), device="cpu")


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """The model once more, to be damaged."""
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


async def test_speech_becomes_text_in_the_language_that_was_named(ears: WhisperAsr) -> None:
    transcript = await ears.transcribe(await say("hello how are you"), "zh-CN")
    assert transcript.language == "zh"
    assert transcript.text
    assert transcript.text == transcript.text.strip()


@pytest.mark.parametrize("language", [None, "", "tlh"])
async def test_an_unknown_language_is_found_out(ears: WhisperAsr, language: str | None) -> None:
    transcript = await ears.transcribe(await say("hello"), language)
    assert transcript.language is not None
    assert len(transcript.language) in (2, 3)


@pytest.mark.parametrize("seconds", [0, 0.05, 0.5, 5])
async def test_silence_is_no_text(ears: WhisperAsr, seconds: float) -> None:
    samples = np.zeros(int(seconds * HEARING_RATE_HZ), np.int16)
    assert await ears.transcribe(Audio(samples, HEARING_RATE_HZ), None) == Transcript("")


async def test_a_recording_longer_than_the_models_window_is_heard_to_the_end(
    ears: WhisperAsr,
) -> None:
    long = np.tile((await say("one two three four five")).samples, 22)
    assert len(long) > 35 * HEARING_RATE_HZ
    assert (await ears.transcribe(Audio(long, HEARING_RATE_HZ), "en")).text


async def test_the_event_loop_goes_on_and_many_take_turns(ears: WhisperAsr) -> None:
    hello = await say("hello")
    hearing = asyncio.gather(*(ears.transcribe(hello, "en") for _ in range(2)))
    slowest = 0.0
    while not hearing.done():
        begin = time.monotonic()
        await asyncio.sleep(0.005)
        slowest = max(slowest, time.monotonic() - begin)
    assert len(hearing.result()) == 2
    assert slowest < 0.5


async def test_a_cancelled_turn_is_left_at_once_and_harms_nobody(ears: WhisperAsr) -> None:
    hearing = asyncio.create_task(ears.transcribe(await say("one two three four five"), "en"))
    await asyncio.sleep(0.05)

    begin = time.monotonic()
    hearing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hearing
    assert time.monotonic() - begin < 0.5
    assert (await ears.transcribe(await say("hello"), "en")).language == "en"


async def test_an_english_model_refuses_other_languages(tmp_path: Path) -> None:
    make_tiny_whisper(tmp_path, multilingual=False)
    ears = WhisperAsr.load(str(tmp_path), device="cpu")

    assert (await ears.transcribe(await say("hello"), None)).language == "en"
    with pytest.raises(EngineUnavailable, match="only knows English, not `zh`"):
        await ears.transcribe(await say("hello"), "zh")


async def test_a_failure_of_the_model_is_an_engine_error(
    ears: WhisperAsr, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA out of memory\nat some line")

    monkeypatch.setattr(faster_whisper.WhisperModel, "transcribe", fail)
    with pytest.raises(EngineError, match=r"failed \(CUDA out of memory\)\.$"):
        await ears.transcribe(await say("hello"), "en")


# ── loading ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("file", ["model.bin", "config.json", "tokenizer.json", "vocabulary.json"])
def test_a_missing_file_is_named(copy: Path, file: str) -> None:
    (copy / file).unlink()
    with pytest.raises(EngineUnavailable, match=f"lacks {file}") as refusal:
        WhisperAsr.load(str(copy))
    assert str(copy) in refusal.value.sentence


@pytest.mark.parametrize("file", ["model.bin", "tokenizer.json", "vocabulary.json"])
@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n"])
def test_a_damaged_file_is_an_engine_error(copy: Path, file: str, content: bytes) -> None:
    (copy / file).write_bytes(content)
    with pytest.raises(EngineUnavailable, match="could not be loaded.*WHISPER_MODEL"):
        WhisperAsr.load(str(copy), device="cpu")


@pytest.mark.parametrize("model", ["./no/such/folder", "/no/such/folder", "~/no/such/folder"])
def test_a_folder_that_is_not_there_is_named(model: str) -> None:
    with pytest.raises(EngineUnavailable, match=f"folder `{model}` does not exist"):
        WhisperAsr.load(model)


def test_a_file_is_no_folder(copy: Path) -> None:
    with pytest.raises(EngineUnavailable, match="is no folder"):
        WhisperAsr.load(str(copy / "model.bin"))


def test_a_name_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(EngineUnavailable, match="no speech model named `smal`.* small,"):
        WhisperAsr.load("smal")


def test_a_precision_that_the_machine_lacks_is_an_engine_error(folder: Path) -> None:
    with pytest.raises(EngineUnavailable, match="could not be loaded"):
        WhisperAsr.load(str(folder), device="cpu", compute_type="float17")


def test_a_name_that_cannot_be_downloaded_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(EngineUnavailable, match="`tiny` could not be downloaded .*go online"):
        WhisperAsr.load("tiny")


def test_a_name_is_downloaded_with_every_file_that_is_needed(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    asked: list[tuple[str, bool, list[str]]] = []

    def snapshot(
        repository: str, *, local_files_only: bool = False, allow_patterns: list[str], **_: object
    ) -> str:
        asked.append((repository, local_files_only, allow_patterns))
        if local_files_only:
            raise FileNotFoundError("not in the cache")
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    WhisperAsr.load("tiny", device="cpu")
    assert [(repository, local) for repository, local, _ in asked] == [
        ("Systran/faster-whisper-tiny", True),
        ("Systran/faster-whisper-tiny", False),
    ]
    assert {"model.bin", "config.json", "tokenizer.json"} <= set(asked[1][2])


def test_importing_it_does_not_import_the_library() -> None:
    # It would cost 150 MB on a machine that never loads a model.
    check = "import sys, engines.asr.choice; sys.exit('faster_whisper' in sys.modules)"
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", check], cwd=root).returncode == 0
