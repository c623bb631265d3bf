import os
import socket
from collections.abc import Iterator

import pytest

from cli.environment import HAPROXY_PORTS, STATS_PORT, THROUGHPUT, engine_environment
from cli.ports import free_port, holder, is_free, usable_port
from foundation.settings import SettingsError


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_port_is_free_until_somebody_listens(taken: int) -> None:
    assert not is_free("127.0.0.1", taken)
    assert not is_free("0.0.0.0", taken)
    assert is_free("127.0.0.1", free_port())
    assert is_free("localhost", free_port())


def test_connections_of_a_former_server_do_not_count() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        connection, _ = server.accept()
        connection.close()  # the server's side closes first, and goes into TIME_WAIT
        client.close()
    assert is_free("127.0.0.1", port)


def test_who_holds_a_port_is_named(taken: int) -> None:
    assert f"(pid {os.getpid()})" in holder(taken)
    assert holder(free_port()) == ""


def test_an_address_of_another_machine_is_a_wrong_setting() -> None:
    with pytest.raises(SettingsError, match="MANAGEMENT_API_HOST"):
        is_free("192.0.2.77", 9000)
    with pytest.raises(SettingsError, match="MANAGEMENT_API_HOST"):
        is_free("no.such.host.invalid", 9000)


def test_a_taken_side_port_is_replaced(taken: int) -> None:
    other = usable_port(taken)
    assert other != taken
    assert is_free("0.0.0.0", other)
    assert usable_port(other) == other


def test_the_throughput_mode_is_on_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*THROUGHPUT, *HAPROXY_PORTS):
        monkeypatch.delenv(name, raising=False)
    environment = engine_environment(plain_serve=False)
    assert environment["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == "1"
    assert environment["RAY_ADDRESS"] == "local"
    assert set(HAPROXY_PORTS) <= set(environment)
    plain = engine_environment(plain_serve=True)
    assert not {*THROUGHPUT, *HAPROXY_PORTS} & set(plain)


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "0")
    monkeypatch.setenv("RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S", "60")
    monkeypatch.setenv("RAY_SERVE_THROUGHPUT_OPTIMIZED", "")
    monkeypatch.setenv("OF_MINE", "")
    monkeypatch.delenv(STATS_PORT, raising=False)
    environment = engine_environment(plain_serve=False)
    assert environment["RAY_SERVE_ENABLE_HA_PROXY"] == "0"
    assert environment["RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S"] == "60"
    assert environment["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == "1", "an empty one is not set"
    assert environment["OF_MINE"] == ""
    assert STATS_PORT not in environment, "without HAProxy there are no ports to choose"
