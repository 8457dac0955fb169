"""An example question in the other two forms that Gavel reads: protobuf, and gRPC's JSON.

The schema is proto/gavel/v1/decision.proto; written by hand here so that a run needs no protobuf package.
"""

import json
import struct
from typing import Any

# Field numbers of DecideRequest and of Value.
DECISION, ID, ENTITIES, INPUTS, BUDGET_MS = 1, 2, 3, 4, 5
KINDS = {"number": 1, "integer": 2, "text": 3, "flag": 4}
VARINT, FIXED64, BYTES = 0, 1, 2


def protobuf(question: dict[str, Any]) -> bytes:
    """A DecideRequest."""
    message = _bytes(DECISION, question["decision"].encode()) + _bytes(ID, question.get("id", "").encode())
    for field, name in ((ENTITIES, "entities"), (INPUTS, "inputs")):
        for key, value in question[name].items():
            message += _bytes(field, _bytes(1, key.encode()) + _bytes(2, _value(value)))
    if "budget_ms" in question:
        message += _tag(BUDGET_MS, FIXED64) + struct.pack("<d", question["budget_ms"])
    return message


def grpc_json(question: dict[str, Any]) -> str:
    """The same as protobuf's own JSON, which grpcurl and buf read: each value names its kind."""
    named = {name: {key: {_kind(v): v} for key, v in question[name].items()} for name in ("entities", "inputs")}
    return json.dumps(question | named, indent=2) + "\n"


def _kind(value: bool | int | float | str) -> str:
    if isinstance(value, bool):
        return "flag"
    return {int: "integer", float: "number", str: "text"}[type(value)]


def _value(value: bool | int | float | str) -> bytes:
    kind = _kind(value)
    field = KINDS[kind]
    if isinstance(value, str):
        return _bytes(field, value.encode())
    if isinstance(value, float):
        return _tag(field, FIXED64) + struct.pack("<d", value)
    return _tag(field, VARINT) + _varint(value % (1 << 64))


def _tag(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _bytes(field: int, payload: bytes) -> bytes:
    return _tag(field, BYTES) + _varint(len(payload)) + payload


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])
