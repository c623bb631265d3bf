import asyncio
import gc
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aioice
import pytest
import uvloop
from aiortc import RTCPeerConnection, rtcicetransport

from serve_app.webrtc.diagnosis import Facts, diagnose
from serve_app.webrtc.ice import IceConnection, IceNetwork, IceServers, PortsTaken, network
from serve_app.webrtc.turn_credentials import credentials
from tests.coturn import HOST, TurnServer, running_turn

CONNECT_LIMIT_S = 20.0


@dataclass
class Pair:
    """An offering and an answering side, and what crosses between them."""

    offering: RTCPeerConnection
    answering: RTCPeerConnection

    async def describe(self, ours: IceNetwork, theirs: IceNetwork) -> None:
        """Exchange descriptions; connections of each side belong to its network."""
        with network(ours):
            self.channel = self.offering.createDataChannel("test")
            await self.offering.setLocalDescription(await self.offering.createOffer())
        with network(theirs):
            await self.answering.setRemoteDescription(self.offering.localDescription)
        # Not within: what a connection belongs to was settled when it was made.
        await self.answering.setLocalDescription(await self.answering.createAnswer())

    async def connect(self, ours: IceNetwork, theirs: IceNetwork) -> None:
        await self.describe(ours, theirs)
        opened = asyncio.Event()
        self.channel.on("open", opened.set)
        await self.offering.setRemoteDescription(self.answering.localDescription)
        async with asyncio.timeout(CONNECT_LIMIT_S):
            await opened.wait()


@asynccontextmanager
async def pair(ours: IceNetwork, theirs: IceNetwork) -> AsyncIterator[Pair]:
    offering = RTCPeerConnection(ours.configuration())
    answering = RTCPeerConnection(theirs.configuration())
    try:
        yield Pair(offering, answering)
    finally:
        await offering.close()
        await answering.close()


@pytest.fixture(scope="module")
def turn() -> Iterator[TurnServer]:
    with running_turn() as server:
        yield server


def relayed(turn: TurnServer, secret: str = "") -> IceNetwork:
    lent = credentials(secret or turn.secret, "test", ttl_s=600, now_s=time.time())
    servers = IceServers(turn=(turn.url,), username=lent.username, credential=lent.password)
    return IceNetwork(servers, relay_only=True)


def local_ports(connection: aioice.Connection) -> set[int]:
    return {c.port for c in connection.local_candidates if c.type == "host"}


async def gathered(net: IceNetwork) -> IceConnection:
    """A connection with its candidates; the caller closes it."""
    connection = await offered(net)
    await connection.gather_candidates()
    return connection


async def offered(net: IceNetwork) -> IceConnection:
    servers = rtcicetransport.connection_kwargs(net.servers.for_aiortc())
    relay, every = aioice.TransportPolicy.RELAY, aioice.TransportPolicy.ALL
    with network(net):
        return IceConnection(False, transport_policy=relay if net.relay_only else every, **servers)


# ── The seam ──────────────────────────────────────────────────────────────────────────────────


async def test_aiortc_makes_our_connections_within_a_network() -> None:
    ours, theirs = IceNetwork(loopback=True), IceNetwork(loopback=True)
    async with pair(ours, theirs) as peers:
        await peers.connect(ours, theirs)
    assert len(ours.connections) == len(theirs.connections) == 1
    assert all(isinstance(c, IceConnection) for c in ours.connections + theirs.connections)
    assert ours.connections != theirs.connections


async def test_outside_of_a_network_it_is_aioices() -> None:
    connection = IceConnection(True)
    try:
        await connection.gather_candidates()
        assert connection.network is None
        assert HOST not in {c.host for c in connection.local_candidates}
    finally:
        await connection.close()


async def test_networks_of_tasks_do_not_mix() -> None:
    nets = [IceNetwork() for _ in range(4)]
    made = await asyncio.gather(*(offered(net) for net in nets))
    for net, connection in zip(nets, made, strict=True):
        assert net.connections == [connection]
        await connection.close()


def test_without_servers_nobody_else_is_asked() -> None:
    assert IceNetwork().configuration().iceServers == []


# ── Host candidates ───────────────────────────────────────────────────────────────────────────


async def test_loopback_is_offered_when_wanted() -> None:
    for wanted in (True, False):
        net = IceNetwork(loopback=wanted)
        connection = await gathered(net)
        assert (HOST in {c.host for c in connection.local_candidates}) == wanted
        assert net.local_kinds == ["host"] * len(connection.local_candidates)
        await connection.close()
        assert connection.local_candidates == [] and bool(net.local_kinds) >= wanted


async def test_loopback_comes_after_real_networks() -> None:
    connection = await gathered(IceNetwork(loopback=True))
    priorities = {c.host: c.priority for c in connection.local_candidates}
    assert priorities[HOST] == min(priorities.values())
    await connection.close()


async def test_ports_stay_in_their_range() -> None:
    used = set()
    for _ in range(8):
        connection = await gathered(IceNetwork(ports=(41_200, 41_299), loopback=True))
        used |= local_ports(connection)
        await connection.close()
    assert used <= set(range(41_200, 41_300))
    assert len(used) > 1, "drawn by chance"


async def test_a_full_range_is_a_clear_failure() -> None:
    net = IceNetwork(ports=(41_300, 41_300), loopback=True)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as taken:
        taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        taken.bind(("::", 41_300))
        connection = await offered(net)
        with pytest.raises(PortsTaken, match="41300 to 41300 are in use") as refused:
            await connection.gather_candidates()
        await connection.close()
    assert net.ports_taken and refused.value.code == "webrtc_ports_taken"


async def test_one_free_port_is_found() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HOST, 41_400))
        for _ in range(4):
            connection = await gathered(IceNetwork(ports=(41_400, 41_401), loopback=True))
            there = {c.port for c in connection.local_candidates if c.host == HOST}
            assert there == {41_401}
            await connection.close()


# ── What is heard ─────────────────────────────────────────────────────────────────────────────


async def test_checks_and_datagrams_are_noted() -> None:
    ours, theirs = IceNetwork(loopback=True), IceNetwork(loopback=True)
    began_s = time.monotonic()
    async with pair(ours, theirs) as peers:
        await peers.connect(ours, theirs)
        for net in (ours, theirs):
            assert net.checks_received > 0
            assert net.last_heard_s is not None and net.last_heard_s >= began_s
        before_s = theirs.last_heard_s
        peers.channel.send("hello")
        await asyncio.sleep(0.2)
        assert theirs.last_heard_s is not None and before_s is not None
        assert theirs.last_heard_s > before_s


async def test_an_answer_to_our_own_check_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.CONSENT_INTERVAL", 0.2)
    ours, theirs = IceNetwork(loopback=True), IceNetwork(loopback=True)
    one, other = await gathered(ours), await gathered(theirs)
    one.ice_controlling = True
    for here, there in ((one, other), (other, one)):
        here.remote_username, here.remote_password = there.local_username, there.local_password
        for candidate in there.local_candidates:
            await here.add_remote_candidate(candidate)
        await here.add_remote_candidate(None)
    await asyncio.gather(one.connect(), other.connect())
    # Nobody asks `one` any more, so all it can hear are answers.
    assert other._query_consent_task is not None
    other._query_consent_task.cancel()
    checks, heard_s = ours.checks_received, ours.last_heard_s
    await asyncio.sleep(0.5)
    assert ours.checks_received == checks and heard_s is not None
    assert ours.last_heard_s is not None and ours.last_heard_s > heard_s
    await one.close()
    await other.close()


async def test_a_strangers_check_is_not_counted() -> None:
    net = IceNetwork(loopback=True)
    connection = await gathered(net)
    (port,) = {c.port for c in connection.local_candidates if c.host == HOST}
    question = aioice.stun.Message(aioice.stun.Method.BINDING, aioice.stun.Class.REQUEST)
    question.attributes["USERNAME"] = f"{connection.local_username}:nobody"
    question.add_message_integrity(b"guessed")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(bytes(question), (HOST, port))
        await asyncio.sleep(0.1)
    assert net.checks_received == 0 and net.last_heard_s is None
    await connection.close()


# ── STUN and TURN servers ─────────────────────────────────────────────────────────────────────


async def test_a_stun_server_tells_the_address(turn: TurnServer) -> None:
    stun_url = turn.url.replace("turn:", "stun:").partition("?")[0]
    net = IceNetwork(IceServers(stun=stun_url))
    connection = await gathered(net)
    await connection.close()
    if "host" not in net.local_kinds:
        pytest.skip("this machine has no network but loopback")
    assert "srflx" in net.local_kinds and net.stun_error is None


async def test_a_dead_stun_server_costs_three_seconds() -> None:
    net = IceNetwork(IceServers(stun=f"stun:{HOST}:{dead_port()}"), loopback=True)
    began_s = time.monotonic()
    connection = await gathered(net)
    await connection.close()
    assert time.monotonic() - began_s < 4
    assert net.local_kinds and set(net.local_kinds) == {"host"}
    asked = len(net.local_kinds) > 1  # from loopback nobody is asked
    assert (str(net.stun_error) == "no answer within 3 s") == asked


async def test_peers_meet_at_the_relay(turn: TurnServer) -> None:
    ours, theirs = relayed(turn), relayed(turn)
    async with pair(ours, theirs) as peers:
        await peers.connect(ours, theirs)
        assert ours.local_kinds == theirs.local_kinds == ["relay"]
        assert ours.turn_error is None and theirs.checks_received > 0
    assert "ALLOCATE processed, success" in turn.log.read_text()


async def test_a_wrong_secret_is_refused(turn: TurnServer) -> None:
    net = relayed(turn, secret="another")
    connection = await gathered(net)
    await connection.close()
    assert net.local_kinds == []
    assert net.turn_error is not None and net.turn_error.code == 401
    assert finding(net) == "turn_refused"


async def test_closing_meanwhile_leaves_nothing_open(turn: TurnServer) -> None:
    for net in (relayed(turn), IceNetwork(loopback=True)):
        connection = await offered(net)
        gathering = asyncio.create_task(connection.gather_candidates())
        await asyncio.sleep(0)
        await connection.close()
        await gathering
        assert connection._protocols == [] and connection.local_candidates == []


async def test_a_quota_is_a_refusal_too() -> None:
    with running_turn("--user-quota=1") as narrow:
        nets = [relayed(narrow) for _ in range(3)]
        connections = [await gathered(net) for net in nets]
        errors = [net.turn_error for net in nets]
        for connection in connections:
            await connection.close()
    assert errors[0] is None
    assert errors[-1] is not None and errors[-1].code == 486
    assert finding(nets[-1]) == "turn_refused"


async def test_a_dead_relay_is_unreachable_within_four_seconds() -> None:
    servers = IceServers(turn=(f"turn:{HOST}:{dead_port()}",), username="a", credential="b")
    net = IceNetwork(servers, relay_only=True)
    began_s = time.monotonic()
    connection = await gathered(net)
    await connection.close()
    assert time.monotonic() - began_s < 4
    assert net.turn_error is not None and net.turn_error.code is None
    assert finding(net) == "turn_unreachable"


async def test_a_refused_tcp_connection_is_unreachable_at_once() -> None:
    url = f"turn:{HOST}:{dead_port()}?transport=tcp"
    net = IceNetwork(IceServers(turn=(url,), username="a", credential="b"), relay_only=True)
    connection = await gathered(net)
    await connection.close()
    assert finding(net) == "turn_unreachable"


async def test_a_dead_relay_leaves_the_other_ways(caplog: pytest.LogCaptureFixture) -> None:
    servers = IceServers(turn=(f"turn:{HOST}:{dead_port()}",), username="a", credential="b")
    ours = IceNetwork(servers, loopback=True)
    theirs = IceNetwork(loopback=True)
    with caplog.at_level(logging.WARNING):
        async with pair(ours, theirs) as peers:
            await peers.connect(ours, theirs)
    assert not [r for r in caplog.records if r.name == "asyncio"], "an exception nobody fetched"


def finding(net: IceNetwork) -> str:
    """What a client that offered something is told."""
    facts = Facts(
        remote_kinds={"host": 1},
        local_kinds=tuple(net.local_kinds),
        turn_configured=True,
        turn_error=net.turn_error,
    )
    return diagnose(facts).code


def dead_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


async def gather_and_be_cancelled(steps: int) -> None:
    """Gathering is given up after so many rounds of the event loop."""
    with network(IceNetwork(IceServers(), loopback=True)):
        connection = IceConnection(ice_controlling=True)
    gathering = asyncio.create_task(connection.gather_candidates())
    for _ in range(steps):
        await asyncio.sleep(0)
    gathering.cancel()
    await asyncio.wait([gathering])
    await connection.close()


@pytest.mark.parametrize("steps", range(1, 13))
def test_gathering_that_is_given_up_leaves_no_socket_behind(steps: int) -> None:
    """On the event loop of the server, which warns of each that is left; warnings are errors."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(gather_and_be_cancelled(steps))
    gc.collect()
