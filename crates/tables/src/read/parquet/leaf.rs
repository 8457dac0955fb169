//! One column chunk: its values and levels, turned into a cell a row.

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{DataType, Int96};
use parquet::errors::ParquetError;
use parquet::file::reader::RowGroupReader;

use super::schema::{Kind, LeafType};
use crate::cell::Cell;

pub(super) struct Leaf {
    reader: ColumnReader,
    of: LeafType,
}

/// One row's value. The error is about the value alone.
pub(super) struct LeafCell {
    /// The definition level, which says which of the groups around it are there.
    pub(super) level: i16,
    pub(super) cell: Result<Cell, String>,
}

impl LeafCell {
    pub(super) fn absent() -> LeafCell {
        LeafCell {
            level: 0,
            cell: Ok(Cell::Null),
        }
    }
}

impl Leaf {
    pub(super) fn open(group: &dyn RowGroupReader, of: &LeafType) -> Result<Leaf, ParquetError> {
        Ok(Leaf {
            reader: group.get_column_reader(of.column)?,
            of: *of,
        })
    }

    /// The values of the next `rows` rows; fewer when the chunk ends.
    pub(super) fn read(&mut self, rows: usize) -> Result<Vec<LeafCell>, ParquetError> {
        let (of, kind) = (self.of, self.of.kind);
        match &mut self.reader {
            ColumnReader::BoolColumnReader(column) => {
                records(column, of, rows, |value| Ok(Cell::Bool(*value)))
            }
            ColumnReader::Int32ColumnReader(column) => {
                records(column, of, rows, |value| match kind {
                    Kind::Unsigned => Ok(Cell::Int(i64::from(value.cast_unsigned()))),
                    _ => integer(kind, i64::from(*value)),
                })
            }
            ColumnReader::Int64ColumnReader(column) => {
                records(column, of, rows, |value| match kind {
                    Kind::Unsigned if *value < 0 => Ok(Cell::Float(value.cast_unsigned() as f64)),
                    _ => integer(kind, *value),
                })
            }
            ColumnReader::Int96ColumnReader(column) => records(column, of, rows, int96),
            ColumnReader::FloatColumnReader(column) => {
                records(column, of, rows, |value| Ok(Cell::Float(f64::from(*value))))
            }
            ColumnReader::DoubleColumnReader(column) => {
                records(column, of, rows, |value| Ok(Cell::Float(*value)))
            }
            ColumnReader::ByteArrayColumnReader(column) => {
                records(column, of, rows, |value| bytes(kind, value.data()))
            }
            ColumnReader::FixedLenByteArrayColumnReader(column) => {
                records(column, of, rows, |value| bytes(kind, value.data()))
            }
        }
    }
}

fn records<T: DataType>(
    column: &mut ColumnReaderImpl<T>,
    of: LeafType,
    rows: usize,
    cell: impl Fn(&T::T) -> Result<Cell, String>,
) -> Result<Vec<LeafCell>, ParquetError> {
    let (mut definitions, mut repetitions, mut values) = (Vec::new(), Vec::new(), Vec::new());
    column.read_records(
        rows,
        Some(&mut definitions),
        Some(&mut repetitions),
        &mut values,
    )?;
    if of.level == 0 {
        definitions = vec![0; values.len()];
    }
    let mut values = values.iter();
    let mut next = |level: i16| match level == of.level {
        true => values.next().map_or(Ok(Cell::Null), &cell),
        false => Ok(Cell::Null),
    };
    let Some(element) = of.element else {
        let cells = definitions.into_iter().map(|level| LeafCell {
            level,
            cell: next(level),
        });
        return Ok(cells.collect());
    };
    let mut cells: Vec<LeafCell> = Vec::with_capacity(rows);
    for (level, repetition) in definitions.into_iter().zip(repetitions) {
        if repetition == 0 {
            let absent = level < element - 1;
            cells.push(LeafCell {
                level,
                cell: Ok(if absent {
                    Cell::Null
                } else {
                    Cell::List(Vec::new())
                }),
            });
        }
        if level < element {
            continue;
        }
        let value = next(level);
        let Some(row) = cells.last_mut() else {
            let why = "a column chunk begins in the middle of a row";
            return Err(ParquetError::General(why.to_owned()));
        };
        match (&mut row.cell, value) {
            (Ok(Cell::List(list)), Ok(value)) => list.push(value),
            (Ok(_), Err(why)) => row.cell = Err(why),
            _ => {}
        }
    }
    Ok(cells)
}

fn integer(kind: Kind, value: i64) -> Result<Cell, String> {
    let scaled = |by: i64| {
        let micros = value.checked_mul(by).map(Cell::Timestamp);
        micros.ok_or_else(|| format!("the time {value} is out of range"))
    };
    match kind {
        Kind::Date => scaled(86_400_000_000),
        Kind::Millis => scaled(1000),
        Kind::Micros => scaled(1),
        Kind::Nanos => Ok(Cell::Timestamp(value.div_euclid(1000))),
        Kind::Decimal(scale) => Ok(decimal(i128::from(value), scale)),
        Kind::Plain | Kind::Unsigned | Kind::Text | Kind::Float16 => Ok(Cell::Int(value)),
    }
}

/// The timestamps of Spark, Hive and Impala: nanoseconds of a day, and the day's Julian number.
fn int96(value: &Int96) -> Result<Cell, String> {
    const JULIAN_DAY_OF_EPOCH: i64 = 2_440_588;
    let [low, high, day] = value.data() else {
        return Err("the time is not 12 bytes long".to_owned());
    };
    let nanos = (u64::from(*high) << 32 | u64::from(*low)).cast_signed();
    let days = i64::from(*day) - JULIAN_DAY_OF_EPOCH;
    let midnight = days.checked_mul(86_400_000_000);
    let micros = midnight.and_then(|micros| micros.checked_add(nanos.div_euclid(1000)));
    micros
        .map(Cell::Timestamp)
        .ok_or_else(|| format!("the time {nanos} ns of Julian day {day} is out of range"))
}

fn bytes(kind: Kind, bytes: &[u8]) -> Result<Cell, String> {
    match kind {
        Kind::Text => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Cell::Text(text.to_owned())),
            Err(_) => Err("the text is not UTF-8".to_owned()),
        },
        Kind::Decimal(scale) => unscaled(bytes).map(|value| decimal(value, scale)),
        Kind::Float16 => match bytes.try_into() {
            Ok(bytes) => Ok(Cell::Float(half(u16::from_le_bytes(bytes)))),
            Err(_) => Err("the half float is not 2 bytes long".to_owned()),
        },
        _ => Ok(Cell::Bytes(bytes.to_vec())),
    }
}

/// A big-endian number in two's complement.
fn unscaled(bytes: &[u8]) -> Result<i128, String> {
    if bytes.len() > 16 {
        return Err(format!("a decimal of {} bytes is too long", bytes.len()));
    }
    let sign = match bytes.first() {
        Some(0x80..) => -1_i128,
        _ => 0,
    };
    Ok(bytes
        .iter()
        .fold(sign, |value, byte| value << 8 | i128::from(*byte)))
}

/// The float next to a decimal.
fn decimal(unscaled: i128, scale: i32) -> Cell {
    let text = format!("{unscaled}e{}", -i64::from(scale));
    Cell::Float(text.parse().unwrap_or(f64::NAN))
}

/// IEEE 754 binary16.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let fraction = f64::from(bits & 0x3ff);
    match (bits >> 10) & 0x1f {
        0 => sign * fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN,
        exponent => sign * (1024.0 + fraction) * 2_f64.powi(i32::from(exponent) - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_the_nearest_floats() {
        assert_eq!(decimal(12_345, 2), Cell::Float(123.45));
        assert_eq!(decimal(-1, 1), Cell::Float(-0.1));
        assert_eq!(decimal(7, -2), Cell::Float(700.0));
        assert_eq!(unscaled(&[0xff, 0xfe]), Ok(-2));
        assert_eq!(unscaled(&[0x01, 0x00]), Ok(256));
        assert_eq!(unscaled(&[]), Ok(0));
        assert!(unscaled(&[0; 17]).is_err());
    }

    #[test]
    fn halves() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65_504.0),
            (0x0001, 2_f64.powi(-24)),
            (0x3555, 0.333_251_953_125),
            (0xfc00, f64::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:#x}");
        }
        assert!(half(0x7e00).is_nan());
    }

    #[test]
    fn times_out_of_range_are_errors() {
        assert!(integer(Kind::Millis, i64::MAX).is_err());
        assert_eq!(integer(Kind::Nanos, -1), Ok(Cell::Timestamp(-1)));
        let mut spark = Int96::new();
        // 2019-08-31T10:00:00.000001Z
        spark.set_data(0xe736_43e8, 0x20bd, 2_458_727);
        let nanos = (0x20bd_u64 << 32) + 0xe736_43e8;
        assert_eq!(nanos, 36_000_000_001_000);
        assert_eq!(int96(&spark), Ok(Cell::Timestamp(1_567_245_600_000_001)));
        spark.set_data(u32::MAX, u32::MAX >> 1, u32::MAX);
        assert!(int96(&spark).is_err());
    }
}
