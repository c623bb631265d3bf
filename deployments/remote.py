"""The remote twins of the verbs: the same Protocols, forwarded to a Serve application."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import cast

from deployments.backend import Backend
from engines.avatar.musetalk.framing import Version
from engines.avatar.musetalk.prepared import Latents
from engines.base import Audio, Cue, Message, Patch, Pixels, Transcript, Vocabulary, Voice
from engines.knowledge.base import Found
from engines.knowledge.listing import Base, Entry


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

    async def face(self, name: str) -> str:
        """The face to be shown for this name now. Raises `UnknownAvatar`."""
        return cast(str, await self._backend.call("face", name))

    async def version(self) -> Version:
        """Of MuseTalk, as it is loaded. Raises `EngineUnavailable`."""
        return cast(Version, await self._backend.call("version"))

    async def latents(self, faces: Pixels) -> Latents:
        """uint8 BGR [n, 256, 256, 3] → float16 [n, 8, 32, 32]. Raises `EngineUnavailable`."""
        return cast(Latents, await self._backend.call("latents", faces))


class RemoteKnowledge:
    """Everything raises `EngineError`; `UnknownKnowledge` where there is no such base or name."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def search(self, kb_id: str, question: str, limit: int = 3) -> list[Found]:
        return cast(list[Found], await self._backend.call("search", kb_id, question, limit))

    async def bases(self) -> list[Base]:
        return cast(list[Base], await self._backend.call("bases"))

    async def create(self, kb_id: str) -> Base:
        """Does nothing but tell of it when it exists."""
        return cast(Base, await self._backend.call("create", kb_id))

    async def remove(self, kb_id: str) -> None:
        await self._backend.call("remove", kb_id)

    async def documents(self, kb_id: str) -> list[Entry]:
        return cast(list[Entry], await self._backend.call("documents", kb_id))

    async def document(self, kb_id: str, name: str) -> Entry:
        return cast(Entry, await self._backend.call("document", kb_id, name))

    async def drop(self, kb_id: str, name: str) -> None:
        """A document, whether it is there or on its way."""
        await self._backend.call("drop", kb_id, name)
