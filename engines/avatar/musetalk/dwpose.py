"""DWPose's points of a face, from its ONNX file on onnxruntime: on the whole frame, as MuseTalk
was trained with.

It is a pose model for one person: of several it finds one. So now and then what lies beside the
face is looked at as well.
"""

from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from engines.avatar.musetalk.landmarks import Points, face_box
from engines.base import FPS, Pixels
from engines.errors import EngineUnavailable

FILE: Final = "dw-ll_ucoco_384.onnx"

DOWNLOAD: Final = (
    f"Download {FILE} (134 MB, Apache-2.0) from https://huggingface.co/yzd-v/DWPose into the"
    " folder dwpose/ of the models, or give the box of the face."
)

KEYPOINTS: Final = 133
FACE: Final = slice(23, 91)
"""Of the 133 points of a whole body: the 68 of the face."""

BINS_PER_PX: Final = 2
"""The model gives each coordinate as one of so many places for every pixel of its input."""

PADDING: Final = 1.25
"""The person fills 80 % of the model's input; the rest is its surroundings."""

MEAN: Final = np.array([123.675, 116.28, 103.53], np.float32)
SPREAD: Final = np.array([58.395, 57.12, 57.375], np.float32)
"""Of red, green and blue in the pictures it was trained on."""

SURE: Final = 0.3
"""Mean confidence of a face's points above which it is one: what its makers use for drawing."""

SECOND_LOOK_FRAMES: Final = FPS
"""Whether somebody else is in the picture is looked at once a second: it costs two more looks."""

LEAST_BESIDE: Final = 0.2
"""Part of the picture's width that must lie beside a face for another one to be there."""

Curves = npt.NDArray[np.float32]


class DwPose:
    """Finds the face of one person, and whether there is a second one beside it."""

    def __init__(self, file: Path, threads: int = 1) -> None:
        """Loads the model, in some seconds. Raises `EngineUnavailable`."""
        import onnxruntime

        if not file.is_file():
            raise EngineUnavailable(f"There is no {file}. {DOWNLOAD}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(file), options)
        except Exception as error:  # onnxruntime's errors have no tree
            raise EngineUnavailable(f"{file} cannot be loaded. {DOWNLOAD}") from error
        (given,) = self._session.get_inputs()[:1]
        if len(given.shape) != 4 or not all(isinstance(side, int) for side in given.shape[2:]):
            raise EngineUnavailable(f"{file} is another model. {DOWNLOAD}")
        self._name: str = given.name
        self._height, self._width = int(given.shape[2]), int(given.shape[3])
        self._looks = 0

    def find(self, frame: Pixels) -> list[Points]:
        face = self._face(frame)
        self._looks += 1
        if face is None:
            return []
        if (self._looks - 1) % SECOND_LOOK_FRAMES:
            return [face]
        return [face, *self._beside(frame, face)]

    def _face(self, frame: Pixels) -> Points | None:
        points, sure = self.body(frame)
        return points[FACE] if float(sure[FACE].mean()) >= SURE else None

    def _beside(self, frame: Pixels, face: Points) -> list[Points]:
        """Faces to the left and to the right of one."""
        width = frame.shape[1]
        left, _, right, _ = face_box(face)
        margin = (right - left) / 4  # hair and ears
        found = []
        for begin, end in ((0, int(left - margin)), (int(right + margin), width)):
            if end - begin >= LEAST_BESIDE * width:
                other = self._face(np.ascontiguousarray(frame[:, max(0, begin) : end]))
                if other is not None:
                    found.append(other + np.array([max(0, begin), 0], np.float32))
        return found

    def body(self, frame: Pixels) -> tuple[Points, npt.NDArray[np.float32]]:
        """All 133 points in the frame, [133, 2], and how sure each is, [133]."""
        height, width = frame.shape[:2]
        size = _padded(width, height, self._width / self._height)
        corner = np.array([width, height], np.float32) / 2 - size / 2
        scale = np.array([self._width, self._height], np.float32) / size
        matrix = np.array(
            [[scale[0], 0, -corner[0] * scale[0]], [0, scale[1], -corner[1] * scale[1]]]
        )
        seen = cv2.warpAffine(frame, matrix, (self._width, self._height), flags=cv2.INTER_LINEAR)
        colours = (seen[..., ::-1].astype(np.float32) - MEAN) / SPREAD
        x, y = self._session.run(None, {self._name: colours.transpose(2, 0, 1)[None]})[:2]
        places, sure = decoded(x[0], y[0])
        return (places / scale + corner).astype(np.float32), sure


def decoded(x: Curves, y: Curves) -> tuple[Points, npt.NDArray[np.float32]]:
    """Points from SimCC's curves, one for each coordinate, [points, bins]: where the curve is
    highest, and the lower one of the two heights as confidence."""
    places = np.stack([x.argmax(axis=1), y.argmax(axis=1)], axis=1).astype(np.float32)
    sure = np.minimum(x.max(axis=1), y.max(axis=1)).astype(np.float32)
    places[sure <= 0] = -BINS_PER_PX
    return places / np.float32(BINS_PER_PX), sure


def _padded(width: int, height: int, aspect: float) -> npt.NDArray[np.float32]:
    """Width and height, around the middle of the frame, of what the model is shown."""
    w, h = width * PADDING, height * PADDING
    return np.array([w, w / aspect] if w > h * aspect else [h * aspect, h], np.float32)
