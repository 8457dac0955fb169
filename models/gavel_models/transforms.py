"""The closed set of transforms behind derived features: the reference that the gateway's own are tested against.

All arithmetic is in 64-bit floats. A transform takes the values of its inputs (never None: an absent input has
been replaced by its default before) and its parameters from features.toml.
"""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from gavel_models.murmur3 import murmur3_32

Value = bool | int | float | str | tuple
"""A tuple is a list feature's; no transform takes one."""
EARTH_RADIUS_KM = 6371.0088  # mean radius, IUGG


def log1p(x: float) -> float:
    """ln(1 + x); 0 where x is negative."""
    return math.log1p(x) if x > 0 else 0.0


def ratio(a: float, b: float, *, default: float = 0.0) -> float:
    """a / b; `default` where b is 0."""
    return default if b == 0 else a / b


def difference(a: float, b: float) -> float:
    """a - b."""
    return float(a) - float(b)


def clip(x: float, *, min: float, max: float) -> float:
    """x, held between `min` and `max`."""
    return float(min if x < min else max if x > max else x)


def scale(x: float, *, mean: float, std: float) -> float:
    """(x - mean) / std."""
    return (x - mean) / std


def equals(x: Value, *, value: Value) -> float:
    """1 where x is `value`, else 0."""
    return float(x == value)


def index(text: str, *, vocabulary: Sequence[str]) -> int:
    """1-based position in `vocabulary`; 0 where it is not there."""
    return vocabulary.index(text) + 1 if text in vocabulary else 0


def hash_bucket(text: str, *, buckets: int) -> int:
    """MurmurHash3 of the text, modulo `buckets`."""
    return murmur3_32(text) % buckets


def bucketize(x: float, *, boundaries: Sequence[float]) -> int:
    """How many of `boundaries` are at or below x."""
    return sum(boundary <= x for boundary in boundaries)


def hour_of_day(unix_seconds: int) -> int:
    """0 .. 23, UTC."""
    return datetime.fromtimestamp(unix_seconds, UTC).hour


def day_of_week(unix_seconds: int) -> int:
    """0 (Monday) .. 6, UTC."""
    return datetime.fromtimestamp(unix_seconds, UTC).weekday()


def haversine_km(lat1: float, lng1: float, lat2: float, lng2: float) -> float:
    """Great-circle distance of two points given in degrees."""
    phi1, phi2 = math.radians(lat1), math.radians(lat2)
    sin_phi = math.sin(math.radians(lat2 - lat1) / 2)
    sin_lambda = math.sin(math.radians(lng2 - lng1) / 2)
    h = sin_phi * sin_phi + math.cos(phi1) * math.cos(phi2) * (sin_lambda * sin_lambda)
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, h)))


# `is_missing` is not here: it asks about its input's presence, not its value (see catalog.py).
TRANSFORMS: dict[str, Callable[..., Value]] = {
    function.__name__: function
    for function in (
        log1p,
        ratio,
        difference,
        clip,
        scale,
        equals,
        index,
        hash_bucket,
        bucketize,
        hour_of_day,
        day_of_week,
        haversine_km,
    )
}
