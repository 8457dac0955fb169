"""Decision tables (`decisions/*.rules.toml`): evaluated as the gateway does, and scored from data."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gavel_models.catalog import Evaluated
from gavel_models.transforms import Value


@dataclass(frozen=True)
class Rule:
    """One row: all of `when` must hold."""

    reason: str
    when: dict[str, dict[str, Value | list[Value]]]
    scores: dict[str, float]


@dataclass(frozen=True)
class Caught:
    """What one row caught: how many rows reached it, and how many of those were positive."""

    rows: int
    positives: int

    @property
    def rate(self) -> float:
        """The score that the row deserves."""
        return self.positives / self.rows


def load(path: Path) -> list[Rule]:
    """The table, in order."""
    return [
        Rule(rule["reason"], rule.get("when", {}), rule["scores"]) for rule in tomllib.loads(path.read_text())["rules"]
    ]


def first_match(rules: list[Rule], features: Evaluated) -> int:
    """Which row answers; the last one always can."""
    return next(i for i, rule in enumerate(rules) if _holds(rule, features))


def catch(rules: list[Rule], features: Iterable[Evaluated], labels: np.ndarray) -> list[Caught]:
    """What each row caught of `labels` `[N]`."""
    answers = np.array([first_match(rules, row) for row in features])
    return [Caught(int((answers == i).sum()), int(labels[answers == i].sum())) for i in range(len(rules))]


def write_scores(path: Path, score: str, rates: list[float]) -> None:
    """Put the rates into the file's `scores`, row by row, leaving every other character as it is."""
    rest = iter(rates)
    pattern = re.compile(rf"^(scores\s*=\s*\{{\s*{score}\s*=\s*)[0-9.]+", re.MULTILINE)
    path.write_text(pattern.sub(lambda found: f"{found[1]}{next(rest):.3f}", path.read_text()))


def _holds(rule: Rule, features: Evaluated) -> bool:
    return all(
        _test(operator, operand, features, name)
        for name, tests in rule.when.items()
        for operator, operand in tests.items()
    )


def _test(operator: str, operand: object, features: Evaluated, name: str) -> bool:
    if operator == "missing":
        return features.is_missing(name) is operand
    value = features.values[name]
    match operator:
        case "eq":
            return value == operand
        case "ne":
            return value != operand
        case "lt":
            return value < operand
        case "lte":
            return value <= operand
        case "gt":
            return value > operand
        case "gte":
            return value >= operand
        case "in":
            return value in operand
    raise ValueError(f"the test of {name} is unknown: {operator}")
