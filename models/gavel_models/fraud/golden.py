"""Held-out payments with everything that was computed from them, for tests that training and serving agree."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import numpy as np

from gavel_models import paths, rules
from gavel_models.fraud import history, train
from gavel_models.fraud.dataset import Dataset, Example
from gavel_models.fraud.payments import Payment
from gavel_models.fraud.train import Models

ROWS = 50
# Up to so many of each kind first, so that defaults and masks are covered as well.
AT_LEAST = 6
KINDS: tuple[Callable[[Example], bool], ...] = (
    lambda example: example.rows["card"] is None,
    lambda example: example.rows["store"] is None,
    lambda example: example.inputs["timestamp"] is None,
    lambda example: 880 < example.payment.amount < 920,
    lambda example: example.payment.fraud,
    lambda example: example.features.values["card.txn_count_7d"] >= 2,
    lambda example: bool(example.features.null),
)


def choose(data: Dataset, seed: int = 7) -> list[Example]:
    """`ROWS` payments of the test months: some of every kind, the rest at random."""
    order = np.random.default_rng(seed).permutation(len(data.test.examples))
    shuffled = [data.test.examples[i] for i in order]
    chosen: list[Example] = []
    for kind in KINDS:
        chosen += islice((example for example in shuffled if kind(example) and example not in chosen), AT_LEAST)
    rest = islice((example for example in shuffled if example not in chosen), ROWS - len(chosen))
    chosen += [_without_views(example, data) if i < AT_LEAST else example for i, example in enumerate(rest)]
    return sorted(chosen, key=lambda example: example.payment.at)


def before(asked: list[Payment], events: list[Payment]) -> list[Payment]:
    """Of `events`, those of the cards and stores of `asked` before them: all that their views are made of."""
    until: dict[tuple[str, str], int] = {}
    for payment in asked:
        for key in (("card", payment.card_id), ("store", payment.store_id)):
            until[key] = max(until.get(key, 0), payment.at)
    return [e for e in events if e.at < max(until.get(("card", e.card_id), 0), until.get(("store", e.store_id), 0))]


def _without_views(example: Example, data: Dataset) -> Example:
    """The same payment while the online store cannot be reached."""
    rows = dict.fromkeys(example.rows)
    return replace(example, rows=rows, features=data.catalog.evaluate(example.inputs, rows), store_down=True)


def write(examples: list[Example], data: Dataset, models: Models) -> None:
    """Write models/golden/fraud_rows.json and fraud_payments.jsonl; models/README.md says what is in them."""
    table = rules.load(paths.DECISIONS / "fraud.rules.toml")
    primary = np.stack([example.features.vector(models.primary_features) for example in examples])
    secondary = np.stack([example.features.vector(models.secondary_features) for example in examples])
    scores = {
        "fraud_primary": _scores(models.primary(primary), train.run_primary(primary)),
        "fraud_secondary": _scores(models.secondary(secondary), train.run_secondary(secondary)),
    }
    rows = []
    for i, example in enumerate(examples):
        rule = table[rules.first_match(table, example.features)]
        rows.append(
            {
                "request": request(example),
                "moment": example.payment.at,
                "store_down": example.store_down,
                "views": example.rows,
                "missing": sorted(example.features.missing),
                "null": sorted(example.features.null),
                "vectors": {"fraud_primary": primary[i].tolist(), "fraud_secondary": secondary[i].tolist()},
                "scores": {model: kinds[i] for model, kinds in scores.items()},
                "rule": {"reason": rule.reason, "fraud": rule.scores["fraud"]},
                "fraud": example.payment.fraud,
            }
        )
    features = {"fraud_primary": models.primary_features, "fraud_secondary": models.secondary_features}
    lines = ",\n".join(json.dumps(row) for row in rows)
    paths.GOLDEN.mkdir(exist_ok=True)
    rows_file, payments_file = (paths.GOLDEN / name for name in ("fraud_rows.json", "fraud_payments.jsonl"))
    rows_file.write_text(f'{{"features": {json.dumps(features)},\n"rows": [\n{lines}\n]}}\n')
    asked = [example.payment for example in examples if not example.store_down]
    payments_file.write_text(history.lines(before(asked, data.events)))


def request(example: Example) -> dict:
    """The payment as a caller of `POST /v1/decide` sends it; absent inputs are left out."""
    payment = example.payment
    return {
        "decision": "fraud",
        "id": f"tx-{payment.id}",
        "entities": {"card_id": payment.card_id, "store_id": payment.store_id},
        "inputs": {field: value for field, value in example.inputs.items() if value is not None},
    }


def _scores(source: np.ndarray, fp32: np.ndarray) -> list[dict[str, float]]:
    return [{"source": float(s), "onnx_fp32": float(f)} for s, f in zip(source[:, 0], fp32[:, 0], strict=True)]
