import pytest

from web_server import login_limit
from web_server.errors import TooManyTries
from web_server.login_limit import (
    OF_ACCOUNT,
    OF_ACCOUNT_AND_ADDRESS,
    OF_ADDRESS,
    WINDOW_S,
    LoginLimit,
    network_of,
)


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_somebody_who_guesses_waits_and_others_do_not() -> None:
    clock = Clock()
    limit = LoginLimit(clock)
    for _ in range(OF_ACCOUNT_AND_ADDRESS):
        limit.begin("a@x", "10.0.0.1")
    with pytest.raises(TooManyTries) as refused:
        limit.begin("a@x", "10.0.0.1")
    assert refused.value.headers["Retry-After"] == str(int(WINDOW_S))
    limit.begin("a@x", "10.0.0.2")
    limit.begin("b@x", "10.0.0.1")
    clock.now_s += WINDOW_S
    limit.begin("a@x", "10.0.0.1")


def test_an_account_is_not_guessed_from_many_addresses() -> None:
    limit = LoginLimit(Clock())
    for number in range(OF_ACCOUNT):
        limit.begin("a@x", f"10.0.1.{number}")
    with pytest.raises(TooManyTries):
        limit.begin("a@x", "10.0.2.1")


def test_nor_many_accounts_from_one_address() -> None:
    limit = LoginLimit(Clock())
    for number in range(OF_ADDRESS):
        limit.begin(f"{number}@x", f"2001:db8::{number:x}")
    with pytest.raises(TooManyTries):
        limit.begin("new@x", "2001:db8::ffff:1")


def test_who_succeeds_has_not_tried() -> None:
    limit = LoginLimit(Clock())
    for _ in range(10 * OF_ADDRESS):
        limit.begin("a@x", "10.0.0.1")
        limit.succeeded("a@x", "10.0.0.1")
    limit.begin("a@x", "10.0.0.1")


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_limit, "MAX_KEPT", 3)
    limit = LoginLimit(Clock())
    for number in range(9):
        limit.begin(f"{number}@x", f"10.0.0.{number}")
    kept = [counter._tries for counter, _ in limit._counted("", "")]
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
