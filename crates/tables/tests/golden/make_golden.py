"""Writes the Parquet files that tests/others.rs reads, as pandas, DuckDB and Spark write them.

    .cache/tables/venv/bin/python crates/tables/tests/golden/make_golden.py

Spark's files are imitated by pyarrow: INT96 times, text without the UTF8 annotation where Hive wrote it, and
two-level lists have no other writer here.
"""

import datetime
import decimal
import pathlib

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).parent
MOMENT = datetime.datetime(2019, 8, 31, 10, 0, 0, 123456, tzinfo=datetime.UTC)
NAIVE = MOMENT.replace(tzinfo=None)


def pandas_like() -> pa.Table:
    """What DataFrame.to_parquet hands to pyarrow: nanoseconds, dictionaries, nulls."""
    return pa.table(
        {
            "flag": pa.array([True, None, False]),
            "small": pa.array([1, None, -3], pa.int8()),
            "unsigned": pa.array([2**32 - 1, None, 0], pa.uint32()),
            "huge": pa.array([2**64 - 1, None, 0], pa.uint64()),
            "id": pa.array([1 << 40, None, -1], pa.int64()),
            "half": pa.array([1.5, None, -2.0], pa.float16()),
            "x": pa.array([0.1, None, -2.5], pa.float32()),
            "y": pa.array([0.1, None, 1e300], pa.float64()),
            "name": pa.array(["é", None, ""]),
            "category": pa.array(["a", None, "a"]).dictionary_encode(),
            "blob": pa.array([b"\x00\xff", None, b""]),
            "ms": pa.array([NAIVE, None, NAIVE], pa.timestamp("ms")),
            "us": pa.array([MOMENT, None, MOMENT], pa.timestamp("us", tz="UTC")),
            "ns": pa.array([NAIVE, None, NAIVE], pa.timestamp("ns")),
            "day": pa.array([NAIVE.date(), None, datetime.date(1969, 12, 31)]),
            "price": pa.array([decimal.Decimal("123.45"), None, decimal.Decimal("-0.10")], pa.decimal128(9, 2)),
            "list": pa.array([[1, 2, None], None, []], pa.list_(pa.int64())),
            "words": pa.array([["a"], None, ["b", ""]], pa.list_(pa.string())),
            "at": pa.array(
                [{"lat": 1.5, "name": "x"}, None, {"lat": None, "name": "y"}],
                pa.struct([("lat", pa.float64()), ("name", pa.string())]),
            ),
            "map": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
            "deep": pa.array([[[1]], None, []], pa.list_(pa.list_(pa.int64()))),
            "last": pa.array(["z", None, "z"]),
        }
    )


def main() -> None:
    """Writes all of them."""
    pq.write_table(pandas_like(), HERE / "pandas.parquet", compression="snappy")
    pq.write_table(pandas_like().select(["id", "name"]), HERE / "gzip.parquet", compression="gzip")

    rows = pa.table({"n": pa.array(range(1000), pa.int64()), "s": pa.array([f"row {i % 7}" for i in range(1000)])})
    pq.write_table(rows, HERE / "groups.parquet", compression="zstd", row_group_size=300, data_page_size=512)

    spark = pa.table(
        {
            "ts": pa.array([NAIVE, None], pa.timestamp("us")),
            "amount": pa.array([decimal.Decimal("1234567890123456.78"), None], pa.decimal128(38, 2)),
            "cents": pa.array([decimal.Decimal("1.23"), None], pa.decimal128(5, 2)),
            "tags": pa.array([["a", "b"], None]),
        }
    )
    pq.write_table(
        spark,
        HERE / "spark.parquet",
        use_deprecated_int96_timestamps=True,
        use_compliant_nested_type=False,
        store_decimal_as_integer=True,
        compression="snappy",
        store_schema=False,
        version="1.0",
    )

    duckdb.sql(
        f"""COPY (SELECT * FROM (VALUES
            (1, 'a', 0.5::FLOAT, 12.50::DECIMAL(10,2), TIMESTAMP '2019-08-31 10:00:00.123456', [1.5, NULL], TRUE),
            (NULL, NULL, NULL, NULL, NULL, NULL, NULL)) t(i, s, f, d, t, l, b)
        ) TO '{HERE / "duckdb.parquet"}' (FORMAT PARQUET)"""
    )


if __name__ == "__main__":
    main()
