"""What has been forgotten does not come back."""

import asyncio

import pytest

from engines.memory.base import Fact, Remembered
from serve_app import memory_store
from serve_app.memory import QUIET_S, STARVED_S
from serve_app.sessions import Sessions
from tests.serve_app.memory.models import Held, Minded, Secretary, known
from tests.serve_app.memory.students import ANNA, SetClock, lesson


@pytest.mark.parametrize("by_words", [False, True])
async def test_forgetting_reaches_the_summary_that_is_being_written(
    by_words: bool, minded: Minded, sessions: Sessions, clock: SetClock
) -> None:
    held = Held(Secretary())
    memory = minded(held)
    await lesson(sessions, "My name is Anna")
    clock.advance(STARVED_S + 1)
    looking = asyncio.create_task(memory.look())
    await held.begun.wait()
    assert await known(memory) != Remembered()
    if by_words:
        session, _ = await sessions.create(ANNA.tutor_id, ANNA.student_id, None)
        await minded(None).heed(session, "Forget what you know about me")
    else:
        await memory.store.forget(ANNA.student_id)
    held.go_on.set()
    await looking
    await memory.look()
    assert await known(memory) == Remembered()


async def test_what_was_said_before_asking_to_be_forgotten_is_never_read(
    minded: Minded, sessions: Sessions, clock: SetClock
) -> None:
    """Also where the request reached the conversation alone."""
    memory = minded(Secretary())
    await lesson(sessions, "My name is Anna", "Forget everything about me", "I am new here")
    clock.advance(QUIET_S + 1)
    await memory.look()
    remembered = await known(memory)
    assert remembered.summary == "I am new here"
    assert remembered.facts == (Fact("other", "I am new here"),)


async def test_behind_what_is_not_read_the_rest_is(
    minded: Minded, sessions: Sessions, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_store, "UNREAD_MESSAGES", 2)
    memory = minded(Secretary())
    await lesson(sessions, "Forget everything about me", "I am new here")
    for _ in range(3):
        clock.advance(QUIET_S + 1)
        await memory.look()
    assert (await known(memory)).summary == "I am new here"
