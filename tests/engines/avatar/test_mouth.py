import io

import av
import numpy as np

from engines.avatar.viseme.portrait import portrait
from engines.avatar.viseme.visemes import REST, Mouth
from engines.base import FPS, FRAME_SIZE_PX, Pixels
from tests.engines.avatar.mouth import mouth_opening

JAWS = [0.0, 0.1, 0.3, 0.6, 0.9, 0.9, 0.5, 0.2, 0.0, 0.0]


def filmed(name: str) -> list[Pixels]:
    face = portrait(name)
    x, y, w, h = face.mouth_box
    frames = []
    for index, jaw in enumerate(JAWS):
        frame = face.frame(index).copy()
        shape = Mouth(jaw, 0.0, 0.0, 0.3, 0.0) if jaw else REST
        frame[y : y + h, x : x + w] = face.mouth(index, shape)
        frames.append(frame)
    return frames


def through_h264(frames: list[Pixels]) -> list[Pixels]:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width = stream.height = FRAME_SIZE_PX
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "30"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file, "r") as film:
        return [
            np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in film.decode(video=0)
        ]


def test_a_video_codec_does_not_change_what_is_measured() -> None:
    for name in ("mei", "david"):
        box = portrait(name).mouth_box
        frames = filmed(name)
        drawn = np.array([mouth_opening(frame, box) for frame in frames])
        seen = np.array([mouth_opening(frame, box) for frame in through_h264(frames)])
        assert np.abs(seen - drawn).max() < 0.02
        assert seen[0] < 0.003 and seen[-1] < 0.003
        assert np.corrcoef(seen, JAWS)[0, 1] > 0.9
