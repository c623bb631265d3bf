import struct
import wave
from io import BytesIO
from typing import Literal

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.video.reformatter import ColorRange, Colorspace

from engines.base import FPS, FRAME_S, FRAME_SIZE_PX, Audio, Pcm, Phoneme, Pixels
from serve_app.recording import Mp4Recording, compressed_bytes, join, resampled, wav_bytes

RATE_HZ = 22_050
TONE_HZ = 440


def tone(seconds: float, rate_hz: int = RATE_HZ) -> Pcm:
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    return (8000 * np.sin(2 * np.pi * TONE_HZ * times)).astype(np.int16)


def plain(grey: int, size: int = FRAME_SIZE_PX) -> Pixels:
    return np.full((size, size, 3), grey, np.uint8)


def pictures(data: bytes) -> list[av.VideoFrame]:
    with av.open(BytesIO(data), mode="r") as container:
        return list(container.decode(video=0))


def voice(data: bytes) -> tuple[float, npt.NDArray[np.float32], int]:
    """When the first sample is played, all that are played, and their rate."""
    with av.open(BytesIO(data), mode="r") as container:
        frames = list(container.decode(audio=0))
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    begin_s = float(frames[0].time or 0)
    rate_hz = frames[0].sample_rate
    hidden = max(0, round(-begin_s * rate_hz))  # players leave out what lies before 0
    return max(begin_s, 0), samples[hidden:].astype(np.float32), rate_hz


# ── sound ─────────────────────────────────────────────────────────────────────────────────────


def test_wav_holds_the_samples_as_they_are() -> None:
    samples = np.array([0, 1, -1, 32767, -32768], np.int16)

    with wave.open(BytesIO(wav_bytes(Audio(samples, RATE_HZ)))) as reader:
        assert (reader.getnchannels(), reader.getsampwidth()) == (1, 2)
        assert reader.getframerate() == RATE_HZ
        assert np.array_equal(np.frombuffer(reader.readframes(9), "<i2"), samples)


def test_wav_of_nothing_is_still_a_file() -> None:
    with wave.open(BytesIO(wav_bytes(Audio(np.zeros(0, np.int16), RATE_HZ)))) as reader:
        assert reader.getnframes() == 0


def test_joining_keeps_phonemes_at_their_sounds() -> None:
    first = Audio(tone(0.5), RATE_HZ, (Phoneme("h", 0), Phoneme("ə", 0.1)))
    second = Audio(tone(0.25), RATE_HZ, (Phoneme("l", 0.05),))

    whole = join([first, second])

    assert np.array_equal(whole.samples, np.concatenate([first.samples, second.samples]))
    assert [sound.symbol for sound in whole.phonemes] == ["h", "ə", "l"]
    assert [sound.at_s for sound in whole.phonemes] == pytest.approx([0, 0.1, 0.55], abs=1e-3)


def test_joining_brings_all_to_the_rate_of_the_first() -> None:
    whole = join([Audio(tone(0.5), RATE_HZ), Audio(tone(0.5, 48_000), 48_000)])

    assert whole.rate_hz == RATE_HZ
    assert whole.seconds == pytest.approx(1, abs=0.002)
    spectrum = np.abs(np.fft.rfft(whole.samples[-RATE_HZ // 2 :]))
    assert np.argmax(spectrum) * 2 == pytest.approx(TONE_HZ, abs=4)


def test_joining_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="nothing to join"):
        join([])


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 48_000])
def test_resampling_keeps_length_pitch_and_phonemes(rate_hz: int) -> None:
    audio = Audio(tone(1), RATE_HZ, (Phoneme("a", 0.5),))

    other = resampled(audio, rate_hz)

    assert (other.rate_hz, other.phonemes) == (rate_hz, audio.phonemes)
    assert other.seconds == pytest.approx(1, abs=0.002)
    assert np.argmax(np.abs(np.fft.rfft(other.samples))) == pytest.approx(TONE_HZ, abs=2)


@pytest.mark.parametrize(("format", "codec"), [("mp3", "mp3float"), ("ogg", "opus")])
@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 24_000, 48_000])
def test_compressed_sound_is_small_and_whole(
    format: Literal["mp3", "ogg"], codec: str, rate_hz: int
) -> None:
    audio = Audio(tone(2, rate_hz), rate_hz)

    data = compressed_bytes(audio, format)

    assert len(data) < len(wav_bytes(audio)) / 1.5
    with av.open(BytesIO(data), mode="r") as container:
        assert container.streams.audio[0].codec_context.name == codec
    _, samples, decoded_hz = voice(data)
    assert len(samples) / decoded_hz == pytest.approx(2, abs=0.12)


# ── MP4 ───────────────────────────────────────────────────────────────────────────────────────


def film(frames: int, seconds: float, rate_hz: int = RATE_HZ, size: int = 128) -> bytes:
    recording = Mp4Recording(rate_hz, size=size)
    for number in range(frames):
        recording.add_frame(plain(number * 5 % 256, size))
    recording.add_audio(tone(seconds, rate_hz))
    return recording.finish()


def test_every_frame_and_every_sound_is_in_the_file() -> None:
    data = film(frames=50, seconds=2, size=FRAME_SIZE_PX)

    frames = pictures(data)
    assert len(frames) == 50
    assert [float(frame.time) for frame in frames] == pytest.approx(
        [number * FRAME_S for number in range(50)]
    )
    assert all((frame.width, frame.height) == (512, 512) for frame in frames)
    begin_s, samples, rate_hz = voice(data)
    assert (begin_s, rate_hz) == (0, RATE_HZ)
    assert len(samples) / rate_hz == pytest.approx(2, abs=0.1)


def test_the_file_is_what_every_browser_plays() -> None:
    with av.open(BytesIO(film(frames=25, seconds=1)), mode="r") as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert video.codec_context.profile == "Main"
        assert video.average_rate == FPS
        assert sound.codec_context.name == "aac"
        assert sound.codec_context.channels == 1
        assert float((container.duration or 0) / 1_000_000) == pytest.approx(1, abs=0.1)


def boxes(data: bytes) -> list[str]:
    kinds, at = [], 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        kinds.append(kind.decode())
        at += size
    assert at == len(data)
    return kinds


def test_the_index_comes_before_the_media() -> None:
    kinds = boxes(film(frames=25, seconds=1))
    assert kinds[0] == "ftyp"
    assert kinds.index("moov") < kinds.index("mdat")


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 24_000, 44_100, 48_000])
def test_a_flash_and_a_burst_of_the_same_moment_stay_in_step(rate_hz: int) -> None:
    recording = Mp4Recording(rate_hz, size=128)
    at_frame = 30
    for number in range(60):
        recording.add_frame(plain(255 if at_frame <= number < at_frame + 5 else 0, 128))
        # Sound comes in pieces that are no whole number of the encoder's frames.
        piece = tone(FRAME_S, rate_hz)
        recording.add_audio(piece if at_frame <= number < at_frame + 5 else 0 * piece)
    data = recording.finish()

    flash_s = next(float(frame.time) for frame in pictures(data) if frame.to_ndarray()[0, 0] > 128)
    begin_s, samples, _ = voice(data)
    burst_s = begin_s + float(np.argmax(np.abs(samples) > 0.1)) / rate_hz
    assert flash_s == pytest.approx(at_frame * FRAME_S)
    assert burst_s == pytest.approx(flash_s, abs=0.01)


COLOURS = {  # BGR
    "red": (30, 30, 220),
    "green": (40, 200, 40),
    "blue": (210, 60, 30),
    "skin": (150, 180, 230),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
}


@pytest.mark.parametrize("colour", COLOURS)
def test_colours_come_back_as_they_were_drawn(colour: str) -> None:
    recording = Mp4Recording(RATE_HZ, size=128)
    for _ in range(5):
        recording.add_frame(np.full((128, 128, 3), COLOURS[colour], np.uint8))
    frame = pictures(recording.finish())[2]

    assert frame.colorspace == Colorspace.ITU709
    assert frame.color_range == ColorRange.MPEG
    bgr = frame.reformat(
        format="bgr24", src_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.JPEG
    )
    assert bgr.to_ndarray()[64, 64].astype(int) == pytest.approx(COLOURS[colour], abs=6)


@pytest.mark.parametrize(("frames", "seconds"), [(50, 0.5), (5, 3), (50, 0)])
def test_sound_and_picture_may_differ_in_length(frames: int, seconds: float) -> None:
    data = film(frames, seconds)

    assert len(pictures(data)) == frames
    _, samples, rate_hz = voice(data)
    assert len(samples) / rate_hz == pytest.approx(seconds, abs=0.15)


def test_all_the_sound_may_come_before_the_first_frame() -> None:
    recording = Mp4Recording(RATE_HZ, size=128)
    recording.add_audio(tone(2))
    for number in range(50):
        recording.add_frame(plain(number, 128))

    assert len(pictures(recording.finish())) == 50


def test_a_view_that_is_not_contiguous_is_drawn_like_any_other() -> None:
    wide = np.zeros((128, 256, 3), np.uint8)
    wide[:, 1::2] = 200
    recording = Mp4Recording(RATE_HZ, size=128)
    recording.add_frame(wide[:, 1::2])

    assert pictures(recording.finish())[0].to_ndarray(format="bgr24").mean() > 180


def test_no_frame_is_a_mistake_that_leaves_nothing_open() -> None:
    recording = Mp4Recording(RATE_HZ)
    with pytest.raises(ValueError, match="at least one frame"):
        recording.finish()
    recording.close()


def test_a_recording_can_be_dropped_half_way() -> None:
    recording = Mp4Recording(RATE_HZ, size=128)
    recording.add_frame(plain(0, 128))
    recording.add_audio(tone(0.1))
    recording.close()
