"""`fraud_calibrate`: Platt scaling, logit `[N, 1]` to the probability of fraud `[N, 1]`.

Fitted on a month that the network has not seen. It keeps the order of scores, so the AUC stays as it is.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from gavel_models import onnx_file


@dataclass(frozen=True)
class Platt:
    """The source model in float64."""

    slope: float
    offset: float

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """sigmoid(slope * logit + offset)."""
        return expit(self.slope * logits + self.offset)

    def to_onnx(self) -> onnx.ModelProto:
        """The same in float32."""
        constants = {"slope": np.float32([[self.slope]]), "offset": np.float32([[self.offset]])}
        nodes = [
            helper.make_node("Mul", ["logit", "slope"], ["product"]),
            helper.make_node("Add", ["product", "offset"], ["shifted"]),
            helper.make_node("Sigmoid", ["shifted"], ["score"]),
        ]
        return onnx_file.graph("fraud_calibrate", nodes, constants, ("logit", 1), ("score", 1))


def fit(logits: np.ndarray, labels: np.ndarray) -> Platt:
    """Fit on `logits` `[N, 1]`, practically without regularisation."""
    model = LogisticRegression(C=1e6).fit(logits, labels)
    return Platt(float(model.coef_[0, 0]), float(model.intercept_[0]))
