"""Encoders for one talking head and one voice: cheaper than aiortc's, and not duller.

aiortc's own are made for any camera. A face that is drawn or warped has no sensor noise, so VP8's
denoiser only costs time and blurs; a voice has no left and right. Measured with `portrait("mei")`
speaking for 10 s (512 x 512, 25 fps, one core of a shared server), PSNR of what is decoded:

| at 500 kbit/s | ms a frame | PSNR dB |    | at 1 Mbit/s | ms a frame | PSNR dB |
|---|---|---|---|---|---|---|
| aiortc's VP8  | 1.9 | 46.1 |  | aiortc's VP8  | 2.3 | 47.4 |
| VP8           | 0.8 | 48.1 |  | VP8           | 0.9 | 49.2 |
| aiortc's H264 | 5.3 | 49.5 |  | aiortc's H264 | 6.5 | 52.9 |
| H264          | 1.3 | 49.3 |  | H264          | 1.5 | 52.8 |

The same frames may be given to several encoders at once, in several threads: none is changed.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import cast

import av
from aiortc import RTCRtpCodecParameters, rtcrtpsender
from aiortc.codecs.base import Encoder
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.opus import OpusEncoder
from aiortc.codecs.vpx import Vp8Encoder
from av.frame import Frame
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from engines.base import FPS

VIDEO_CLOCK = Fraction(1, 90_000)
VOICE_RATE_HZ = 48_000
VOICE_CLOCK = Fraction(1, VOICE_RATE_HZ)
VOICE_FRAME = 960
"""Samples: 20 ms."""

VOICE_BPS = 48_000
"""Enough for a voice in full bandwidth, and still in the mode that can carry a second copy."""

NO_KEYFRAMES = 3_000
"""Frames; two minutes. A client that needs a key frame asks for one."""

RISE, RISE_AFTER_S = 1.5, 5.0
FALL, FALL_AFTER_S = 0.75, 2.0
"""libvpx and x264, through FFmpeg, take another rate only when opened anew, which costs a key
frame. A browser that probes the network raises its estimate by 8 % a second, so rises are taken in
few steps; a fall means that packets are lost, and cannot wait."""


class FaceVp8Encoder(Vp8Encoder):
    """libvpx with what a talking head needs."""

    codec: VideoCodecContext | None
    _since_s = 0.0

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        picture = _picture(frame, force_keyframe)
        if self.codec is None or _is_stale(self.codec, picture, self.target_bitrate, self._since_s):
            self.codec = self._opened(picture)
            self._since_s = _seconds(picture)
        data = b"".join(bytes(packet) for packet in self.codec.encode(picture))
        payloads = self._packetize(data, self.picture_id)
        self.picture_id = (self.picture_id + 1) % (1 << 15)
        return payloads, _pts(picture)

    def _opened(self, picture: av.VideoFrame) -> VideoCodecContext:
        codec = _context("libvpx", picture, self.target_bitrate)
        codec.qmin = 6  # finer than that nobody sees, and every packet costs time
        codec.qmax = 56
        rate = str(self.target_bitrate)
        codec.options = {
            "deadline": "realtime",
            "cpu-used": "-12",
            "lag-in-frames": "0",
            "noise-sensitivity": "0",
            "static-thresh": "300",  # a wall that does not move is not coded again
            "partitions": "0",
            "minrate": rate,  # with maxrate the same: a constant rate
            "maxrate": rate,
            "bufsize": rate,  # one second
            "overshoot-pct": "15",
            "undershoot-pct": "100",
        }
        return codec


class FaceH264Encoder(H264Encoder):
    """x264 in its `superfast` preset, and one thread."""

    codec: VideoCodecContext | None
    _since_s = 0.0

    def _encode_frame(self, frame: av.VideoFrame, force_keyframe: bool) -> Iterator[bytes]:
        picture = _picture(frame, force_keyframe)
        if self.codec is None or _is_stale(self.codec, picture, self.target_bitrate, self._since_s):
            self.codec = self._opened(picture)
            self._since_s = _seconds(picture)
        data = b"".join(bytes(packet) for packet in self.codec.encode(picture))
        if data:
            yield from self._split_bitstream(data)

    def _opened(self, picture: av.VideoFrame) -> VideoCodecContext:
        codec = _context("libx264", picture, self.target_bitrate)
        rate = str(self.target_bitrate)
        codec.options = {
            "preset": "superfast",
            "tune": "zerolatency",
            "level": "31",
            "maxrate": rate,
            "bufsize": rate,  # one second
        }
        codec.profile = "Baseline"
        return codec


class VoiceEncoder(OpusEncoder):
    """One voice: mono frames of exactly 20 ms at 48 kHz, so nothing is resampled or held back.

    Mono is legal where stereo was negotiated: each packet says what it is (RFC 7587, 4.2). A
    coarse copy of each frame goes with the next one (in-band FEC), which saves single losses.
    """

    def __init__(self) -> None:
        codec = av.CodecContext.create("libopus", "w")
        codec.bit_rate = VOICE_BPS
        codec.format = "s16"
        codec.layout = "mono"
        codec.sample_rate = VOICE_RATE_HZ
        codec.time_base = VOICE_CLOCK
        codec.options = {
            "application": "voip",
            "fec": "1",
            "packet_loss": "5",
            "compression_level": "2",  # 10, the usual, takes half as long again and sounds alike
        }
        self.codec = codec
        self.first_packet_pts: int | None = None

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """The packet, and its time in samples since the first frame, pauses included.

        Raises `ValueError` for frames of another shape.
        """
        if not isinstance(frame, av.AudioFrame) or _shape(frame) != _VOICE_SHAPE:
            raise ValueError(f"A voice comes as frames of {_VOICE_SHAPE}.")
        pts = frame.pts or 0
        if self.first_packet_pts is None:
            self.first_packet_pts = pts
        packets = [bytes(packet) for packet in self.codec.encode(frame)]
        return packets, pts - self.first_packet_pts


_VOICE_SHAPE = ("s16", "mono", VOICE_RATE_HZ, VOICE_FRAME, VOICE_CLOCK)


def is_worth_a_keyframe(now_bps: int, wanted_bps: int, since_s: float) -> bool:
    """Whether an encoder should change its rate, `since_s` after the last change.

    Time that runs backwards means that the frames' clock began anew: then nothing is known.
    """
    if wanted_bps <= now_bps * FALL:
        return not 0 <= since_s < FALL_AFTER_S
    return wanted_bps >= now_bps * RISE and not 0 <= since_s < RISE_AFTER_S


def face_and_voice_encoder(codec: RTCRtpCodecParameters) -> Encoder:
    """Ours where we have one, else aiortc's."""
    ours: dict[str, type[Encoder]] = {
        "video/vp8": FaceVp8Encoder,
        "video/h264": FaceH264Encoder,
        "audio/opus": VoiceEncoder,
    }
    made = ours.get(codec.mimeType.lower())
    return made() if made else _aiortcs(codec)


def _context(name: str, picture: av.VideoFrame, bit_rate_bps: int) -> VideoCodecContext:
    codec = cast(VideoCodecContext, av.CodecContext.create(name, "w"))
    codec.width, codec.height = picture.width, picture.height
    codec.pix_fmt = "yuv420p"
    codec.bit_rate = bit_rate_bps
    codec.time_base = VIDEO_CLOCK  # the frames' own: else encoding rounds, and changes, their pts
    codec.framerate = Fraction(FPS)
    codec.gop_size = NO_KEYFRAMES
    codec.thread_count = 1  # many faces share the machine
    return codec


def _is_stale(
    codec: VideoCodecContext, picture: av.VideoFrame, wanted_bps: int, opened_s: float
) -> bool:
    """Whether the picture's size, or the rate, needs a new codec."""
    if (codec.width, codec.height) != (picture.width, picture.height):
        return True
    since_s = _seconds(picture) - opened_s
    return is_worth_a_keyframe(codec.bit_rate or 1, wanted_bps, since_s)


def _picture(frame: Frame, is_key: bool) -> av.VideoFrame:
    """The frame itself where nothing about it needs to be different, else a copy: others may be
    encoding it at this moment, and the kind of picture is written into it."""
    assert isinstance(frame, av.VideoFrame)
    kind = PictureType.I if is_key else PictureType.NONE
    if (
        frame.format.name == "yuv420p"
        and frame.pict_type == kind
        and frame.time_base == VIDEO_CLOCK
    ):
        return frame
    own = av.VideoFrame.from_ndarray(frame.to_ndarray(format="yuv420p"), format="yuv420p")
    own.pict_type = kind
    own.pts = round((frame.pts or 0) * (frame.time_base or VIDEO_CLOCK) / VIDEO_CLOCK)
    own.time_base = VIDEO_CLOCK
    return own


def _pts(picture: av.VideoFrame) -> int:
    return picture.pts or 0


def _seconds(picture: av.VideoFrame) -> float:
    return float(_pts(picture) * VIDEO_CLOCK)


def _shape(frame: av.AudioFrame) -> tuple[object, ...]:
    rate, clock = frame.sample_rate, frame.time_base
    return frame.format.name, frame.layout.name, rate, frame.samples, clock


# aiortc offers no way to choose the encoder, so the function that its senders look up is
# replaced here, once.
_aiortcs = vars(rtcrtpsender)["get_encoder"]
vars(rtcrtpsender)["get_encoder"] = face_and_voice_encoder
