"""What the gateway refuses, and why.

GatewayError
├── SessionNotFound      unknown, ended or expired
├── BadToken             the token opens no session
├── TooManySessions      MAX_SESSIONS are live
└── TooManyForStudent    one student has too many
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
