"""The kernel's own numbers, of real connections."""

import socket
import sys

import pytest

from serve_app.backpressure import untaken_bytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows its tables")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_what_the_client_has_not_taken_is_seen(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listening:
        address = listening.getsockname()[:2]
        with socket.create_connection(address) as client:
            server, _ = listening.accept()
            with server:
                ends = (address, client.getsockname()[:2])
                assert untaken_bytes(*ends) == 0
                server.setblocking(False)
                sent = 0
                with pytest.raises(BlockingIOError):
                    while True:
                        sent += server.send(b"x" * 65536)
                waiting = untaken_bytes(*ends)
                assert waiting is not None
                assert 65536 < waiting <= sent
                client.settimeout(5)
                while sent:
                    sent -= len(client.recv(1 << 20))
                assert (untaken_bytes(*ends) or 0) < waiting


def test_an_unknown_connection_is_not_told() -> None:
    assert untaken_bytes(("127.0.0.1", 1), ("127.0.0.1", 2)) is None
    assert untaken_bytes(("testserver", 80), ("testclient", 50000)) is None
