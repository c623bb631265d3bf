"""The applications `llm` and `tts` as they are, but for a diary that each keeps of what its model
does: their processes can be looked into by nobody else.

All processes of a machine have one monotonic clock, so entries can be compared with what a client
saw, and when.
"""

import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from ray import serve
from ray.serve import Application

from deployments.llm import LlmArgs, LlmDeployment
from deployments.resources import application
from deployments.tts import TtsArgs, TtsDeployment
from engines.base import Audio, Message, Voice

DIARIES = "TUTOR_TEST_DIARIES"
"""The folder that they are kept in; each has the name of its application."""

T = TypeVar("T")

Act = Literal["begin", "step", "out", "left"]
"""`begin`: the model is asked. `step`: it has done a part of its work, or passes from one layer to
the next. `out`: the consumer has taken something. `left`: the consumer is gone, or was served."""


@dataclass(frozen=True)
class Entry:
    act: Act
    at_s: float
    """On the monotonic clock."""


Diary = list[Entry]


def read_diary(folder: Path, app: str) -> Diary:
    lines = (folder / app).read_text().splitlines()
    return [Entry(act, float(at_s)) for act, at_s in map(str.split, lines)]  # type: ignore[arg-type]  # written below


def replies(diary: Diary) -> list[Diary]:
    """One for each time that the model was asked; only where nobody asked at the same time."""
    begins = [index for index, entry in enumerate(diary) if entry.act == "begin"]
    return [diary[begin:end] for begin, end in zip(begins, [*begins[1:], None], strict=True)]


def acts(diary: Diary) -> list[Act]:
    return [entry.act for entry in diary]


def unwanted_steps(reply: Diary) -> int:
    """What the model still did when the consumer was gone."""
    done = acts(reply)
    return done[done.index("left") :].count("step")


def note(act: Act) -> None:
    name = serve.get_replica_context().app_name
    with (Path(os.environ[DIARIES]) / name).open("a") as diary:
        diary.write(f"{act} {time.monotonic()}\n")


def watch(owner: Any, method: str) -> None:
    """Have each call of a class's method end with a `step` in the diary."""
    usual = getattr(owner, method)

    def and_note(*args: Any) -> Any:
        result = usual(*args)
        note("step")
        return result

    setattr(owner, method, and_note)


async def watched(stream: AsyncIterator[T]) -> AsyncIterator[T]:
    """The same stream, in the diary."""
    note("begin")
    try:
        async with aclosing(cast("AsyncGenerator[T, None]", stream)) as items:
            async for item in items:
                yield item
                note("out")
    finally:
        note("left")


class WatchedLlm(LlmDeployment):
    def __init__(self, args: LlmArgs) -> None:
        if args.engine == "transformers":
            from engines.llm.slots import ModelSteps

            watch(ModelSteps, "write")
        super().__init__(args)

    async def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        async with aclosing(cast(Any, watched(super().reply(messages)))) as tokens:
            async for token in tokens:
                yield token


class WatchedTts(TtsDeployment):
    def __init__(self, args: TtsArgs) -> None:
        from engines.tts.coqui_model import Brake
        from tests.tiny_coqui import narrow_vocoder

        watch(Brake, "_look")  # which is called before each layer, and raises when it stops there
        self._narrow = narrow_vocoder()
        self._narrow.__enter__()  # for as long as the process lives: the loading is in a thread
        super().__init__(args)

    async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
        async with aclosing(cast(Any, watched(super().speak(sentence, voice)))) as pieces:
            async for piece in pieces:
                yield piece


def build_llm(args: LlmArgs) -> Application:
    return application("Llm", WatchedLlm, args, gpu=args.gpu)


def build_tts(args: TtsArgs) -> Application:
    return application("Tts", WatchedTts, args, gpu=args.gpu)
