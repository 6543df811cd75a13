//! The core ABI's block: columns as bytes, for languages without component tooling.
//!
//! ```text
//! u32 function · u32 rows · u32 columns        a reply has its status first: 0, or 1 and a message
//! per column  u32 type · validity · data · offsets     each: u32 at, u32 bytes; 0, 0 is absent
//! buffers     8-byte aligned, offsets relative to the block, little-endian
//! ```
//! A type is its place in the contract's `ty`; a decimal's precision and a timestamp's unit
//! are in the second byte, the scale in the third.

use crate::contract::{Buffers, PassedBuffers, PassedColumn, ReturnedColumn, Ty, Unit};

const HEADER_BYTES: usize = 12;
const COLUMN_BYTES: usize = 28;

/// A request, laid out but not yet written.
pub(crate) struct Request<'a> {
    function: u32,
    rows: u32,
    columns: Vec<PassedColumn<'a>>,
    bytes: usize,
}

impl<'a> Request<'a> {
    /// None when the columns do not fit into a guest's address space.
    pub(crate) fn new(function: u32, rows: u32, columns: Vec<PassedColumn<'a>>) -> Option<Self> {
        let heads = HEADER_BYTES + COLUMN_BYTES * columns.len();
        let bytes = columns.iter().fold(heads, |end, column| {
            parts(column).iter().fold(end, |end, part| {
                end.next_multiple_of(8) + part.map_or(0, Part::bytes)
            })
        });
        i32::try_from(bytes).ok()?;
        Some(Self {
            function,
            rows,
            columns,
            bytes,
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes the block into `out`, which has [`bytes`](Self::bytes) bytes. Gaps keep what
    /// they held.
    pub(crate) fn write(&self, out: &mut [u8]) {
        put(out, 0, self.function);
        put(out, 4, self.rows);
        put(out, 8, self.columns.len() as u32);
        let mut end = HEADER_BYTES + COLUMN_BYTES * self.columns.len();
        for (number, column) in self.columns.iter().enumerate() {
            let head = HEADER_BYTES + COLUMN_BYTES * number;
            put(out, head, type_code(&column.ty));
            for (place, part) in parts(column).into_iter().enumerate() {
                end = end.next_multiple_of(8);
                let (at, bytes) = part.map_or((0, 0), |part| (end, part.bytes()));
                put(out, head + 4 + 8 * place, at as u32);
                put(out, head + 8 + 8 * place, bytes as u32);
                if let Some(part) = part {
                    part.write(&mut out[at..at + bytes]);
                }
                end += bytes;
            }
        }
    }
}

/// What a guest made of a request.
#[derive(Debug, PartialEq)]
pub(crate) enum Reply {
    Column(ReturnedColumn),
    /// The guest refused the batch.
    Failed(String),
}

impl Reply {
    /// Reads any bytes; tells what is wrong with them.
    pub(crate) fn read(block: &[u8]) -> Result<Self, String> {
        let word = |at: usize| {
            let bytes = block.get(at..at + 4).and_then(|bytes| bytes.first_chunk());
            bytes
                .map(|bytes| u32::from_le_bytes(*bytes))
                .ok_or_else(|| format!("a reply of {} bytes", block.len()))
        };
        if word(0)? != 0 {
            let message = std::str::from_utf8(&block[4..]);
            let message = message.map_err(|_| "a message that is not UTF-8".to_owned())?;
            return Ok(Self::Failed(message.to_owned()));
        }
        let (rows, columns) = (word(4)?, word(8)?);
        if columns != 1 {
            return Err(format!("{columns} columns instead of one"));
        }
        let code = word(HEADER_BYTES)?;
        let ty = type_of(code).ok_or_else(|| format!("a column of unknown type {code:#x}"))?;
        let part = |place: usize| {
            let (at, bytes) = (
                word(16 + 8 * place)? as usize,
                word(20 + 8 * place)? as usize,
            );
            let part = block.get(at..).and_then(|rest| rest.get(..bytes));
            part.filter(|_| at.is_multiple_of(8)).ok_or_else(|| {
                format!(
                    "a buffer of {bytes} bytes at {at} in a reply of {}",
                    block.len()
                )
            })
        };
        let (validity, data, offsets) = (part(0)?, part(1)?, part(2)?);
        let data = match ty {
            Ty::Int32 | Ty::Date => Buffers::I32(numbers(data, i32::from_le_bytes)?),
            Ty::Int64 | Ty::Timestamp(_) => Buffers::I64(numbers(data, i64::from_le_bytes)?),
            Ty::Float64 => Buffers::F64(numbers(data, f64::from_le_bytes)?),
            Ty::Boolean => Buffers::Bits(data.to_vec()),
            Ty::Utf8 => Buffers::Utf8((numbers(offsets, u32::from_le_bytes)?, data.to_vec())),
            Ty::Binary | Ty::Decimal(_) => {
                Buffers::Bin((numbers(offsets, u32::from_le_bytes)?, data.to_vec()))
            }
            Ty::Nested(_) => return Err("a column of a nested type".to_owned()),
        };
        Ok(Self::Column(ReturnedColumn {
            ty,
            rows,
            validity: (!validity.is_empty()).then(|| validity.to_vec()),
            data,
        }))
    }
}

#[derive(Clone, Copy)]
enum Part<'a> {
    Bytes(&'a [u8]),
    U32(&'a [u32]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    F64(&'a [f64]),
}

impl Part<'_> {
    fn bytes(self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::U32(values) => size_of_val(values),
            Self::I32(values) => size_of_val(values),
            Self::I64(values) => size_of_val(values),
            Self::F64(values) => size_of_val(values),
        }
    }

    fn write(self, out: &mut [u8]) {
        match self {
            Self::Bytes(bytes) => out.copy_from_slice(bytes),
            Self::U32(values) => copy(out, values, u32::to_le_bytes),
            Self::I32(values) => copy(out, values, i32::to_le_bytes),
            Self::I64(values) => copy(out, values, i64::to_le_bytes),
            Self::F64(values) => copy(out, values, f64::to_le_bytes),
        }
    }
}

/// Validity, data and offsets.
fn parts<'a>(column: &PassedColumn<'a>) -> [Option<Part<'a>>; 3] {
    let validity = column.validity.map(Part::Bytes);
    let (data, offsets) = match column.data {
        PassedBuffers::I32(values) => (Part::I32(values), None),
        PassedBuffers::I64(values) => (Part::I64(values), None),
        PassedBuffers::F64(values) => (Part::F64(values), None),
        PassedBuffers::Bits(bits) => (Part::Bytes(bits), None),
        PassedBuffers::Utf8((offsets, bytes)) | PassedBuffers::Bin((offsets, bytes)) => {
            (Part::Bytes(bytes), Some(Part::U32(offsets)))
        }
        PassedBuffers::Ipc(bytes) => (Part::Bytes(bytes), None),
    };
    [validity, Some(data), offsets]
}

fn type_code(ty: &Ty) -> u32 {
    match ty {
        Ty::Boolean => 0,
        Ty::Int32 => 1,
        Ty::Int64 => 2,
        Ty::Float64 => 3,
        Ty::Date => 4,
        Ty::Utf8 => 5,
        Ty::Binary => 6,
        Ty::Decimal((precision, scale)) => u32::from_le_bytes([7, *precision, *scale as u8, 0]),
        Ty::Timestamp(unit) => u32::from_le_bytes([8, *unit as u8, 0, 0]),
        Ty::Nested(_) => 9,
    }
}

fn type_of(code: u32) -> Option<Ty> {
    Some(match code.to_le_bytes() {
        [0, 0, 0, 0] => Ty::Boolean,
        [1, 0, 0, 0] => Ty::Int32,
        [2, 0, 0, 0] => Ty::Int64,
        [3, 0, 0, 0] => Ty::Float64,
        [4, 0, 0, 0] => Ty::Date,
        [5, 0, 0, 0] => Ty::Utf8,
        [6, 0, 0, 0] => Ty::Binary,
        [7, precision, scale, 0] => Ty::Decimal((precision, scale as i8)),
        [8, 0, 0, 0] => Ty::Timestamp(Unit::Milli),
        [8, 1, 0, 0] => Ty::Timestamp(Unit::Micro),
        [8, 2, 0, 0] => Ty::Timestamp(Unit::Nano),
        _ => return None,
    })
}

fn put(out: &mut [u8], at: usize, word: u32) {
    out[at..at + 4].copy_from_slice(&word.to_le_bytes());
}

fn copy<T: Copy, const SIZE: usize>(out: &mut [u8], values: &[T], bytes: fn(T) -> [u8; SIZE]) {
    for (place, value) in out.as_chunks_mut::<SIZE>().0.iter_mut().zip(values) {
        *place = bytes(*value);
    }
}

fn numbers<T, const SIZE: usize>(data: &[u8], read: fn([u8; SIZE]) -> T) -> Result<Vec<T>, String> {
    let (values, rest) = data.as_chunks::<SIZE>();
    if !rest.is_empty() {
        return Err(format!("{} bytes of {SIZE}-byte values", data.len()));
    }
    Ok(values.iter().map(|bytes| read(*bytes)).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, Decimal128Array, Float64Array, StringArray};
    use proptest::prelude::*;

    use super::*;
    use crate::argument::Argument;

    /// A request of one column is a reply once its function number reads as status 0.
    #[track_caller]
    fn check(array: ArrayRef) {
        let argument = Argument::of(&array).expect("the type is passed");
        let request = Request::new(0, array.len() as u32, vec![argument.passed()])
            .expect("the block is small");
        let mut block = vec![0xee; request.bytes()];
        request.write(&mut block);
        let Ok(Reply::Column(column)) = Reply::read(&block) else {
            panic!("{:?}", Reply::read(&block));
        };
        let back = column
            .into_array(array.data_type(), array.len())
            .expect("what was passed is well formed");
        assert_eq!(&back, &array);
    }

    #[test]
    fn columns_cross_unchanged() {
        check(Arc::new(Float64Array::from(vec![
            Some(1.5),
            None,
            Some(-0.0),
        ])));
        check(Arc::new(BooleanArray::from(vec![
            Some(true),
            None,
            Some(false),
        ])));
        check(Arc::new(StringArray::from(vec![Some("é"), None, Some("")])));
        let decimals = Decimal128Array::from(vec![Some(-1), None, Some(12_345)]);
        check(Arc::new(
            decimals.with_precision_and_scale(10, -2).expect("it fits"),
        ));
    }

    #[test]
    fn a_slice_crosses_as_if_it_stood_alone() {
        let bits = BooleanArray::from(
            (0..40)
                .map(|i| (i % 3 > 0).then_some(i % 2 > 0))
                .collect::<Vec<_>>(),
        );
        check(Arc::new(bits.slice(5, 21)));
        let names = StringArray::from(
            (0..40)
                .map(|i| (i % 3 > 0).then(|| "x".repeat(i)))
                .collect::<Vec<_>>(),
        );
        check(Arc::new(names.slice(7, 13)));
    }

    #[test]
    fn a_status_carries_its_message() {
        let reply = Reply::read(b"\x01\0\0\0no such planet");
        assert_eq!(reply, Ok(Reply::Failed("no such planet".to_owned())));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Reply::read(&bytes);
        }

        #[test]
        fn any_column_head_is_read_or_refused(
            code in 0u32..10, words in proptest::array::uniform6(0u32..120), rows in 0u32..20,
        ) {
            let mut block = vec![0; 100];
            for (place, word) in [0, rows, 1, code].into_iter().chain(words).enumerate() {
                put(&mut block, 4 * place, word);
            }
            if let Ok(Reply::Column(column)) = Reply::read(&block) {
                let expected = crate::signature::arrow_type(&column.ty);
                if let Ok(expected) = expected {
                    let _ = column.into_array(&expected, rows as usize);
                }
            }
        }
    }
}
