import subprocess
import sys
from pathlib import Path

import espeakng_loader
import pytest

from engines.errors import EngineError, EngineUnavailable
from engines.tts.espeak_library import Buffer, EspeakLibrary, Settings, open_espeak

PLAIN = Settings("en-us", 165, 50, 100)


def test_a_process_has_one_library() -> None:
    assert open_espeak() is open_espeak()


def test_it_knows_its_variants() -> None:
    assert {"f3", "m3", "klatt"} <= open_espeak().variants


def test_sound_and_phonemes_come_in_order() -> None:
    heard: list[Buffer] = []

    def keep(buffer: Buffer) -> bool:
        heard.append(buffer)
        return True

    library = open_espeak()
    library.worker.submit(library.synthesise, "Hello there.", PLAIN, keep).result()
    count = sum(len(buffer.samples) for buffer in heard)
    begins = [sample for buffer in heard for sample, _ in buffer.sounds]
    assert library.rate_hz == 22_050
    assert 0.5 < count / library.rate_hz < 2
    assert begins == sorted(begins)
    assert begins[-1] <= count


def test_a_refused_buffer_is_the_last() -> None:
    calls = []

    def refuse(buffer: Buffer) -> bool:
        calls.append(buffer)
        return False

    library = open_espeak()
    library.worker.submit(library.synthesise, "Hello there. " * 50, PLAIN, refuse).result()
    assert len(calls) == 1


def test_an_error_of_the_listener_comes_through() -> None:
    def fail(buffer: Buffer) -> bool:
        raise ValueError("listener")

    library = open_espeak()
    with pytest.raises(ValueError, match="listener"):
        library.worker.submit(library.synthesise, "Hello there.", PLAIN, fail).result()


def test_a_voice_that_espeak_refuses_is_an_engine_error() -> None:
    library = open_espeak()
    odd = Settings("nowhere", 165, 50, 100)
    with pytest.raises(EngineError, match="nowhere"):
        library.worker.submit(library.synthesise, "Hello.", odd, lambda _: True).result()


def test_a_missing_library_is_unavailable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        espeakng_loader, "get_library_path", lambda: str(tmp_path / "libespeak-ng.so")
    )
    with pytest.raises(EngineUnavailable, match="pip install"):
        EspeakLibrary()


def test_a_missing_package_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(EngineUnavailable, match="pip install"):
        EspeakLibrary()


def test_missing_voice_data_is_unavailable_and_does_not_end_the_process(tmp_path: Path) -> None:
    # In a process of its own: espeak's globals would keep the bad path here.
    script = (
        "import espeakng_loader, sys\n"
        "espeakng_loader.get_data_path = lambda: sys.argv[1]\n"
        "from engines.errors import EngineUnavailable\n"
        "from engines.tts.espeak_library import EspeakLibrary\n"
        "try:\n    EspeakLibrary()\n"
        "except EngineUnavailable as error:\n    sys.exit(0 if 'pip' in error.sentence else 3)\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], timeout=30, capture_output=True
    )
    assert finished.returncode == 0, finished.stderr.decode()
