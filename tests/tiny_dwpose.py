"""A model with DWPose's inputs and outputs that knows one trick: all its points lie around the
reddest spot of the picture, each at a place of its own."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH, HEIGHT, POINTS, BINS = 288, 384, 133, 2


def offsets() -> npt.NDArray[np.int64]:
    """Where each point lies, from the spot, in pixels of the model's input: shape [133, 2]."""
    numbers = np.arange(POINTS)
    return np.stack([numbers % 7 * 4 - 12, numbers // 7 - 9], axis=1).astype(np.int64)


def write(file: Path, *, fixed: bool = True) -> Path:
    """Not `fixed`: another model, which takes pictures of any size."""
    sides: list[str | int] = [HEIGHT, WIDTH] if fixed else ["height", "width"]
    nodes, constants = [], []
    nodes.append(helper.make_node("Gather", ["input", "red"], ["redness"], axis=1))
    constants.append(numpy_helper.from_array(np.array(0, np.int64), "red"))
    for axis, (name, size) in enumerate((("x", WIDTH), ("y", HEIGHT))):
        places = np.arange(size * BINS)[None, :] // BINS - offsets()[:, axis : axis + 1]
        constants.append(numpy_helper.from_array(np.clip(places, 0, size - 1), f"places_{name}"))
        other = 1 if name == "x" else 2
        constants.append(numpy_helper.from_array(np.array([other], np.int64), f"other_{name}"))
        nodes.append(
            helper.make_node("ReduceMax", ["redness", f"other_{name}"], [f"of_{name}"], keepdims=0)
        )
        nodes.append(
            helper.make_node("Gather", [f"of_{name}", f"places_{name}"], [f"simcc_{name}"], axis=1)
        )
    outputs = [
        helper.make_tensor_value_info(f"simcc_{name}", TensorProto.FLOAT, [1, POINTS, size * BINS])
        for name, size in (("x", WIDTH), ("y", HEIGHT))
    ]
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, *sides])
    graph = helper.make_graph(nodes, "tiny-dwpose", [given], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(file))
    return file
