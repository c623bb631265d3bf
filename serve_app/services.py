"""All that the gateway's routes and sockets stand on, made once per replica."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from engines.base import Asr, Avatar, Backdrop, EngineState, KnownVoice, Llm, Tts, Vad
from engines.knowledge.base import Search
from engines.memory.forgetting import ForgettingLlm
from serve_app.avatar_studio import Preparer
from serve_app.faces import Shown
from serve_app.knowledge import Knowledge
from serve_app.memory import Memory
from serve_app.sessions import Sessions
from serve_app.settings import Settings
from serve_app.switchboard import Switchboard
from serve_app.turn import Verbs
from serve_app.tutors import Tutor, Tutors
from serve_app.webrtc.peers import Peers


@dataclass(frozen=True, slots=True)
class Engines:
    """The verbs as the gateway was given them, and how they are."""

    hear: Asr
    think: Callable[[Tutor], Llm]
    speak: Tts
    show: Avatar
    backdrop: Callable[[str], Backdrop]
    shown: Shown
    detector: Callable[[], Vad]
    """A speech detector for one more stream; the first takes a moment to load. Raises
    `EngineUnavailable`."""
    faces: Collection[str]
    """Names of all faces there are at the moment, the usual one first."""
    preparer: Callable[[], Preparer]
    """Who makes faces of photos and clips; called in the event loop."""
    states: Callable[[], Awaitable[dict[str, EngineState]]]
    """Name of the stage, or of the application for a language model → its state."""
    names: Callable[[], Awaitable[dict[str, str]]]
    """Name of the stage → name of its engine, without waiting for one that is restarting."""
    voices: Callable[[], Awaitable[Sequence[KnownVoice]]]
    """Those that the voice engine brings along. Raises `EngineError`."""
    bases: Knowledge
    """What the courses are made of."""

    knowledge: Search
    """What the courses have on a question."""
    chapters: Callable[[str], Awaitable[Sequence[str]]]
    """What a knowledge base is about. Raises `EngineError`."""

    def for_tutor(self, tutor: Tutor) -> Verbs:
        think = ForgettingLlm(self.think(tutor))
        return Verbs(self.hear, think, self.speak, self.show, self.backdrop, self.shown)


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    sessions: Sessions
    engines: Engines
    tutors: Tutors
    switchboard: Switchboard
    peers: Peers
    memory: Memory
