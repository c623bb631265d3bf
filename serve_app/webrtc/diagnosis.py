"""What went wrong with a peer, from facts to a sentence: pure.

The conversation always goes on over the socket, so every sentence ends with that; before it come
the cause and what somebody can do about it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

SILENCE_S = 3.0
"""Nothing heard for so long: lost. Voice comes every 20 ms, and reports at least every 1.5 s."""

REMAINS = "The conversation goes on over the socket."

CREDENTIALS_REFUSED = frozenset({401, 403, 431, 438, 441})
"""STUN error codes of a server that does not believe or does not want the user."""

FULL = frozenset({486, 508})
"""STUN error codes of a server that has no more to give: the user's quota, or its own ports."""


@dataclass(frozen=True)
class ServerError:
    """Why a STUN or TURN server was of no use."""

    words: str
    code: int | None = None
    """The STUN error code it answered with; None: it never answered."""

    def __str__(self) -> str:
        return self.words if self.code is None else f"{self.code} {self.words}"


@dataclass(frozen=True)
class Facts:
    """What is known about a peer that does not work."""

    remote_kinds: Mapping[str, int] = field(default_factory=dict)
    """How many candidates of each kind the client offered: `host`, `srflx`, `relay`, `mdns`."""
    local_kinds: tuple[str, ...] = ()
    """Kinds of the candidates that the engine offered."""
    turn_configured: bool = False
    turn_error: ServerError | None = None
    stun_error: ServerError | None = None
    checks_received: int = 0
    """Connectivity checks of the client that arrived."""
    was_connected: bool = False
    silence_s: float | None = None
    """Since anything was heard from the client; None: never."""
    dtls: str = "new"
    """State of the handshake: `new`, `connecting`, `connected`, `closed`, `failed`."""
    ports: tuple[int, int] | None = None
    """The UDP ports that the engine uses, both included; None: any."""


@dataclass(frozen=True)
class Finding:
    """A stable code, and what the learner is told."""

    code: str
    sentence: str


def diagnose(facts: Facts) -> Finding:
    """The first explanation that fits; later ones assume that earlier ones do not."""
    for fits, finding in _EXPLANATIONS:
        if fits(facts):
            return finding(facts)
    return _no_path(facts)


def candidate_kind(kind: str, address: str) -> str:
    """The kind of a candidate for `Facts.remote_kinds`: names instead of addresses are `mdns`."""
    return "mdns" if address.endswith(".local") else kind


def _is_lost(facts: Facts) -> bool:
    return facts.was_connected


def _has_no_candidates(facts: Facts) -> bool:
    return not any(facts.remote_kinds.values()) and facts.checks_received == 0


def _failed_handshake(facts: Facts) -> bool:
    return facts.dtls == "failed"


def _is_refused(facts: Facts) -> bool:
    return facts.turn_error is not None and facts.turn_error.code is not None


def _is_unreachable(facts: Facts) -> bool:
    return facts.turn_error is not None


def _is_blocked(facts: Facts) -> bool:
    return facts.checks_received == 0


def _lost(facts: Facts) -> Finding:
    silence = facts.silence_s
    heard = f"Nothing was heard for {silence:.0f} s. " if silence and silence >= SILENCE_S else ""
    return Finding(
        "webrtc_lost",
        f"The live connection broke off. {heard}The network was lost or changed; connect again "
        f"once it is back. {REMAINS}",
    )


def _no_candidates(_facts: Facts) -> Finding:
    return Finding(
        "webrtc_no_candidates",
        "The client named no address to reach it at (no ICE candidate). Send the candidates, and "
        "check that the browser or an extension does not switch WebRTC off, and that the machine "
        f"has a network. {REMAINS}",
    )


def _handshake(_facts: Facts) -> Finding:
    return Finding(
        "webrtc_handshake_failed",
        "The network path works, but the encrypted handshake (DTLS) failed. The fingerprint in "
        "the session description does not belong to the other side, or something on the way "
        f"drops large packets; pass the description on unchanged, or use a relay. {REMAINS}",
    )


def _refused(facts: Facts) -> Finding:
    return Finding(
        "turn_refused",
        f"The relay (TURN) refused the engine: {facts.turn_error}. "
        f"{_refusal(facts.turn_error)} {REMAINS}",
    )


def _refusal(error: ServerError | None) -> str:
    code = error.code if error else None
    if code in CREDENTIALS_REFUSED:
        return "TURN_SECRET must be the server's static-auth-secret, and both clocks must be right."
    if code == 437:
        return "The port is still taken by an earlier allocation; try again in a minute."
    if code in FULL:
        return "Its quota or its relay ports are used up; raise them there, or try again later."
    return "Its log says why."


def _unreachable(facts: Facts) -> Finding:
    return Finding(
        "turn_unreachable",
        f"The relay (TURN) does not answer: {facts.turn_error}. Check host, port and transport in "
        f"TURN_URLS, and that a firewall lets the engine reach it. {REMAINS}",
    )


def _blocked(facts: Facts) -> Finding:
    return Finding(
        "webrtc_udp_blocked",
        "Nothing from the client arrived over UDP: a firewall on the way drops it. "
        f"{_way_out(facts)} {REMAINS}",
    )


def _no_path(facts: Facts) -> Finding:
    return Finding(
        "webrtc_no_path",
        "The client's checks arrived, but no path worked in both directions: the engine's answers "
        f"are dropped on the way. {_way_out(facts)} {REMAINS}",
    )


def _way_out(facts: Facts) -> str:
    """What to open, or to set, so that UDP finds a way."""
    opened = "Set WEBRTC_UDP_PORTS and open these UDP ports of the engine"
    if facts.ports:
        opened = "Open the UDP ports {} to {} of the engine".format(*facts.ports)
    if not facts.turn_configured:
        return f"{opened}, or set TURN_URLS to a relay that both sides reach.{_stun(facts)}"
    if "relay" not in facts.remote_kinds and "relay" not in facts.local_kinds:
        return f"{opened}, and give the client the relay of TURN_URLS: neither side used it."
    return f"{opened}, and let both sides reach the relay of TURN_URLS, over TCP if need be."


def _stun(facts: Facts) -> str:
    """Without it an engine behind a router does not know its own address."""
    error = facts.stun_error
    return f" The server of STUN_URL was of no use: {error}." if error is not None else ""


_EXPLANATIONS: tuple[tuple[Callable[[Facts], bool], Callable[[Facts], Finding]], ...] = (
    (_failed_handshake, _handshake),
    (_is_lost, _lost),
    # Before the client is blamed for having no candidate: its relay is the same one.
    (_is_refused, _refused),
    (_is_unreachable, _unreachable),
    (_has_no_candidates, _no_candidates),
    (_is_blocked, _blocked),
)
