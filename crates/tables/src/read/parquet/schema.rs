//! What a file's columns are: scalars, lists of scalars, and groups of both. Maps and lists of anything
//! else are passed over, by name.
//!
//! The forms of lists are those of the format's `LogicalTypes.md`, the two-level ones of older writers
//! included.

use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as PhysicalType};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor, Type};

pub(super) struct Schema {
    pub(super) names: Vec<Arc<str>>,
    /// By name.
    pub(super) shapes: Vec<Shape>,
    pub(super) leaves: Vec<LeafType>,
    /// Columns that are passed over, and why.
    pub(super) unread: Vec<(Arc<str>, String)>,
}

/// How a column's cell is put together.
pub(super) enum Shape {
    /// Place among the leaves.
    Leaf(usize),
    /// `level`: the definition level from which on the group is there.
    Struct {
        level: i16,
        fields: Vec<(String, Shape)>,
    },
}

/// A column chunk that is read.
#[derive(Clone, Copy)]
pub(super) struct LeafType {
    /// Place among the file's column chunks.
    pub(super) column: usize,
    pub(super) kind: Kind,
    /// The definition level of a value that is there.
    pub(super) level: i16,
    /// Of a list: the definition level from which on there is an element.
    pub(super) element: Option<i16>,
}

/// What the stored values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Unsigned,
    Text,
    /// Days since the epoch.
    Date,
    Millis,
    Micros,
    Nanos,
    /// Unscaled, with this many digits behind the point.
    Decimal(i32),
    Float16,
}

impl Schema {
    pub(super) fn of(descriptor: &SchemaDescriptor) -> Schema {
        let mut schema = Schema {
            names: Vec::new(),
            shapes: Vec::new(),
            leaves: Vec::new(),
            unread: Vec::new(),
        };
        let mut walk = Walk {
            descriptor,
            column: 0,
            leaves: &mut schema.leaves,
        };
        for field in descriptor.root_schema().get_fields() {
            let name: Arc<str> = Arc::from(field.name());
            let before = walk.leaves.len();
            match walk.shape(field, 0) {
                Ok(shape) => {
                    schema.names.push(name);
                    schema.shapes.push(shape);
                }
                Err(why) => {
                    walk.leaves.truncate(before);
                    schema.unread.push((name, why.to_owned()));
                }
            }
        }
        schema
    }
}

struct Walk<'s> {
    descriptor: &'s SchemaDescriptor,
    /// The next column chunk.
    column: usize,
    leaves: &'s mut Vec<LeafType>,
}

impl Walk<'_> {
    /// `level`: the definition level of the parent. Every column chunk below `field` is counted, also
    /// of what is not read.
    fn shape(&mut self, field: &Type, level: i16) -> Result<Shape, &'static str> {
        let repetition = repetition(field);
        let level = level + i16::from(repetition != Repetition::REQUIRED);
        let is_list = converted(field) == ConvertedType::LIST
            || field.get_basic_info().logical_type_ref() == Some(&LogicalType::List);
        let is_map = matches!(
            converted(field),
            ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE
        ) || field.get_basic_info().logical_type_ref() == Some(&LogicalType::Map);
        if field.is_primitive() {
            let element = (repetition == Repetition::REPEATED).then_some(level);
            return Ok(self.leaf(element));
        }
        let why = if is_map {
            "it is a map"
        } else if repetition == Repetition::REPEATED {
            "it is a list of groups"
        } else if is_list {
            match field.get_fields() {
                [repeated] if self::repetition(repeated) == Repetition::REPEATED => {
                    return self.list(repeated, level + 1);
                }
                _ => "it is a list in a form that is not known",
            }
        } else {
            return self.group(field, level);
        };
        self.pass_over(field);
        Err(why)
    }

    /// The list whose repeated node is `repeated`, of that definition level.
    fn list(&mut self, repeated: &Type, level: i16) -> Result<Shape, &'static str> {
        if repeated.is_primitive() {
            return Ok(self.leaf(Some(level)));
        }
        match repeated.get_fields() {
            [one] if one.is_primitive() && repetition(one) != Repetition::REPEATED => {
                Ok(self.leaf(Some(level)))
            }
            _ => {
                self.pass_over(repeated);
                Err("it is a list of something else than single values")
            }
        }
    }

    fn group(&mut self, field: &Type, level: i16) -> Result<Shape, &'static str> {
        let mut fields = Vec::new();
        let mut unread = None;
        for field in field.get_fields() {
            match self.shape(field, level) {
                Ok(shape) => fields.push((field.name().to_owned(), shape)),
                Err(why) => unread = Some(why),
            }
        }
        match unread {
            None if fields.is_empty() => Err("it is an empty group"),
            None => Ok(Shape::Struct { level, fields }),
            Some(_) => Err("it is a group that holds a map or a list of groups"),
        }
    }

    fn leaf(&mut self, element: Option<i16>) -> Shape {
        let column = self.descriptor.column(self.column);
        self.leaves.push(LeafType {
            column: self.column,
            kind: kind(&column),
            level: column.max_def_level(),
            element,
        });
        self.column += 1;
        Shape::Leaf(self.leaves.len() - 1)
    }

    fn pass_over(&mut self, field: &Type) {
        if field.is_primitive() {
            self.column += 1;
        } else {
            field
                .get_fields()
                .iter()
                .for_each(|field| self.pass_over(field));
        }
    }
}

fn repetition(field: &Type) -> Repetition {
    match field.get_basic_info().has_repetition() {
        true => field.get_basic_info().repetition(),
        false => Repetition::REQUIRED,
    }
}

fn converted(field: &Type) -> ConvertedType {
    field.get_basic_info().converted_type()
}

fn kind(column: &ColumnDescriptor) -> Kind {
    let logical = column.logical_type_ref();
    let converted = column.converted_type();
    if let Some(LogicalType::Decimal(decimal)) = logical {
        return Kind::Decimal(decimal.scale);
    }
    if converted == ConvertedType::DECIMAL {
        return Kind::Decimal(column.type_scale());
    }
    match column.physical_type() {
        PhysicalType::INT32 | PhysicalType::INT64 => match (logical, converted) {
            (Some(LogicalType::Timestamp(of)), _) => match of.unit {
                TimeUnit::MILLIS => Kind::Millis,
                TimeUnit::MICROS => Kind::Micros,
                TimeUnit::NANOS => Kind::Nanos,
            },
            (_, ConvertedType::TIMESTAMP_MILLIS) => Kind::Millis,
            (_, ConvertedType::TIMESTAMP_MICROS) => Kind::Micros,
            (Some(LogicalType::Date), _) | (_, ConvertedType::DATE) => Kind::Date,
            (Some(LogicalType::Integer(of)), _) if !of.is_signed => Kind::Unsigned,
            (
                _,
                ConvertedType::UINT_8
                | ConvertedType::UINT_16
                | ConvertedType::UINT_32
                | ConvertedType::UINT_64,
            ) => Kind::Unsigned,
            _ => Kind::Plain,
        },
        PhysicalType::BYTE_ARRAY | PhysicalType::FIXED_LEN_BYTE_ARRAY => {
            match (logical, converted) {
                (Some(LogicalType::Float16), _) => Kind::Float16,
                (Some(LogicalType::String | LogicalType::Enum | LogicalType::Json), _)
                | (_, ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON) => {
                    Kind::Text
                }
                _ => Kind::Plain,
            }
        }
        _ => Kind::Plain,
    }
}
