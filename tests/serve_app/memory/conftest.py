from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from engines.base import Llm
from serve_app import memory as memory_module
from serve_app.memory import Memory, Minds
from serve_app.memory_store import MemoryStore
from serve_app.sessions import Limits, Sessions
from tests.serve_app.memory.models import Minded
from tests.serve_app.memory.students import SetClock, opened


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    async with opened(request, tmp_path) as engine:
        yield engine


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def sessions(database: AsyncEngine, clock: SetClock) -> Sessions:
    return Sessions(database, Limits(100, 100, timeout_s=3600), clock)


@pytest.fixture
def minded(database: AsyncEngine, clock: SetClock) -> Minded:
    """A gateway's memory with this model; None: the graph says that there is none."""

    def make(llm: Llm | None, *, on: bool = True) -> Memory:
        async def seems_there(tutor_id: int) -> bool:
            return llm is not None

        def think(tutor_id: int) -> Llm:
            assert llm is not None
            return llm

        store = MemoryStore(database, days=365, clock=clock)
        return Memory(store, Minds(think, seems_there), on=on, clock=clock)

    return make


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "AWAY_S", 0.0)
    monkeypatch.setattr(memory_module, "DISTURBED_LOOK_S", 0.01)
