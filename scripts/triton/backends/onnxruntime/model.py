"""Triton backend `onnxruntime` for servers that lack the native one: ONNX Runtime on the CPU.

A Triton "Python-based backend": the Python backend runs this file for every model whose config
says `backend: "onnxruntime"`, so a model is `model.onnx` and its config, as with the native backend.

Each model instance is one process with one session and one thread. The requests that Triton hands
over together become one run: their rows are concatenated, and the outputs' rows go back in order.
Tensors are numeric; strings are not supported.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime as ort
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """One instance of one model version."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the session on `<model>/<version>/<default_model_filename>`."""
        config = json.loads(args["model_config"])
        filename = config.get("default_model_filename") or "model.onnx"
        path = Path(args["model_repository"]) / args["model_version"] / filename

        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

        self.inputs = [tensor["name"] for tensor in config["input"]]
        self.outputs = [tensor["name"] for tensor in config["output"]]
        # Without a batch dimension rows cannot be merged: one run a request.
        self.batches = config["max_batch_size"] > 0

    def execute(self, requests: list) -> list:
        """Answer every request, in order; a failed run fails the requests that were in it."""
        if self.batches:
            return self._run(requests)
        return [response for request in requests for response in self._run([request])]

    def _run(self, requests: list) -> list:
        try:
            columns = [[_numpy(request, name) for name in self.inputs] for request in requests]
            feeds = {name: _concatenate([row[i] for row in columns]) for i, name in enumerate(self.inputs)}
            results = self.session.run(self.outputs, feeds)
        except Exception as problem:  # whatever it is, it is this batch's answer
            error = pb_utils.TritonError(str(problem))
            return [pb_utils.InferenceResponse(error=error) for _ in requests]
        if len(requests) == 1:
            return [_response(self.outputs, results)]
        ends = np.cumsum([row[0].shape[0] for row in columns])[:-1]
        parts = [np.split(result, ends) for result in results]
        return [_response(self.outputs, rows) for rows in zip(*parts, strict=True)]


def _numpy(request: object, name: str) -> np.ndarray:
    return pb_utils.get_input_tensor_by_name(request, name).as_numpy()


def _concatenate(arrays: list[np.ndarray]) -> np.ndarray:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _response(names: list[str], arrays: list[np.ndarray]) -> object:
    return pb_utils.InferenceResponse([pb_utils.Tensor(name, array) for name, array in zip(names, arrays, strict=True)])
