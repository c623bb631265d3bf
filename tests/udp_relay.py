"""A bad network between a learner and the engine: a relay of UDP in this process that loses, delays
and, when told so, swallows everything.

Neither side may know another way. `hidden` takes the learner's addresses out of its offer, so that
the engine learns only the relay's, from the checks that come through it; `rewrite` puts the relay's
address in the place of all of the engine's.
"""

import asyncio
import random
import re
import socket
import time
from dataclasses import dataclass
from typing import Self

Address = tuple[str, int]

DATAGRAM = 65_536
"""Bytes; more than any datagram has."""

BUFFER = 1 << 20
"""Bytes that may wait; what the system's own limit does not allow is not given."""

_CANDIDATE = re.compile(
    r"^a=candidate:\S+ 1 udp \d+ (?P<host>\d+\.\d+\.\d+\.\d+) (?P<port>\d+) typ host",
    re.MULTILINE | re.IGNORECASE,
)


@dataclass(slots=True)
class Count:
    """What became of the datagrams of one direction."""

    forwarded: int = 0
    lost: int = 0
    """By chance."""
    cut: int = 0
    """While the network was cut."""

    @property
    def loss(self) -> float:
        """Share that chance took of what it could take."""
        return self.lost / max(1, self.lost + self.forwarded)


def hidden(offer_sdp: str) -> str:
    """The offer without the learner's addresses; nor does it say that there are no more, because an
    engine that believes this gives up."""
    kept = [
        line
        for line in offer_sdp.splitlines()
        if not line.startswith(("a=candidate:", "a=end-of-candidates"))
    ]
    return "\r\n".join(kept) + "\r\n"


class UdpRelay:
    """One relay for one connection. `loss` and `jitter_s` may be changed while it runs."""

    def __init__(self, loss: float = 0.0, jitter_s: float = 0.0, seed: int = 1) -> None:
        self.loss = loss
        self.jitter_s = jitter_s
        """Each datagram waits for a random time of up to this, so that they overtake each other."""
        self.up = Count()
        """From the learner to the engine."""
        self.down = Count()
        self._chance = random.Random(seed)
        self._cut_until_s = 0.0
        self._engine: Address | None = None
        self._front = _bound("127.0.0.1")
        self._backs: dict[Address, socket.socket] = {}
        """A socket towards the engine for each address of the learner, as a router has it."""

    @property
    def port(self) -> int:
        port: int = self._front.getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._front, self._from_learner)
        return self

    async def __aexit__(self, *failure: object) -> None:
        for end in (self._front, *self._backs.values()):
            asyncio.get_running_loop().remove_reader(end)
            end.close()

    def rewrite(self, answer_sdp: str) -> str:
        """The answer with the relay as its only candidate; it forwards to the first of the engine's
        own IPv4 addresses. Raises `ValueError` when there is none."""
        found = _CANDIDATE.search(answer_sdp)
        if found is None:
            raise ValueError("The answer has no IPv4 host candidate to forward to.")
        self._engine = (found["host"], int(found["port"]))
        own = f"a=candidate:relay 1 udp 2130706431 127.0.0.1 {self.port} typ host"
        lines: list[str] = []
        for line in answer_sdp.splitlines():
            if not line.startswith("a=candidate:"):
                lines.append(line)
            elif lines[-1] != own:
                lines.append(own)
        return "\r\n".join(lines) + "\r\n"

    def cut(self, seconds: float) -> None:
        """Let nothing through, either way, from now on for so long."""
        self._cut_until_s = time.monotonic() + seconds

    def _from_learner(self) -> None:
        while received := _received(self._front):
            data, learner = received
            if self._engine is not None:
                self._pass(data, self._back(learner, self._engine), self._engine, self.up)

    def _from_engine(self, learner: Address) -> None:
        while received := _received(self._backs[learner]):
            self._pass(received[0], self._front, learner, self.down)

    def _back(self, learner: Address, engine: Address) -> socket.socket:
        if learner not in self._backs:
            back = _bound("0.0.0.0")
            back.connect(engine)
            self._backs[learner] = back
            asyncio.get_running_loop().add_reader(back, self._from_engine, learner)
        return self._backs[learner]

    def _pass(self, data: bytes, way: socket.socket, to: Address, count: Count) -> None:
        if time.monotonic() < self._cut_until_s:
            count.cut += 1
        elif self._chance.random() < self.loss:
            count.lost += 1
        else:
            count.forwarded += 1
            delay_s = self._chance.uniform(0, self.jitter_s)
            if delay_s:
                asyncio.get_running_loop().call_later(delay_s, _send, way, data, to)
            else:
                _send(way, data, to)


def _bound(host: str) -> socket.socket:
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.setblocking(False)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    end.bind((host, 0))
    return end


def _received(end: socket.socket) -> tuple[bytes, Address] | None:
    """The next datagram, if one waits; an earlier one that nobody took is reported here too."""
    while True:
        try:
            return end.recvfrom(DATAGRAM)
        except BlockingIOError:
            return None
        except ConnectionRefusedError:
            continue


def _send(way: socket.socket, data: bytes, to: Address) -> None:
    """A full buffer, a closed end and an absent receiver lose a datagram, as a network does."""
    try:
        way.sendto(data, to)
    except OSError:
        return
