from pathlib import Path

import pytest

from engines.asr.room import LIBRARIES, MIB, Room, gpu_room

LARGE = 3_100_000_000
"""Bytes of large-v3's file."""

CHANNELS = 1280


def driver(folder: Path, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that answers as the driver's would."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model.bin").write_bytes(bytes(1000))
    return tmp_path


def test_a_share_of_the_smallest_gpu(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(model, "echo 24576; echo 8192", monkeypatch)
    assert gpu_room(model, 0.25) == Room(2048 * MIB, 1000)


def test_the_whole_gpu_has_no_limit(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(model, "echo 8192", monkeypatch)
    assert gpu_room(model, 1.0) == Room()


@pytest.mark.parametrize("answer", ["exit 9", "echo No devices were found", "true"])
def test_a_driver_that_does_not_tell_is_no_limit(
    model: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    driver(model, answer, monkeypatch)
    assert gpu_room(model, 0.25) == Room()


def test_a_large_model_takes_its_share_in_the_precision_that_fits() -> None:
    fitting = [
        precision
        for precision in ("float32", "float16", "int8_float16")
        if Room(int(2.5e9), LARGE).suffices(precision)
    ]
    assert fitting == ["int8_float16"]


@pytest.mark.parametrize(
    ("share", "windows"), [(1e9, 1), (LIBRARIES + LARGE + 1.2e9, 4), (80e9, 8), (float("inf"), 8)]
)
def test_what_is_left_decides_how_many_are_heard_at_once(share: float, windows: int) -> None:
    assert Room(share, LARGE).windows("float16", CHANNELS, 8) == windows


def test_without_limits_everything_fits() -> None:
    assert Room().suffices("float32")
