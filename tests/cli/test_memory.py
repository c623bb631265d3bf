"""What the applications take, with real processes and a stand-in for nvidia-smi."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cli import memory
from cli.memory import MIB, Gpu, gpu_memory, gpus, replica_usage

HELD_BYTES = 50_000_000

REPLICA = f"""
import subprocess, sys
held = bytearray(b"x" * {HELD_BYTES})
print("up", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def replica() -> Iterator[int]:
    """A process with the title of a replica of `asr`."""
    # Ray writes a title over the arguments; here it is one of them.
    process = subprocess.Popen(
        [sys.executable, "-c", REPLICA, "ray::ServeReplica:asr:Asr"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdout.readline()
    yield process.pid
    process.stdin.close()
    process.wait()
    process.stdout.close()


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program on the PATH, and alone there; it says what is written next to it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "nvidia-smi"
    script.write_text(
        '#!/bin/sh\nset -e\nread=/bin/cat\ncase "$*" in\n'
        f'*--query-compute-apps=pid,used_memory*) $read "{folder}/apps" ;;\n'
        f'*--query-gpu=index,memory.total,memory.free,name*) $read "{folder}/gpus" ;;\nesac\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_the_memory_of_a_replica_is_that_of_its_process(replica: int) -> None:
    taken = replica_usage({"asr": [replica], "tts": []}, {replica: 3 * MIB, 1: MIB})
    assert taken["asr"].processes == 1
    assert HELD_BYTES < taken["asr"].memory_bytes <= psutil.Process(replica).memory_info().rss
    assert taken["asr"].gpu_memory_bytes == 3 * MIB
    assert (taken["tts"].processes, taken["tts"].memory_bytes) == (0, 0)


def test_the_same_pid_on_another_node_is_not_counted(replica: int) -> None:
    taken = replica_usage({"tts": [replica], "avatar": [os.getpid(), 2**22 + 1]}, {})
    assert [found.memory_bytes for found in taken.values()] == [0, 0]


def test_gpu_memory_by_process_and_by_gpu(nvidia_smi: Path) -> None:
    (nvidia_smi / "apps").write_text("4711, 512\n4711, 256\n4712, [N/A]\nnoise\n")
    (nvidia_smi / "gpus").write_text("0, 24576, 20480, NVIDIA Some, large\n1, [N/A], [N/A], B\n")
    assert gpu_memory() == {4711: 768 * MIB}
    assert gpus() == [Gpu(0, "NVIDIA Some, large", 24576 * MIB, 20480 * MIB)]


def test_a_broken_or_missing_driver_is_no_gpu(nvidia_smi: Path) -> None:
    assert gpu_memory() == {}, "it has failed: there is no file"
    (nvidia_smi / "nvidia-smi").unlink()
    assert (gpu_memory(), gpus()) == ({}, [])


def test_a_hanging_driver_is_not_waited_for(
    nvidia_smi: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nvidia_smi / "nvidia-smi").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    monkeypatch.setattr(memory, "ASK_LIMIT_S", 0.2)
    assert gpus() == []
