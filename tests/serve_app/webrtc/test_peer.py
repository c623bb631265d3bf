"""Peers of a real gateway: what may be offered, what is made of it, and when it ends."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)

from engines.stub import StubAsr, StubLlm, StubVad
from serve_app.settings import Settings
from tests.live import Learner, answered
from tests.running import Running, Session, Talk, eventually, plain, stub_engines

HISS = np.random.default_rng(0).normal(0, 3000, 8000).astype(np.int16)
"""Half a second that nobody can take for an echo of the stub's hum."""

TALKATIVE = StubLlm(("One two three. ",) * 20)


@contextmanager
def gateway(
    home: Path, engines: dict[str, Any] | None = None, **settings: Any
) -> Iterator[Running]:
    with plain(Settings(tutor_home=home, **settings), stub_engines(**(engines or {}))) as running:
        yield running


async def connected(peer: RTCPeerConnection, talk: Talk, session: Session) -> str:
    """Offer, and wait until it is connected; returns the answer."""
    await peer.setLocalDescription(await peer.createOffer())
    answer = await answered(talk, peer.localDescription.sdp, user_id=session.student_id)
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await eventually(lambda: peer.connectionState == "connected")
    return answer


def lonely() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration([]))


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_the_clients_preferred_codec_is_sent(tmp_path: Path, codec: str) -> None:
    with gateway(tmp_path) as running:
        async with running.conversation() as (session, talk):
            peer = lonely()
            eyes = peer.addTransceiver("video", "recvonly")
            known = RTCRtpSender.getCapabilities("video").codecs
            eyes.setCodecPreferences([c for c in known if c.mimeType == f"video/{codec}"])
            await connected(peer, talk, session)
            for _ in range(5):
                frame: Any = await eyes.receiver.track.recv()
            assert (frame.width, frame.height) == (512, 512)
            await peer.close()


async def test_a_client_may_want_the_voice_alone(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        async with running.conversation() as (session, talk):
            peer = lonely()
            ears = peer.addTransceiver("audio", "recvonly")
            await connected(peer, talk, session)
            assert isinstance(await ears.receiver.track.recv(), av.AudioFrame)
            await peer.close()


async def test_a_camera_is_not_wanted(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        async with running.conversation() as (session, talk):
            peer = lonely()
            peer.addTransceiver("video", "sendrecv")
            answer = await connected(peer, talk, session)
            assert "a=sendonly" in answer and "a=sendrecv" not in answer
            await peer.close()


async def test_ports_and_loopback_are_as_they_were_set(tmp_path: Path) -> None:
    with gateway(tmp_path, webrtc_udp_ports="42100-42140") as running:
        async with running.conversation() as (session, talk):
            peer = lonely()
            peer.addTransceiver("audio", "recvonly")
            answer = await connected(peer, talk, session)
            ports = re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", answer)
            assert "127.0.0.1" in {address for address, _ in ports}
            assert all(42100 <= int(port) <= 42140 for _, port in ports)
            await peer.close()


async def test_an_unknown_face_is_refused_and_the_next_offer_is_not(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        async with running.conversation() as (session, talk):
            async with Learner(talk, session.student_id) as learner:
                with pytest.raises(ConnectionRefusedError, match="unknown_avatar"):
                    await learner.connect(avatar_id="nobody")
            async with Learner(talk, session.student_id) as learner:
                await learner.connect(avatar_id="mei")


async def test_a_flood_of_candidates_ends_it(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        async with (
            running.conversation() as (session, talk),
            Learner(talk, session.student_id) as learner,
        ):
            await learner.connect()
            for port in range(1, 66):
                line = f"candidate:1 1 udp 2130706431 192.0.2.1 {port} typ host"
                await talk.send(
                    type="webrtc_ice_candidate",
                    candidate={"candidate": line, "sdpMid": "0", "sdpMLineIndex": 0},
                    user_id=session.student_id,
                )
            assert (await talk.receive())["code"] == "invalid_sdp"


async def test_it_ends_when_its_socket_has_been_gone_for_the_grace_time(tmp_path: Path) -> None:
    with gateway(tmp_path, webrtc_grace_s=0.5) as running:
        async with running.conversation() as (session, talk):
            learner = Learner(talk, session.student_id)
            await learner.connect()
        peer = learner.peer
        await eventually(lambda: peer is not None and peer.connectionState != "connected")
        await learner.close()


async def test_it_ends_with_its_session(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        async with (
            running.conversation() as (session, talk),
            Learner(talk, session.student_id) as learner,
        ):
            await learner.connect()
            async with running.http() as http:
                await http.delete(f"/v1/sessions/{session.id}")
            peer = learner.peer
            await eventually(lambda: peer is not None and peer.connectionState != "connected")


async def test_a_peer_that_ends_in_mid_answer_leaves_the_text(tmp_path: Path) -> None:
    with gateway(tmp_path, {"think": lambda tutor: TALKATIVE}) as running:
        async with running.conversation() as (session, talk):
            learner = Learner(talk, session.student_id)
            await learner.connect()
            await learner.ask("go")
            await learner.until_loud()
            await learner.close()
            events = await talk.until("error")
            assert events[0]["type"] == "text" and events[0]["content"].startswith("One two")
            assert events[-1]["code"] == "peer_gone"
            await talk.send(type="text_webrtc", content="again", user_id=session.student_id)
            assert (await talk.until("text"))[-1]["audio"], "and the next one comes here"


async def test_after_a_false_alarm_the_tutor_goes_on_where_it_was(tmp_path: Path) -> None:
    """A learner's "mm-hm" of half a second, understood as such."""
    engines = {
        "think": lambda tutor: TALKATIVE,
        "hear": StubAsr(text="mm-hm"),
        "detector": StubVad,
    }
    with gateway(tmp_path, engines) as running:
        async with (
            running.conversation() as (session, talk),
            Learner(talk, session.student_id) as learner,
        ):
            await talk.ask(type="hello", features=["state", "captions"])
            await learner.connect()
            await learner.ask("go")
            await learner.until_loud()
            await asyncio.sleep(0.5)
            said = learner.say(HISS)
            held_s = await learner.until_quiet(0.2, since_s=said.first_s)
            again = await learner.until_loud(since_s=held_s + 0.1)
            assert said.first_s + 0.3 < held_s < said.first_s + 0.6, "it fell silent"
            assert again.at_s < said.last_s + 1.5, "and goes on"
            await talk.send(type="interrupt")
            events = await talk.until("interrupted")
            assert not [e for e in events[:-1] if e["type"] in ("interrupted", "transcription")]


async def test_a_learner_who_speaks_on_stops_the_tutor_and_is_answered(tmp_path: Path) -> None:
    engines = {
        "think": lambda tutor: TALKATIVE,
        "hear": StubAsr(text="And what about the others?"),
        "detector": StubVad,
    }
    with gateway(tmp_path, engines) as running:
        async with (
            running.conversation() as (session, talk),
            Learner(talk, session.student_id) as learner,
        ):
            await talk.ask(type="hello", features=["state"])
            await learner.connect()
            await learner.ask("go")
            await learner.until_loud()
            await asyncio.sleep(0.5)
            learner.say(np.tile(HISS, 3))
            interrupted = (await talk.until("interrupted"))[-1]
            assert interrupted["heard"].startswith("One two")
            events = await talk.until("text")
            assert "And what about the others?" in [event.get("content") for event in events]
            async with running.http() as http:
                kept = (await http.get(f"/v1/sessions/{session.id}/messages")).json()
            assert [message["content"] for message in kept[:3]] == [
                "go",
                interrupted["heard"],
                "And what about the others?",
            ]


async def test_once_an_answer_is_over_a_short_word_is_a_question(tmp_path: Path) -> None:
    engines = {"hear": StubAsr(text="Yes."), "detector": StubVad}
    with gateway(tmp_path, engines) as running:
        async with (
            running.conversation() as (session, talk),
            Learner(talk, session.student_id) as learner,
        ):
            await talk.ask(type="hello", features=["state"])
            await learner.connect()
            await learner.ask("go")
            events = await talk.until("text")
            while events[-1].get("state") != "idle":
                events.append(await talk.receive())
            learner.say(HISS)
            assert (await talk.until("transcription"))[-1]["content"] == "Yes."
            async with running.http() as http:
                kept = (await http.get(f"/v1/sessions/{session.id}/messages")).json()
            assert not kept[1]["interrupted"], "what was heard whole is not cut"
