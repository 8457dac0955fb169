"""The views `card` and `store` by the plain rule of windows: a reference for `gavel features history`.

A request at time t sees the payments strictly before t. A window of length w holds those since t - w, rounded down
to a multiple of its tile; what is last comes from the newest payment, however old.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping

import numpy as np

from gavel_models.fraud.payments import Payment
from gavel_models.transforms import Value

Row = dict[str, Value | None]
"""A view's features; None is null."""

HOUR = 3600  # seconds
DAY = 24 * HOUR
# Window to tile, in seconds: docs/ml-engineers.md, "What a window holds".
TILES = {DAY: HOUR // 2, 7 * DAY: 3 * HOUR, 30 * DAY: 12 * HOUR}
LAST = 3  # amounts of a card
# Sums may be added up in another order than here: the rest must be the same bits.
ADDED = ("txn_amount_sum_7d", "txn_amount_mean_30d", "customer_present_share_30d")


def card_row(history: list[Payment], at: int) -> Row:
    """The `card` view at `at` of one card's payments before (oldest first, at least one)."""
    last = history[-1]
    week, month = _window(history, at, 7 * DAY), _window(history, at, 30 * DAY)
    return {
        "txn_count_24h": float(len(_window(history, at, DAY))),
        "txn_count_7d": float(len(week)),
        "txn_count_30d": float(len(month)),
        "txn_amount_sum_7d": float(sum(payment.amount for payment in week)),
        "txn_amount_mean_30d": _mean([payment.amount for payment in month]),
        "txn_amount_max_30d": max((payment.amount for payment in month), default=None),
        "distinct_stores_30d": float(len({payment.store_id for payment in month})),
        "last_amounts": tuple(float(np.float32(payment.amount)) for payment in history[: -LAST - 1 : -1]),
        "last_txn_at": last.at,
        "last_lat": last.lat,
        "last_lng": last.lng,
    }


def store_row(history: list[Payment], at: int) -> Row:
    """The `store` view at `at` of one store's payments before (oldest first, at least one)."""
    last = history[-1]
    month = _window(history, at, 30 * DAY)
    return {
        "txn_count_24h": float(len(_window(history, at, DAY))),
        "txn_count_7d": float(len(_window(history, at, 7 * DAY))),
        "txn_count_30d": float(len(month)),
        "txn_amount_mean_30d": _mean([payment.amount for payment in month]),
        "txn_amount_max_30d": max((payment.amount for payment in month), default=None),
        "customer_present_share_30d": _mean([payment.customer_present for payment in month]),
        "distinct_cards_30d": float(len({payment.card_id for payment in month})),
        "lat": last.lat,
        "lng": last.lng,
    }


# View: its entity, and its reference.
VIEWS: dict[str, tuple[str, Callable[[list[Payment], int], Row]]] = {
    "card": ("card_id", card_row),
    "store": ("store_id", store_row),
}


def check(events: list[Payment], asked: list[Payment], seen: list[Mapping[str, Row | None]]) -> None:
    """Compare the rows `seen` by each of `asked`, at its own time, with the reference; `events` oldest first.

    Sums and means to the last bit of a float32, everything else exactly. ValueError says what differs.
    """
    for view, (entity, make_row) in VIEWS.items():
        histories: dict[str, list[Payment]] = defaultdict(list)
        for payment in events:
            histories[getattr(payment, entity)].append(payment)
        for payment, rows in zip(asked, seen, strict=True):
            history = histories[getattr(payment, entity)]
            before = history[: bisect_left(history, payment.at, key=lambda event: event.at)]
            expected = make_row(before, payment.at) if before else None
            if not _agree(rows[view], expected):
                raise ValueError(
                    f"{view} of payment {payment.id} at {payment.at}: {rows[view]}, by the reference {expected}"
                )


def _agree(found: Row | None, expected: Row | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return found.keys() == expected.keys() and all(_same(name, found[name], expected[name]) for name in expected)


def _same(name: str, found: Value | None, expected: Value | None) -> bool:
    if found is None or expected is None:
        return found is expected
    if isinstance(expected, tuple):
        return found == expected + (0.0,) * (LAST - len(expected))
    if name in ADDED:
        rounded = np.float32(expected)
        return abs(found - float(rounded)) <= float(np.spacing(rounded))
    return found in (expected, float(np.float32(expected)))


def _window(history: list[Payment], at: int, seconds: int) -> list[Payment]:
    """The payments since the window's first tile began."""
    tile = TILES[seconds]
    start = (at - seconds) // tile * tile
    return [payment for payment in history if payment.at >= start]


def _mean(values: list[float] | list[bool]) -> float | None:
    return sum(values) / len(values) if values else None
