"""Compares a Parquet file that tests/others.rs wrote with what it should hold, as pyarrow and as DuckDB read it.

check_ours.py FILE
"""

import datetime
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

MOMENT = datetime.datetime(2019, 8, 31, 10, 0, 0, 123456, tzinfo=datetime.UTC)
WANTED = {
    "flag": [True, None, False],
    "id": [1 << 40, None, -1],
    "x": [0.5, None, -2.5],
    "y": [0.1, None, 1e300],
    "name": ["é", None, ""],
    "blob": [b"\x00\xff", None, b""],
    "at": [MOMENT, None, MOMENT],
    "list": [[1, None, 3], None, []],
    "floats": [[0.5], None, [None]],
    "words": [["a", ""], None, []],
}
TYPES = {
    "flag": pa.bool_(),
    "id": pa.int64(),
    "x": pa.float32(),
    "y": pa.float64(),
    "name": pa.string(),
    "blob": pa.binary(),
    "at": pa.timestamp("us", tz="UTC"),
    "list": pa.list_(pa.field("element", pa.int64())),
    "floats": pa.list_(pa.field("element", pa.float32())),
    "words": pa.list_(pa.field("element", pa.string())),
}


def main() -> None:
    """Fails where the file differs."""
    file = sys.argv[1]
    table = pq.read_table(file)
    assert dict(zip(table.schema.names, table.schema.types, strict=True)) == TYPES, table.schema
    assert table.to_pydict() == WANTED, table.to_pydict()
    codecs = {pq.ParquetFile(file).metadata.row_group(0).column(i).compression for i in range(len(WANTED))}
    assert codecs == {"ZSTD"}, codecs

    names = ", ".join(f'"{name}"' for name in WANTED if name != "at")
    columns = list(zip(*duckdb.sql(f"SELECT {names} FROM '{file}'").fetchall(), strict=True))
    assert columns == [tuple(values) for name, values in WANTED.items() if name != "at"], columns
    micros = duckdb.sql(f"SELECT epoch_us(\"at\") FROM '{file}'").fetchall()
    assert micros == [(1567245600123456,), (None,), (1567245600123456,)], micros
    print("the same in pyarrow and in DuckDB")


if __name__ == "__main__":
    main()
