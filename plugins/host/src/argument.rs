//! An Arrow column made ready to be passed to a guest.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};

use crate::Error;
use crate::contract::{PassedBuffers, PassedColumn, Ty};
use crate::signature::wit_type;

/// Shares the array's buffers; only offsets and unaligned bitmaps are copied.
#[derive(Debug)]
pub(crate) struct Argument {
    ty: Ty,
    rows: u32,
    /// Absent when no row is null.
    validity: Option<Buffer>,
    data: Data,
}

#[derive(Debug)]
enum Data {
    I32(ScalarBuffer<i32>),
    I64(ScalarBuffer<i64>),
    F64(ScalarBuffer<f64>),
    Bits(Buffer),
    Utf8(Vec<u32>, Buffer),
    Bin(Vec<u32>, Buffer),
}

impl Argument {
    /// Refuses types that no function takes. `array` has at most `u32::MAX` rows.
    pub(crate) fn of(array: &ArrayRef) -> Result<Self, Error> {
        let data = match array.data_type() {
            DataType::Boolean => Data::Bits(bits(array.as_boolean())),
            DataType::Int32 => Data::I32(array.as_primitive::<Int32Type>().values().clone()),
            DataType::Date32 => Data::I32(array.as_primitive::<Date32Type>().values().clone()),
            DataType::Int64 => Data::I64(array.as_primitive::<Int64Type>().values().clone()),
            DataType::Float64 => Data::F64(array.as_primitive::<Float64Type>().values().clone()),
            DataType::Timestamp(unit, None) => Data::I64(match unit {
                TimeUnit::Millisecond => array
                    .as_primitive::<TimestampMillisecondType>()
                    .values()
                    .clone(),
                TimeUnit::Microsecond => array
                    .as_primitive::<TimestampMicrosecondType>()
                    .values()
                    .clone(),
                TimeUnit::Nanosecond => array
                    .as_primitive::<TimestampNanosecondType>()
                    .values()
                    .clone(),
                TimeUnit::Second => return Err(Error::Type(array.data_type().to_string())),
            }),
            DataType::Utf8 => {
                let strings = array.as_string::<i32>();
                let (offsets, bytes) = slices(strings.offsets(), strings.values());
                Data::Utf8(offsets, bytes)
            }
            DataType::Binary => {
                let strings = array.as_binary::<i32>();
                let (offsets, bytes) = slices(strings.offsets(), strings.values());
                Data::Bin(offsets, bytes)
            }
            DataType::Decimal128(..) => {
                let values = array.as_primitive::<Decimal128Type>().values();
                let offsets = (0..=array.len() as u32).map(|row| row * 16).collect();
                Data::Bin(offsets, values.inner().clone())
            }
            other => return Err(Error::Type(other.to_string())),
        };
        Ok(Self {
            ty: wit_type(array.data_type())?,
            rows: array.len() as u32,
            validity: array
                .nulls()
                .filter(|nulls| nulls.null_count() > 0)
                .map(|nulls| nulls.inner().sliced()),
            data,
        })
    }

    pub(crate) fn passed(&self) -> PassedColumn<'_> {
        let bitmap_bytes = (self.rows as usize).div_ceil(8);
        PassedColumn {
            ty: self.ty.clone(),
            rows: self.rows,
            validity: self.validity.as_ref().map(|bitmap| &bitmap[..bitmap_bytes]),
            data: match &self.data {
                Data::I32(values) => PassedBuffers::I32(values),
                Data::I64(values) => PassedBuffers::I64(values),
                Data::F64(values) => PassedBuffers::F64(values),
                Data::Bits(bits) => PassedBuffers::Bits(&bits[..bitmap_bytes]),
                Data::Utf8(offsets, bytes) => PassedBuffers::Utf8((offsets, bytes)),
                Data::Bin(offsets, bytes) => PassedBuffers::Bin((offsets, bytes)),
            },
        }
    }
}

fn bits(array: &BooleanArray) -> Buffer {
    array.values().sliced()
}

/// Offsets that start at 0, and the bytes they point into.
fn slices(offsets: &OffsetBuffer<i32>, bytes: &Buffer) -> (Vec<u32>, Buffer) {
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    let rebased = offsets
        .iter()
        .map(|offset| (offset - first) as u32)
        .collect();
    let bytes = bytes.slice_with_length(first as usize, (last - first) as usize);
    (rebased, bytes)
}
