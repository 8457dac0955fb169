"""Builds a Feast repository, writes to its Redis with Feast's own push and materialize, and says what is stored.

    .cache/feast/bin/python crates/features/tests/feast/write.py CONNECTION_STRING FOLDER [--redis-type TYPE]

FOLDER gets feature_store.yaml, registry.db and expected.json: every view, every entity, every feature as
Feast reads it back, and whether the field is absent, null or a value. Called by tests/feast.rs.
"""

import argparse
import datetime as dt
import decimal
import json
import math
import warnings
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, PushSource, RequestSource, ValueType
from feast.data_source import PushMode
from feast.infra.online_stores.helpers import _mmh3, _redis_key
from feast.on_demand_feature_view import on_demand_feature_view
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.stream_feature_view import stream_feature_view
from feast.types import (
    Array,
    Bool,
    Bytes,
    Decimal,
    FeastType,
    Float32,
    Float64,
    Int32,
    Int64,
    Json,
    Map,
    Set,
    String,
    Struct,
    UnixTimestamp,
    Uuid,
)
from google.protobuf.timestamp_pb2 import Timestamp

PROJECT = "shop"
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
OLD = NOW - dt.timedelta(days=30)
DAY = dt.timedelta(days=1)
AT = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)

USER = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
DRIVER = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
STORE = Entity(name="store", join_keys=["store_id"], value_type=ValueType.INT32)
# Declared without a type: the view's column has it.
CARD = Entity(name="card", join_keys=["card_id"])
MERCHANT = Entity(name="merchant", join_keys=["Merchant"], value_type=ValueType.INT64)


def fields(**types: FeastType) -> list[Field]:
    """Fields by name."""
    return [Field(name=name, dtype=dtype) for name, dtype in types.items()]


SCALARS = {
    "i64": Int64,
    "i32": Int32,
    "f64": Float64,
    "f32": Float32,
    "text": String,
    "flag": Bool,
    "blob": Bytes,
    "seen": UnixTimestamp,
}
LISTS = {f"{name}s": Array(dtype) for name, dtype in SCALARS.items()}
RICH = {
    "tags": Set(String),
    "ids": Set(Int64),
    "attributes": Map,
    "document": Json,
    "key": Uuid,
    "price": Decimal,
    "point": Struct({"x": Int64, "y": String}),
}


def rows() -> dict[str, list[tuple[dict, dt.datetime, dict]]]:
    """Rows of each pushed view, in the order in which they are pushed."""
    full = {
        "i64": -(2**63),
        "i32": 2**31 - 1,
        "f64": 0.1,
        "f32": 0.1,
        "text": "Zürich",
        "flag": True,
        "blob": b"\x00\xff",
        "seen": AT,
    }
    zero = {
        "i64": 0,
        "i32": 0,
        "f64": -0.0,
        "f32": 0.0,
        "text": "",
        "flag": False,
        "blob": b"",
        "seen": dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
    }
    null = dict.fromkeys(SCALARS) | {"text": "the others are null"}
    lists = {
        "i64s": [11, -12, 2**63 - 1],
        "i32s": [1, -1],
        "f64s": [0.1, -0.2],
        "f32s": [0.5, -1.25, 3.0, 4.0],
        "texts": ["a", "", "ü"],
        "flags": [True, False],
        "blobs": [b"\x00", b"xy"],
        "seens": [AT, AT],
    }
    rich = {
        "tags": {"a"},
        "ids": {5},
        "attributes": {"k": "v", "n": {"deep": 1}},
        "document": '{"a": [1, 2]}',
        "key": "8d8ac610-566d-4ef0-9c22-186b2a5ed793",
        "price": decimal.Decimal("12.50"),
        "point": {"x": 3, "y": "z"},
    }
    return {
        "user_scalars": [
            ({"user_id": "full"}, NOW, full),
            ({"user_id": "zero"}, NOW, zero),
            ({"user_id": "nulls"}, NOW, null),
            ({"user_id": "old"}, OLD, full),
            # On a cluster, what is between braces says where the key lies.
            ({"user_id": "a{full}b"}, NOW, full),
            ({"user_id": "{}"}, NOW, zero),
            # Feast writes nothing of what is null as a whole.
            ({"user_id": "nothing"}, NOW, dict.fromkeys(SCALARS)),
            # Older than what is stored: Feast skips it.
            ({"user_id": "full"}, OLD, zero),
        ],
        "user_lists": [
            ({"user_id": "full"}, NOW - DAY, lists),
            ({"user_id": "zero"}, NOW, {name: [] for name in lists}),
            ({"user_id": "nulls"}, NOW, dict.fromkeys(lists) | {"i64s": [1]}),
            ({"user_id": "infinite"}, NOW, lists | {"f64s": [0.1, math.inf]}),
        ],
        "user_rich": [({"user_id": "full"}, NOW, rich)],
        "card_merchant": [
            ({"card_id": "c-9", "Merchant": 77}, NOW, {"n": 3, "total": 99.5}),
            ({"card_id": "", "Merchant": -1}, NOW, {"n": 0, "total": 0.25}),
        ],
        "store_counts": [({"store_id": -5}, NOW, {"n": 7})],
        "user_stream": [({"user_id": "full"}, NOW, {"clicks": 12})],
    }


def pushed(
    name: str, entities: list[Entity], schema: list[Field], ttl: dt.timedelta | None, folder: Path
) -> FeatureView:
    """A view that rows are pushed to."""
    source = PushSource(
        name=f"{name}_push",
        batch_source=FileSource(path=str(folder / f"{name}.parquet"), timestamp_field="event_timestamp"),
    )
    return FeatureView(name=name, entities=entities, ttl=ttl, schema=schema, source=source)


def materialized(
    name: str, entities: list[Entity], schema: list[Field], ttl: dt.timedelta, folder: Path, frame: pd.DataFrame
) -> FeatureView:
    """A view of a table of rows."""
    path = folder / f"{name}.parquet"
    frame.to_parquet(path)
    return FeatureView(
        name=name,
        entities=entities,
        ttl=ttl,
        schema=schema,
        source=FileSource(path=str(path), timestamp_field="event_timestamp"),
    )


def repository(folder: Path, later: bool) -> list:
    """Everything that is applied; `later` adds a feature that no row has."""
    user_key = fields(user_id=String)
    more = fields(later=Int64) if later else []
    views = [
        pushed("user_scalars", [USER], user_key + fields(**SCALARS) + more, DAY, folder),
        pushed("user_lists", [USER], user_key + fields(**LISTS), DAY * 365, folder),
        pushed("user_rich", [USER], user_key + fields(**RICH), None, folder),
        pushed(
            "card_merchant",
            [CARD, MERCHANT],
            fields(card_id=String, Merchant=Int64, n=Int64, total=Float64),
            DAY,
            folder,
        ),
        pushed("store_counts", [STORE], fields(store_id=Int32, n=Int64), dt.timedelta(0), folder),
    ]
    frame = pd.DataFrame(
        {
            "driver_id": [1, 2, -(2**63)],
            "trips": pd.array([10, None, 30], dtype="Int64"),
            "rating": pd.array([4.5, 3.25, None], dtype="Float32"),
            "event_timestamp": [NOW - dt.timedelta(hours=2), NOW - DAY * 10, NOW - dt.timedelta(microseconds=1500)],
        }
    )
    views.append(
        materialized(
            "driver_stats", [DRIVER], fields(driver_id=Int64, trips=Int64, rating=Float32), DAY * 3, folder, frame
        )
    )
    frame = pd.DataFrame({"rate": [1.08], "event_timestamp": [NOW - dt.timedelta(hours=1)]})
    views.append(materialized("globals", [], fields(rate=Float64), DAY, folder, frame))
    hidden = pushed("not_online", [USER], user_key + fields(n=Int64), DAY, folder)
    hidden.online = False
    disabled = pushed("switched_off", [USER], user_key + fields(n=Int64), DAY, folder)
    disabled.enabled = False

    @stream_feature_view(
        entities=[USER],
        ttl=DAY,
        mode="python",
        schema=user_key + fields(clicks=Int64),
        timestamp_field="event_timestamp",
        online=True,
        source=PushSource(
            name="user_stream_push",
            batch_source=FileSource(path=str(folder / "user_stream.parquet"), timestamp_field="event_timestamp"),
        ),
    )
    def user_stream(frame: pd.DataFrame) -> pd.DataFrame:
        return frame

    @on_demand_feature_view(
        sources=[views[0], RequestSource(name="sent", schema=fields(amount=Float64))], schema=fields(ratio=Float64)
    )
    def computed(frame: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"ratio": frame["amount"] / frame["f64"]})

    return [USER, DRIVER, STORE, CARD, MERCHANT, *views, hidden, disabled, user_stream, computed]


def show(value: Value) -> object:
    """A value as JSON: the same form as Gavel's."""
    kind = value.WhichOneof("val")
    if kind is None or kind == "null_val":
        return None
    return plain(getattr(value, kind), kind)


def plain(value: object, kind: str = "") -> object:
    """What a field of a Value holds, as JSON."""
    if isinstance(value, Value):
        return show(value)
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")
    if kind == "zoned_timestamp_val":
        return {"unix_timestamp": value.unix_timestamp, "zone": value.zone}
    if kind == "scalar_map_val":
        return [[plain(getattr(entry.key, entry.key.WhichOneof("key"))), show(entry.value)] for entry in value.val]
    if isinstance(value, (bool, int, str)):
        return value
    if kind in ("map_val", "struct_val"):
        return {name: show(entry) for name, entry in value.val.items()}
    return [plain(entry) for entry in value.val]


KEY_FIELDS = {
    "user_id": "string_val",
    "card_id": "string_val",
    "driver_id": "int64_val",
    "Merchant": "int64_val",
    "store_id": "int32_val",
    "__dummy_id": "string_val",
}


def expected(store: FeatureStore, view: FeatureView, entity: dict) -> dict:
    """What Feast reads, and what of it is absent or null, which Feast does not say."""
    keys = entity or {"__dummy_id": ""}
    key = EntityKey(
        join_keys=list(keys), entity_values=[Value(**{KEY_FIELDS[name]: value}) for name, value in keys.items()]
    )
    hash_key = _redis_key(PROJECT, key, 3)
    redis = store._get_provider().online_store._get_client(store.config.online_store)
    names = [field.name for field in view.features if field.name not in keys]
    answer = store.get_online_features([f"{view.name}:{name}" for name in names], [entity or {"any": 1}]).proto
    by_name = dict(zip(answer.metadata.feature_names.val, (result.values[0] for result in answer.results), strict=True))
    features = {}
    for name in names:
        stored = redis.hget(hash_key, _mmh3(f"{view.name}:{name}"))
        value = by_name[name]
        if stored is None:
            features[name] = {"status": "missing"}
        elif value.WhichOneof("val") is None:
            assert stored == b"", (view.name, name, stored)
            features[name] = {"status": "null"}
        else:
            assert Value.FromString(stored) == value, (view.name, name, stored)
            features[name] = {"status": "present", "kind": value.WhichOneof("val"), "value": show(value)}
    time = redis.hget(hash_key, f"_ts:{view.name}")
    micros = None
    if time is not None:
        parsed = Timestamp()
        parsed.ParseFromString(time)
        micros = parsed.seconds * 1_000_000 + parsed.nanos // 1000
    return {"view": view.name, "entity": entity, "event_time_us": micros, "features": features}


def main() -> None:
    """Build, write, and say what is stored."""
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("redis", help="the connection string")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--redis-type", default="redis")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    online = {"type": "redis", "redis_type": arguments.redis_type, "connection_string": arguments.redis}
    if arguments.redis_type == "redis_sentinel":
        online["sentinel_master"] = "features"
    (folder / "feature_store.yaml").write_text(
        f"project: {PROJECT}\nregistry: registry.db\nprovider: local\n"
        f"online_store: {json.dumps(online)}\n"
        "entity_key_serialization_version: 3\n"
    )
    store = FeatureStore(repo_path=str(folder))
    store.apply(repository(folder, later=False))
    for name, all_rows in rows().items():
        for entity, time, values in all_rows:
            frame = pd.DataFrame(
                {name: pd.Series([value], dtype=object) for name, value in {**entity, **values}.items()}
            )
            frame["event_timestamp"] = [time]
            store.push(f"{name}_push", frame, to=PushMode.ONLINE)
    store.materialize(NOW - DAY * 60, NOW + DAY, feature_views=["driver_stats", "globals"])
    store.apply(repository(folder, later=True))
    views = {view.name: view for view in [*store.list_feature_views(), *store.list_stream_feature_views()]}
    asked = [(name, entity) for name, all_rows in rows().items() for entity, _, _ in all_rows]
    asked += [("driver_stats", {"driver_id": number}) for number in (1, 2, -(2**63), 99)]
    asked += [("globals", {}), ("user_scalars", {"user_id": "nobody"}), ("user_rich", {"user_id": "nobody"})]
    unique = list({json.dumps(pair): pair for pair in asked}.values())
    out = [expected(store, views[name], entity) for name, entity in unique]
    (folder / "expected.json").write_text(
        json.dumps({"now_us": int(NOW.timestamp()) * 1_000_000, "rows": out}, indent=1)
    )


if __name__ == "__main__":
    main()
