"""Replies as files: WAV, MP3, Ogg, and MP4 that plays while it is still being downloaded."""

import wave
from collections.abc import Iterator, Sequence
from fractions import Fraction
from io import BytesIO
from typing import Literal

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream

from engines.base import FPS, FRAME_SIZE_PX, Audio, Pcm, Pixels
from engines.sound import joined

BT709 = 1
"""Primaries, curve and matrix in the numbers of H.273: what players assume of any H.264."""

LIMITED_RANGE = 1
"""16 to 235, as FFmpeg numbers it; the other one comes out washed in some browsers."""

VIDEO_OPTIONS = {
    "preset": "veryfast",
    "crf": "23",  # a drawn or filmed face at 512 px shows no blocks
    "profile": "main",
    "bf": "0",  # without frames from the future the first one is at 0 and needs no edit list
    "g": str(FPS * 2),  # a player can jump to every second second
}

VOICE_BIT_RATE = 64_000
"""Speech in AAC, MP3 or Opus is transparent here."""

COMPRESSED = {"mp3": ("mp3", "libmp3lame"), "ogg": ("ogg", "libopus")}
"""Container and encoder."""

OPUS_RATE_HZ = 48_000
"""Opus knows no 22.05 kHz."""


def wav_bytes(audio: Audio) -> bytes:
    """PCM s16 mono in RIFF."""
    file = BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(audio.rate_hz)
        writer.writeframes(audio.samples.astype("<i2").tobytes())
    return file.getvalue()


def join(pieces: Sequence[Audio]) -> Audio:
    """One after the other, at the sample rate of the first; phonemes keep to their sounds."""
    if not pieces:
        raise ValueError("nothing to join")
    return joined([resampled(piece, pieces[0].rate_hz) for piece in pieces])


def resampled(audio: Audio, rate_hz: int) -> Audio:
    """The same sound at another rate."""
    if audio.rate_hz == rate_hz or not len(audio.samples):
        return Audio(audio.samples, rate_hz, audio.phonemes)
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_hz)
    frames = [*resampler.resample(_sound_frame(audio.samples, audio.rate_hz, 0))]
    frames += resampler.resample(None)
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.int16)
    return Audio(samples, rate_hz, audio.phonemes)


def compressed_bytes(audio: Audio, format: Literal["mp3", "ogg"]) -> bytes:
    """The sound as MP3, or as Opus in Ogg."""
    container, encoder = COMPRESSED[format]
    sound = resampled(audio, OPUS_RATE_HZ) if format == "ogg" else audio
    file = BytesIO()
    with av.open(file, mode="w", format=container) as output:
        track = _voice_track(output, encoder, sound.rate_hz)
        for frame in _sound_frames(sound.samples, sound.rate_hz, 0):
            output.mux(track.encode(frame))
        output.mux(track.encode(None))
    return file.getvalue()


class Mp4Recording:
    """An MP4 encoded while its frames are still being drawn. Used from one thread at a time.

    Sound and picture both start at 0 and are added in any order; either may be the longer one.
    """

    def __init__(self, rate_hz: int, size: int = FRAME_SIZE_PX, fps: int = FPS) -> None:
        self._file = BytesIO()
        self._output = av.open(
            self._file,
            mode="w",
            format="mp4",
            options={"movflags": "faststart"},
            io_open=lambda _url, _flags, _options: _SecondLook(self._file),
        )
        self._rate_hz = rate_hz
        self._frame_time = Fraction(1, fps)
        self._video = _face_track(self._output, size, fps)
        self._voice = _voice_track(self._output, "aac", rate_hz)
        self._colours = VideoReformatter()
        self._frames = 0
        self._samples = 0

    def add_frame(self, bgr: Pixels) -> None:
        """Append one frame: uint8 BGR, shape [size, size, 3]."""
        drawn = av.VideoFrame.from_ndarray(np.ascontiguousarray(bgr), format="bgr24")
        frame = self._colours.reformat(
            drawn,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )
        frame.pts = self._frames
        frame.time_base = self._frame_time
        self._frames += 1
        self._output.mux(self._video.encode(frame))

    def add_audio(self, samples: Pcm) -> None:
        """Append sound at the rate given in the beginning."""
        for frame in _sound_frames(samples, self._rate_hz, self._samples):
            self._output.mux(self._voice.encode(frame))
        self._samples += len(samples)

    def finish(self) -> bytes:
        """The whole file, its index in front. Nothing can be added afterwards."""
        if not self._frames:
            raise ValueError("a video needs at least one frame")
        if not self._samples:
            # A track without any sample makes some players refuse the file.
            self.add_audio(np.zeros(self._rate_hz // FPS, np.int16))
        self._output.mux(self._video.encode(None))
        self._output.mux(self._voice.encode(None))
        self._output.close()
        return self._file.getvalue()

    def close(self) -> None:
        """Drop what was made so far; needed only when `finish` is never called."""
        self._output.close()


class _SecondLook:
    """Reads a file that is being written. To put the index in front, FFmpeg opens its own output
    once more and moves the rest behind it."""

    def __init__(self, file: BytesIO) -> None:
        self._file = file
        self._at = 0

    def read(self, size: int) -> bytes:
        writing_at = self._file.tell()
        self._file.seek(self._at)
        data = self._file.read(size)
        self._file.seek(writing_at)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._at, self._file.getbuffer().nbytes)[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        """The file is still being written."""


def _face_track(output: av.container.OutputContainer, size: int, fps: int) -> VideoStream:
    track = output.add_stream("libx264", rate=fps, options=VIDEO_OPTIONS)
    track.width = track.height = size
    track.pix_fmt = "yuv420p"
    track.thread_count = 1  # many sessions share the machine
    context = track.codec_context
    context.color_primaries = context.color_trc = context.colorspace = BT709
    context.color_range = LIMITED_RANGE
    return track


def _voice_track(output: av.container.OutputContainer, encoder: str, rate_hz: int) -> AudioStream:
    track = output.add_stream(encoder, rate=rate_hz, layout="mono")
    assert isinstance(track, AudioStream)  # the encoder's name decides it
    track.bit_rate = VOICE_BIT_RATE
    return track


def _sound_frames(samples: Pcm, rate_hz: int, at: int) -> Iterator[av.AudioFrame]:
    """Of one second each, so that no long copy is made; the encoder cuts to its own size."""
    for begin in range(0, len(samples), rate_hz):
        yield _sound_frame(samples[begin : begin + rate_hz], rate_hz, at + begin)


def _sound_frame(samples: Pcm, rate_hz: int, at: int) -> av.AudioFrame:
    row = np.ascontiguousarray(samples, dtype=np.int16).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(row, format="s16", layout="mono")
    frame.sample_rate = rate_hz
    frame.pts = at
    frame.time_base = Fraction(1, rate_hz)
    return frame
