"""Conversations come and go, and leave nothing behind.

Tasks, threads and descriptors are counted exactly. Memory takes single steps of some megabytes, up
and down, as its allocator pleases; what leaks grows in every batch, so the middle one of all steps
counts.
"""

import asyncio
import ctypes
import gc
import os
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import psutil

from engines.base import Message
from engines.stub import StubLlm, StubTts
from serve_app.services import Engines
from tests.endurance.gateway import Apart, apart
from tests.live import Learner
from tests.running import Running, stub_engines

HERE = "tests.endurance.test_cycles"
TOGETHER = 5
"""Conversations at once, to make many in little time."""

BATCHES = 22
WARM_UP = 6
"""Batches that fill caches, pools of threads and arenas of memory."""

SETTLE_LIMIT_S = 5.0
MOST_BYTES_A_CYCLE = 16 * 1024
ONE_ARENA = {"MALLOC_ARENA_MAX": "2", "WEBRTC_GRACE_S": "0"}
"""Less chance in the memory; and a peer goes with its socket."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a process holds."""

    tasks: int
    descriptors: int
    threads: int
    memory: int
    """Bytes that are its own (USS): what is shared depends on who else runs."""


def growth(readings: Sequence[Reading], cycles: int) -> list[str]:
    """What grows, `cycles` conversations lying between one reading and the next: pure."""
    half = len(readings) // 2
    earlier, later = readings[:half], readings[-half:]
    found = []
    for name in ("tasks", "descriptors", "threads"):
        before, after = ([getattr(one, name) for one in part] for part in (earlier, later))
        # A pool may open one more once; what leaks does so in every batch.
        if min(after) - max(before) >= half:
            found.append(f"{name}: {before} before, {after} after")
    each = median(after.memory - before.memory for before, after in pairwise(readings)) / cycles
    if each > MOST_BYTES_A_CYCLE:
        found.append(f"memory: {each / 1024:.1f} KiB a conversation")
    return found


def engines() -> Engines:
    """Answers of 0.2 s."""
    return stub_engines(think=lambda tutor: StubLlm(("Yes.",)), speak=StubTts(pieces=1))


def leaking() -> Engines:
    """The same, with a model that forgets to let go of everything it takes."""
    return stub_engines(think=lambda tutor: LeakingLlm(), speak=StubTts(pieces=1))


class LeakingLlm:
    held: list[object] = []

    async def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        thread = threading.Thread(target=threading.Event().wait, daemon=True)
        thread.start()
        forever = asyncio.create_task(asyncio.Event().wait(), name="forgotten")
        self.held += [thread, forever, os.dup(0), bytes(range(256)) * 8192]  # 2 MB
        yield "Yes."


def tasks() -> int:
    """Asked over there."""
    return len(asyncio.all_tasks())


def tidied() -> None:
    """Asked over there: what is free goes back to the system."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


async def reading(gateway: Apart) -> Reading:
    """When nobody is there any more."""
    process = psutil.Process(gateway.pid)
    gateway.ask(f"{HERE}:tidied")
    return Reading(
        gateway.ask(f"{HERE}:tasks"),
        process.num_fds(),
        process.num_threads(),
        process.memory_full_info().uss,
    )


async def conversation(running: Running) -> None:
    """Connect, speak, close."""
    async with (
        running.conversation() as (session, talk),
        Learner(talk, session.student_id) as learner,
    ):
        await learner.connect()
        await learner.ask("Hello")
        await learner.until_loud()


async def quiet(gateway: Apart, tasks_before: int) -> None:
    """Wait for what is still closing; what stays longer is counted."""
    for _ in range(int(SETTLE_LIMIT_S / 0.1)):
        if gateway.ask(f"{HERE}:tasks") <= tasks_before:
            return
        await asyncio.sleep(0.1)


async def readings(gateway: Apart, batches: int) -> list[Reading]:
    """After each batch of conversations."""
    before, found = gateway.ask(f"{HERE}:tasks"), []
    for _ in range(batches):
        async with asyncio.TaskGroup() as together:
            for _ in range(TOGETHER):
                together.create_task(conversation(gateway.running))
        await quiet(gateway, before)
        found.append(await reading(gateway))
    return found


async def test_conversations_leave_nothing_behind(tmp_path: Path) -> None:
    with apart(tmp_path, f"{HERE}:engines", ONE_ARENA) as gateway:
        found = await readings(gateway, BATCHES)
    assert growth(found[WARM_UP:], TOGETHER) == []


async def test_what_leaks_is_found(tmp_path: Path) -> None:
    with apart(tmp_path, f"{HERE}:leaking", ONE_ARENA) as gateway:
        found = await readings(gateway, 4)
    complaints = growth(found, TOGETHER)
    assert [complaint.partition(":")[0] for complaint in complaints] == [
        "tasks",
        "descriptors",
        "threads",
        "memory",
    ]
