"""Language models as memory meets them, and what is shared by its tests."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from engines.base import Llm, Message
from engines.errors import EngineUnavailable
from engines.memory.base import Remembered
from serve_app.memory import Memory
from serve_app.memory_store import Pair
from tests.serve_app.memory.students import ANNA

MARK = re.compile(r'"mark": "(\w+)"')

Minded = Callable[..., Memory]
"""Makes a gateway's memory with this model; None: the graph says that there is none."""


@dataclass
class Secretary:
    """A model that does what it is asked: it notes every word of the student."""

    asked: list[str] = field(default_factory=list)
    """The data of each request."""

    async def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        system, user = messages
        self.asked.append(user.content)
        data = json.loads(user.content)
        said = [entry["student"][:200] for entry in data["conversation"] if "student" in entry]
        mark = MARK.search(system.content)
        assert mark is not None
        notes = {
            "mark": mark[1],
            "summary": " ".join([data["notes"]["summary"], *said]).strip(),
            "facts": [{"kind": "other", "text": words} for words in said],
        }
        for token in re.findall(r".{1,7}", json.dumps(notes)):
            await asyncio.sleep(0)
            yield token


@dataclass
class Held:
    """A model that does not answer before it is let."""

    llm: Llm
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    left: bool = False

    async def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        self.begun.set()
        try:
            await self.go_on.wait()
        finally:
            self.left = True
        async for token in self.llm.reply(messages):
            yield token


class Gone:
    """A model that cannot be had."""

    def __init__(self) -> None:
        self.asked = 0

    async def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        self.asked += 1
        raise EngineUnavailable("The model is gone.")
        yield ""


async def known(memory: Memory, pair: Pair = ANNA) -> Remembered:
    kept = await memory.store.of(pair.student_id, pair.tutor_id)
    return kept[0].remembered if kept else Remembered()
