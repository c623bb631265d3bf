"""Recordings to send, and what came back taken apart."""

import base64
import io
import wave
from dataclasses import dataclass

import av
import numpy as np
from av.container import InputContainer

from engines.base import Pcm, Pixels


def wav(seconds: float = 1.0, rate_hz: int = 16_000, tone_hz: float = 220.0) -> bytes:
    """A tone as a WAV file."""
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    return packed((8_000 * np.sin(2 * np.pi * tone_hz * times)).astype(np.int16), rate_hz)


def packed(samples: Pcm, rate_hz: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def unpacked(data: str) -> tuple[Pcm, int]:
    """Samples and rate of a base64 WAV (PCM s16, mono), as the contract wants it."""
    with wave.open(io.BytesIO(base64.b64decode(data, validate=True))) as reader:
        assert reader.getnchannels() == 1
        assert reader.getsampwidth() == 2
        samples = np.frombuffer(reader.readframes(reader.getnframes()), "<i2")
        return samples.astype(np.int16), reader.getframerate()


@dataclass(frozen=True)
class Film:
    """A decoded MP4."""

    frames: list[Pixels]
    """uint8 BGR."""
    voice: Pcm
    rate_hz: int
    fps: float


def film(data: str) -> Film:
    """Decode a base64 MP4: H.264 in yuv420p with AAC, its index in front of the media."""
    content = base64.b64decode(data, validate=True)
    assert content.index(b"moov") < content.index(b"mdat"), "not a faststart file"
    with _opened(content) as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert container.streams.audio[0].codec_context.name == "aac"
        fps = float(video.average_rate or 0)
        frames = [_pixels(frame) for frame in container.decode(video=0)]
    with _opened(content) as container:
        resampler = av.AudioResampler(format="s16", layout="mono")
        rate_hz = container.streams.audio[0].codec_context.sample_rate
        pieces = []
        for frame in container.decode(audio=0):
            begin_s = float(frame.time or 0)
            if begin_s < 0:
                continue
            pieces += [part.to_ndarray()[0] for part in resampler.resample(frame)]
    return Film(frames, np.concatenate(pieces).astype(np.int16), rate_hz, fps)


def _opened(content: bytes) -> InputContainer:
    container = av.open(io.BytesIO(content), mode="r", format="mp4")
    assert isinstance(container, InputContainer)
    return container


def _pixels(frame: av.VideoFrame) -> Pixels:
    return frame.to_ndarray(format="bgr24").astype(np.uint8)
