"""The score as it came, after the time that an accelerator would take for the batch.

Without dynamic batching each request is a batch of its own.
"""

import time

import triton_python_backend_utils as pb_utils

BATCH_S = 0.004


class TritonPythonModel:
    """Sleeps instead of computing: its time costs no processor."""

    def execute(self, requests: list) -> list:
        """Answer every request, in order."""
        responses = []
        for request in requests:
            time.sleep(BATCH_S)
            score = pb_utils.get_input_tensor_by_name(request, "unpaced").as_numpy()
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("score", score)]))
        return responses
