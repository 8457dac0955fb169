//! Feast's types of features by their names: `feast.types.ValueType` of Feast 0.67.0.

use std::fmt;

/// The declared type of a feature or a join key, as its number. A newer Feast may have more of them
/// than Gavel knows names of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ValueType(pub(super) i32);

const NAMES: [(i32, &str); 45] = [
    (0, "INVALID"),
    (1, "BYTES"),
    (2, "STRING"),
    (3, "INT32"),
    (4, "INT64"),
    (5, "DOUBLE"),
    (6, "FLOAT"),
    (7, "BOOL"),
    (8, "UNIX_TIMESTAMP"),
    (11, "BYTES_LIST"),
    (12, "STRING_LIST"),
    (13, "INT32_LIST"),
    (14, "INT64_LIST"),
    (15, "DOUBLE_LIST"),
    (16, "FLOAT_LIST"),
    (17, "BOOL_LIST"),
    (18, "UNIX_TIMESTAMP_LIST"),
    (19, "NULL"),
    (20, "MAP"),
    (21, "MAP_LIST"),
    (22, "BYTES_SET"),
    (23, "STRING_SET"),
    (24, "INT32_SET"),
    (25, "INT64_SET"),
    (26, "DOUBLE_SET"),
    (27, "FLOAT_SET"),
    (28, "BOOL_SET"),
    (29, "UNIX_TIMESTAMP_SET"),
    (32, "JSON"),
    (33, "JSON_LIST"),
    (34, "STRUCT"),
    (35, "STRUCT_LIST"),
    (36, "UUID"),
    (37, "TIME_UUID"),
    (38, "UUID_LIST"),
    (39, "TIME_UUID_LIST"),
    (40, "UUID_SET"),
    (41, "TIME_UUID_SET"),
    (42, "VALUE_LIST"),
    (43, "VALUE_SET"),
    (44, "DECIMAL"),
    (45, "DECIMAL_LIST"),
    (46, "DECIMAL_SET"),
    (47, "SCALAR_MAP"),
    (48, "ZONED_TIMESTAMP"),
];

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "type {} of a newer Feast", self.0),
        }
    }
}
