"""INT8 by Q/DQ nodes, in the shape that TensorRT takes."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from gavel_models import onnx_file


class _Rows(CalibrationDataReader):
    """Feeds calibration rows `[N, width]` in batches of 256."""

    def __init__(self, name: str, rows: np.ndarray) -> None:
        self._batches = iter([{name: rows[start : start + 256]} for start in range(0, len(rows), 256)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch, or None at the end."""
        return next(self._batches, None)


def quantise(source: Path, target: Path, rows: np.ndarray) -> None:
    """Write `source` (one input) to `target` with INT8 multiplications, ranges taken from `rows`.

    Symmetric (zero point 0) in activations and weights, which TensorRT asks for; weights stay in the file as
    FP32 behind a Q/DQ pair and biases FP32, because TensorRT refuses INT32 biases. One scale a tensor:
    per-channel scales crash onnxruntime 1.32.0 on small networks.
    """
    reader = _Rows(onnx_file.session(source).get_inputs()[0].name, rows)
    with tempfile.TemporaryDirectory() as folder:
        inferred, raw = Path(folder) / "inferred.onnx", Path(folder) / "quantised.onnx"
        quant_pre_process(source, inferred, skip_symbolic_shape=True)
        quantize_static(
            inferred,
            raw,
            reader,
            quant_format=QuantFormat.QDQ,
            per_channel=False,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Gemm"],
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "AddQDQPairToWeight": True,
                "QuantizeBias": False,
                # Gemm and Relu fuse: only what enters a Gemm is quantised, and the last output stays FP32.
                "OpTypesToExcludeOutputQuantization": ["Gemm"],
            },
        )
        onnx_file.save(onnx_file.stamped(onnx.load(raw)), target)
