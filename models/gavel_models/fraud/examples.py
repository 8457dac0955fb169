"""`examples/`: payments to decide, and those of their cards and stores that happened before."""

import json
from dataclasses import replace

import numpy as np

from gavel_models import paths
from gavel_models.fraud import golden, history
from gavel_models.fraud.dataset import Dataset, Example
from gavel_models.fraud.payments import Payment
from gavel_models.fraud.policy import THRESHOLDS, action
from gavel_models.fraud.train import Models, run_primary

HOUR = 3600
BUDGET_MS = 50
UNKNOWN_CARD = "no-such-card"


def write(data: Dataset, models: Models, also: list[Example]) -> None:
    """Write the requests and payments.jsonl, which also holds what the cards and stores of `also` did."""
    at = data.events[-1].at + HOUR
    base = replace(_regular(data, at), currency="EUR", customer_present=True)
    requests = {
        "fraud": (replace(base, amount=129.9), "approve"),
        "fraud-review": (_to_review(data, models, at), "review"),
        "fraud-decline": (replace(base, amount=947.5, customer_present=False), "decline"),
        "fraud-unknown-card": (replace(base, card_id=UNKNOWN_CARD, amount=129.9), "approve"),
    }
    payments = [replace(payment, id=str(number)) for number, (payment, _) in enumerate(requests.values(), start=1)]
    examples = data.ask(payments)
    for (name, (_, wanted)), example, score in zip(requests.items(), examples, _scores(examples, models), strict=True):
        found = action(float(score))
        if found != wanted:
            raise ValueError(f"examples/{name}.json is to show {wanted}, and the model says {found}")
        body = golden.request(example) | {"budget_ms": BUDGET_MS}
        (paths.EXAMPLES / f"{name}.json").write_text(json.dumps(body, indent=2) + "\n")
    asked = payments + [replace(example.payment, at=at) for example in also]
    (paths.EXAMPLES / "payments.jsonl").write_text(history.lines(golden.before(asked, data.events)))


def _regular(data: Dataset, at: int) -> Payment:
    """A payment of the test months whose card and store are both well known at the time `at`, and then."""
    payments = [replace(example.payment, at=at) for example in data.test.examples]
    return max(data.ask(payments), key=_familiarity).payment


def _familiarity(example: Example) -> tuple[float, float]:
    values = example.features.values
    return (
        min(values["card.txn_count_30d"], values["store.txn_count_30d"]),
        -values["travel_km"] if values["card_gap"] > HOUR else -np.inf,
    )


def _to_review(data: Dataset, models: Models, at: int) -> Payment:
    """Of payments that lack nothing at the time `at`, the one scored nearest to the middle between the thresholds."""
    examples = data.ask([replace(example.payment, at=at) for example in data.test.examples])
    examples = [example for example in examples if not example.features.missing and not example.features.null]
    return examples[int(np.abs(_scores(examples, models) - sum(THRESHOLDS) / 2).argmin())].payment


def _scores(examples: list[Example], models: Models) -> np.ndarray:
    rows = [example.features.vector(models.primary_features) for example in examples]
    return run_primary(np.stack(rows))[:, 0]
