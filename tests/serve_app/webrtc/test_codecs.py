from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import cache

import av
import numpy as np
import numpy.typing as npt
import pytest
from aiortc import RTCRtpCodecParameters, rtcrtpsender
from aiortc.codecs import depayload
from aiortc.codecs.base import Decoder
from aiortc.codecs.g711 import PcmuEncoder
from aiortc.codecs.h264 import H264Decoder
from aiortc.codecs.opus import OpusDecoder
from aiortc.codecs.vpx import Vp8Decoder
from aiortc.jitterbuffer import JitterFrame
from av.video.frame import PictureType

from engines.avatar.viseme.portrait import MOUTH_BOX, portrait
from engines.avatar.viseme.visemes import Mouth
from engines.base import FPS
from serve_app.webrtc.codecs import (
    FALL_AFTER_S,
    RISE_AFTER_S,
    VIDEO_CLOCK,
    VOICE_CLOCK,
    VOICE_FRAME,
    VOICE_RATE_HZ,
    FaceH264Encoder,
    FaceVp8Encoder,
    VoiceEncoder,
    is_worth_a_keyframe,
)

Planes = npt.NDArray[np.uint8]

STEP = 90_000 // FPS

VP8 = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90_000, payloadType=97)
H264 = RTCRtpCodecParameters(mimeType="video/H264", clockRate=90_000, payloadType=99)
OPUS = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48_000, channels=2, payloadType=96)
PCMU = RTCRtpCodecParameters(mimeType="audio/PCMU", clockRate=8_000, channels=1, payloadType=0)


class Link:
    """An encoder as aiortc's sender would use it, and the decoder at the other end."""

    def __init__(self, codec: RTCRtpCodecParameters) -> None:
        self._codec = codec
        self.encoder = vars(rtcrtpsender)["get_encoder"](codec)
        self._decoder: Decoder = Vp8Decoder() if codec is VP8 else H264Decoder()

    def send(self, frame: av.VideoFrame, key: bool = False) -> av.VideoFrame:
        """What the other end sees."""
        payloads, timestamp = self.encoder.encode(frame, force_keyframe=key)
        assert payloads and all(len(payload) <= 1300 for payload in payloads)
        data = b"".join(depayload(self._codec, payload) for payload in payloads)
        self.is_key = is_key(self._codec, data)
        (seen,) = self._decoder.decode(JitterFrame(data, timestamp))
        assert isinstance(seen, av.VideoFrame)
        return seen


@pytest.fixture(params=[VP8, H264], ids=["vp8", "h264"])
def link(request: pytest.FixtureRequest) -> Link:
    return Link(request.param)


def is_key(codec: RTCRtpCodecParameters, data: bytes) -> bool:
    if codec is VP8:
        return data[0] & 1 == 0  # RFC 6386, 9.1
    units = data.split(b"\x00\x00\x01")[1:]
    return any(unit[0] & 0x1F == 5 for unit in units)


@cache
def speaking(index: int) -> Planes:
    """A face whose mouth opens and shuts, as planes of yuv420p."""
    face = portrait("mei")
    drawn = face.frame(index).copy()
    x, y, w, h = MOUTH_BOX
    jaw = abs(np.sin(index / 3)) * 0.8
    drawn[y : y + h, x : x + w] = face.mouth(index, Mouth(jaw, 0.2, 0.0, 0.3, 0.0))
    planes = av.VideoFrame.from_ndarray(drawn, format="bgr24").to_ndarray(format="yuv420p")
    return planes.astype(np.uint8)


def picture(index: int, planes: Planes | None = None, begin_s: float = 0.0) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(
        speaking(index % 50) if planes is None else planes, format="yuv420p"
    )
    frame.pts = int(begin_s * 90_000) + index * STEP
    frame.time_base = VIDEO_CLOCK
    return frame


def psnr_db(one: Planes, other: Planes) -> float:
    difference = one.astype(float) - other.astype(float)
    return float(10 * np.log10(255**2 / (difference**2).mean()))


# ── The face ──────────────────────────────────────────────────────────────────────────────────


def test_aiortcs_senders_get_ours() -> None:
    get_encoder = vars(rtcrtpsender)["get_encoder"]
    assert isinstance(get_encoder(VP8), FaceVp8Encoder)
    assert isinstance(get_encoder(H264), FaceH264Encoder)
    assert isinstance(get_encoder(OPUS), VoiceEncoder)
    assert isinstance(get_encoder(PCMU), PcmuEncoder)


def test_a_face_is_seen_as_it_was(link: Link) -> None:
    link.encoder.target_bitrate = 500_000
    seen = [link.send(picture(index)) for index in range(50)]
    quality = [psnr_db(speaking(i), seen[i].to_ndarray().astype(np.uint8)) for i in range(25, 50)]
    assert min(quality) > 40


def test_only_the_first_picture_is_a_key_frame_unasked(link: Link) -> None:
    keys = []
    for index in range(60):
        link.send(picture(index), key=index == 40)
        keys += [index] if link.is_key else []
    assert keys == [0, 40]


def test_timestamps_follow_the_pictures(link: Link) -> None:
    encoder = link.encoder
    assert [encoder.encode(picture(i))[1] for i in (0, 1, 2, 30, 31)] == [
        i * STEP for i in (0, 1, 2, 30, 31)
    ]


def test_the_given_pictures_stay_as_they_are(link: Link) -> None:
    first, second = picture(0), picture(1)
    for frame, key in ((first, False), (second, True), (second, False)):
        link.send(frame, key)
    for index, frame in enumerate((first, second)):
        assert frame.pict_type == PictureType.NONE
        assert (frame.pts, frame.time_base) == (index * STEP, VIDEO_CLOCK)


def test_a_picture_that_was_a_key_frame_elsewhere_is_none_here(link: Link) -> None:
    link.send(picture(0))
    marked = picture(1)
    marked.pict_type = PictureType.I
    link.send(marked)
    assert not link.is_key
    assert marked.pict_type == PictureType.I


def test_other_clocks_and_formats_are_understood(link: Link) -> None:
    frame = av.VideoFrame.from_ndarray(portrait("mei").frame(0), format="bgr24")
    frame.pts, frame.time_base = 50, Fraction(1, FPS)
    assert link.encoder.encode(frame)[1] == 2 * 90_000
    assert (frame.pts, frame.time_base) == (50, Fraction(1, FPS))


def test_another_size_begins_anew(link: Link) -> None:
    link.send(picture(0))
    small = np.ascontiguousarray(np.full((384, 256), 90, np.uint8))
    seen = link.send(picture(1, small))
    assert link.is_key and (seen.width, seen.height) == (256, 256)
    assert link.send(picture(2)).width == 512


def test_a_lower_rate_is_taken_up_after_two_seconds(link: Link) -> None:
    link.encoder.target_bitrate = 1_000_000
    keys = []
    for index in range(4 * FPS):
        if index == FPS:
            link.encoder.target_bitrate = 500_000
        link.send(picture(index))
        keys += [index] if link.is_key else []
    assert keys == [0, int(FALL_AFTER_S * FPS)]
    assert link.encoder.codec.bit_rate == 500_000


def test_estimates_that_waver_cost_no_key_frames(link: Link) -> None:
    for index in range(8 * FPS):
        link.encoder.target_bitrate = 800_000 if index % 10 < 5 else 1_000_000
        link.send(picture(index))
        assert link.is_key == (index == 0)


@pytest.mark.parametrize(
    ("now", "wanted", "since_s", "is_worth"),
    [
        (1000, 760, 60.0, False),
        (1000, 750, 60.0, True),
        (1000, 750, FALL_AFTER_S - 0.1, False),
        (1000, 750, FALL_AFTER_S, True),
        (1000, 1400, 60.0, False),
        (1000, 1500, RISE_AFTER_S - 0.1, False),
        (1000, 1500, RISE_AFTER_S, True),
        (1000, 1000, 60.0, False),
        (1000, 500, -3.0, True),  # the clock began anew
    ],
)
def test_when_a_rate_is_worth_a_key_frame(
    now: int, wanted: int, since_s: float, is_worth: bool
) -> None:
    assert is_worth_a_keyframe(now, wanted, since_s) == is_worth


def test_encoders_of_several_peers_share_the_pictures() -> None:
    shared = [picture(index) for index in range(30)]

    def watch(codec: RTCRtpCodecParameters, asks_at: int) -> list[int]:
        link, keys = Link(codec), []
        for index, frame in enumerate(shared):
            link.send(frame, key=index == asks_at)
            keys += [index] if link.is_key else []
        return keys

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(watch, [VP8, H264][n % 2], 5 + n) for n in range(4)]
    assert [job.result() for job in jobs] == [[0, 5 + n] for n in range(4)]


# ── The voice ─────────────────────────────────────────────────────────────────────────────────


def tone(index: int, pts: int | None = None) -> av.AudioFrame:
    return voice_frame(np.sin(times_s(index) * 2 * np.pi * 220), index * VOICE_FRAME, pts)


def babble(index: int) -> av.AudioFrame:
    """Syllables: all harmonics of a deep voice, four times a second."""
    at = times_s(index)
    hum = sum(np.sin(at * 2 * np.pi * 120 * k) / k for k in range(1, 20))
    return voice_frame(hum * np.abs(np.sin(at * 2 * np.pi * 2)), index * VOICE_FRAME)


def times_s(index: int) -> npt.NDArray[np.float64]:
    return np.arange(index * VOICE_FRAME, (index + 1) * VOICE_FRAME) / VOICE_RATE_HZ


def voice_frame(wave: npt.NDArray[np.float64], begin: int, pts: int | None = None) -> av.AudioFrame:
    samples = (8000 * wave).astype(np.int16)[None]
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
    frame.sample_rate, frame.time_base = VOICE_RATE_HZ, VOICE_CLOCK
    frame.pts = begin if pts is None else pts
    return frame


def test_every_frame_of_voice_is_one_packet() -> None:
    encoder, decoder = VoiceEncoder(), OpusDecoder()
    heard = []
    for index in range(50):
        packets, timestamp = encoder.encode(tone(index))
        assert len(packets) == 1 and timestamp == index * VOICE_FRAME
        (frame,) = decoder.decode(JitterFrame(packets[0], timestamp))
        assert isinstance(frame, av.AudioFrame) and frame.samples == VOICE_FRAME
        heard.append(frame.to_ndarray()[0, ::2])
    spectrum = np.abs(np.fft.rfft(np.concatenate(heard[10:60])[: 40 * VOICE_FRAME]))
    assert spectrum.argmax() * VOICE_RATE_HZ / (40 * VOICE_FRAME) == pytest.approx(220, abs=2)


def test_pauses_stay_in_the_timestamps() -> None:
    encoder = VoiceEncoder()
    times = [encoder.encode(tone(i, pts))[1] for i, pts in enumerate([5000, 5960, 53_960, 54_920])]
    assert times == [0, 960, 48_960, 49_920]


def test_packets_carry_a_second_copy_of_the_frame_before() -> None:
    encoder = VoiceEncoder()
    packets = [encoder.encode(babble(index))[0][0] for index in range(50)]
    # RFC 6716, 4.2.3 and 4.2.4: after the configuration, whether there is voice, and a copy.
    copies = [packet[0] >> 3 < 16 and bool(packet[1] & 0b0100_0000) for packet in packets[5:]]
    assert sum(copies) > len(copies) / 2  # the gaps between syllables need none


def test_frames_of_another_shape_are_refused() -> None:
    stereo = av.AudioFrame.from_ndarray(
        np.zeros((1, 2 * VOICE_FRAME), np.int16), format="s16", layout="stereo"
    )
    stereo.sample_rate, stereo.time_base = VOICE_RATE_HZ, VOICE_CLOCK
    with pytest.raises(ValueError, match="mono"):
        VoiceEncoder().encode(stereo)
