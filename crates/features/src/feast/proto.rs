//! Feast's protobuf messages, as far as Gavel reads them: `proto/feast` has them as `.proto` text,
//! with their source. Nothing of this leaves the module `feast`.
//!
//! Fields that are not here are skipped, whatever they hold.

use std::collections::BTreeMap;

use prost::{Enumeration, Message, Oneof};

// feast.types

#[derive(Clone, PartialEq, Message)]
pub(super) struct Value {
    #[prost(
        oneof = "Kind",
        tags = "1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48"
    )]
    pub(super) val: Option<Kind>,
}

/// Lists and sets look alike on the wire, so each has one struct for both.
#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Kind {
    #[prost(bytes = "vec", tag = "1")]
    Bytes(Vec<u8>),
    #[prost(string, tag = "2")]
    String(String),
    #[prost(int32, tag = "3")]
    Int32(i32),
    #[prost(int64, tag = "4")]
    Int64(i64),
    #[prost(double, tag = "5")]
    Double(f64),
    #[prost(float, tag = "6")]
    Float(f32),
    #[prost(bool, tag = "7")]
    Bool(bool),
    #[prost(int64, tag = "8")]
    UnixTimestamp(i64),
    #[prost(message, tag = "11")]
    BytesList(Blobs),
    #[prost(message, tag = "12")]
    StringList(Texts),
    #[prost(message, tag = "13")]
    Int32List(Int32s),
    #[prost(message, tag = "14")]
    Int64List(Int64s),
    #[prost(message, tag = "15")]
    DoubleList(Doubles),
    #[prost(message, tag = "16")]
    FloatList(Floats),
    #[prost(message, tag = "17")]
    BoolList(Bools),
    #[prost(message, tag = "18")]
    UnixTimestampList(Int64s),
    #[prost(enumeration = "Null", tag = "19")]
    Null(i32),
    #[prost(message, tag = "20")]
    Map(Map),
    #[prost(message, tag = "21")]
    MapList(Maps),
    #[prost(message, tag = "22")]
    BytesSet(Blobs),
    #[prost(message, tag = "23")]
    StringSet(Texts),
    #[prost(message, tag = "24")]
    Int32Set(Int32s),
    #[prost(message, tag = "25")]
    Int64Set(Int64s),
    #[prost(message, tag = "26")]
    DoubleSet(Doubles),
    #[prost(message, tag = "27")]
    FloatSet(Floats),
    #[prost(message, tag = "28")]
    BoolSet(Bools),
    #[prost(message, tag = "29")]
    UnixTimestampSet(Int64s),
    #[prost(string, tag = "32")]
    Json(String),
    #[prost(message, tag = "33")]
    JsonList(Texts),
    #[prost(message, tag = "34")]
    Struct(Map),
    #[prost(message, tag = "35")]
    StructList(Maps),
    #[prost(string, tag = "36")]
    Uuid(String),
    #[prost(string, tag = "37")]
    TimeUuid(String),
    #[prost(message, tag = "38")]
    UuidList(Texts),
    #[prost(message, tag = "39")]
    TimeUuidList(Texts),
    #[prost(message, tag = "40")]
    UuidSet(Texts),
    #[prost(message, tag = "41")]
    TimeUuidSet(Texts),
    #[prost(message, tag = "42")]
    List(Values),
    #[prost(message, tag = "43")]
    Set(Values),
    #[prost(string, tag = "44")]
    Decimal(String),
    #[prost(message, tag = "45")]
    DecimalList(Texts),
    #[prost(message, tag = "46")]
    DecimalSet(Texts),
    #[prost(message, tag = "47")]
    ScalarMap(ScalarMap),
    #[prost(message, tag = "48")]
    ZonedTimestamp(ZonedTimestamp),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(super) enum Null {
    Null = 0,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Blobs {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(super) val: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Texts {
    #[prost(string, repeated, tag = "1")]
    pub(super) val: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Int32s {
    #[prost(int32, repeated, tag = "1")]
    pub(super) val: Vec<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Int64s {
    #[prost(int64, repeated, tag = "1")]
    pub(super) val: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Doubles {
    #[prost(double, repeated, tag = "1")]
    pub(super) val: Vec<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Floats {
    #[prost(float, repeated, tag = "1")]
    pub(super) val: Vec<f32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Bools {
    #[prost(bool, repeated, tag = "1")]
    pub(super) val: Vec<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Map {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(super) val: BTreeMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Maps {
    #[prost(message, repeated, tag = "1")]
    pub(super) val: Vec<Map>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Values {
    #[prost(message, repeated, tag = "1")]
    pub(super) val: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ScalarMap {
    #[prost(message, repeated, tag = "1")]
    pub(super) val: Vec<ScalarMapEntry>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ScalarMapEntry {
    #[prost(message, optional, tag = "1")]
    pub(super) key: Option<MapKey>,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<Value>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MapKey {
    #[prost(oneof = "Key", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10")]
    pub(super) key: Option<Key>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Key {
    #[prost(int32, tag = "1")]
    Int32(i32),
    #[prost(int64, tag = "2")]
    Int64(i64),
    #[prost(float, tag = "3")]
    Float(f32),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(bool, tag = "5")]
    Bool(bool),
    #[prost(int64, tag = "6")]
    UnixTimestamp(i64),
    #[prost(bytes = "vec", tag = "7")]
    Bytes(Vec<u8>),
    #[prost(string, tag = "8")]
    Uuid(String),
    #[prost(string, tag = "9")]
    TimeUuid(String),
    #[prost(string, tag = "10")]
    Decimal(String),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ZonedTimestamp {
    #[prost(int64, tag = "1")]
    pub(super) unix_timestamp: i64,
    #[prost(string, tag = "2")]
    pub(super) zone: String,
}

// google.protobuf: a Timestamp and a Duration have the same fields.

#[derive(Clone, PartialEq, Message)]
pub(super) struct Span {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

// feast.core

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Registry {
    #[prost(message, repeated, tag = "1")]
    pub(super) entities: Vec<Entity>,
    #[prost(string, tag = "3")]
    pub(super) registry_schema_version: String,
    #[prost(string, tag = "4")]
    pub(super) version_id: String,
    #[prost(message, repeated, tag = "6")]
    pub(super) feature_views: Vec<FeatureView>,
    #[prost(message, repeated, tag = "8")]
    pub(super) on_demand_feature_views: Vec<OnDemandFeatureView>,
    #[prost(message, repeated, tag = "14")]
    pub(super) stream_feature_views: Vec<StreamFeatureView>,
    #[prost(message, repeated, tag = "15")]
    pub(super) project_metadata: Vec<ProjectMetadata>,
    #[prost(message, repeated, tag = "17")]
    pub(super) projects: Vec<Project>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Entity {
    #[prost(message, optional, tag = "1")]
    pub(super) spec: Option<EntitySpec>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EntitySpec {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(int32, tag = "2")]
    pub(super) value_type: i32,
    #[prost(string, tag = "4")]
    pub(super) join_key: String,
    #[prost(string, tag = "9")]
    pub(super) project: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FeatureView {
    #[prost(message, optional, tag = "1")]
    pub(super) spec: Option<FeatureViewSpec>,
    #[prost(message, optional, tag = "2")]
    pub(super) meta: Option<FeatureViewMeta>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FeatureViewSpec {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) project: String,
    #[prost(string, repeated, tag = "3")]
    pub(super) entities: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    pub(super) features: Vec<FeatureSpec>,
    #[prost(message, optional, tag = "6")]
    pub(super) ttl: Option<Span>,
    #[prost(bool, tag = "8")]
    pub(super) online: bool,
    #[prost(message, repeated, tag = "12")]
    pub(super) entity_columns: Vec<FeatureSpec>,
    #[prost(bool, tag = "20")]
    pub(super) disabled: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FeatureViewMeta {
    #[prost(int32, tag = "4")]
    pub(super) current_version_number: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StreamFeatureView {
    #[prost(message, optional, tag = "1")]
    pub(super) spec: Option<StreamFeatureViewSpec>,
    #[prost(message, optional, tag = "2")]
    pub(super) meta: Option<FeatureViewMeta>,
}

/// A feature view's, with other field numbers.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StreamFeatureViewSpec {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) project: String,
    #[prost(string, repeated, tag = "3")]
    pub(super) entities: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    pub(super) features: Vec<FeatureSpec>,
    #[prost(message, repeated, tag = "5")]
    pub(super) entity_columns: Vec<FeatureSpec>,
    #[prost(message, optional, tag = "9")]
    pub(super) ttl: Option<Span>,
    #[prost(bool, tag = "12")]
    pub(super) online: bool,
    #[prost(bool, tag = "23")]
    pub(super) disabled: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FeatureSpec {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(int32, tag = "2")]
    pub(super) value_type: i32,
    #[prost(int32, tag = "7")]
    pub(super) vector_length: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct OnDemandFeatureView {
    #[prost(message, optional, tag = "1")]
    pub(super) spec: Option<OnDemandFeatureViewSpec>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct OnDemandFeatureViewSpec {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) project: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ProjectMetadata {
    #[prost(string, tag = "1")]
    pub(super) project: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Project {
    #[prost(message, optional, tag = "1")]
    pub(super) spec: Option<ProjectSpec>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ProjectSpec {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}
