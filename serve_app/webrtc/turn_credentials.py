"""Short-lived credentials of a TURN server: what it can check by itself, knowing only the secret.

coturn's `use-auth-secret`, also known as the REST API for TURN services: the name says when it
ends, the password proves that somebody with the secret wrote the name.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass


@dataclass(frozen=True)
class TurnCredentials:
    """What a client tells the server."""

    username: str
    password: str
    ttl_s: int
    """How long they are accepted, from when they were made."""


def credentials(secret: str, user: str, ttl_s: int, now_s: float) -> TurnCredentials:
    """Credentials for `user`, a name for the server's log and quota; `now_s` is a Unix time."""
    username = f"{int(now_s) + ttl_s}:{user}"
    # SHA-1 is the scheme's choice; as an HMAC it is not broken.
    proof = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return TurnCredentials(username, base64.b64encode(proof).decode(), ttl_s)
