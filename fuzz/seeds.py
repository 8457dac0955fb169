"""Writes the seeds of every fuzz target to fuzz/corpus/: the project's own files, and what they can't show.

python3 fuzz/seeds.py
"""

import json
import pathlib
import struct
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORPUS = ROOT / "fuzz" / "corpus"
DEPTH = 20_000


def seed(target: str, name: str, content: bytes) -> None:
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed-{name}").write_bytes(content)


def copies(target: str, pattern: str, most_bytes: int = 64 * 1024) -> None:
    files = [file for file in sorted(ROOT.glob(pattern)) if file.stat().st_size <= most_bytes]
    if not files:
        raise SystemExit(f"no file matches {pattern}: the seeds of {target} have moved")
    for file in files:
        seed(target, "-".join(file.relative_to(ROOT).parts), file.read_bytes())


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(tag: int, content: bytes) -> bytes:
    return varint(tag << 3 | 2) + varint(len(content)) + content


def scalar(value: object) -> bytes:
    """gavel.v1.Value"""
    match value:
        case bool():
            return b"\x20" + varint(value)
        case int():
            return b"\x10" + varint(value)
        case float():
            return b"\x09" + struct.pack("<d", value)
        case str():
            return field(3, value.encode())
    return b""


def message(question: dict) -> bytes:
    """gavel.v1.DecideRequest"""
    out = field(1, question["decision"].encode()) + field(2, question.get("id", "").encode())
    for tag, place in ((3, "entities"), (4, "inputs")):
        for name, value in question.get(place, {}).items():
            out += field(tag, field(1, name.encode()) + field(2, scalar(value)))
    if "budget_ms" in question:
        out += b"\x29" + struct.pack("<d", question["budget_ms"])
    return out


def questions() -> None:
    copies("json_question", "examples/*.json")
    extremes = {"a": -0.0, "b": 1e308, "c": 2**64 - 1, "d": -(2**63), "é": "\U0010ffff\0", "g": None}
    question = {"decision": "fraud", "entities": {}, "inputs": extremes, "budget_ms": 0.5}
    seed("json_question", "extremes", json.dumps(question).encode())
    deep = b'{"decision":"fraud","inputs":{"a":' + b"[" * DEPTH
    seed("json_question", "deep", deep)
    for file in sorted((ROOT / "examples").glob("*.json")):
        seed("protobuf_question", file.stem, message(json.loads(file.read_text())))
    numbers = {"a": float("nan"), "b": float("-inf"), "c": -1, "d": None}
    seed("protobuf_question", "extremes", message(question | {"inputs": numbers}))


def rows() -> None:
    card = {"view": "card", "entity": {"card_id": "4022"}, "values": {"count": 3.5, "last": [1, 2], "name": None}}
    store = {"view": "store", "entity": {"store_id": 2166}, "values": {"open": True, "lat": 46.95}}
    for line in (card, store):
        seed("feature_line", line["view"], json.dumps(line).encode())
        timed = line | {"event_time": "2019-08-31T10:00:00.123456Z"}
        seed("feature_line", f"{line['view']}-timed", json.dumps(timed).encode())
    # What follows version and fingerprint, which the target puts before it: time, nulls, values.
    texts = [struct.pack("<I", len(text)) + text for text in (b"", "é".encode(), b"abc")]
    numbers = struct.pack("<?qfd", True, -1, float("nan"), 1e308)
    every = texts[0] + numbers + texts[1] + b"\x00\x01" + texts[2]
    seed("stored_row", "every", struct.pack("<q", 1_567_245_600_000_001) + b"\0\0" + every)
    seed("stored_row", "nulls", struct.pack("<q", -1) + b"\xff\xff")
    seed("stored_row", "one", struct.pack("<q", -(2**63)) + b"\0\1")


def segments() -> None:
    """What a block of the decision log stores, after the number of its records: a schema and a record."""
    text = lambda value: varint(len(value)) + value  # noqa: E731
    fields = lambda *pairs: varint(len(pairs)) + b"".join(text(n) + text(t) for n, t in pairs)  # noqa: E731
    schema = text(b"fraud") + fields((b"card_id", b"string")) + fields((b"amount", b"float64"))
    schema += fields((b"card.a", b"float32"), (b"card.l", b"int64[2]"), (b"card.b", b"bool"))
    schema += varint(1) + text(b"card") + varint(1) + text(b"fraud")
    record = varint(2_000_000) + varint(4) + text(b"r1") + b"\x06" + text(b"1") + b"\x05" + struct.pack("<d", 1.5)
    record += varint(95_000) + b"\x04" + struct.pack("<f", float("nan")) + b"\x27\x02\x03\x01\x03\x02" + b"\x32"
    record += b"\x03" + varint(1) + varint(1) + text(b"x") + text(b"FP32") + text(b"\0\0\x80\x3f")
    record += text(b"primary") + text(b"m") + text(b"1") + text(b"default") + struct.pack("<d", 0.25)
    record += text(b"approve") + varint(1) + text(b"low") + varint(1) + text(b"a") + text(b"timeout")
    record += varint(1) + text(b"total") + varint(300) + b"\x02"
    seed("decision_segment", "one", b"\x01\x00" + schema + b"\x01\x00" + record)
    seed("decision_segment", "two", b"\x02\x00" + schema + (b"\x01\x00" + record) * 2)
    seed("decision_segment", "deep", b"\x01\x00" + schema + b"\x01\x00" + b"\x07\x01" * DEPTH)


def files() -> None:
    copies("features_toml", "decisions/features.toml")
    copies("decision_toml", "decisions/fraud.toml")
    copies("rules_toml", "decisions/fraud.rules.toml")
    copies("gavel_toml", "gavel.toml")
    for target in ("config_pbtxt", "model_repository"):
        copies(target, "model_repository/*/config.pbtxt")
        copies(target, "model_repository/*/configs/*.pbtxt")
        seed(target, "deep", b"input [ { reshape { " * (DEPTH // 10))
        seed(target, "deep-lists", b"input " + b"[" * DEPTH)
        seed(target, "deep-messages", b"parameters " + b"{" * DEPTH)
    copies("onnx_signature", "model_repository/*/1/*.onnx")
    derived = tomllib.loads((ROOT / "decisions" / "features.toml").read_text())["derived"]
    for name, table in derived.items():
        # A feature by itself: small enough to be changed in every part of it.
        keys = ", ".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
        alone = table | {"inputs": [i for i in table["inputs"] if i.startswith("request.")]}
        if alone == table:
            seed("features_toml", name, f"[derived]\n{name} = {{ {keys} }}\n".encode())
    for target in ("features_toml", "decision_toml", "rules_toml", "gavel_toml"):
        seed(target, "deep", b"a = " + b"[" * DEPTH)
        seed(target, "deep-inline", b"a = " + b"{ a = " * DEPTH)
        seed(target, "deep-dotted", b"a" + b".a" * DEPTH + b" = 1")


def feast() -> None:
    """Fields that Feast wrote, and a registry of one view."""
    vectors = json.loads((ROOT / "crates/features/tests/data/feast_redis.json").read_text())
    for row in vectors["rows"]:
        for view in row["views"]:
            seed("feast_value", f"{row['id']}-{view['view']}-time", bytes.fromhex(view["ts_value_hex"]))
            for feature in view["features"]:
                name = f"{row['id']}-{view['view']}-{feature['name']}"
                seed("feast_value", name, bytes.fromhex(feature["value_hex"] or ""))
    column = field(1, b"user_id") + b"\x10" + varint(2)
    feature = field(1, b"age") + b"\x10" + varint(4)
    spec = field(1, b"user") + field(2, b"p") + field(4, feature) + b"\x40" + varint(1) + field(12, column)
    registry = field(3, b"1") + field(6, field(1, spec)) + field(17, field(1, field(1, b"p")))
    seed("feast_registry", "one-view", registry)
    for kind in ("redis", "redis_cluster"):
        store = f"{{type: redis, redis_type: {kind}, connection_string: 'h:1,ssl=true,password=$P'}}"
        seed("feast_registry", kind, f"project: p\nregistry: {{path: r.db}}\nonline_store: {store}\n".encode())


if __name__ == "__main__":
    feast()
    questions()
    rows()
    segments()
    files()
