"""Real processes: the PID file believes neither a dead one nor another with the same PID."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from cli import engine as engine_module
from cli.engine import Engine
from cli.errors import CommandError
from cli.record import Record, RunFolder
from serve_app.settings import Settings


@contextmanager
def leader(*command: str) -> Iterator[tuple[subprocess.Popen[bytes], Record]]:
    """A process that leads a session, as the engine's does."""
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE)
    while psutil.Process(process.pid).name() != Path(command[0]).name:
        time.sleep(0.01)  # until then it is a copy of this process, with its environment
    record = Record(
        pid=process.pid,
        started_s=psutil.Process(process.pid).create_time(),
        url="http://127.0.0.1:1",
        config="serve.yaml",
        plain_serve=False,
        log_offset=0,
    )
    try:
        yield process, record
    finally:
        for left in record.processes():
            left.kill()
        process.kill()
        process.communicate()


def engine(tmp_path: Path) -> Engine:
    found = Engine(Settings(tutor_home=tmp_path))
    found.files.create()
    return found


def test_a_living_process_is_known(tmp_path: Path) -> None:
    with leader("sleep", "60") as (process, record):
        files = RunFolder(tmp_path)
        files.write(record)
        assert files.running() == record
        assert [member.pid for member in record.processes()] == [process.pid]


def test_a_dead_process_is_not_running(tmp_path: Path) -> None:
    with leader("sleep", "60") as (process, record):
        files = RunFolder(tmp_path)
        files.write(record)
        process.kill()  # and not waited for: a zombie keeps its PID
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert files.running() is None
        process.wait()
        assert files.running() is None
        assert record.processes() == []


def test_another_process_with_the_same_pid_is_not_the_engine(tmp_path: Path) -> None:
    with leader("sleep", "60") as (process, record):
        old = replace(record, started_s=record.started_s - 3600)
        stopping = engine(tmp_path)
        stopping.files.write(old)
        assert stopping.files.running() is None
        assert old.processes() == []
        assert stopping.stop() is None
        assert not stopping.files.record_file.exists()
        assert process.poll() is None, "it was left alone"


def test_what_a_killed_engine_leaves_behind_is_found_and_ended(tmp_path: Path) -> None:
    with leader("sh", "-c", "sleep 60 & echo $!") as (process, record):
        assert process.stdout is not None
        child = psutil.Process(int(process.stdout.readline()))
        process.wait()
        assert not record.alive
        assert record.processes() == [child]
        stopping = engine(tmp_path)
        stopping.files.write(record)
        assert stopping.stop() == record
        assert record.processes() == []


def test_a_record_of_before_the_last_boot_owns_nothing(tmp_path: Path) -> None:
    """Though another daemon, whose leader has ended, leads a session of the same number by now."""
    with leader("sh", "-c", "sleep 60 & echo $!") as (process, record):
        assert process.stdout is not None
        foreign = psutil.Process(int(process.stdout.readline()))
        process.wait()
        old = replace(record, started_s=psutil.boot_time() - 3600)
        assert old.processes() == []
        stopping = engine(tmp_path)
        stopping.files.write(old)
        assert stopping.stop() is None
        assert foreign.is_running()
        assert record.processes() == [foreign], "it was left alone"


def test_what_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = tuple(replace(each, limit_s=0.5) for each in engine_module.ROUNDS)
    monkeypatch.setattr(engine_module, "ROUNDS", quick)
    deaf = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    )
    with leader(sys.executable, "-c", deaf) as (process, record):
        assert process.stdout is not None
        process.stdout.readline()
        stopping = engine(tmp_path)
        stopping.files.write(record)
        assert stopping.stop() == record
        assert process.wait() == -9


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"other": 1}'])
def test_a_broken_file_is_no_record(tmp_path: Path, content: str) -> None:
    stopping = engine(tmp_path)
    stopping.files.record_file.write_text(content)
    assert stopping.files.running() is None
    assert stopping.stop() is None
    assert not stopping.files.record_file.exists()


def test_two_commands_do_not_start_at_once(tmp_path: Path) -> None:
    files = RunFolder(tmp_path)
    with files.locked(), pytest.raises(CommandError, match="at work"), files.locked():
        pass
    with files.locked():
        pass


def test_a_folder_that_cannot_be_made_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="TUTOR_HOME"):
        RunFolder(tmp_path / "file" / "run").create()
