//! The types of `millstream:udf/types`, as the host passes and receives them.
//!
//! Arguments borrow Arrow's own buffers and are copied once, into the guest; results
//! are copied once, out of it. Order and names follow the WIT file.

use wasmtime::component::{ComponentType, Lift, Lower};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Unit {
    #[component(name = "milli")]
    Milli,
    #[component(name = "micro")]
    Micro,
    #[component(name = "nano")]
    Nano,
}

#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum Ty {
    #[component(name = "boolean")]
    Boolean,
    #[component(name = "int32")]
    Int32,
    #[component(name = "int64")]
    Int64,
    #[component(name = "float64")]
    Float64,
    #[component(name = "date")]
    Date,
    #[component(name = "utf8")]
    Utf8,
    #[component(name = "binary")]
    Binary,
    #[component(name = "decimal")]
    Decimal((u8, i8)),
    #[component(name = "timestamp")]
    Timestamp(Unit),
    #[component(name = "nested")]
    Nested(Vec<u8>),
}

/// Borrowed on the way in, owned on the way out.
#[derive(Clone, Copy, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum Buffers<I32, I64, F64, Bytes, Slices> {
    #[component(name = "i32")]
    I32(I32),
    #[component(name = "i64")]
    I64(I64),
    #[component(name = "f64")]
    F64(F64),
    #[component(name = "bits")]
    Bits(Bytes),
    #[component(name = "utf8")]
    Utf8(Slices),
    #[component(name = "bin")]
    Bin(Slices),
    #[component(name = "ipc")]
    Ipc(Bytes),
}

pub(crate) type PassedBuffers<'a> =
    Buffers<&'a [i32], &'a [i64], &'a [f64], &'a [u8], (&'a [u32], &'a [u8])>;
pub(crate) type ReturnedBuffers =
    Buffers<Vec<i32>, Vec<i64>, Vec<f64>, Vec<u8>, (Vec<u32>, Vec<u8>)>;

#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Column<Bytes, Data> {
    pub(crate) ty: Ty,
    pub(crate) rows: u32,
    pub(crate) validity: Option<Bytes>,
    pub(crate) data: Data,
}

/// An argument.
pub(crate) type PassedColumn<'a> = Column<&'a [u8], PassedBuffers<'a>>;
/// A result, unchecked: nothing in it need fit together.
pub(crate) type ReturnedColumn = Column<Vec<u8>, ReturnedBuffers>;

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct WitField {
    pub(crate) name: String,
    pub(crate) ty: Ty,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct WitSignature {
    pub(crate) name: String,
    pub(crate) args: Vec<Ty>,
    pub(crate) returns: Vec<WitField>,
    pub(crate) state: Vec<Ty>,
    #[component(name = "null-on-null")]
    pub(crate) null_on_null: bool,
    pub(crate) deterministic: bool,
    pub(crate) invertible: bool,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct WitRowError {
    pub(crate) row: u32,
    pub(crate) why: String,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum WitError {
    #[component(name = "rows")]
    Rows(Vec<WitRowError>),
    #[component(name = "batch")]
    Batch(String),
}
