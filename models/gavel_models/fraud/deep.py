"""`fraud_deep`: a network `[N, 104]` -> 64 -> 32 -> logit `[N, 1]`, trained by scikit-learn."""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper
from sklearn.neural_network import MLPClassifier

from gavel_models import onnx_file


@dataclass(frozen=True)
class Network:
    """The source model in float64: ReLU between layers, nothing after the last."""

    weights: list[np.ndarray]  # each [inputs, outputs]
    biases: list[np.ndarray]

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Normalised features `[N, width]` to logits `[N, 1]`."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            rows = np.maximum(rows @ weight + bias, 0)
        return rows @ self.weights[-1] + self.biases[-1]

    def to_onnx(self) -> onnx.ModelProto:
        """The same in float32: Gemm and Relu."""
        constants: dict[str, np.ndarray] = {}
        nodes = []
        last = len(self.weights) - 1
        name = "normalised"
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            constants[f"weight_{i}"] = weight.astype(np.float32)
            constants[f"bias_{i}"] = bias.astype(np.float32)
            summed = "logit" if i == last else f"sum_{i}"
            nodes.append(helper.make_node("Gemm", [name, f"weight_{i}", f"bias_{i}"], [summed], f"gemm_{i}"))
            if i < last:
                name = f"hidden_{i}"
                nodes.append(helper.make_node("Relu", [summed], [name], f"relu_{i}"))
        source = ("normalised", len(self.weights[0]))
        return onnx_file.graph("fraud_deep", nodes, constants, source, ("logit", 1))


def fit(rows: np.ndarray, labels: np.ndarray, seed: int = 7) -> Network:
    """Train on normalised `rows` `[N, width]`; a tenth is held back to know when to stop."""
    model = MLPClassifier(
        hidden_layer_sizes=(64, 32),
        alpha=1e-3,
        batch_size=512,
        learning_rate_init=2e-3,
        early_stopping=True,
        n_iter_no_change=5,
        max_iter=40,
        random_state=seed,
    )
    model.fit(rows.astype(np.float32), labels)
    as_float64 = [[layer.astype(np.float64) for layer in layers] for layers in (model.coefs_, model.intercepts_)]
    return Network(*as_float64)
