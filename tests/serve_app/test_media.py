import base64
import json
import os
import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest

from engines.base import HEARING_RATE_HZ, Audio, Pcm
from serve_app import media
from serve_app.media import (
    MediaError,
    RecordingTooLong,
    UnreadableRecording,
    decode_recording,
    recording_bytes,
)
from tests import uploads as boxes
from tests.uploads import with_boxes

RATE_HZ = 48_000
TONE_HZ = 440

CONTAINERS = {
    "wav": ("wav", "pcm_s16le"),
    "wav 24 bit": ("wav", "pcm_s24le"),
    "wav float": ("wav", "pcm_f32le"),
    "webm opus": ("webm", "libopus"),
    "matroska flac": ("matroska", "flac"),
    "ogg opus": ("ogg", "libopus"),
    "ogg vorbis": ("ogg", "vorbis"),
    "ogg flac": ("ogg", "flac"),
    "mp3": ("mp3", "libmp3lame"),
    "flac": ("flac", "flac"),
    "m4a": ("ipod", "aac"),
    "mp4 opus": ("mp4", "libopus"),
}

EXPERIMENTAL = {"strict": "experimental"}
"""FFmpeg's own Vorbis encoder wants to be asked for like this."""


def tone(seconds: float, rate_hz: int = RATE_HZ) -> Pcm:
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    return (8000 * np.sin(2 * np.pi * TONE_HZ * times)).astype(np.int16)


def silence(seconds: float, rate_hz: int = RATE_HZ) -> Pcm:
    return np.zeros(int(seconds * rate_hz), np.int16)


def record(
    samples: Pcm,
    kind: str = "wav",
    rate_hz: int = RATE_HZ,
    layout: str = "mono",
    options: dict[str, str] | None = None,
) -> bytes:
    """`samples` as a file of the kind that a browser would send."""
    container, encoder = CONTAINERS[kind]
    file = BytesIO()
    with av.open(file, mode="w", format=container, options=options) as output:
        if encoder == "vorbis":
            layout = "stereo"  # FFmpeg's own encoder knows nothing else
        track = output.add_stream(encoder, rate=rate_hz, layout=layout, options=EXPERIMENTAL)
        channels = 2 if layout == "stereo" else 1
        for begin in range(0, len(samples), rate_hz):
            row = np.repeat(samples[begin : begin + rate_hz], channels).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(row, format="s16", layout=layout)
            frame.sample_rate, frame.pts = rate_hz, begin
            output.mux(track.encode(frame))  # type: ignore[union-attr, arg-type]  # it is audio
        output.mux(track.encode(None))  # type: ignore[union-attr]  # it is audio
    return file.getvalue()


def pitch_hz(audio: Audio) -> float:
    middle = audio.samples[len(audio.samples) // 4 : -len(audio.samples) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    return float(np.argmax(spectrum) * audio.rate_hz / len(middle))


@pytest.mark.parametrize("kind", CONTAINERS)
async def test_every_container_is_decoded(kind: str) -> None:
    audio = await decode_recording(record(tone(1.5), kind))

    assert audio.rate_hz == HEARING_RATE_HZ
    assert audio.samples.dtype == np.int16
    assert audio.seconds == pytest.approx(1.5, abs=0.12)  # encoders pad by up to two frames
    assert pitch_hz(audio) == pytest.approx(TONE_HZ, abs=3)
    assert 7000 < np.abs(audio.samples[8000:16000]).max() < 9000


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 96_000])
async def test_every_rate_and_both_channels_become_16_khz_mono(rate_hz: int) -> None:
    data = record(tone(1, rate_hz), rate_hz=rate_hz, layout="stereo")

    audio = await decode_recording(data)

    assert audio.seconds == pytest.approx(1, abs=0.002)
    assert pitch_hz(audio) == pytest.approx(TONE_HZ, abs=3)


async def test_a_stream_without_a_length_like_a_browsers_is_decoded() -> None:
    whole = record(tone(1), "webm opus", options={"live": "1"})
    assert (await decode_recording(whole)).seconds == pytest.approx(1, abs=0.1)

    fragmented = record(tone(1), "m4a", options={"movflags": "frag_keyframe+empty_moov"})
    assert (await decode_recording(fragmented)).seconds == pytest.approx(1, abs=0.1)


async def test_sound_is_taken_out_of_a_video() -> None:
    file = BytesIO()
    with av.open(file, mode="w", format="webm") as output:
        video = output.add_stream("libvpx", rate=25)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        voice = output.add_stream("libopus", rate=RATE_HZ, layout="mono")
        for _ in range(25):
            output.mux(video.encode(av.VideoFrame(64, 64, "yuv420p")))
        sound = av.AudioFrame.from_ndarray(tone(1).reshape(1, -1), format="s16", layout="mono")
        sound.sample_rate = RATE_HZ
        output.mux([*voice.encode(sound), *voice.encode(None), *video.encode(None)])

    assert (await decode_recording(file.getvalue())).seconds == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("kind", sorted(set(CONTAINERS) - {"m4a", "mp4 opus"}))
async def test_a_recording_that_breaks_off_gives_what_there_is(kind: str) -> None:
    whole = record(tone(4), kind)

    audio = await decode_recording(whole[: len(whole) // 2])

    assert 0.9 < audio.seconds < 3


async def test_half_an_m4a_has_no_index_and_is_refused() -> None:
    whole = record(tone(4), "m4a")
    with pytest.raises(UnreadableRecording):
        await decode_recording(whole[: len(whole) // 2])


async def test_damage_in_the_middle_costs_only_the_damaged_part() -> None:
    data = bytearray(record(tone(4), "ogg opus"))
    data[len(data) // 2 : len(data) // 2 + 100] = os.urandom(100)

    assert (await decode_recording(bytes(data))).seconds > 2


async def test_the_limit_is_kept_but_an_encoders_padding_is_forgiven() -> None:
    exact = await decode_recording(record(tone(2), "m4a"), limit_s=2)
    assert exact.seconds == 2

    with pytest.raises(RecordingTooLong, match="longer than 2 s") as refusal:
        await decode_recording(record(tone(3)), limit_s=2)
    assert refusal.value.code == "audio_too_long"


STARTS = {
    "wav": b"RIFF\xff\xff\xff\x7fWAVEfmt ",
    "webm": b"\x1aE\xdf\xa3",
    "ogg": b"OggS",
    "flac": b"fLaC",
    "mp3": b"ID3\x04\0\0\0\0\0\0",
    "m4a": b"\0\0\0\x18ftypM4A ",
}

REFUSED: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "one byte": lambda: b"\xff",
    "zeros": lambda: bytes(5000),
    "text": lambda: b"How do I send a recording?" * 50,
    "playlist": lambda: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    "playlist of ffmpeg": lambda: b"ffconcat version 1.0\nfile /etc/passwd\n",
    "session description": lambda: b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=audio 9 RTP/AVP 0\r\n",
    "html": lambda: b"<!doctype html><title>404</title>",
    "aiff": lambda: b"FORM\0\0\0\x10AIFFCOMM" + bytes(64),
    "huge picture": lambda: huge_png(),
    "no sound at all": lambda: record(silence(0)),
    "a blink of sound": lambda: record(tone(0.05)),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_is_no_recording_is_refused_with_what_is_accepted(what: str) -> None:
    with pytest.raises(UnreadableRecording, match="accepted are .* WAV, WebM") as refusal:
        await decode_recording(REFUSED[what]())
    assert refusal.value.code == "audio_unreadable"


@pytest.mark.parametrize("kind", STARTS)
async def test_only_the_start_of_a_recording_is_refused(kind: str) -> None:
    with pytest.raises(UnreadableRecording):
        await decode_recording(STARTS[kind] + bytes(range(256)) * 20)


async def test_noise_behind_any_known_start_never_ends_in_another_error() -> None:
    rng = np.random.default_rng(0)
    for kind in CONTAINERS:
        whole = record(tone(0.5), kind)
        for _ in range(12):
            data = bytearray(whole)
            for place in rng.integers(4, len(data), 20):
                data[place] = rng.integers(256)
            try:
                audio = await decode_recording(bytes(data), limit_s=2)
            except MediaError as refusal:
                assert refusal.sentence.startswith("The recording")
            else:
                assert audio.seconds <= 2


async def test_a_file_is_what_its_bytes_say_whatever_it_is_called() -> None:
    # The label travels outside of the bytes; a wrong one in front changes nothing either.
    data = recording_bytes("data:audio/mp3;base64," + encoded(record(tone(1), "flac")), 10**6)
    assert (await decode_recording(data)).seconds == pytest.approx(1, abs=0.01)


async def test_one_container_in_the_others_name_is_refused() -> None:
    flac = record(tone(1), "flac")
    with pytest.raises(UnreadableRecording):
        await decode_recording(b"OggS" + flac[4:])


async def test_opening_ends_in_time_however_much_there_is_to_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(media, "PATIENCE_S", 0.0)
    with pytest.raises(UnreadableRecording, match="is damaged"):
        await decode_recording(record(tone(1), "m4a"))


# ── bombs: small files that claim to be enormous ──────────────────────────────────────────────


def huge_png(side: int = 65_000) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    packed = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed)


def mp3_with_cover(picture: bytes) -> bytes:
    content = b"\0image/png\0\x03\0" + picture
    frame = b"APIC" + struct.pack(">I", len(content)) + b"\0\0" + content
    size = bytes((len(frame) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + frame + record(tone(1), "mp3")


def an_hour_of_silence(container: str) -> bytes:
    """One packet of Opus again and again, because encoding an hour takes seconds."""
    file = BytesIO()
    with av.open(file, mode="w", format=container) as output:
        track = output.add_stream("libopus", rate=RATE_HZ, layout="mono")
        row = silence(0.2).reshape(1, -1)
        sound = av.AudioFrame.from_ndarray(row, format="s16", layout="mono")
        sound.sample_rate = RATE_HZ
        quiet = bytes(track.encode(sound)[-1])
        for number in range(3600 * 50):  # 20 ms each
            packet = av.Packet(quiet)
            packet.stream, packet.time_base = track, Fraction(1, RATE_HZ)
            packet.pts = packet.dts = number * RATE_HZ // 50
            packet.duration = RATE_HZ // 50
            output.mux(packet)
    return file.getvalue()


def box(kind: bytes, *numbers: int) -> bytes:
    return struct.pack(f">I4s{len(numbers)}I", 8 + 4 * len(numbers), kind, *numbers)


def m4a_claiming(packets: int, around: bytes = b"") -> bytes:
    table = box(b"stsz", 0, 1, packets)  # each of one byte
    claims = {
        b"stsz": boxes.box(around, table) if around else table,
        b"stsc": box(b"stsc", 0, 1, 1, packets, 1),  # all in one chunk
        b"stts": box(b"stts", 0, 1, packets, 1024),
        b"stco": box(b"stco", 0, 1, 48),
    }
    return with_boxes(record(tone(0.3), "m4a"), claims)


def fragment_claiming(packets: int) -> bytes:
    data = record(tone(0.3), "m4a", options={"movflags": "frag_keyframe+empty_moov"})
    return with_boxes(data, {b"trun": box(b"trun", 1, packets, 100)})  # no field for any of them


def m4a_of_chunks() -> bytes:
    """Raw sound in 40 chunks of a billion samples each."""
    claims = {
        b"stsz": box(b"stsz", 0, 2, 100),
        b"stsc": box(b"stsc", 0, 1, 1, 0x3FFFFFFF, 1),
        b"stts": box(b"stts", 0, 1, 100, 1),
        b"stco": box(b"stco", 0, 40, *[48] * 40),
    }
    return with_boxes(record(tone(0.3), "m4a"), claims)


def wav_at(rate_hz: int) -> bytes:
    data = bytearray(record(tone(1)))
    struct.pack_into("<I", data, data.index(b"fmt ") + 12, rate_hz)
    return bytes(data)


BOMBS: dict[str, Callable[[], bytes]] = {
    "2 h of silence in flac": lambda: record(silence(7200, 8_000), "flac", 8_000),
    "1 h of silence in opus": lambda: an_hour_of_silence("ogg"),
    "1 h of silence in webm": lambda: an_hour_of_silence("webm"),
    "a cover of 65 000 x 65 000": lambda: mp3_with_cover(huge_png()),
    "a cover of 16 000 x 16 000": lambda: mp3_with_cover(huge_png(16_000)),
    "an m4a of 20 million packets": lambda: m4a_claiming(20_000_000),
    "a fragment of 20 million packets": lambda: fragment_claiming(20_000_000),
    "an m4a of 80 million packets in dinf": lambda: m4a_claiming(80_000_000, b"dinf"),
    "an m4a of 80 million packets in wave": lambda: m4a_claiming(80_000_000, b"wave"),
    "an m4a of endless chunks": m4a_of_chunks,
    "a wav of 1 Hz": lambda: wav_at(1),
    "a wav of 4 GHz": lambda: wav_at(2**32 - 1),
}

# In a process of its own, because the peak of this one has been raised by other tests.
MEASURE = """
import asyncio, json, resource, sys, time
from pathlib import Path
from serve_app.media import MediaError, decode_recording
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
results = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    before, begin = peak(), time.monotonic()
    try:
        told = f"{asyncio.run(decode_recording(path.read_bytes())).seconds:.1f} s"
    except MediaError as error:
        told = error.code
    results[path.name] = (told, peak() - before, time.monotonic() - begin)
print(json.dumps(results))
"""


def test_bombs_cost_neither_memory_nor_time(tmp_path: Path) -> None:
    for name, make in BOMBS.items():
        (tmp_path / name).write_bytes(make())

    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)),
    )

    assert done.stderr == ""  # FFmpeg's own complaints stay out of the log
    results = json.loads(done.stdout)
    assert {name: result[0] for name, result in results.items()} == {
        name: "audio_too_long"
        if "silence" in name
        else "1.0 s"
        if "cover" in name
        else "audio_unreadable"
        for name in BOMBS
    }
    for name, (_, megabytes, seconds) in results.items():
        assert megabytes < 64, name
        assert seconds < 5, name


# ── base64 ────────────────────────────────────────────────────────────────────────────────────


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("prefix", ["", "data:audio/webm;codecs=opus;base64,", "data:;base64,"])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 1000])
def test_base64_with_or_without_a_data_url(prefix: str, size: int) -> None:
    data = bytes(range(256)) * 4
    assert recording_bytes(prefix + encoded(data[:size]), 1000) == data[:size]


@pytest.mark.parametrize("text", ["a", "YWJj\nYWJj", "YWJ", "YW-_", "YWJj YWJj", "ä", "data:,abc"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UnreadableRecording, match="not valid base64"):
        recording_bytes(text, 1000)


def test_too_many_bytes_are_refused_before_they_are_decoded() -> None:
    with pytest.raises(RecordingTooLong, match=r"larger than 1\.0 MB"):
        recording_bytes("?" * 2_000_000, 1_000_000)
