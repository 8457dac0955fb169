"""Takes as many milliseconds as its input says."""

import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        rows = [pb_utils.get_input_tensor_by_name(r, "ms").as_numpy() for r in requests]
        time.sleep(max(ms.max() for ms in rows) / 1000)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("slept", ms)]) for ms in rows]
