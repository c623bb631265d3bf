import asyncio
import time
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
import pytest
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpReceiver
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from serve_app.webrtc.codecs import VOICE_CLOCK, VOICE_FRAME, VOICE_RATE_HZ, VoiceEncoder
from serve_app.webrtc.ice import IceNetwork, network
from serve_app.webrtc.jitter import SpeechJitter, use_for_speech

OPUS, PCMU = 111, 0
CELT_TOC = 31 << 3
"""20 ms of mono in one frame; bodies of up to 255 bytes need both ways to write a length."""


def packet(number: int, data: bytes | None = None, kind: int = OPUS, ssrc: int = 1) -> RtpPacket:
    made = RtpPacket(payload_type=kind, sequence_number=number & 0xFFFF, timestamp=number * 960)
    made.ssrc = ssrc
    body = bytes([CELT_TOC]) + f"{number}".encode() if data is None else data
    vars(made)["_data"] = body
    return made


def added(jitter: SpeechJitter, *numbers: int, kind: int = OPUS) -> list[int | None]:
    """The number at which the frame of each call begins, None for calls that return nothing."""
    out = []
    for number in numbers:
        needs_key, frame = jitter.add(packet(number, kind=kind))
        assert needs_key is False
        out.append(None if frame is None else frame.timestamp // 960)
    return out


def taken(frame: JitterFrame | None) -> JitterFrame:
    assert frame is not None
    return frame


def frames_in(data: bytes) -> list[bytes]:
    """What RFC 6716 reads in a packet with one frame, or with several of any lengths."""
    if data[0] & 0b11 == 0:
        return [data[1:]]
    assert data[0] & 0b11 == 0b11 and data[1] & 0b1100_0000 == 0b1000_0000
    at, sizes = 2, []
    for _ in range((data[1] & 0b111111) - 1):
        size = data[at]
        at += 1
        if size >= 252:
            size += 4 * data[at]
            at += 1
        sizes.append(size)
    sizes.append(len(data) - at - sum(sizes))
    ends = np.cumsum([at, *sizes])
    return [data[a:b] for a, b in zip(ends, ends[1:], strict=False)]


# ── Order ─────────────────────────────────────────────────────────────────────────────────────


def test_packets_in_order_leave_at_once() -> None:
    assert added(SpeechJitter(), *range(10, 30)) == list(range(10, 30))


def test_numbers_wrap_around() -> None:
    numbers = [65_534, 65_535, 65_536, 65_537]
    assert added(SpeechJitter(), *numbers) == numbers


def test_swapped_neighbours_are_put_in_order_and_the_lag_is_won_back() -> None:
    jitter = SpeechJitter()
    assert added(jitter, 1, 3) == [1, None]
    frame = taken(jitter.add(packet(2))[1])
    assert frame.timestamp == 2 * 960
    assert frames_in(frame.data) == [b"2", b"3"]
    assert added(jitter, 4, 5) == [4, 5]


def test_a_lost_packet_is_given_up_after_two() -> None:
    jitter = SpeechJitter()
    assert added(jitter, 1, 3, 4, 5) == [1, None, 3, 5]


def test_what_waited_behind_a_lost_packet_leaves_together() -> None:
    jitter = SpeechJitter()
    added(jitter, 1, 3)
    assert frames_in(taken(jitter.add(packet(4))[1]).data) == [b"3", b"4"]


def test_the_swap_may_cross_the_wraparound() -> None:
    jitter = SpeechJitter()
    assert added(jitter, 65_534, 65_536, 65_535, 65_537) == [65_534, None, 65_535, 65_537]


def test_late_packets_and_duplicates_are_dropped() -> None:
    assert added(SpeechJitter(), 1, 1, 3, 3, 4, 2, 3, 5) == [1, None, None, None, 3, None, None, 5]


def test_after_an_outage_it_goes_on() -> None:
    assert added(SpeechJitter(), 1, 900, 901, 902) == [1, None, 900, 902]


def test_one_stray_number_changes_nothing() -> None:
    assert added(SpeechJitter(), 1, 30_000, 2, 3) == [1, None, 2, 3]


@pytest.mark.parametrize("start", [30_000, 60_000])
def test_a_new_numbering_is_taken_up_at_its_second_packet(start: int) -> None:
    assert added(SpeechJitter(), 1, 2, start, start + 1, start + 2) == [
        *(1, 2),
        *(None, start + 1, start + 2),
    ]


def test_another_source_begins_anew() -> None:
    jitter = SpeechJitter()
    added(jitter, 1, 2, 4)
    assert taken(jitter.add(packet(2, ssrc=2))[1]).data.endswith(b"2")
    assert taken(jitter.add(packet(3, ssrc=2))[1]).data.endswith(b"3")


def test_empty_packets_are_passed_over() -> None:
    jitter = SpeechJitter()
    added(jitter, 1)
    assert jitter.add(packet(2, b"")) == (False, None)
    assert added(jitter, 3) == [3]


@given(st.permutations(range(40)), st.integers(0, 65_535))
def test_whatever_comes_the_order_is_kept(order: list[int], start: int) -> None:
    jitter = SpeechJitter()
    seen: list[int] = []
    for number in order:
        _, frame = jitter.add(packet(start + number))
        if frame is not None:
            seen += [int(body) for body in frames_in(frame.data)]
        assert len(jitter._waiting) < 2
    assert seen == sorted(set(seen))


@given(st.lists(st.booleans(), min_size=1, max_size=200))
def test_every_packet_that_comes_in_order_is_heard(lost: list[bool]) -> None:
    jitter = SpeechJitter()
    seen: list[int] = []
    sent = [number for number, gone in enumerate(lost) if not gone]
    for number in [*sent, len(lost), len(lost) + 1]:
        _, frame = jitter.add(packet(number))
        seen += [int(body) for body in frames_in(frame.data)] if frame else []
    assert seen == [*sent, len(lost), len(lost) + 1]


# ── Joining ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [0, 1, 251, 252, 253, 255, 256, 1000, 1275])
def test_lengths_are_written_as_the_standard_has_it(size: int) -> None:
    jitter = SpeechJitter()
    toc = bytes([CELT_TOC])
    jitter.add(packet(1))
    jitter.add(packet(3, toc + b"end"))
    joined = taken(jitter.add(packet(2, toc + bytes(size)))[1]).data
    assert frames_in(joined) == [bytes(size), b"end"]


@pytest.mark.parametrize("other", [bytes([CELT_TOC | 0b100]), bytes([CELT_TOC | 0b01]), b"\x18"])
def test_what_cannot_be_joined_waits_for_the_next_call(other: bytes) -> None:
    jitter = SpeechJitter()
    added(jitter, 1)
    jitter.add(packet(3, other + b"x"))
    assert taken(jitter.add(packet(2))[1]).data.endswith(b"2")
    assert taken(jitter.add(packet(4))[1]).data == other + b"x"
    assert added(jitter, 5) == [4]
    assert added(jitter, 6) == [6]


def test_samples_of_the_telephone_are_put_behind_each_other() -> None:
    jitter = SpeechJitter()
    for number in (1, 3):
        jitter.add(packet(number, bytes([number] * 160), kind=PCMU))
    frame = taken(jitter.add(packet(2, bytes([2] * 160), kind=PCMU))[1])
    assert frame.data == bytes([2] * 160 + [3] * 160)


def test_joined_opus_sounds_as_it_does_apart() -> None:
    packets = spoken(40)
    apart, joined = OpusDecoder(), OpusDecoder()
    jitter = SpeechJitter()
    order = [0, 1, 3, 2, *range(4, 20), 21, 20, *range(22, 40)]
    heard = []
    for number in order:
        _, frame = jitter.add(packet(number, packets[number]))
        if frame is not None:
            heard.append(sound(joined, frame))
    plain = [sound(apart, JitterFrame(data, n * VOICE_FRAME)) for n, data in enumerate(packets)]
    np.testing.assert_array_equal(np.concatenate(heard, axis=1), np.concatenate(plain, axis=1))


# ── In aiortc ─────────────────────────────────────────────────────────────────────────────────


def test_a_receiver_without_such_a_buffer_is_refused() -> None:
    with pytest.raises(AttributeError):
        use_for_speech(object())  # type: ignore[arg-type] # as a renamed attribute would look


async def test_a_voice_arrives_through_it() -> None:
    ours, theirs = IceNetwork(loopback=True), IceNetwork(loopback=True)
    sending = RTCPeerConnection(ours.configuration())
    hearing = RTCPeerConnection(theirs.configuration())
    try:
        with network(ours):
            sending.addTrack(Tone())
            await sending.setLocalDescription(await sending.createOffer())
        with network(theirs):
            await hearing.setRemoteDescription(sending.localDescription)
        receiver = hearing.getReceivers()[0]
        use_for_speech(receiver)
        assert isinstance(buffer_of(receiver), SpeechJitter)
        await hearing.setLocalDescription(await hearing.createAnswer())
        await sending.setRemoteDescription(hearing.localDescription)
        async with asyncio.timeout(10):
            frames = [await receiver.track.recv() for _ in range(30)]
        assert isinstance(frames[-1], av.AudioFrame)
        assert np.abs(frames[-1].to_ndarray()).max() > 2000
        assert isinstance(buffer_of(receiver), SpeechJitter)
    finally:
        await sending.close()
        await hearing.close()


class Tone(MediaStreamTrack):
    """A tone for ever, in real time, in frames of 20 ms."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._began_s = time.monotonic()

    async def recv(self) -> av.AudioFrame:
        due_s = self._began_s + self._count * 0.02
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        self._count += 1
        return tone(self._count - 1)


def tone(index: int) -> av.AudioFrame:
    samples = np.arange(index * VOICE_FRAME, (index + 1) * VOICE_FRAME)
    wave = 8000 * np.sin(samples * 2 * np.pi * 220 / VOICE_RATE_HZ)
    frame = av.AudioFrame.from_ndarray(wave.astype(np.int16)[None], format="s16", layout="mono")
    frame.sample_rate = VOICE_RATE_HZ
    frame.pts = index * VOICE_FRAME
    frame.time_base = Fraction(VOICE_CLOCK)
    return frame


def sound(decoder: OpusDecoder, frame: JitterFrame) -> npt.NDArray[np.int16]:
    (decoded,) = decoder.decode(frame)
    assert isinstance(decoded, av.AudioFrame)
    return decoded.to_ndarray().astype(np.int16)


def spoken(count: int) -> list[bytes]:
    encoder = VoiceEncoder()
    return [encoder.encode(tone(index))[0][0] for index in range(count)]


def buffer_of(receiver: RTCRtpReceiver) -> object:
    return vars(receiver)["_RTCRtpReceiver__jitter_buffer"]
