from contextlib import ExitStack, suppress

import pytest

from web_server import login_limit
from web_server.errors import Crowded, TooManyTries, WrongLogin
from web_server.login_limit import (
    OF_ACCOUNT,
    OF_ACCOUNT_AND_ADDRESS,
    OF_ADDRESS,
    WINDOW_S,
    LoginLimit,
    network_of,
)
from web_server.passwords import MANY_LOGINS


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def guess(limit: LoginLimit, email: str, address: str) -> None:
    """Raises `TooManyTries` where it is not looked at any more."""
    with suppress(WrongLogin), limit.trying(email, address, wrong=WrongLogin):
        raise WrongLogin


def test_somebody_who_guesses_waits_and_others_do_not() -> None:
    clock = Clock()
    limit = LoginLimit(clock)
    for _ in range(OF_ACCOUNT_AND_ADDRESS):
        guess(limit, "a@x", "10.0.0.1")
    with pytest.raises(TooManyTries) as refused:
        guess(limit, "a@x", "10.0.0.1")
    assert refused.value.headers["Retry-After"] == str(int(WINDOW_S))
    guess(limit, "a@x", "10.0.0.2")
    guess(limit, "b@x", "10.0.0.1")
    clock.now_s += WINDOW_S
    guess(limit, "a@x", "10.0.0.1")


def test_an_account_is_not_guessed_from_many_addresses() -> None:
    limit = LoginLimit(Clock())
    for number in range(OF_ACCOUNT):
        guess(limit, "a@x", f"10.0.1.{number}")
    with pytest.raises(TooManyTries):
        guess(limit, "a@x", "10.0.2.1")


def test_nor_many_accounts_from_one_address() -> None:
    limit = LoginLimit(Clock())
    for number in range(OF_ADDRESS):
        guess(limit, f"{number}@x", f"2001:db8::{number:x}")
    with pytest.raises(TooManyTries):
        guess(limit, "new@x", "2001:db8::ffff:1")


def test_guesses_at_the_same_time_are_no_way_around() -> None:
    limit = LoginLimit(Clock())
    with ExitStack() as looked_at:
        for _ in range(OF_ACCOUNT_AND_ADDRESS):
            looked_at.enter_context(limit.trying("a@x", "10.0.0.1", wrong=WrongLogin))
        with pytest.raises(TooManyTries):
            guess(limit, "a@x", "10.0.0.1")


def test_a_class_that_logs_in_at_once_is_let_in() -> None:
    limit = LoginLimit(Clock())
    with ExitStack() as looked_at:
        for number in range(2 * OF_ADDRESS):
            looked_at.enter_context(limit.trying(f"{number}@x", "10.0.0.1", wrong=WrongLogin))
    guess(limit, "a@x", "10.0.0.1")


def test_what_is_no_guess_does_not_count() -> None:
    limit = LoginLimit(Clock())
    for _ in range(10 * OF_ADDRESS):
        with limit.trying("a@x", "10.0.0.1", wrong=WrongLogin):
            pass
        with suppress(Crowded), limit.trying("a@x", "10.0.0.1", wrong=WrongLogin):
            raise Crowded(MANY_LOGINS)
    guess(limit, "a@x", "10.0.0.1")


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_limit, "MAX_KEPT", 3)
    limit = LoginLimit(Clock())
    for number in range(9):
        guess(limit, f"{number}@x", f"10.0.0.{number}")
    kept = [counter._tries for counter in (limit._both, limit._account, limit._address)]
    assert [len(tries) for tries in kept] == [3, 3, 3]
    assert "8@x" in kept[1]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("testclient", "testclient"),
    ],
)
def test_networks(address: str, network: str) -> None:
    assert network_of(address) == network
