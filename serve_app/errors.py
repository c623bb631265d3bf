"""What the gateway refuses, and why.

GatewayError
├── SessionNotFound      unknown, ended or expired
├── BadToken             the token opens no session
├── TooManySessions      MAX_SESSIONS are live
├── TooManyForStudent    one student has too many
├── TooManySockets       one student has too many on this replica
├── ForeignOrigin        a page of another origin
├── BadDescription       an offer or a candidate that cannot be used
├── PeerGone             the WebRTC connection ended in mid-answer
└── StorageFailed        the database does not answer, or refuses
"""


class GatewayError(Exception):
    """A refusal with a stable `code` and a sentence a person can act on."""

    code = "refused"

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class SessionNotFound(GatewayError):
    """No live session of that id."""

    code = "session_not_found"

    def __init__(self) -> None:
        super().__init__("This session is unknown, ended or expired. Create a new one.")


class BadToken(GatewayError):
    """The token is missing or does not belong to a live session."""

    code = "bad_token"

    def __init__(self) -> None:
        super().__init__(
            "The token is missing or wrong. Use the `engine_token` that came with the session."
        )


class TooManySessions(GatewayError):
    """MAX_SESSIONS are live."""

    code = "too_many_sessions"


class TooManyForStudent(GatewayError):
    """The student has MAX_SESSIONS_PER_STUDENT live sessions."""

    code = "too_many_sessions_for_student"


class TooManySockets(GatewayError):
    """The student has very many sockets open already."""

    code = "too_many_sockets"

    def __init__(self) -> None:
        super().__init__("Too many connections of this student are open. Close some of them.")


class ForeignOrigin(GatewayError):
    """A page of another origin tries to connect."""

    code = "origin_refused"

    def __init__(self) -> None:
        super().__init__("Pages of this origin may not connect. Add it to ALLOWED_ORIGINS.")


class StorageFailed(GatewayError):
    """The database does not answer, or refuses; its own words are in the log."""

    code = "storage_failed"

    def __init__(self) -> None:
        super().__init__(
            "The conversation could not be stored or read just now. Send the message again."
        )


class PeerGone(GatewayError):
    """The WebRTC connection that an answer was shown on has ended."""

    code = "peer_gone"

    def __init__(self) -> None:
        super().__init__(
            "The WebRTC connection ended before the answer did. Its text is complete; connect "
            "again to hear and see the next one."
        )


class BadDescription(GatewayError):
    """A WebRTC offer or candidate is malformed, or offers nothing that the engine can send."""

    code = "invalid_sdp"

    def __init__(self) -> None:
        super().__init__(
            "This WebRTC description cannot be used. Send the browser's own offer, with audio "
            "(Opus) and video (VP8 or H.264), and its candidates after it."
        )
