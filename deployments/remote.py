"""The remote twins of the verbs: the same Protocols, forwarded to a Serve application."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import cast

from deployments.backend import Backend
from engines.base import Audio, Cue, Message, Patch, Transcript, Vocabulary, Voice


class RemoteAsr:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def transcribe(
        self, speech: Audio, language: str | None, vocabulary: Vocabulary = ()
    ) -> Transcript:
        return cast(
            Transcript, await self._backend.call("transcribe", speech, language, vocabulary)
        )


class RemoteLlm:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def reply(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        async with aclosing(self._backend.stream("reply", list(messages))) as tokens:
            async for token in tokens:
                yield token


class RemoteTts:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def speak(self, sentence: str, voice: Voice) -> AsyncGenerator[Audio, None]:
        async with aclosing(self._backend.stream("speak", sentence, voice)) as pieces:
            async for piece in pieces:
                yield piece


class RemoteAvatar:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def animate(self, speech: Audio, cue: Cue) -> AsyncGenerator[Patch, None]:
        async with aclosing(self._backend.stream("animate", speech, cue)) as patches:
            async for patch in patches:
                yield patch
