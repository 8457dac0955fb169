"""`fraud_normalise`: features `[N, 36]` to `[N, 104]`.

Numbers are standardised by the training months and clipped; categories (small integers) become one-hot columns,
numbers first. A category outside its range is a row of zeros.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from gavel_models import onnx_file

CLIP = 5.0  # standard deviations
# Categories and how many values each takes; what features.toml says of them must agree.
CATEGORIES = {"currency_index": 13, "currency_bucket": 16, "country_bucket": 32, "provider_index": 11}


@dataclass(frozen=True)
class Normaliser:
    """The source model, in float64. `mean` and `std` belong to the columns `numbers`."""

    numbers: list[int]
    categories: list[tuple[int, int]]  # (column, how many values)
    mean: np.ndarray
    std: np.ndarray

    @property
    def width(self) -> int:
        """Columns that come out."""
        return len(self.numbers) + sum(size for _, size in self.categories)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Features `[N, F]` to `[N, width]`."""
        rows = rows.astype(np.float64)
        numbers = np.clip((rows[:, self.numbers] - self.mean) / self.std, -CLIP, CLIP)
        one_hots = [rows[:, [column]] == np.arange(size) for column, size in self.categories]
        return np.concatenate([numbers, *one_hots], axis=1)

    def to_onnx(self) -> onnx.ModelProto:
        """The same in float32."""
        constants = {
            "numbers": np.array(self.numbers, np.int64),
            "mean": self.mean.astype(np.float32)[None],
            "std": self.std.astype(np.float32)[None],
            "low": np.float32(-CLIP),
            "high": np.float32(CLIP),
        }
        nodes = [
            helper.make_node("Gather", ["features", "numbers"], ["raw"], axis=1),
            helper.make_node("Sub", ["raw", "mean"], ["centred"]),
            helper.make_node("Div", ["centred", "std"], ["scaled"]),
            helper.make_node("Clip", ["scaled", "low", "high"], ["clipped"]),
        ]
        parts = ["clipped"]
        for column, size in self.categories:
            key = f"category_{column}"
            constants[f"{key}_column"] = np.array([column], np.int64)
            constants[f"{key}_values"] = np.arange(size, dtype=np.float32)[None]
            nodes += [
                helper.make_node("Gather", ["features", f"{key}_column"], [key], axis=1),
                helper.make_node("Equal", [key, f"{key}_values"], [f"{key}_is"]),
                helper.make_node("Cast", [f"{key}_is"], [f"{key}_one_hot"], to=onnx.TensorProto.FLOAT),
            ]
            parts.append(f"{key}_one_hot")
        nodes.append(helper.make_node("Concat", parts, ["normalised"], axis=1))
        return onnx_file.graph(
            "fraud_normalise",
            nodes,
            constants,
            ("features", len(self.numbers) + len(self.categories)),
            ("normalised", self.width),
        )


def fit(names: list[str], rows: np.ndarray) -> Normaliser:
    """Means and deviations of training `rows` `[N, len(names)]`, a name a column; a constant one keeps deviation 1."""
    numbers = [i for i, name in enumerate(names) if name not in CATEGORIES]
    categories = [(i, CATEGORIES[name]) for i, name in enumerate(names) if name in CATEGORIES]
    values = rows[:, numbers].astype(np.float64)
    std = values.std(axis=0)
    return Normaliser(numbers, categories, values.mean(axis=0), np.where(std > 0, std, 1.0))
