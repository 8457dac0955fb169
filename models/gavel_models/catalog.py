"""`decisions/features.toml`, evaluated the way the gateway evaluates it.

A request's inputs and its entities' view rows go in; the value of every feature comes out, and whether it is
missing or null. View values are rounded to their dtype first, because the online store gives them so.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gavel_models.transforms import TRANSFORMS, Value

ViewRow = Mapping[str, Value | None]
"""A view's features; None is null."""


@dataclass(frozen=True)
class ViewFeature:
    """One feature of a view: a value of `dtype`, or a list of exactly `length` of them."""

    dtype: str
    length: int | None
    default: Value

    @classmethod
    def of(cls, spec: dict) -> "ViewFeature":
        """What features.toml says: `float32`, or `float32[5]`."""
        dtype, _, length = spec["dtype"].rstrip("]").partition("[")
        if not length:
            return cls(dtype, None, spec["default"])
        default = spec["default"]
        return cls(dtype, int(length), tuple(default) if isinstance(default, list) else (default,) * int(length))

    def rounded(self, value: Value) -> Value:
        """`value` as the store gives it back; a shorter list is filled up from the default."""
        if self.length is None:
            return self._rounded(value)
        return tuple(self._rounded(element) for element in (*value, *self.default[len(value) :])[: self.length])

    def _rounded(self, value: Value) -> Value:
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
    """Every feature's value, the names of those that are missing or made from what is, and of those that are null."""

    values: dict[str, Value]
    missing: set[str]
    null: set[str]

    def is_missing(self, name: str) -> bool:
        """Whether a default stands in for it, as the gateway's `is_missing` and `missing` say."""
        return name in self.missing or name in self.null

    def vector(self, names: list[str]) -> np.ndarray:
        """The features `names` as float32 `[width]`, a row of a model's input tensor; a list fills several columns."""
        return np.hstack([self.values[name] for name in names]).astype(np.float64).astype(np.float32)


class Catalog:
    """Views and derived features."""

    def __init__(self, path: Path) -> None:
        """Read features.toml."""
        table = tomllib.loads(path.read_text())
        self.views = {
            view: {name: ViewFeature.of(spec) for name, spec in body["features"].items()}
            for view, body in table["views"].items()
        }
        self.derived = _in_order([_derived(name, dict(spec)) for name, spec in table["derived"].items()])

    def columns(self, names: list[str]) -> list[str]:
        """A name for each column that the features `names` fill."""
        lengths = {f"{view}.{name}": f.length for view, features in self.views.items() for name, f in features.items()}
        found: list[str] = []
        for name in names:
            length = lengths.get(name)
            found += [name] if length is None else [f"{name}[{i}]" for i in range(length)]
        return found

    def evaluate(self, inputs: Mapping[str, Value | None], rows: Mapping[str, ViewRow | None]) -> Evaluated:
        """Features of one request: `inputs` by field (None: absent), `rows` by view (None: no row)."""
        found = Evaluated({}, set(), set())
        values, missing = found.values, found.missing
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
                elif (value := row[name]) is None:
                    found.null.add(full)
                    values[full] = feature.default
                else:
                    values[full] = feature.rounded(value)
        for feature in self.derived:
            _derive(feature, found)
        return found


def _derive(feature: Derived, found: Evaluated) -> None:
    values = found.values
    if feature.transform is None:
        values[feature.name] = float(found.is_missing(feature.inputs[0]))
        return
    if any(found.is_missing(name) for name in feature.inputs):
        found.missing.add(feature.name)
    if all(name in values for name in feature.inputs):
        values[feature.name] = feature.transform(*(values[name] for name in feature.inputs))
    else:
        # An optional input that was not sent and has no default of its own.
        values[feature.name] = feature.default


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
