"""The views `card` and `store` as the online store would have held them at any moment.

A row is written by each payment and describes the entity right after it; a request at time t reads the latest
row written strictly before t. So nothing of a payment, or after it, is ever among its own features.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable

from gavel_models.fraud.payments import Payment
from gavel_models.transforms import Value

DAY = 86_400  # seconds

Row = dict[str, Value]
MakeRow = Callable[[list[Payment]], Row]


def card_row(history: list[Payment]) -> Row:
    """The `card` view after the last payment of `history` (one card's, oldest first)."""
    last = history[-1]
    week, month = _window(history, 7 * DAY), _window(history, 30 * DAY)
    return {
        "txn_count_24h": float(len(_window(history, DAY))),
        "txn_count_7d": float(len(week)),
        "txn_count_30d": float(len(month)),
        "txn_amount_sum_7d": sum(payment.amount for payment in week),
        "txn_amount_mean_30d": _mean_amount(month),
        "txn_amount_max_30d": max(payment.amount for payment in month),
        "distinct_stores_30d": float(len({payment.store_id for payment in month})),
        "last_txn_at": last.at,
        "last_lat": last.lat,
        "last_lng": last.lng,
    }


def store_row(history: list[Payment]) -> Row:
    """The `store` view after the last payment of `history` (one store's, oldest first)."""
    last = history[-1]
    month = _window(history, 30 * DAY)
    return {
        "txn_count_24h": float(len(_window(history, DAY))),
        "txn_count_7d": float(len(_window(history, 7 * DAY))),
        "txn_count_30d": float(len(month)),
        "txn_amount_mean_30d": _mean_amount(month),
        "txn_amount_max_30d": max(payment.amount for payment in month),
        "customer_present_share_30d": sum(payment.customer_present for payment in month) / len(month),
        "distinct_cards_30d": float(len({payment.card_id for payment in month})),
        "lat": last.lat,
        "lng": last.lng,
    }


class Timeline:
    """Every row that a view ever held, by entity and time."""

    def __init__(self, payments: list[Payment], entity: str, make_row: MakeRow) -> None:
        """Rows of the view keyed by the payments' field `entity`; `payments` oldest first."""
        histories: dict[str, list[Payment]] = defaultdict(list)
        for payment in payments:
            histories[getattr(payment, entity)].append(payment)
        self._times = {key: [payment.at for payment in history] for key, history in histories.items()}
        self._rows = {
            key: [make_row(history[: end + 1]) for end in range(len(history))] for key, history in histories.items()
        }

    def before(self, key: str, at: int) -> Row | None:
        """The latest row written strictly before `at` (unix seconds)."""
        end = bisect_left(self._times.get(key, []), at)
        return self._rows[key][end - 1] if end else None

    def latest(self, key: str) -> Row:
        """The last row of all."""
        return self._rows[key][-1]


def _window(history: list[Payment], seconds: int) -> list[Payment]:
    """The payments of the `seconds` that end with the last one, itself included."""
    start = history[-1].at - seconds
    return [payment for payment in history if payment.at > start]


def _mean_amount(payments: list[Payment]) -> float:
    return sum(payment.amount for payment in payments) / len(payments)
