"""What the web server refuses, and why. Each has a status of HTTP and a sentence that says what to
do.

WebError
├── Unreadable        400  what was sent broke off, or cannot be used
├── NotSignedIn       401  no token, a wrong one, or one that has ended
├── WrongLogin        401  no such account and password
├── NotAllowed        403  the account is not an administrator's, or is for this machine alone
├── NotFound          404  unknown, or somebody else's
├── Taken             409  the name is in use
├── TooLarge          413
├── TooManyTries      429
├── EngineRefused     the status that the engine gave
├── EngineAway        503  the engine does not answer, or is switched off
├── Crowded           503  too much of this at once
└── StorageFailed     503  the database does not answer, or refuses
"""

from collections.abc import Mapping


class WebError(Exception):
    """A refusal."""

    status = 400

    def __init__(self, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.headers = dict(headers or {})


class Unreadable(WebError):
    """What was sent broke off, or cannot be used."""


class NotSignedIn(WebError):
    """No token, a wrong one, or one that has ended."""

    status = 401

    def __init__(
        self, sentence: str = "You are not signed in, or no longer. Log in again."
    ) -> None:
        super().__init__(sentence, {"WWW-Authenticate": "Bearer"})


class WrongLogin(WebError):
    """No such account and password; which of the two is not told."""

    status = 401

    def __init__(self) -> None:
        super().__init__("This email address and password do not belong together. Try again.")


class NotAllowed(WebError):
    """The account is not an administrator's, or is for this machine alone."""

    status = 403

    def __init__(
        self, sentence: str = "Only an administrator may do this. Log in with such an account."
    ) -> None:
        super().__init__(sentence)


class NotFound(WebError):
    """Unknown, or somebody else's: nobody can tell which."""

    status = 404


class Taken(WebError):
    """The name is in use."""

    status = 409


class TooLarge(WebError):
    """Larger than is taken."""

    status = 413


class TooManyTries(WebError):
    """Of logging in."""

    status = 429

    def __init__(self, wait_s: int) -> None:
        super().__init__(
            f"Too many tries to log in. Wait {wait_s} seconds and try again.",
            {"Retry-After": str(wait_s)},
        )


class EngineRefused(WebError):
    """The engine understood, and said no; its own words."""

    def __init__(
        self, status: int, sentence: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(sentence, headers)
        self.status = status


RETRY_AFTER_S = 10
"""The engine starts, or is restarted, in less than half a minute."""


class _Later(WebError):
    status = 503

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, {"Retry-After": str(RETRY_AFTER_S)})


class EngineAway(_Later):
    """The engine does not answer, or is switched off."""


class Crowded(_Later):
    """Too much of this at once."""


class StorageFailed(_Later):
    """The database does not answer, or refuses; its own words are in the log."""

    def __init__(self) -> None:
        super().__init__("The database does not answer just now. Try again in a while.")
