"""The key that everything else is derived from: of the setting, or made once and kept in a file."""

import os
import secrets
from base64 import urlsafe_b64encode
from pathlib import Path

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from foundation.settings import SettingsError
from web_server.settings import LEAST_SECRET_CHARS, WebSettings

FILE = "web_secret_key"
KEY_BYTES = 48
PRIVATE = 0o600


def secret_key(settings: WebSettings) -> str:
    """Raises `SettingsError` when the file cannot be used."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    file = settings.tutor_home / FILE
    try:
        if not file.exists():
            _make(file)
        key = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as failure:
        raise SettingsError(f"The key in {file} cannot be read or made: {failure}") from failure
    if len(key) < LEAST_SECRET_CHARS:
        raise SettingsError(f"The key in {file} is too short. Delete the file: one is made anew.")
    return key


def _make(file: Path) -> None:
    """The file appears with its content, and that of another process that was faster stays."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = file.with_name(f".{FILE}.{secrets.token_hex(8)}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    try:
        with os.fdopen(handle, "w") as out:
            out.write(secrets.token_urlsafe(KEY_BYTES))
        os.link(fresh, file)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()


def token_cipher(key: str) -> Fernet:
    """For the engine's tokens in the database. Its key is derived, so that what is encrypted says
    nothing about what signs the logins."""
    derived = HKDF(SHA256(), length=32, salt=None, info=b"engine tokens").derive(key.encode())
    return Fernet(urlsafe_b64encode(derived))
