import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from cli.keeper import FIRST_PAUSE_S, LONGEST_PAUSE_S, Watch, pause_s, read_watch
from tests.running import PROJECT, eventually
from tests.test_imports import imported

LIMIT_S = 60.0
STAYS = "import time; print('here', flush=True); time.sleep(600)"
ENDS = "raise SystemExit(3)"
LISTENS = (
    "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: (print('heard'), sys.exit()));"
    "print('here', flush=True); signal.pause()"
)


@contextmanager
def kept(
    state: Path, *command: str, log: int = subprocess.STDOUT
) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.keeper", str(state), *command],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # also what a keeper that died has left
        process.communicate()


def test_the_pause_grows_and_has_an_end() -> None:
    pauses = [pause_s(count) for count in range(1, 50)]
    assert pauses[:3] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S


async def test_what_was_killed_is_started_again(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    with kept(state, sys.executable, "-c", STAYS):
        await eventually(lambda: read_watch(state).pid, LIMIT_S)
        first = read_watch(state)
        assert (first.starts, first.last_end) == (1, "")
        assert first.pid is not None
        psutil.Process(first.pid).kill()
        await eventually(lambda: read_watch(state).starts == 2, LIMIT_S)
        again = read_watch(state)
        assert again.last_end == "SIGKILL"
        assert again.next_start_s is None
        assert again.pid not in (None, first.pid)


async def test_what_ends_at_once_is_told_with_its_code(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    with kept(state, sys.executable, "-c", ENDS) as keeper:
        await eventually(lambda: read_watch(state).starts == 3, LIMIT_S)
        assert read_watch(state).last_end == "exit code 3"
        keeper.send_signal(signal.SIGTERM)
        said, _ = keeper.communicate(timeout=LIMIT_S)
    assert "It has ended (exit code 3), and is started again in 1 s." in said
    assert "in 2 s." in said
    assert keeper.returncode == 0


async def test_what_cannot_be_started_is_tried_on(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    program = tmp_path / "program"
    with kept(state, str(program)):
        await eventually(lambda: "cannot be started" in read_watch(state).last_end, LIMIT_S)
        assert read_watch(state).pid is None
        program.write_text(f"#!{sys.executable}\n{STAYS}")
        program.chmod(0o755)
        await eventually(lambda: read_watch(state).pid, LIMIT_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_told_to_end_it_ends_what_it_keeps(number: signal.Signals, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    with kept(state, sys.executable, "-c", LISTENS) as keeper:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == "here\n"
        pid = read_watch(state).pid
        assert pid is not None
        keeper.send_signal(number)
        said, _ = keeper.communicate(timeout=LIMIT_S)
        assert said == "heard\n"
        assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("full", ["state", "log"])
async def test_what_cannot_be_written_down_is_kept_all_the_same(full: str, tmp_path: Path) -> None:
    state = tmp_path / ("gone/state.json" if full == "state" else "state.json")
    log = os.open("/dev/full" if full == "log" else os.devnull, os.O_WRONLY)
    try:
        with kept(state, sys.executable, "-c", LISTENS, log=log) as keeper:
            assert keeper.stdout is not None
            assert keeper.stdout.readline() == "here\n"
            (child,) = psutil.Process(keeper.pid).children()
            child.kill()
            assert keeper.stdout.readline() == "here\n", "it was started again"
            keeper.send_signal(signal.SIGTERM)
            said, _ = keeper.communicate(timeout=LIMIT_S)
            assert said == "heard\n"
    finally:
        os.close(log)


def test_it_costs_no_more_than_python_itself() -> None:
    packages = imported(PROJECT / "cli/keeper.py")
    assert packages <= sys.stdlib_module_names


def test_a_state_of_another_version_is_as_none(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    assert read_watch(state) == Watch()
    for content in ("{", json.dumps({"pid": 1, "unknown": 2}), "[]"):
        state.write_text(content)
        assert read_watch(state) == Watch()
