//! Parquet: rows gathered by column, and written as a row group when they are many or large.

use std::io;
use std::sync::Arc;

use parquet::basic::{
    Compression, LogicalType, Repetition, TimeUnit, Type as PhysicalType, ZstdLevel,
};
use parquet::column::writer::{ColumnWriter, ColumnWriterImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::output::Output;
use super::{Column, Scalar};
use crate::cell::Cell;

/// A row group is written when it has so many rows, or about so many bytes.
const GROUP_ROWS: usize = 128 << 10;
const GROUP_BYTES: usize = 64 << 20;

#[derive(Debug)]
pub(super) struct ParquetTable {
    writer: SerializedFileWriter<Output>,
    gathered: Vec<Gathered>,
    rows: usize,
    bytes: usize,
}

/// What a column has of the current row group.
#[derive(Debug)]
struct Gathered {
    values: Values,
    list: bool,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

#[derive(Debug)]
enum Values {
    Bool(Vec<bool>),
    Int64(Vec<i64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Bytes(Vec<ByteArray>),
}

impl ParquetTable {
    pub(super) fn new(output: Output, columns: Arc<[Column]>) -> io::Result<ParquetTable> {
        let fields = columns.iter().map(|column| field(column).map(Arc::new));
        let schema = fields.collect::<Result<_, _>>().and_then(|fields| {
            Type::group_type_builder("schema")
                .with_fields(fields)
                .build()
        });
        let zstd = ZstdLevel::try_new(3).map_err(io_error)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(zstd))
            .set_created_by(concat!("gavel ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let schema = Arc::new(schema.map_err(io_error)?);
        let writer =
            SerializedFileWriter::new(output, schema, Arc::new(properties)).map_err(io_error)?;
        Ok(ParquetTable {
            writer,
            gathered: columns.iter().map(Gathered::new).collect(),
            rows: 0,
            bytes: 0,
        })
    }

    /// `cells` fit their columns.
    pub(super) fn write(&mut self, cells: &[Cell]) -> io::Result<()> {
        for (gathered, cell) in self.gathered.iter_mut().zip(cells) {
            self.bytes += gathered.push(cell);
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES {
            self.write_group()?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.writer.into_inner().map_err(io_error)?.finish()
    }

    fn write_group(&mut self) -> io::Result<()> {
        let mut group = self.writer.next_row_group().map_err(io_error)?;
        for gathered in &mut self.gathered {
            let Some(mut column) = group.next_column().map_err(io_error)? else {
                break;
            };
            gathered.write(column.untyped()).map_err(io_error)?;
            column.close().map_err(io_error)?;
        }
        group.close().map_err(io_error)?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

impl Gathered {
    fn new(column: &Column) -> Gathered {
        Gathered {
            values: match column.holds {
                Scalar::Bool => Values::Bool(Vec::new()),
                Scalar::Int64 | Scalar::Timestamp => Values::Int64(Vec::new()),
                Scalar::Float32 => Values::Float32(Vec::new()),
                Scalar::Float64 => Values::Float64(Vec::new()),
                Scalar::Text | Scalar::Bytes => Values::Bytes(Vec::new()),
            },
            list: column.list,
            definitions: Vec::new(),
            repetitions: Vec::new(),
        }
    }

    /// Takes a cell; says about how many bytes it takes up.
    fn push(&mut self, cell: &Cell) -> usize {
        match (self.list, cell) {
            (false, cell) => self.element(cell, 0, 0),
            (true, Cell::List(cells)) if cells.is_empty() => self.level(1, 0),
            (true, Cell::List(cells)) => {
                let cells = cells.iter().enumerate();
                cells
                    .map(|(i, cell)| self.element(cell, 2, i16::from(i > 0)))
                    .sum()
            }
            (true, _) => self.level(0, 0),
        }
    }

    /// `absent`: the definition level of a null.
    fn element(&mut self, cell: &Cell, absent: i16, repetition: i16) -> usize {
        match self.values.push(cell) {
            None => self.level(absent, repetition),
            Some(bytes) => bytes + self.level(absent + 1, repetition),
        }
    }

    fn level(&mut self, definition: i16, repetition: i16) -> usize {
        self.definitions.push(definition);
        if self.list {
            self.repetitions.push(repetition);
        }
        2 * size_of::<i16>()
    }

    /// Writes what was gathered and forgets it.
    fn write(&mut self, column: &mut ColumnWriter<'_>) -> Result<(), ParquetError> {
        let definitions = std::mem::take(&mut self.definitions);
        let repetitions = std::mem::take(&mut self.repetitions);
        let levels = (
            definitions.as_slice(),
            self.list.then_some(repetitions.as_slice()),
        );
        match (&mut self.values, column) {
            (Values::Bool(values), ColumnWriter::BoolColumnWriter(to)) => put(to, values, levels),
            (Values::Int64(values), ColumnWriter::Int64ColumnWriter(to)) => put(to, values, levels),
            (Values::Float32(values), ColumnWriter::FloatColumnWriter(to)) => {
                put(to, values, levels)
            }
            (Values::Float64(values), ColumnWriter::DoubleColumnWriter(to)) => {
                put(to, values, levels)
            }
            (Values::Bytes(values), ColumnWriter::ByteArrayColumnWriter(to)) => {
                put(to, values, levels)
            }
            _ => Err(ParquetError::General(
                "a column is not of the type that the schema says".to_owned(),
            )),
        }
    }
}

fn put<T: DataType>(
    to: &mut ColumnWriterImpl<'_, T>,
    values: &mut Vec<T::T>,
    (definitions, repetitions): (&[i16], Option<&[i16]>),
) -> Result<(), ParquetError> {
    to.write_batch(values, Some(definitions), repetitions)?;
    values.clear();
    Ok(())
}

impl Values {
    /// Takes a value of its type, and says how many bytes that is; `None` for a null.
    fn push(&mut self, cell: &Cell) -> Option<usize> {
        match (self, cell) {
            (Values::Bool(values), Cell::Bool(value)) => values.push(*value),
            (Values::Int64(values), Cell::Int(value) | Cell::Timestamp(value)) => {
                values.push(*value);
            }
            (Values::Float32(values), Cell::Float(value)) => values.push(*value as f32),
            (Values::Float64(values), Cell::Float(value)) => values.push(*value),
            (Values::Bytes(values), Cell::Text(text)) => {
                values.push(ByteArray::from(text.as_str()));
                return Some(size_of::<ByteArray>() + text.len());
            }
            (Values::Bytes(values), Cell::Bytes(bytes)) => {
                values.push(ByteArray::from(bytes.clone()));
                return Some(size_of::<ByteArray>() + bytes.len());
            }
            _ => return None,
        }
        Some(size_of::<f64>())
    }
}

/// The three-level form of lists, as the format's `LogicalTypes.md` wants it.
fn field(column: &Column) -> Result<Type, ParquetError> {
    let (physical, logical) = match column.holds {
        Scalar::Bool => (PhysicalType::BOOLEAN, None),
        Scalar::Int64 => (PhysicalType::INT64, None),
        Scalar::Float32 => (PhysicalType::FLOAT, None),
        Scalar::Float64 => (PhysicalType::DOUBLE, None),
        Scalar::Text => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
        Scalar::Bytes => (PhysicalType::BYTE_ARRAY, None),
        Scalar::Timestamp => (
            PhysicalType::INT64,
            Some(LogicalType::timestamp(true, TimeUnit::MICROS)),
        ),
    };
    let name = if column.list { "element" } else { &column.name };
    let scalar = Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()?;
    if !column.list {
        return Ok(scalar);
    }
    let repeated = Type::group_type_builder("list")
        .with_repetition(Repetition::REPEATED)
        .with_fields(vec![Arc::new(scalar)])
        .build()?;
    Type::group_type_builder(&column.name)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(Some(LogicalType::List))
        .with_fields(vec![Arc::new(repeated)])
        .build()
}

/// The library wraps what the file system says; that is what a reader wants to know.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(source) => io::Error::other(source),
        },
        other => io::Error::other(other),
    }
}
