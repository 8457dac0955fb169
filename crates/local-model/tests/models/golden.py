"""Prints, as JSON, what onnxruntime in Python makes of these models on this machine.

Run by the tests, with the Python that carries the library under test: kernels differ by CPU, so
only values from the same machine can be the same bits. Needs onnxruntime and numpy alone.
Tensors are hexadecimal, row-major, little-endian.
"""

import json
import pathlib

import numpy as np
import onnxruntime

HERE = pathlib.Path(__file__).parent
RANDOM = np.random.default_rng(11)
DTYPES = {"float32": "FP32", "float64": "FP64", "int32": "INT32", "int64": "INT64", "bool": "BOOL"}


def rows(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def written(name, array):
    return {"name": name, "dtype": DTYPES[array.dtype.name], "shape": list(array.shape), "data": array.tobytes().hex()}


def golden(model, **inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(HERE / f"{model}.onnx", options, providers=["CPUExecutionProvider"])
    outputs = zip(session.get_outputs(), session.run(None, inputs), strict=True)
    return {
        "model": model,
        "inputs": [written(name, array) for name, array in inputs.items()],
        "outputs": [written(output.name, array) for output, array in outputs],
    }


cases = [
    golden(model, features=rows(count, 8))
    for model in ("mlp", "mlp.int8", "external", "weights_as_inputs")
    for count in (0, 1, 3, 64)
]
cases += [
    golden(
        "every_dtype",
        flag=np.array([[True, False], [False, True]]),
        small=np.array([[-1, 2], [2**30, -(2**31)]], np.int32),
        large=np.array([[-1, 2], [2**62, 7]], np.int64),
        single=np.array([[2, 0.1], [1e-38, np.inf]], np.float32),
        double=np.array([[2, 0.1], [1e-300, np.nan]], np.float64),
    ),
    golden("two_inputs", left=rows(2, 2), right=rows(2, 3)),
    golden("scalar", x=np.array(1.5, np.float32)),
    golden("fixed_batch", x=rows(4, 2)),
]
print(json.dumps(cases))
