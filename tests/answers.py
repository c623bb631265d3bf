"""An answer as it reached a client that asked for deltas, taken apart."""

import base64
from dataclasses import dataclass

import numpy as np

from engines.base import Audio
from engines.tts.loudness import level_db
from tests.running import Event, Talk

SPEECH_DB = -40.0
"""From full scale; whatever is louder can be heard, and silence is far below."""


@dataclass(frozen=True)
class Answer:
    """All events of one turn, up to its closing `text` or an error that ended it."""

    events: list[Event]

    @property
    def text(self) -> str:
        return "".join(e["content"] for e in self.events if e["type"] == "text")

    @property
    def errors(self) -> list[str]:
        """Codes."""
        return [event["code"] for event in self.events if event["type"] == "error"]

    @property
    def voice(self) -> Audio:
        """All pieces; one sample of silence when there were none."""
        spoken = [event for event in self.events if event["type"] == "audio_delta"]
        if not spoken:
            return Audio(np.zeros(1, np.int16), 16_000)
        pieces = [np.frombuffer(base64.b64decode(e["data"]), "<i2") for e in spoken]
        return Audio(np.concatenate(pieces).astype(np.int16), spoken[0]["sample_rate"])

    @property
    def is_audible(self) -> bool:
        level = level_db(self.voice)
        return level is not None and level > SPEECH_DB

    def count(self, kind: str) -> int:
        return sum(event["type"] == kind for event in self.events)


async def with_deltas(talk: Talk) -> None:
    """What a client does that wants to hear an answer while it is made."""
    granted = await talk.ask(type="hello", features=["deltas"])
    assert granted["type"] == "hello"


async def answer_to(talk: Talk, question: str) -> Answer:
    await talk.send(type="text", content=question)
    return Answer(await talk.until("text"))
