from datetime import UTC, datetime, timedelta

import pytest

from web_server.errors import NotSignedIn
from web_server.tokens import DAY, Tokens

KEY = "k" * 32


def test_what_is_issued_is_read() -> None:
    tokens = Tokens(KEY, "HS256", 30)
    token, lifetime_s = tokens.issue(7, 3)
    login = tokens.read(token)
    assert (login.user_id, login.version, lifetime_s) == (7, 3, 1800)
    assert login.ends_at - login.began_at == timedelta(minutes=30)


def test_each_is_another_one() -> None:
    tokens = Tokens(KEY, "HS256", 30)
    assert tokens.read(tokens.issue(7, 3)[0]).id != tokens.read(tokens.issue(7, 3)[0]).id


def test_a_login_is_prolonged_until_its_day_has_ended() -> None:
    tokens = Tokens(KEY, "HS256", 30)
    now = datetime.now(UTC)
    late = now - DAY + timedelta(minutes=10)
    token, lifetime_s = tokens.issue(7, 3, late)
    assert 0 < lifetime_s <= 601
    assert tokens.read(token).began_at == late.replace(microsecond=0)
    with pytest.raises(NotSignedIn):
        tokens.issue(7, 3, now - DAY - timedelta(seconds=1))


@pytest.mark.parametrize("other", [Tokens(KEY, "HS512", 30), Tokens("q" * 32, "HS256", 30)])
def test_another_algorithm_or_key_is_refused(other: Tokens) -> None:
    with pytest.raises(NotSignedIn):
        other.read(Tokens(KEY, "HS256", 30).issue(7, 3)[0])
