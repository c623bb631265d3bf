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
├── StorageFailed     503  the database does not answer, or refuses
└── StorageNewer      503  the database is of a newer version than this program
"""

from collections.abc import Mapping

from web_server.sentences import Sentence

NOT_SIGNED_IN = Sentence("You are not signed in, or no longer. Log in again.")
ADMINISTRATORS_ONLY = Sentence("Only an administrator may do this. Log in with such an account.")
WRONG_LOGIN = Sentence("This email address and password do not belong together. Try again.")
WAIT = Sentence("Too many tries to log in. Wait {seconds} seconds and try again.")
STORAGE_NEWER = Sentence(
    "The database has been used with a newer version of Virtual Tutor. Run that one, or restore the"
    " backup from before the upgrade."
)
STORAGE_FAILED = Sentence("The database does not answer just now. Try again in a while.")


class WebError(Exception):
    """A refusal."""

    status = 400

    def __init__(self, reason: Sentence, headers: Mapping[str, str] | None = None) -> None:
        self.reason = reason
        self.headers = dict(headers or {})
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        """In English, as logs have it."""
        return self.reason.said()


class Unreadable(WebError):
    """What was sent broke off, or cannot be used."""


class NotSignedIn(WebError):
    """No token, a wrong one, or one that has ended."""

    status = 401

    def __init__(self, reason: Sentence = NOT_SIGNED_IN) -> None:
        super().__init__(reason, {"WWW-Authenticate": "Bearer"})


class WrongLogin(WebError):
    """No such account and password; which of the two is not told."""

    status = 401

    def __init__(self) -> None:
        super().__init__(WRONG_LOGIN)


class NotAllowed(WebError):
    """The account is not an administrator's, or is for this machine alone."""

    status = 403

    def __init__(self, reason: Sentence = ADMINISTRATORS_ONLY) -> None:
        super().__init__(reason)


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
        super().__init__(WAIT.about(seconds=wait_s), {"Retry-After": str(wait_s)})


class EngineRefused(WebError):
    """The engine understood, and said no; its own words, which are English."""

    def __init__(
        self, status: int, sentence: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(Sentence(sentence), headers)
        self.status = status


RETRY_AFTER_S = 10
"""The engine starts, or is restarted, in less than half a minute."""


class _Later(WebError):
    status = 503

    def __init__(self, reason: Sentence) -> None:
        super().__init__(reason, {"Retry-After": str(RETRY_AFTER_S)})


class EngineAway(_Later):
    """The engine does not answer, or is switched off."""


class Crowded(_Later):
    """Too much of this at once."""


class StorageFailed(_Later):
    """The database does not answer, or refuses; its own words are in the log."""

    def __init__(self) -> None:
        super().__init__(STORAGE_FAILED)


class StorageNewer(WebError):
    """The database is of a newer version than this program; nothing has been changed."""

    status = 503

    def __init__(self) -> None:
        super().__init__(STORAGE_NEWER)
