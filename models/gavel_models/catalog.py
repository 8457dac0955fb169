"""`decisions/features.toml`, evaluated the way the gateway evaluates it.

A request's inputs and its entities' view rows go in; the value of every feature comes out. View values are
rounded to their dtype first, because the online store keeps them so.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gavel_models.transforms import TRANSFORMS, Value

ViewRow = Mapping[str, Value]


@dataclass(frozen=True)
class ViewFeature:
    """One column of a view."""

    dtype: str
    default: Value

    def rounded(self, value: Value) -> Value:
        """`value` as the store gives it back."""
        return float(np.float32(value)) if self.dtype == "float32" else value


@dataclass(frozen=True)
class Derived:
    """One derived feature; `transform` already holds its parameters, and is None for `is_missing`."""

    name: str
    transform: partial | None
    inputs: tuple[str, ...]
    default: Value


@dataclass(frozen=True)
class Evaluated:
    """Every feature's value, and the names of those that had to take a default."""

    values: dict[str, Value]
    missing: set[str]

    def vector(self, names: list[str]) -> np.ndarray:
        """The features `names` as float32 `[len(names)]`: one row of a model's input tensor."""
        return np.array([self.values[name] for name in names], np.float64).astype(np.float32)


class Catalog:
    """Views and derived features."""

    def __init__(self, path: Path) -> None:
        """Read features.toml."""
        table = tomllib.loads(path.read_text())
        self.views = {
            view: {name: ViewFeature(**spec) for name, spec in body["features"].items()}
            for view, body in table["views"].items()
        }
        self.derived = _in_order([_derived(name, dict(spec)) for name, spec in table["derived"].items()])

    def evaluate(self, inputs: Mapping[str, Value | None], rows: Mapping[str, ViewRow | None]) -> Evaluated:
        """Features of one request: `inputs` by field (None: absent), `rows` by view (None: no row)."""
        values: dict[str, Value] = {}
        missing: set[str] = set()
        for field, value in inputs.items():
            if value is None:
                missing.add(f"request.{field}")
            else:
                values[f"request.{field}"] = value
        for view, features in self.views.items():
            row = rows.get(view)
            for name, feature in features.items():
                full = f"{view}.{name}"
                if row is None:
                    missing.add(full)
                    values[full] = feature.default
                else:
                    values[full] = feature.rounded(row[name])
        for feature in self.derived:
            self._derive(feature, values, missing)
        return Evaluated(values, missing)

    def _derive(self, feature: Derived, values: dict[str, Value], missing: set[str]) -> None:
        if feature.transform is None:
            values[feature.name] = float(feature.inputs[0] in missing)
        elif all(name in values for name in feature.inputs):
            values[feature.name] = feature.transform(*(values[name] for name in feature.inputs))
        else:
            # An optional input that was not sent and has no default of its own.
            values[feature.name] = feature.default
            missing.add(feature.name)


def _derived(name: str, spec: dict) -> Derived:
    kind = spec.pop("transform")
    inputs = tuple(spec.pop("inputs"))
    default = spec.pop("default", 0)
    if kind == "ratio":
        spec["default"] = default
    transform = None if kind == "is_missing" else partial(TRANSFORMS[kind], **spec)
    return Derived(name, transform, inputs, default)


def _in_order(features: list[Derived]) -> list[Derived]:
    """Inputs before what is derived from them."""
    pending = {feature.name: feature for feature in features}
    ordered: list[Derived] = []
    while pending:
        ready = [f for f in pending.values() if not any(name in pending for name in f.inputs)]
        if not ready:
            raise ValueError(f"derived features in a cycle: {', '.join(sorted(pending))}")
        ordered += ready
        for feature in ready:
            del pending[feature.name]
    return ordered
