import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from engines.avatar.musetalk.features import Chunks, WhisperFeatures, load_features
from engines.avatar.musetalk.speech import SpeechStream, Stretch
from engines.errors import EngineUnavailable
from tests.plain_musetalk import PlainMuseTalk, made_up_sound


@pytest.fixture(scope="module")
def features(musetalk_folder: Path) -> WhisperFeatures:
    return load_features(musetalk_folder / "whisper", torch.device("cpu"), torch.float32)


def whole(features: WhisperFeatures, seconds: float) -> Chunks:
    return features.chunks([Stretch.whole(made_up_sound(seconds))])[0]


def test_a_recording_is_heard_as_the_published_code_hears_it(
    features: WhisperFeatures, plain: PlainMuseTalk
) -> None:
    sound = made_up_sound(1.31)
    chunks = features.chunks([Stretch.whole(sound)])[0]
    assert chunks.shape == (32, 50, 384)
    assert np.array_equal(chunks, plain.chunks(sound))


def test_a_stream_gives_what_a_recording_that_ends_there_would(features: WhisperFeatures) -> None:
    sound, stream, heard = made_up_sound(0.9), SpeechStream(), 0
    for size in (3000, 1000, 6000, 4400):
        stream.feed(sound[heard : heard + size])
        heard += size
        if heard == len(sound):
            stream.end()
        stretch = stream.take()
        first = stretch.begin // 640
        so_far = features.chunks([Stretch.whole(sound[:heard])])[0]
        given = features.chunks([stretch])[0]
        assert len(given) == stretch.frames > 0
        assert np.array_equal(given, so_far[first : first + stretch.frames])
    assert first + stretch.frames == len(sound) // 640


def test_a_stream_that_got_everything_at_once_gives_the_whole_recording(
    features: WhisperFeatures,
) -> None:
    stream = SpeechStream()
    stream.feed(made_up_sound(0.9))
    stream.end()
    assert np.array_equal(features.chunks([stream.take()])[0], whole(features, 0.9))


def test_later_sound_changes_what_was_heard_before(features: WhisperFeatures) -> None:
    """The reason why a stream differs from its recording."""
    early = features.chunks([Stretch(made_up_sound(1.3)[: 10 * 640 + 1920], 6400, 1)])[0]
    assert 0 < np.abs(early[0] - whole(features, 1.3)[10]).max() < 1


def test_sessions_are_heard_together_each_its_own(features: WhisperFeatures) -> None:
    one, other = made_up_sound(0.5), made_up_sound(0.8)[::-1].copy()
    together = features.chunks([Stretch.whole(one), Stretch(other, 1280, 3), Stretch(one, 0, 0)])
    assert [len(chunks) for chunks in together] == [12, 3, 0]
    assert np.array_equal(together[0], features.chunks([Stretch.whole(one)])[0])
    assert np.array_equal(together[1], features.chunks([Stretch.whole(other)])[0][2:5])


def test_frames_across_30_s_see_both_segments(
    features: WhisperFeatures, plain: PlainMuseTalk
) -> None:
    sound = made_up_sound(30.3)
    crossing = features.chunks([Stretch(sound, 747 * 640, 8)])[0]
    assert np.array_equal(crossing, plain.chunks(sound)[747:755])
    # What lies before the segment may be left out.
    alone = features.chunks([Stretch(sound[480_000:], 2 * 640, 3)])[0]
    assert np.array_equal(alone, crossing[5:])


def test_where_there_is_no_sound_rows_are_zero(features: WhisperFeatures) -> None:
    nothing = features.chunks([Stretch(np.zeros(100, np.float32), 0, 2)])[0]
    assert nothing.shape == (2, 50, 384)
    assert not nothing.any()
    rows = features.chunks([Stretch.whole(made_up_sound(0.04))])[0].reshape(10, 5, 384)
    assert [bool(row.any()) for row in rows] == [False] * 4 + [True] * 2 + [False] * 4


def test_another_whisper_is_refused(musetalk_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(musetalk_folder / "whisper", tmp_path / "whisper"))
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"encoder_layers": 4', '"encoder_layers": 6'))
    with pytest.raises(EngineUnavailable, match="only a Whisper tiny fits"):
        load_features(folder, torch.device("cpu"), torch.float32)
