"""Writing, checking and running ONNX files."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

# Old enough for every ONNX Runtime and TensorRT that a Triton of the last years carries.
OPSET = 17
IR_VERSION = 8


def graph(
    name: str,
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    source: tuple[str, int],
    target: tuple[str, int],
) -> onnx.ModelProto:
    """A model of one float32 input `[N, width]` and one float32 output `[N, width]`, each as (name, width)."""
    body = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(source[0], onnx.TensorProto.FLOAT, ["N", source[1]])],
        [helper.make_tensor_value_info(target[0], onnx.TensorProto.FLOAT, ["N", target[1]])],
        [numpy_helper.from_array(array, key) for key, array in constants.items()],
    )
    return stamped(helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)]))


def stamped(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model with our IR version and producer, and only the operator sets that it uses."""
    used = {node.domain for node in model.graph.node}
    kept = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    del model.metadata_props[:]
    model.ir_version = IR_VERSION
    model.producer_name = "gavel"
    model.producer_version = ""
    return model


def save(model: onnx.ModelProto, path: Path) -> None:
    """Check the model and write it."""
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


def session(path: Path) -> onnxruntime.InferenceSession:
    """A session on one thread, as the servers run it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(path: Path, rows: np.ndarray) -> np.ndarray:
    """The single output for the single input, both float32 `[N, width]`."""
    opened = session(path)
    return opened.run(None, {opened.get_inputs()[0].name: rows})[0]
