"""Payments turned into what a model sees, split by time."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from gavel_models.catalog import Catalog, Evaluated, ViewRow
from gavel_models.fraud import history, payments, views
from gavel_models.fraud.payments import Payment
from gavel_models.transforms import Value

CALIBRATION_FROM = int(datetime(2019, 6, 1, tzinfo=UTC).timestamp())
TEST_FROM = int(datetime(2019, 7, 1, tzinfo=UTC).timestamp())
# A caller may leave the timestamp out, so models must have seen payments without one.
WITHOUT_TIMESTAMP = 0.1


@dataclass(frozen=True)
class Example:
    """One payment as a request, with what the online store held of the payments before it."""

    payment: Payment
    inputs: dict[str, Value | None]
    rows: dict[str, ViewRow | None]
    features: Evaluated
    store_down: bool = False  # then there are no rows, whatever happened before


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
    events: list[Payment]
    catalog: Catalog

    def ask(self, asked: list[Payment]) -> list[Example]:
        """Payments, which need not be ours, as requests at their times; none is among the events that they see."""
        return _examples(self.events, asked, self.catalog, np.zeros(len(asked), bool))


def load(catalog: Catalog, seed: int = 7) -> Dataset:
    """Everything, oldest first; the rows by `gavel features history`, compared with the reference in views.py."""
    events = payments.load()
    dropped = np.random.default_rng(seed).random(len(events)) < WITHOUT_TIMESTAMP
    examples = _examples(events, events, catalog, dropped)
    return Dataset(
        _split([e for e in examples if e.payment.at < CALIBRATION_FROM]),
        _split([e for e in examples if CALIBRATION_FROM <= e.payment.at < TEST_FROM]),
        _split([e for e in examples if e.payment.at >= TEST_FROM]),
        events,
        catalog,
    )


def _split(examples: list[Example]) -> Split:
    return Split(examples, np.array([example.payment.fraud for example in examples], np.float64))


def _examples(
    events: list[Payment], asked: list[Payment], catalog: Catalog, without_timestamp: np.ndarray
) -> list[Example]:
    seen = history.rows(events, asked, catalog)
    views.check(events, asked, seen)
    return [
        _example(payment, rows, catalog, without)
        for payment, rows, without in zip(asked, seen, without_timestamp, strict=True)
    ]


def _example(payment: Payment, rows: dict[str, ViewRow | None], catalog: Catalog, without_timestamp: bool) -> Example:
    inputs: dict[str, Value | None] = {
        "amount": payment.amount,
        "currency": payment.currency,
        "country": payment.country,
        "provider": payment.provider,
        "customer_present": payment.customer_present,
        "timestamp": None if without_timestamp else payment.at,
    }
    return Example(payment, inputs, rows, catalog.evaluate(inputs, rows))
