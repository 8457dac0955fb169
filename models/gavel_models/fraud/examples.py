"""`examples/`: payments to post, and the features of their cards and stores to load before."""

import json
from dataclasses import replace

import numpy as np

from gavel_models import paths
from gavel_models.fraud import golden
from gavel_models.fraud.dataset import Dataset, Example
from gavel_models.fraud.payments import Payment
from gavel_models.fraud.policy import THRESHOLDS, action
from gavel_models.fraud.train import Models, run_primary
from gavel_models.transforms import Value

HOUR = 3600
BUDGET_MS = 50
UNKNOWN_CARD = "no-such-card"


def write(data: Dataset, models: Models, also: list[Example]) -> None:
    """Write the requests and features.jsonl, which also holds the entities of `also`."""
    last = max(example.payment.at for example in data.test.examples)
    base = replace(_regular(data), at=last + HOUR, currency="EUR", customer_present=True)
    requests = {
        "fraud": (replace(base, amount=129.9), "approve"),
        "fraud-review": (_to_review(data, models, base.at), "review"),
        "fraud-decline": (replace(base, amount=947.5, customer_present=False), "decline"),
        "fraud-unknown-card": (replace(base, card_id=UNKNOWN_CARD, amount=129.9), "approve"),
    }
    for number, (name, (payment, wanted)) in enumerate(requests.items(), start=1):
        found = action(float(_score([payment], data, models)[0]))
        if found != wanted:
            raise ValueError(f"examples/{name}.json is to show {wanted}, and the model says {found}")
        body = golden.request(data.example(replace(payment, id=str(number)))) | {"budget_ms": BUDGET_MS}
        (paths.EXAMPLES / f"{name}.json").write_text(json.dumps(body, indent=2) + "\n")
    stored = [payment for payment, _ in requests.values() if payment.card_id != UNKNOWN_CARD]
    _write_features(data, [*stored, *(example.payment for example in also)])


def _regular(data: Dataset) -> Payment:
    """A payment of the last month whose card and store are both well known."""
    return max(data.test.examples, key=_familiarity).payment


def _familiarity(example: Example) -> tuple[float, float]:
    values = example.features.values
    return (
        min(values["card.txn_count_30d"], values["store.txn_count_30d"]),
        -values["travel_km"] if values["card_gap"] > HOUR else -np.inf,
    )


def _to_review(data: Dataset, models: Models, at: int) -> Payment:
    """The payment by a known card whose score, at the time `at`, is nearest to the middle between the thresholds."""
    known = [example for example in data.test.examples if not example.features.values["card_is_new"]]
    payments = [replace(example.payment, at=at) for example in known]
    return payments[int(np.abs(_score(payments, data, models) - sum(THRESHOLDS) / 2).argmin())]


def _score(payments: list[Payment], data: Dataset, models: Models) -> np.ndarray:
    rows = [data.example(payment).features.vector(models.primary_features) for payment in payments]
    return run_primary(np.stack(rows))[:, 0]


def _write_features(data: Dataset, payments: list[Payment]) -> None:
    """The latest rows, without `event_time`: loading them makes them fresh."""
    lines = []
    for view, entity, timeline in (("card", "card_id", data.cards), ("store", "store_id", data.stores)):
        for key in sorted({getattr(payment, entity) for payment in payments}, key=int):
            values: dict[str, Value] = timeline.latest(key)
            lines.append(json.dumps({"view": view, "entity": {entity: key}, "values": values}))
    (paths.EXAMPLES / "features.jsonl").write_text("\n".join(lines) + "\n")
