"""The payments: evalml's fraud_transactions (BSD-3), 99,992 rows of January to August 2019."""

import csv
import gzip
import io
from dataclasses import dataclass
from datetime import UTC, datetime

from gavel_models import wheel
from gavel_models.transforms import Value

MEMBER = "evalml/demos/data/fraud_transactions.csv.gz"


@dataclass(frozen=True)
class Payment:
    """One card payment and whether it turned out to be fraud."""

    id: str
    card_id: str
    store_id: str
    at: int  # unix seconds, UTC
    amount: float  # major units of `currency`
    currency: str
    customer_present: bool
    provider: str
    lat: float  # degrees, the store's place
    lng: float
    country: str  # ISO 3166 alpha-2
    fraud: bool

    def event(self) -> dict[str, Value]:
        """The payment as it is told once it has happened: `[events.payment]` of features.toml, and the currency."""
        return {
            "id": f"tx-{self.id}",
            "timestamp": self.at,
            "card_id": self.card_id,
            "store_id": self.store_id,
            "amount": self.amount,
            "currency": self.currency,
            "customer_present": self.customer_present,
            "lat": self.lat,
            "lng": self.lng,
        }


def load() -> list[Payment]:
    """All payments, oldest first."""
    text = gzip.decompress(wheel.read("evalml", MEMBER)).decode()
    payments = [_payment(row) for row in csv.DictReader(io.StringIO(text))]
    return sorted(payments, key=lambda payment: (payment.at, int(payment.id)))


def _payment(row: dict[str, str]) -> Payment:
    at = datetime.strptime(row["datetime"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return Payment(
        id=row["id"],
        card_id=row["card_id"],
        store_id=row["store_id"],
        at=int(at.timestamp()),
        amount=int(row["amount"]) / 100,
        currency=row["currency"],
        customer_present=row["customer_present"] == "True",
        provider=row["provider"],
        lat=float(row["lat"]),
        lng=float(row["lng"]),
        # Namibia's code is "NA", which the publisher's tooling took for "not available".
        country=row["country"] or "NA",
        fraud=row["fraud"] == "True",
    )
