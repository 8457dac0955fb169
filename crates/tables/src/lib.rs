//! Tables of rows as CSV, JSON lines and Parquet. Types of the Parquet library do not leave this crate.
