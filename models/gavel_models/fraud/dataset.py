"""Payments turned into what a model sees, split by time."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from gavel_models.catalog import Catalog, Evaluated
from gavel_models.fraud import payments, views
from gavel_models.fraud.payments import Payment
from gavel_models.transforms import Value

CALIBRATION_FROM = int(datetime(2019, 6, 1, tzinfo=UTC).timestamp())
TEST_FROM = int(datetime(2019, 7, 1, tzinfo=UTC).timestamp())
# A caller may leave the timestamp out, so models must have seen payments without one.
WITHOUT_TIMESTAMP = 0.1


@dataclass(frozen=True)
class Example:
    """One payment as a request, with what the online store held just before it."""

    payment: Payment
    inputs: dict[str, Value | None]
    rows: dict[str, views.Row | None]
    features: Evaluated


@dataclass(frozen=True)
class Split:
    """Examples of one stretch of time; `labels` is float64 `[N]`, 1 for fraud."""

    examples: list[Example]
    labels: np.ndarray

    def matrix(self, names: list[str]) -> np.ndarray:
        """Features `names` as float32 `[N, len(names)]`."""
        return np.stack([example.features.vector(names) for example in self.examples])


@dataclass(frozen=True)
class Dataset:
    """`train` before June 2019, `calibration` June, `test` July and August."""

    train: Split
    calibration: Split
    test: Split
    cards: views.Timeline
    stores: views.Timeline
    catalog: Catalog

    def example(self, payment: Payment) -> Example:
        """`payment`, which need not be one of ours, as a request at its time."""
        return _example(payment, self.cards, self.stores, self.catalog, without_timestamp=False)


def load(catalog: Catalog, seed: int = 7) -> Dataset:
    """Everything, oldest first."""
    events = payments.load()
    cards = views.Timeline(events, "card_id", views.card_row)
    stores = views.Timeline(events, "store_id", views.store_row)
    dropped = np.random.default_rng(seed).random(len(events)) < WITHOUT_TIMESTAMP
    examples = [_example(event, cards, stores, catalog, drop) for event, drop in zip(events, dropped, strict=True)]
    return Dataset(
        _split([e for e in examples if e.payment.at < CALIBRATION_FROM]),
        _split([e for e in examples if CALIBRATION_FROM <= e.payment.at < TEST_FROM]),
        _split([e for e in examples if e.payment.at >= TEST_FROM]),
        cards,
        stores,
        catalog,
    )


def _split(examples: list[Example]) -> Split:
    return Split(examples, np.array([example.payment.fraud for example in examples], np.float64))


def _example(
    payment: Payment, cards: views.Timeline, stores: views.Timeline, catalog: Catalog, without_timestamp: bool
) -> Example:
    inputs: dict[str, Value | None] = {
        "amount": payment.amount,
        "currency": payment.currency,
        "country": payment.country,
        "provider": payment.provider,
        "customer_present": payment.customer_present,
        "timestamp": None if without_timestamp else payment.at,
    }
    rows = {
        "card": cards.before(payment.card_id, payment.at),
        "store": stores.before(payment.store_id, payment.at),
    }
    return Example(payment, inputs, rows, catalog.evaluate(inputs, rows))
