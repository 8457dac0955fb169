"""Reference values of every transform, in plain Python: writes transforms.json beside this file.

    python3 crates/features/tests/golden/make_golden.py

Only the standard library is needed. A case is one derived feature: its definition as in
features.toml, its input, and the value expected. `null` stands for "no finite result", for which
the feature's default is taken.
"""

import bisect
import datetime
import json
import math
import pathlib
import random

RANDOM = random.Random(20261124)
EARTH_RADIUS_KM = 6371.0088
NUMBERS = [0.0, -0.0, 1.0, -1.0, 0.5, 1e-300, -1e-300, 1e300, -1e300, 129.9, 2.0**53, 5e-324]
TEXTS = ["", "EUR", "eur", "Zürich", "日本", "🂡", "a", "ab", "abc", "abcd", "abcde", "x" * 100, "\x00"]


def finite(x):
    return x if math.isfinite(x) else None


def log1p(x):
    return math.log1p(max(x, 0.0))


def ratio(a, b):
    return None if b == 0 else finite(a / b)


def murmur3_x86_32(data, seed=0):
    """MurmurHash3_x86_32 by Austin Appleby (public domain), from its description."""
    mask = 0xFFFFFFFF
    rotate = lambda x, r: ((x << r) | (x >> (32 - r))) & mask
    mix = lambda k: (rotate((k * 0xCC9E2D51) & mask, 15) * 0x1B873593) & mask
    h = seed
    whole = len(data) // 4 * 4
    for i in range(0, whole, 4):
        h ^= mix(int.from_bytes(data[i : i + 4], "little"))
        h = (rotate(h, 13) * 5 + 0xE6546B64) & mask
    if data[whole:]:
        h ^= mix(int.from_bytes(data[whole:], "little"))
    h ^= len(data)
    h = ((h ^ (h >> 16)) * 0x85EBCA6B) & mask
    h = ((h ^ (h >> 13)) * 0xC2B2AE35) & mask
    return h ^ (h >> 16)


# Published values, so that the reference is itself held by something.
assert murmur3_x86_32(b"") == 0
assert murmur3_x86_32(b"hello") == 0x248BFA47
assert murmur3_x86_32(b"hello, world") == 0x149BBB7F
assert murmur3_x86_32(b"The quick brown fox jumps over the lazy dog") == 0x2E4FF723


def utc(x):
    return datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=math.floor(x))


def haversine_km(lat1, lng1, lat2, lng2):
    lat1, lng1, lat2, lng2 = map(math.radians, (lat1, lng1, lat2, lng2))
    a = (
        math.sin((lat2 - lat1) / 2) ** 2
        + math.cos(lat1) * math.cos(lat2) * math.sin((lng2 - lng1) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, a)))


def numbers(count):
    return NUMBERS + [RANDOM.uniform(-10, 10) for _ in range(count)] + [RANDOM.lognormvariate(3, 3) for _ in range(count)]


cases = []


def case(definition, inputs, expected):
    cases.append({"definition": definition, "inputs": inputs, "expected": expected})


for x in numbers(20):
    case({"transform": "log1p"}, [x], log1p(x))
    case({"transform": "clip", "min": -1.5, "max": 20}, [x], min(max(x, -1.5), 20.0))
    case({"transform": "scale", "mean": 12.25, "std": 3.5}, [x], finite((x - 12.25) / 3.5))
    case({"transform": "scale", "mean": 0, "std": 1e-10}, [x], finite(x / 1e-10))
    case({"transform": "equals", "value": 0.5}, [x], float(x == 0.5))
    boundaries = [-5.0, 0.0, 0.5, 10.0, 1e6]
    case({"transform": "bucketize", "boundaries": boundaries}, [x], bisect.bisect_right(boundaries, x))
    case({"transform": "is_missing"}, [x], 0.0)
for a in NUMBERS:
    for b in NUMBERS:
        case({"transform": "ratio"}, [a, b], ratio(a, b))
        case({"transform": "difference"}, [a, b], finite(a - b))
for i in [0, 1, -1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]:
    case({"transform": "equals", "value": 2**53}, [i], float(i == 2**53))
    case({"transform": "log1p"}, [i], log1p(float(i)))
    case({"transform": "bucketize", "boundaries": [0, 1, 2]}, [i], bisect.bisect_right([0, 1, 2], i))
for flag in [True, False]:
    case({"transform": "equals", "value": True}, [flag], float(flag))
    case({"transform": "difference"}, [flag, True], float(flag) - 1.0)
vocabulary = ["EUR", "USD", "Zürich", ""]
for text in TEXTS:
    case({"transform": "index", "vocabulary": vocabulary}, [text], vocabulary.index(text) + 1 if text in vocabulary else 0)
    case({"transform": "equals", "value": "EUR"}, [text], float(text == "EUR"))
    case({"transform": "is_missing"}, [text], 0.0)
    for buckets in [1, 2, 1000, 2**32 - 1]:
        case({"transform": "hash_bucket", "buckets": buckets}, [text], murmur3_x86_32(text.encode()) % buckets)
times = [0, -1, 1, 86399, 86400, 1567245600, 1567245600.999, 4102444800, -86400, -0.5, 951782400]
times += [RANDOM.randrange(-(2**31), 2**33) for _ in range(40)]
for t in times:
    case({"transform": "hour_of_day"}, [t], float(utc(t).hour))
    case({"transform": "day_of_week"}, [t], float(utc(t).weekday()))
places = [(0, 0), (90, 0), (-90, 0), (47.3769, 8.5417), (40.7128, -74.006), (-33.8688, 151.2093), (0, 180), (0, -180), (52.52, 13.405)]
places += [(RANDOM.uniform(-90, 90), RANDOM.uniform(-180, 180)) for _ in range(3)]
for p in places:
    for q in places:
        case({"transform": "haversine_km"}, [*map(float, p), *map(float, q)], haversine_km(*p, *q))

path = pathlib.Path(__file__).with_name("transforms.json")
lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
print(f"{len(cases)} cases in {path.name}")
