"""Writes the payments out of evalml's wheel as events and as a spine with labels.

fraud_events.py WHEEL FOLDER. What a payment is made of is what models/gavel_models/fraud/payments.py says.
"""

import csv
import gzip
import io
import json
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

MEMBER = "evalml/demos/data/fraud_transactions.csv.gz"


def payment(row: dict[str, str]) -> dict[str, object]:
    """One payment with its label, as training has it."""
    at = datetime.strptime(row["datetime"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return {
        "id": row["id"],
        "card_id": row["card_id"],
        "store_id": row["store_id"],
        "timestamp": int(at.timestamp()),
        "amount": int(row["amount"]) / 100,
        "currency": row["currency"],
        "country": row["country"] or "NA",
        "provider": row["provider"],
        "customer_present": row["customer_present"] == "True",
        "lat": float(row["lat"]),
        "lng": float(row["lng"]),
        "fraud": row["fraud"] == "True",
    }


def main() -> None:
    """Both files, oldest payment first."""
    wheel, folder = sys.argv[1], Path(sys.argv[2])
    with zipfile.ZipFile(wheel) as archive:
        text = gzip.decompress(archive.read(MEMBER)).decode()
    payments = [payment(row) for row in csv.DictReader(io.StringIO(text))]
    payments.sort(key=lambda one: (one["timestamp"], int(str(one["id"]))))
    with (folder / "payments.jsonl").open("w") as events:
        for one in payments:
            events.write(json.dumps({name: value for name, value in one.items() if name != "fraud"}) + "\n")
    with (folder / "labels.csv").open("w", newline="") as spine:
        names = [name for name in payments[0] if name not in ("lat", "lng")]
        rows = csv.DictWriter(spine, names, extrasaction="ignore", lineterminator="\n")
        rows.writeheader()
        rows.writerows(payments)
    print(f"fraud: {len(payments)} payments in {folder}", file=sys.stderr)


if __name__ == "__main__":
    main()
