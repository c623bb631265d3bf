"""No way leads to the learner: the reason is told in time, and the conversation goes on."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from serve_app.settings import Settings
from tests.coturn import running_turn
from tests.live import answered
from tests.running import Running, Session, Talk, free_port, plain, stub_engines
from tests.udp_relay import hidden

TOLD_LIMIT_S = 10.0


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = Settings(tutor_home=tmp_path_factory.mktemp("diagnosis"), max_sessions=40)
    with plain(settings, stub_engines()) as running:
        yield running


def closed(offer_sdp: str) -> str:
    """Candidates of ports that nobody listens on."""
    return re.sub(
        r"(a=candidate:\S+ 1 udp \d+) \S+ \d+ typ",
        lambda found: f"{found[1]} 127.0.0.1 {free_port()} typ",
        offer_sdp,
    )


async def offer() -> str:
    """Of somebody who then never checks anything."""
    peer = RTCPeerConnection(RTCConfiguration([]))
    peer.addTransceiver("video", "recvonly")
    peer.addTransceiver("audio", "recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    sdp: str = peer.localDescription.sdp
    await peer.close()
    return sdp


async def told(talk: Talk, session: Session, sdp: str) -> str:
    """The code of the error that follows an offer."""
    began_s = time.monotonic()
    await answered(talk, sdp, user_id=session.student_id)
    error = (await talk.until("error"))[-1]
    assert time.monotonic() - began_s <= TOLD_LIMIT_S
    assert error["content"].endswith("The conversation goes on over the socket.")
    return str(error["code"])


async def goes_on(talk: Talk, session: Session) -> None:
    """Both kinds of question are answered with a voice, over the socket."""
    await talk.send(type="text", content="Hello")
    assert (await talk.until("text"))[-1]["audio"]
    await talk.send(type="text_webrtc", content="Hello", user_id=session.student_id)
    events = await talk.until("text")
    assert [event["code"] for event in events if event["type"] == "error"] == ["no_peer"]
    assert events[-1]["audio"]


@pytest.mark.parametrize(
    ("change", "code"), [(hidden, "webrtc_no_candidates"), (closed, "webrtc_udp_blocked")]
)
async def test_addresses_that_lead_nowhere(
    gateway: Running, change: Callable[[str], str], code: str
) -> None:
    async with gateway.conversation() as (session, talk):
        assert await told(talk, session, change(await offer())) == code
        await goes_on(talk, session)


def with_relay(home: Path, url: str, secret: str) -> Settings:
    return Settings.model_validate({"tutor_home": home, "turn_urls": url, "turn_secret": secret})


async def test_a_relay_with_another_secret(tmp_path: Path) -> None:
    with (
        running_turn() as turn,
        plain(with_relay(tmp_path, turn.url, f"not {turn.secret}"), stub_engines()) as gateway,
    ):
        async with gateway.conversation() as (session, talk):
            assert await told(talk, session, closed(await offer())) == "turn_refused"
            await goes_on(talk, session)


async def test_a_relay_that_is_not_there(tmp_path: Path) -> None:
    url = f"turn:127.0.0.1:{free_port()}?transport=udp"
    with plain(with_relay(tmp_path, url, "secret"), stub_engines()) as gateway:
        async with gateway.conversation() as (session, talk):
            assert await told(talk, session, closed(await offer())) == "turn_unreachable"
            await goes_on(talk, session)
