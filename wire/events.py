"""The messages of the socket, in both directions.

A client that never says `hello` sees only the documented events (`text`, `audio`, `transcription`,
`video`, `webrtc_answer`, `error`) and what answers its own `interrupt` and `ping`; everything else
needs a granted feature.
"""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from wire.names import is_given_name

MAX_TEXT_CHARS = 8_000
"""Longest message a learner may type; about three minutes of speech."""

MAX_MESSAGE_BYTES = 12 * 1024 * 1024
"""Largest frame the engine reads: 60 s of uncompressed 48 kHz stereo WAV in base64 is 15 MB, as
mono 7.7 MB. uvicorn itself closes the socket (1009) above 16 MiB, so ours must be smaller."""

GRANTED_FEATURES: frozenset[str] = frozenset(
    {"captions", "deltas", "ice_servers", "metrics", "sources", "state", "stream_in"}
)
"""What this engine can deliver."""

MAX_SDP_CHARS = 64 * 1024
"""A browser's offer has some 6,000."""

MAX_SOUND_BYTES = 64_000
"""Live sound comes in frames of at most two seconds (PCM s16, 16 kHz, mono)."""

AudioFormat = Literal["wav", "mp3", "ogg"]


class BadMessage(Exception):
    """A frame that is not a message; `code` and `sentence` go into the `error` event."""

    def __init__(self, code: str, sentence: str, engine_session_id: str | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.engine_session_id = engine_session_id


# ── client → engine ──────────────────────────────────────────────────────────────────────────────


class ClientMessage(BaseModel):
    """Fields a client adds beyond the documented ones are ignored, as older engines did."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)
    engine_session_id: str | None = Field(default=None, max_length=64)


Content = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT_CHARS)
]
UserId = Annotated[int, Field(strict=False)]
"""Some clients send it as a string of digits."""


def _avatar_id(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    if not (re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", text) or is_given_name(text)):
        raise ValueError("must be avatar_tutor_{id} or the name of a face")
    return text


AvatarId = Annotated[str, AfterValidator(_avatar_id)]


class TextMessage(ClientMessage):
    type: Literal["text"]
    content: Content
    avatar_id: AvatarId | None = None


class AudioMessage(ClientMessage):
    type: Literal["audio"]
    data: str = Field(min_length=1)
    """Base64 of a whole recording."""
    avatar_id: AvatarId | None = None


class WebRtcOffer(ClientMessage):
    type: Literal["webrtc_offer"]
    sdp: str = Field(min_length=1, max_length=MAX_SDP_CHARS)
    user_id: UserId
    avatar_id: AvatarId | None = None


class WebRtcIceCandidate(ClientMessage):
    type: Literal["webrtc_ice_candidate"]
    candidate: dict[str, Any] | None = None
    user_id: UserId


class TextWebRtcMessage(ClientMessage):
    type: Literal["text_webrtc"]
    content: Content
    user_id: UserId
    avatar_id: AvatarId | None = None


class HelloMessage(ClientMessage):
    type: Literal["hello"]
    features: list[Annotated[str, Field(max_length=32)]] = Field(default=[], max_length=32)
    audio_format: AudioFormat = "wav"
    """How the closing `audio` of a reply is packed."""


class MicrophoneMessage(ClientMessage):
    """How the learner's live sound is to be taken, and for which session."""

    type: Literal["microphone"]
    state: Literal["open", "held", "closed"]
    """`open`: the engine hears when somebody speaks; `held`: a key is held down while speaking, and
    `closed` after it ends what was said; `closed`: nobody listens."""


class InterruptMessage(ClientMessage):
    type: Literal["interrupt"]


class PingMessage(ClientMessage):
    type: Literal["ping"]


ClientEvent = Annotated[
    TextMessage
    | AudioMessage
    | WebRtcOffer
    | WebRtcIceCandidate
    | TextWebRtcMessage
    | HelloMessage
    | InterruptMessage
    | MicrophoneMessage
    | PingMessage,
    Field(discriminator="type"),
]
_client_event: TypeAdapter[ClientEvent] = TypeAdapter(ClientEvent)

CLIENT_TYPES = tuple(
    get_args(member.model_fields["type"].annotation)[0]
    for member in get_args(get_args(ClientEvent)[0])
)


def parse_client_event(frame: str | bytes) -> ClientEvent:
    """Read one frame. Raises `BadMessage` with a sentence that names what is wrong."""
    size = len(frame) if isinstance(frame, bytes) else _utf8_size(frame)
    if size > MAX_MESSAGE_BYTES:
        raise BadMessage(
            "message_too_large",
            f"This message has {size / 2**20:.1f} MiB; the most is {MAX_MESSAGE_BYTES // 2**20} "
            "MiB. Send a shorter or a compressed recording.",
        )
    try:
        return _client_event.validate_json(frame)
    except ValidationError as invalid:
        raise _bad_message(invalid) from invalid


def _utf8_size(text: str) -> int:
    # Encoding a large frame only to measure it would double its memory; ASCII (base64) needs no
    # encoding, and a short text costs nothing.
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _bad_message(invalid: ValidationError) -> BadMessage:
    """Translate pydantic's first finding into a code and a sentence."""
    finding = invalid.errors(include_url=False)[0]
    kind = finding["type"]
    where = [str(part) for part in finding["loc"] if part not in CLIENT_TYPES]
    if kind in ("json_invalid", "json_type"):
        return BadMessage("invalid_json", "This frame is not valid JSON.")
    if kind in ("model_attributes_type", "model_type", "dict_type"):
        return BadMessage("invalid_json", "A message is a JSON object with a field `type`.")
    if kind == "union_tag_not_found":
        return BadMessage("missing_type", f"The field `type` is missing; known: {_known_types()}.")
    if kind == "union_tag_invalid":
        return BadMessage("unknown_type", f"This `type` is not known; known: {_known_types()}.")
    session_id = _session_id_of(invalid)
    field = where[0] if where else "message"
    if kind in ("missing", "string_too_short"):
        return BadMessage(
            f"missing_{field}",
            f"The field `{field}` is missing or empty.",
            engine_session_id=session_id,
        )
    if kind == "string_too_long" and field == "content":
        return BadMessage(
            "text_too_long",
            f"The text is too long; the most is {MAX_TEXT_CHARS} characters.",
            engine_session_id=session_id,
        )
    return BadMessage(
        "invalid_field", f"The field `{field}` is not right: {finding['msg']}.", session_id
    )


def _session_id_of(invalid: ValidationError) -> str | None:
    """The session that a broken message named, so that its error can be told apart."""
    for finding in invalid.errors(include_url=False):
        given = finding["input"]
        if isinstance(given, dict):
            named = given.get("engine_session_id")
            if isinstance(named, str) and len(named) <= 64:
                return named
    return None


def _known_types() -> str:
    return ", ".join(CLIENT_TYPES)


# ── engine → client ──────────────────────────────────────────────────────────────────────────────


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class ServerEvent(BaseModel):
    model_config = ConfigDict(frozen=True)
    engine_session_id: str | None = None
    """Set on every event of a session in user-based mode."""

    def to_json(self) -> str:
        return self.model_dump_json(exclude_none=True)


class Timed(ServerEvent):
    timestamp: str = Field(default_factory=utc_now)


class TextEvent(Timed):
    type: Literal["text"] = "text"
    content: str
    role: Literal["assistant"] = "assistant"
    audio: str | None = None
    """Base64 of the whole voice."""


class AudioEvent(Timed):
    type: Literal["audio"] = "audio"
    data: str
    role: Literal["assistant"] = "assistant"


class TranscriptionEvent(Timed):
    type: Literal["transcription"] = "transcription"
    content: str
    role: Literal["user"] = "user"


class VideoEvent(Timed):
    type: Literal["video"] = "video"
    video: str
    """Base64 of an MP4 (H.264, AAC)."""
    audio: str
    content: str
    role: Literal["assistant"] = "assistant"


class ErrorEvent(Timed):
    type: Literal["error"] = "error"
    content: str
    code: str


class WebRtcAnswerEvent(Timed):
    type: Literal["webrtc_answer"] = "webrtc_answer"
    sdp: str
    """With all candidates in it."""


# ── only after `hello` ───────────────────────────────────────────────────────────────────────────


class HelloEvent(ServerEvent):
    type: Literal["hello"] = "hello"
    session_id: str | None = None
    """None in user-based mode, where a socket has many."""
    features: list[str]
    engines: dict[str, str]


class IceServer(BaseModel):
    """As `RTCIceServer` of a browser."""

    urls: list[str]
    username: str | None = None
    credential: str | None = None


class IceServersEvent(ServerEvent):
    """The STUN and TURN servers that a browser needs for its own side."""

    type: Literal["ice_servers"] = "ice_servers"
    items: list[IceServer]
    ttl_s: int
    """How long the credentials are good for."""


class TranscriptionDeltaEvent(ServerEvent):
    """What has been understood so far of what the learner is saying; replaces the one before."""

    type: Literal["transcription_delta"] = "transcription_delta"
    content: str


class CaptionEvent(ServerEvent):
    """A sentence that is being played from now on."""

    type: Literal["caption"] = "caption"
    turn_id: str
    content: str
    at_ms: int
    """On the voice's own time."""


class TextDeltaEvent(ServerEvent):
    type: Literal["text_delta"] = "text_delta"
    turn_id: str
    content: str


class AudioDeltaEvent(ServerEvent):
    """A piece of the voice: `data` is base64 of PCM s16 mono at `sample_rate` Hz."""

    type: Literal["audio_delta"] = "audio_delta"
    turn_id: str
    seq: int
    data: str
    sample_rate: int


class SourceItem(BaseModel):
    """A passage of a document."""

    kb_id: str
    document: str
    page: int | None = None
    """None, and then left out: it has none."""
    quote: str
    """What of the passage answers, word for word."""
    score: float
    """How well it fits the question, from 0 to 1."""


class SourcesEvent(ServerEvent):
    """What of the course an answer stands on; comes before its closing text."""

    type: Literal["sources"] = "sources"
    turn_id: str
    items: list[SourceItem]


class StateEvent(ServerEvent):
    type: Literal["state"] = "state"
    state: Literal["listening", "thinking", "speaking", "idle"]


class TurnMetricsEvent(ServerEvent):
    """Milliseconds from the arrival of the learner's message; None where a stage had no part."""

    type: Literal["turn_metrics"] = "turn_metrics"
    turn_id: str
    asr_ms: float | None = None
    llm_first_token_ms: float | None = None
    first_sentence_ms: float | None = None
    tts_first_audio_ms: float | None = None
    first_frame_ms: float | None = None
    total_ms: float
    engines: dict[str, str]


class InterruptedEvent(ServerEvent):
    type: Literal["interrupted"] = "interrupted"
    turn_id: str | None = None
    """None when nothing was being said."""
    heard: str
    """The part of the answer that had been played."""
    stop_ms: float


class PongEvent(ServerEvent):
    type: Literal["pong"] = "pong"
