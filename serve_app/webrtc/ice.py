"""How a peer is reached: UDP ports, STUN and TURN servers, and what came of them.

IceError
└── PortsTaken      no UDP port of the range is free
"""

import asyncio
import errno
import ipaddress
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import aioice
from aioice import Candidate, TransportPolicy, stun
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol, relayed_candidate, server_reflexive_candidate
from aioice.turn import UDP_SOCKET_BUFFER_SIZE
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransportPolicy,
    rtcicetransport,
)

from serve_app.webrtc.diagnosis import ServerError

SERVER_LIMIT_S = 3
"""A learner waits meanwhile. A server that answers at all does so within a few hundred ms; aioice
waits 5 s."""

LOOPBACK = "127.0.0.1"


class IceError(Exception):
    """A peer cannot be offered, with a stable `code` and a sentence a person can act on."""

    code = "webrtc_failed"

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class PortsTaken(IceError):
    """Every UDP port of the range is in use, and there is no relay either."""

    code = "webrtc_ports_taken"

    def __init__(self, first: int, last: int) -> None:
        super().__init__(
            f"All UDP ports from {first} to {last} are in use. Widen WEBRTC_UDP_PORTS, or try "
            "again when somebody has left."
        )


@dataclass(frozen=True)
class IceServers:
    """Who tells the engine its public address, and who relays for it."""

    stun: str = ""
    """`stun:host:port`; empty: none."""
    turn: tuple[str, ...] = ()
    """`turn:` and `turns:` URLs. The engine uses the first, a browser all of them."""
    username: str = ""
    credential: str = ""

    def for_aiortc(self) -> list[RTCIceServer]:
        """Empty, and not None, without servers: aiortc would then ask one of Google's."""
        servers = [RTCIceServer(self.stun)] if self.stun else []
        if self.turn:
            servers.append(RTCIceServer(list(self.turn), self.username, self.credential))
        return servers


@dataclass
class IceNetwork:
    """One peer's way to the network, and what came of it."""

    servers: IceServers = field(default_factory=IceServers)
    ports: tuple[int, int] | None = None
    """UDP ports for host candidates, both included; None: whatever is free."""
    loopback: bool = False
    """Offer 127.0.0.1 too. aioice leaves it out; a laptop without network has nothing else."""
    relay_only: bool = False

    connections: list["IceConnection"] = field(default_factory=list)
    local_kinds: list[str] = field(default_factory=list)
    """`host`, `srflx` or `relay`, one for each candidate gathered."""
    stun_error: ServerError | None = None
    turn_error: ServerError | None = None
    ports_taken: bool = False
    """On some address no port of the range was free."""
    checks_received: int = 0
    """Genuine connectivity checks of the other side."""
    last_heard_s: float | None = None
    """`time.monotonic()` of the last datagram from the other side, of any kind; None: never."""

    def configuration(self) -> RTCConfiguration:
        """What an `RTCPeerConnection` made within `network` is told: one transport for all."""
        relay, every = RTCIceTransportPolicy.RELAY, RTCIceTransportPolicy.ALL
        return RTCConfiguration(
            iceServers=self.servers.for_aiortc(),
            iceTransportPolicy=relay if self.relay_only else every,
            bundlePolicy=RTCBundlePolicy.MAX_BUNDLE,
        )

    def heard(self) -> None:
        """Something came from the other side."""
        self.last_heard_s = time.monotonic()


_network: ContextVar[IceNetwork | None] = ContextVar("ice_network", default=None)


@contextmanager
def network(net: IceNetwork) -> Iterator[IceNetwork]:
    """ICE connections that this task makes inside belong to `net`.

    aiortc makes them in `addTrack`, `addTransceiver`, `createDataChannel` and
    `setRemoteDescription`; later calls, as `setLocalDescription`, need not be inside.
    """
    token = _network.set(net)
    try:
        yield net
    finally:
        _network.reset(token)


class IceConnection(aioice.Connection):
    """aioice's connection, with a range of ports and with a memory.

    Made outside `network`, it is aioice's in everything.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.network = _network.get()
        if self.network is not None:
            self.network.connections.append(self)

    async def get_component_candidates(
        self,
        component: int,
        addresses: list[str],
        timeout: int = 5,  # noqa: ASYNC109 - aioice's name
    ) -> list[Candidate]:
        """Gather within `SERVER_LIMIT_S`. Raises `PortsTaken` when that leaves no candidate."""
        if self.network is None:
            return await super().get_component_candidates(component, addresses, timeout)
        net = self.network
        if net.loopback and self._transport_policy == TransportPolicy.ALL:
            addresses = [*addresses, LOOPBACK]
        hosts = [bound for ip in addresses if (bound := await self._bound(ip, component, net))]
        candidates = [protocol.local_candidate for protocol in hosts]
        candidates += await self._served(component, hosts, net)
        if self._closing:
            return await self._withdrawn()
        if not candidates and net.ports_taken and net.ports:
            raise PortsTaken(*net.ports)
        net.local_kinds += [candidate.type for candidate in candidates]
        return candidates

    async def _bound(self, ip: str, component: int, net: IceNetwork) -> StunProtocol | None:
        """A socket on the address; None: the address, or all of its ports, cannot be had."""
        try:
            sock = _socket(ip, net.ports)
        except OSError as refused:
            net.ports_taken |= refused.errno == errno.EADDRINUSE
            return None
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_SOCKET_BUFFER_SIZE)
        protocol = await _opened(sock, lambda: _Ear(self, net))
        host, port = sock.getsockname()[:2]
        # Of several addresses, the one that leads nowhere but here comes last.
        preference = 0 if host == LOOPBACK else 65535
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "host", preference),
            host=host,
            port=port,
            type="host",
        )
        self._protocols.append(protocol)
        return protocol

    async def _withdrawn(self) -> list[Candidate]:
        """Close what was opened after `close`: a relay's allocation would be kept for ever."""
        while self._protocols:
            await self._protocols.pop().close()
        return []

    async def _served(
        self, component: int, hosts: list[StunProtocol], net: IceNetwork
    ) -> list[Candidate]:
        """The candidates that STUN and TURN servers give, asked all at once."""
        mirrors = [
            asyncio.create_task(_reflected(host, server), name="ask STUN")
            for server in [self.stun_server]
            for host in hosts
            if server and _may_reflect(host.local_candidate.host)
        ]
        relays = [
            asyncio.create_task(self._relayed(component, server, net), name="ask TURN")
            for server in [self.turn_server]
            if server
        ]
        tasks = [*mirrors, *relays]
        if tasks:
            try:
                await asyncio.wait(tasks, timeout=SERVER_LIMIT_S)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        net.stun_error = _error(mirrors)
        net.turn_error = _error(relays)
        return [t.result() for t in tasks if not t.cancelled() and t.exception() is None]

    async def _relayed(self, component: int, server: tuple[str, int], net: IceNetwork) -> Candidate:
        candidate, protocol = await relayed_candidate(
            component=component,
            hide_related_address=self._transport_policy == TransportPolicy.RELAY,
            protocol_factory=lambda: _Ear(self, net),
            turn_server=server,
            turn_username=self.turn_username,
            turn_password=self.turn_password,
            turn_ssl=self.turn_ssl,
            turn_transport=self.turn_transport,
        )
        self._protocols.append(protocol)
        return candidate

    def data_received(self, data: bytes, component: int) -> None:
        """Media, reports and DTLS."""
        if self.network is not None:
            self.network.heard()
        super().data_received(data, component)

    def request_received(
        self, message: stun.Message, addr: tuple[str, int], protocol: StunProtocol
    ) -> None:
        """A check, or the other side asking whether it may still send."""
        if self.network is not None and self._is_genuine(message):
            self.network.checks_received += 1
            self.network.heard()
        super().request_received(message, addr, protocol)

    def _is_genuine(self, message: stun.Message) -> bool:
        username = message.attributes.get("USERNAME", "")
        key = self.local_password.encode()
        return self._valid_username(username) and message.check_message_integrity(key)


class _Ear(StunProtocol):
    """aioice's protocol; also notes the answers to our own checks, which name their sender."""

    def __init__(self, receiver: aioice.Connection, net: IceNetwork) -> None:
        super().__init__(receiver)
        self._network = net

    async def request(
        self,
        request: stun.Message,
        addr: tuple[str, int],
        integrity_key: bytes | None = None,
        retransmissions: int | None = None,
    ) -> tuple[stun.Message, tuple[str, int]]:
        answer = await super().request(request, addr, integrity_key, retransmissions)
        if integrity_key is not None:  # none: a STUN server was asked
            self._network.heard()
        return answer


async def _reflected(host: StunProtocol, server: tuple[str, int]) -> Candidate:
    candidate, _ = await server_reflexive_candidate(host, server)
    return candidate


def _may_reflect(ip: str) -> bool:
    """aioice asks over IPv4 only; nothing gets out from loopback."""
    return ipaddress.ip_address(ip).version == 4 and ip != LOOPBACK


async def _opened(sock: socket.socket, ear: Callable[[], "_Ear"]) -> "_Ear":
    """A transport on the socket; none is left behind when the caller is cancelled."""
    loop = asyncio.get_running_loop()
    opening = asyncio.ensure_future(loop.create_datagram_endpoint(ear, sock=sock))
    try:
        protocol: _Ear = (await asyncio.shield(opening))[1]
        return protocol
    except asyncio.CancelledError:
        await asyncio.wait([opening])  # a moment: nobody else is asked
        if not opening.cancelled() and opening.exception() is None:
            opening.result()[0].close()
        raise


def _socket(ip: str, ports: tuple[int, int] | None) -> socket.socket:
    """A bound UDP socket, the port drawn by chance: the next peer must not get the one that a
    client of the last still sends to. Raises `OSError`, EADDRINUSE when the range is full."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    choice = range(ports[0], ports[1] + 1) if ports else range(1)
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _bind(sock, ip, random.sample(choice, len(choice)))
    except OSError:
        sock.close()
        raise
    return sock


def _bind(sock: socket.socket, ip: str, ports: list[int]) -> None:
    for port in ports:
        try:
            return sock.bind((ip, port))
        except OSError as taken:
            if taken.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, "every port of the range is in use")


def _error(tasks: list[asyncio.Task[Candidate]]) -> ServerError | None:
    """Why none of the tasks came to anything; None: one did, or there are none."""
    error = None
    for task in tasks:
        if task.cancelled():
            error = ServerError(f"no answer within {SERVER_LIMIT_S} s")
        elif (failure := task.exception()) is None:
            return None
        else:
            error = _words(failure)
    return error


def _words(failure: BaseException) -> ServerError:
    if isinstance(failure, stun.TransactionFailed):
        code, reason = failure.response.attributes.get("ERROR-CODE", (0, "an error without a code"))
        return ServerError(reason or "no reason given", code)
    return ServerError(str(failure) or type(failure).__name__)


# aiortc makes its connections itself and lets nobody choose their class, so the name that it
# looks up is replaced here, once.
assert vars(rtcicetransport)["Connection"] is aioice.Connection, "aiortc makes them otherwise now"
vars(rtcicetransport)["Connection"] = IceConnection
