"""Models of the engine's REST API."""

from datetime import datetime
from typing import Annotated, Literal
from unicodedata import normalize

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from wire.names import GivenName

INT64_MAX = 2**63 - 1
"""Ids are stored as 64-bit integers."""

Id = Annotated[int, Field(ge=0, le=INT64_MAX)]


class SessionCreate(BaseModel):
    model_config = ConfigDict(extra="ignore")
    tutor_id: Id
    student_id: Id
    kb_id: str | None = Field(default=None, max_length=128, pattern=r"^[^\x00-\x1f]*$")


class SessionCreated(BaseModel):
    session_id: str
    engine_url: str
    """`ws://…/ws/ws/{session_id}`; the client appends `?token={engine_token}`."""
    engine_token: str
    status: Literal["active"] = "active"


class SessionPublic(BaseModel):
    session_id: str
    tutor_id: int
    student_id: int
    kb_id: str | None
    status: Literal["active"]
    created_at: datetime
    last_activity: datetime


class MessagePublic(BaseModel):
    """One entry of a session's conversation."""

    message_id: int
    role: Literal["user", "assistant"]
    content: str
    interrupted: bool = False
    """True when the learner cut the answer off: `content` is then what had been heard."""
    created_at: datetime


Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]


class VoiceCreate(BaseModel):
    """A person's voice, to be spoken with. Only with that person's consent."""

    model_config = ConfigDict(extra="forbid")
    name: GivenName
    """Up to 48 letters and digits of any script, with spaces, `-` and `_` between them."""
    language: Language | None = None
    """What the person speaks in the recording, ISO 639-1; the voice can speak others as well."""
    tutor_id: Id | None = None
    """The tutor who speaks with it from now on, whatever the tutors' file says."""
    recording: str
    """3 to 30 s of that person alone, as WAV, WebM, Ogg, MP3, FLAC or M4A in base64."""


class VoicePublic(BaseModel):
    name: str
    engine: str
    """Which engine speaks with it."""
    language: str | None
    """ISO 639-1; null: every language of the engine."""
    kind: Literal["built-in", "cloned"]
    tutors: list[int] = []
    """Those to whom a cloned one was given when it was added."""


class VoiceManner(BaseModel):
    """How a voice is to be heard on trial: the query of `GET /v1/voices/{name}/sample`."""

    language: Language | None = None
    """Of the sentence, ISO 639-1; null: as the voice speaks. There are two, and any but `zh` gets
    the English one."""
    rate: float = Field(default=1.0, ge=0.5, le=2)
    pitch: float = Field(default=1.0, ge=0.5, le=2)


class AvatarPublic(BaseModel):
    """A face. Its name is its id."""

    name: str
    kind: Literal["drawn", "photo", "clip"] | None
    """What it was made of; null while it is not known yet."""
    state: Literal["waiting", "preparing", "ready", "failed"]
    progress: float = Field(ge=0, le=1)
    reason: str = ""
    """Of `failed`: why, and what to do."""
    notes: list[str] = []
    """Of `ready`: what its maker should know, such as frames in which no face was found."""
    frames: int = 0
    """Of `ready`: at 25 a second; 0 for a drawn one, which never repeats itself."""


def _name_in_a_path(name: str) -> str:
    """Nor what clients and proxies take out of a path, however it is encoded."""
    if name in (".", ".."):
        raise ValueError("must be more than dots")
    return normalize("NFC", name)


KnowledgeId = Annotated[
    str,
    Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f]*$"),
    AfterValidator(_name_in_a_path),
]
"""What a session's `kb_id` may be, and not empty."""


def _composed(text: str) -> str:
    """As names of voices and faces are stored."""
    return normalize("NFC", text)


MAX_PROMPT_CHARS = 20_000
"""Some 5,000 tokens of English: more leaves a small model no room for the conversation."""


class TutorVoice(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, AfterValidator(_composed)] = Field(default="", max_length=200)
    """Of `GET /v1/voices`; empty: the voice engine's usual one."""
    rate: float = Field(default=1.0, ge=0.5, le=2)
    pitch: float = Field(default=1.0, ge=0.5, le=2)
    language: Language | None = None
    """What it speaks; null: as each sentence is."""


class TutorPut(BaseModel):
    """A tutor as it shall be; what is left out is as usual, and not as it was."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(default="Tutor", min_length=1, max_length=100)
    language: Language | None = None
    """Hint for the recogniser; null: as it hears."""
    prompt: str | None = Field(default=None, min_length=1, max_length=MAX_PROMPT_CHARS)
    """What the language model is told first; `{name}` is replaced; null: the engine's own."""
    model: str | None = Field(
        default=None, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$"
    )
    """Language model; null: DEFAULT_LLM_MODEL."""
    voice: TutorVoice = TutorVoice()
    face: Annotated[str, AfterValidator(_composed)] = Field(min_length=1, max_length=100)
    """A drawn one, or a prepared one that is ready."""
    vocabulary: list[Annotated[str, Field(min_length=1, max_length=60)]] = Field(
        default=[], max_length=100
    )
    """Words of its course that the recogniser should expect."""
    kb: KnowledgeId | None = None
    """Its knowledge base, for sessions that name none of their own."""
    outside: Literal["say_so", "general"] = "say_so"
    """What it does with a question that the course does not answer."""


class TutorPublic(BaseModel):
    id: int
    name: str
    language: str | None
    prompt: str
    model: str | None
    voice: TutorVoice
    face: str
    vocabulary: list[str]
    kb: str | None
    outside: Literal["say_so", "general"]
    source: Literal["file", "rest"]
    """Where it stands: in the tutors' file, or in the database."""
    notes: list[str] = []
    """In the answer of `PUT`: what its owner should know, such as a model that another one stands
    in for, and what to do."""


class EngineHealth(BaseModel):
    engine: str
    state: Literal["ready", "degraded", "starting", "unavailable"]
    reason: str = ""
    remedy: str = ""


class SessionCount(BaseModel):
    active: int
    max: int


class Health(BaseModel):
    status: Literal["healthy"] = "healthy"
    service: Literal["GPU Server"] = "GPU Server"
    version: str
    engines: dict[str, EngineHealth]
    sessions: SessionCount


MAX_DOCUMENT_NAME_CHARS = 255

DocumentName = Annotated[
    str,
    Field(min_length=1, max_length=MAX_DOCUMENT_NAME_CHARS, pattern=r"^[^\x00-\x1f\x7f]*$"),
    AfterValidator(_name_in_a_path),
]
"""Of its file, with folders before it if it has any."""


class KnowledgeCreate(BaseModel):
    model_config = ConfigDict(extra="ignore")
    kb_id: KnowledgeId


class KnowledgePublic(BaseModel):
    """A knowledge base: what a course is made of."""

    kb_id: str
    documents: int
    passages: int
    embedder: str | None
    """The model whose vectors are searched beside the words; null: full text alone."""


class DocumentPublic(BaseModel):
    """A document of a base, or one on its way into it."""

    id: str
    name: str
    state: Literal["waiting", "reading", "indexing", "ready", "failed"]
    progress: float = Field(ge=0, le=1)
    reason: str = ""
    """Of `failed`: why, and what to do; of `waiting`: why it has to be tried again."""
    notes: list[str] = []
    """Of `ready`: what its owner should know, such as hidden text that was left out."""
    pages: int = 0
    """0: it has none, or is not read yet."""
    passages: int = 0
    """Those that are found now: of the version before, while another one is on its way."""
    bytes: int = 0
    sha256: str = ""
    """Of the version that is found; empty: none is yet."""
    added_at: datetime | None = None
    """When that version was added."""


class FoundPublic(BaseModel):
    """A passage that fits a question."""

    document: str
    page: int | None
    """From 1; null where there are no pages."""
    heading: str
    """Under which it stands, outermost first: `Water › Boiling`; empty: none."""
    number: int
    """From 0: its place in the document."""
    text: str
    score: float
    """0 to 1, comparable between the questions of one base."""


class MemoryFact(BaseModel):
    """Something that the student has said of themselves."""

    kind: Literal["name", "goal", "difficulty", "interest", "other"]
    text: str


class MemoryMessage(BaseModel):
    """One of the last messages of the last session."""

    role: Literal["user", "assistant"]
    content: str


class MemoryPublic(BaseModel):
    """All that a tutor remembers of a student."""

    tutor_id: int
    summary: str
    """Of earlier sessions, by a language model; empty while none has written one."""
    facts: list[MemoryFact]
    recent: list[MemoryMessage]
    """How the last session ended, while no language model has summed it up."""
    updated_at: datetime
