"""What learners recorded, from whatever their browser made of it to 16 kHz mono.

MediaError
├── RecordingTooLong       longer, or larger, than is listened to
└── UnreadableRecording    no sound could be read from it

The bytes come from strangers, so the container is told by its first bytes and only seven demuxers
and eleven kinds of decoder can be reached: no playlists, no pictures, no other files. Decoding
stops at the limit: two hours of silence are a few kilobytes of FLAC.
"""

import asyncio
import base64
import binascii
import re
import time
from collections.abc import Iterator
from io import BytesIO
from typing import Never

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import InputContainer

from engines.base import HEARING_RATE_HZ, Audio, Pcm
from engines.mp4 import FalseIndex, check_index

ACCEPTED = "WAV, WebM, Ogg, MP3, FLAC and M4A"

LIMIT_S = 60.0
"""Longest recording by default: a spoken answer, not a lecture."""

SLACK_S = 0.5
"""Encoders pad; a recording stopped at the limit must not be refused for it."""

LEAST_S = 0.1
"""Shorter than any word."""

PATIENCE_S = 15.0
"""A minute of Opus takes 0.1 s. Only a file that is made to be slow needs more than this."""

PACKETS = 500_000
"""Three hours of AAC, and 12 MB of what FFmpeg keeps of them."""

FRUITLESS_PACKETS = 500
"""In a row, without any sound coming out: 10 s of real speech. Only a broken file has more."""

RATES_HZ = range(4_000, 384_001)
"""Outside, a header claims that one byte is hours of sound or that a second is gigabytes."""

DECODERS = (
    "opus,libopus,vorbis,libvorbis,aac,mp3,mp3float,flac,alac,"
    "pcm_s16le,pcm_s24le,pcm_s32le,pcm_u8,pcm_f32le,pcm_f64le,pcm_alaw,pcm_mulaw"
)
"""Only sound: a cover picture of 65 000 x 65 000 points must not be unpacked."""

OPTIONS = {"codec_whitelist": DECODERS, "max_streams": "16", "ignore_editlist": "1"}

DATA_URL = re.compile(r"data:[^,]{0,200};base64,")


class MediaError(Exception):
    """A recording that cannot be used: a sentence for the learner, and a stable `code`."""

    code = "audio_failed"

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class RecordingTooLong(MediaError):
    """The recording is longer or larger than what is listened to."""

    code = "audio_too_long"


class UnreadableRecording(MediaError):
    """The recording is damaged, empty, or of a kind that is not accepted."""

    code = "audio_unreadable"


def recording_bytes(data: str, limit_bytes: int) -> bytes:
    """The bytes behind strict base64, with or without a `data:…;base64,` in front."""
    prefix = DATA_URL.match(data)
    begin = prefix.end() if prefix else 0
    if (len(data) - begin) * 3 // 4 > limit_bytes + 2:  # 2: padding
        raise RecordingTooLong(
            f"The recording is larger than {limit_bytes / 1e6:.1f} MB; please send a shorter one."
        )
    try:
        return base64.b64decode(data[begin:], validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableRecording(
            "The recording is not valid base64; send the bytes of a whole file"
            f" ({ACCEPTED}) in base64."
        ) from error


async def decode_recording(data: bytes, limit_s: float = LIMIT_S) -> Audio:
    """Decode a whole recording. Raises `MediaError`.

    A file that breaks off gives what could be read of it.
    """
    return await asyncio.to_thread(_decode, data, limit_s)


def _decode(data: bytes, limit_s: float) -> Audio:
    container = _container_of(data)
    if container == "mp4":
        try:
            check_index(data, PACKETS)
        except FalseIndex as error:
            raise UnreadableRecording(_unreadable("is damaged")) from error
    most = int(limit_s * HEARING_RATE_HZ)
    pieces: list[Pcm] = []
    count = 0
    try:
        for piece in _sound(_Recording(data), container):
            pieces.append(piece)
            count += len(piece)
            if count > most + SLACK_S * HEARING_RATE_HZ:
                raise RecordingTooLong(
                    f"The recording is longer than {limit_s:g} s; please say it in parts."
                )
    except (av.FFmpegError, OSError, ValueError, MemoryError) as error:
        # Broken off or damaged on the way: what came before is still an answer.
        if count < LEAST_S * HEARING_RATE_HZ:
            raise UnreadableRecording(_unreadable("is damaged")) from error
    if count < LEAST_S * HEARING_RATE_HZ:
        _refuse("holds no sound")
    return Audio(np.concatenate(pieces)[:most], HEARING_RATE_HZ)


def _container_of(data: bytes) -> str:
    """FFmpeg's name of the container, told by the first bytes and never by a label."""
    head = data[:12]
    if not head:
        _refuse("is empty")
    starts = {b"RIFF": "wav", b"\x1aE\xdf\xa3": "matroska", b"OggS": "ogg", b"fLaC": "flac"}
    if name := starts.get(head[:4]):
        return name
    if head[4:8] == b"ftyp":
        return "mp4"
    # Twelve bits that mark a frame, of which two say that it is layer III.
    layer_three = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2
    if head[:3] == b"ID3" or layer_three:
        return "mp3"
    _refuse("is of an unknown kind")


class _Recording(BytesIO):
    """Ends the reading of a file that is made to be slow: FFmpeg compares each of its remarks with
    all others, for hours if there are a million."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.deadline = time.monotonic() + PATIENCE_S

    def read(self, size: int | None = -1, /) -> bytes:
        if time.monotonic() > self.deadline:
            return b""
        return super().read(size)


def _sound(file: _Recording, container: str) -> Iterator[Pcm]:
    """The first sound track, piece by piece, at the rate that recognisers are given."""
    ears = _Resampler()
    with av.open(
        file,
        mode="r",
        format=container,
        options=OPTIONS,
        metadata_errors="replace",
        io_open=_open_nothing,
    ) as source:
        track = _first_track(source)
        track.codec_context.thread_count = 1  # many learners share the machine
        fruitless = 0
        for packet in source.demux(track):
            try:
                frames = track.codec_context.decode(packet)
            except av.InvalidDataError:
                frames = []  # one damaged packet is a click, not the end
            fruitless = 0 if frames else fruitless + 1
            if fruitless > FRUITLESS_PACKETS or time.monotonic() > file.deadline:
                break
            for frame in frames:
                yield from ears.hear(frame)
    yield from ears.rest()


def _first_track(source: InputContainer) -> AudioStream:
    for track in source.streams.audio:
        # Sound of an unknown kind has no decoder, whatever the library's types say.
        decoder: AudioCodecContext | None = track.codec_context
        if decoder is not None:
            return track
    _refuse("holds no sound")


def _open_nothing(url: str, _flags: int, _options: dict[str, str]) -> Never:
    """Some containers name further files; none of ours is theirs to read."""
    raise PermissionError(url)


class _Resampler:
    """Frames of any kind in, 16 kHz mono out; the kind may change on the way."""

    def __init__(self) -> None:
        self._kind: tuple[str, str, int] | None = None
        self._resampler: av.AudioResampler | None = None

    def hear(self, frame: av.AudioFrame) -> Iterator[Pcm]:
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._kind:
            if frame.sample_rate not in RATES_HZ:
                _refuse("claims an impossible sample rate")
            yield from self.rest()
            self._kind = kind
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=HEARING_RATE_HZ)
        frame.pts = None  # gaps that the file claims are not to be filled with silence
        yield from self._resampled(frame)

    def rest(self) -> Iterator[Pcm]:
        """What the filter still holds."""
        yield from self._resampled(None)
        self._resampler = None

    def _resampled(self, frame: av.AudioFrame | None) -> Iterator[Pcm]:
        if self._resampler is not None:
            for piece in self._resampler.resample(frame):
                yield piece.to_ndarray()[0].astype(np.int16)


def _unreadable(what: str) -> str:
    return f"The recording {what}; accepted are whole recordings as {ACCEPTED}."


def _refuse(what: str) -> Never:
    raise UnreadableRecording(_unreadable(what))
