"""A real relay for tests: Debian's coturn on loopback, with short-lived credentials."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aioice import stun

HOST = "127.0.0.1"
SECRET = "only-for-tests"
START_LIMIT_S = 20.0
RELAY_PORTS = 100

FLAGS = (
    "-n",  # no configuration file
    "--no-cli",
    "--no-tls",
    "--no-dtls",
    "--use-auth-secret",
    f"--static-auth-secret={SECRET}",
    "--realm=tests",
    "--allow-loopback-peers",  # both ends of a test are on loopback
    "--relay-threads=1",
    "--log-file=stdout",
    "--simple-log",
    "--verbose",
)


@dataclass(frozen=True)
class TurnServer:
    """A relay that runs."""

    url: str
    secret: str
    log: Path


@contextmanager
def running_turn(*flags: str, host: str = HOST) -> Iterator[TurnServer]:
    """Starts a relay, with further flags of coturn's, and ends it."""
    binary = shutil.which("turnserver")
    if binary is None:
        message = "coturn is not installed: sudo apt-get install coturn"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with tempfile.TemporaryDirectory(prefix="coturn") as folder:
        home, port = Path(folder), _free_port(host)
        log = home / "log"
        command = [binary, *FLAGS, *_places(home, host, port), *flags]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait(process, (host, port), log)
            yield TurnServer(f"turn:{host}:{port}?transport=udp", SECRET, log)
        finally:
            process.kill()
            process.wait()


def outward_address() -> str:
    """An address of this machine that is not loopback, which browsers offer nobody."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent: only the way is looked up
        address: str = probe.getsockname()[0]
        return address


def _places(home: Path, host: str, port: int) -> list[str]:
    """Addresses, ports and files that no other relay uses."""
    first = 20_000 + port % 100 * RELAY_PORTS
    return [
        f"--listening-ip={host}",
        f"--relay-ip={host}",
        f"--listening-port={port}",
        f"--min-port={first}",
        f"--max-port={first + RELAY_PORTS - 1}",
        f"--pidfile={home / 'pid'}",
        f"--userdb={home / 'db'}",
    ]


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], place: tuple[str, int], log: Path) -> None:
    """Until it answers a STUN request."""
    deadline = time.monotonic() + START_LIMIT_S
    while process.poll() is None and time.monotonic() < deadline:
        if _answers(place):
            return
        time.sleep(0.05)
    raise RuntimeError(f"coturn does not answer:\n{log.read_text(errors='replace')}")


def _answers(place: tuple[str, int]) -> bool:
    question = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        try:
            client.connect(place)
            client.send(bytes(question))
            return stun.parse_message(client.recv(2048)).transaction_id == question.transaction_id
        except OSError:
            return False
