from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import InvalidToken

from foundation.settings import SettingsError
from tests.web_server.schools import SECRET, settings_for
from web_server.secret import FILE, secret_key, token_cipher


def test_the_setting_goes_first(tmp_path: Path) -> None:
    assert secret_key(settings_for(tmp_path, "http://engine")) == SECRET
    assert list(tmp_path.iterdir()) == []


def test_one_is_made_once_and_is_private(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "home", "http://engine", secret_key=None)
    with ThreadPoolExecutor(8) as together:
        keys = set(together.map(lambda _: secret_key(settings), range(32)))
    assert len(keys) == 1
    (file,) = (tmp_path / "home").iterdir()
    assert (file.name, file.stat().st_mode & 0o777) == (FILE, 0o600)
    assert secret_key(settings) in keys


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, "http://engine", secret_key=None)
    (tmp_path / FILE).write_text("short")
    with pytest.raises(SettingsError, match=FILE):
        secret_key(settings)
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    with pytest.raises(SettingsError, match=FILE):
        secret_key(settings)


def test_what_is_encrypted_opens_with_the_same_key_only() -> None:
    hidden = token_cipher(SECRET).encrypt(b"token")
    assert token_cipher(SECRET).decrypt(hidden) == b"token"
    with pytest.raises(InvalidToken):
        token_cipher(f"{SECRET}!").decrypt(hidden)
