//! A filled column into an Arrow array, without copying what it holds.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, GenericByteArray, ListArray, MapArray, PrimitiveArray,
    StructArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, BinaryType, DataType, Date32Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type, Utf8Type,
};

use super::{Column, Meaning, Values};

impl Column {
    /// Takes everything out as an array of the column's type and leaves the column empty.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        let valid = self.valid.finish();
        let nulls = (self.nulls > 0).then(|| NullBuffer::new(valid));
        self.nulls = 0;
        match &mut self.values {
            Values::Boolean(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Int8(values) => primitive::<Int8Type>(values, nulls, &self.data_type),
            Values::Int16(values) => primitive::<Int16Type>(values, nulls, &self.data_type),
            Values::Int32(values) => match &self.data_type {
                DataType::Date32 => primitive::<Date32Type>(values, nulls, &self.data_type),
                DataType::Time32(TimeUnit::Second) => {
                    primitive::<Time32SecondType>(values, nulls, &self.data_type)
                }
                DataType::Time32(_) => {
                    primitive::<Time32MillisecondType>(values, nulls, &self.data_type)
                }
                _ => primitive::<Int32Type>(values, nulls, &self.data_type),
            },
            Values::Int64(values) => match &self.data_type {
                DataType::Time64(TimeUnit::Microsecond) => {
                    primitive::<Time64MicrosecondType>(values, nulls, &self.data_type)
                }
                DataType::Time64(_) => {
                    primitive::<Time64NanosecondType>(values, nulls, &self.data_type)
                }
                DataType::Timestamp(TimeUnit::Second, _) => {
                    primitive::<TimestampSecondType>(values, nulls, &self.data_type)
                }
                DataType::Timestamp(TimeUnit::Millisecond, _) => {
                    primitive::<TimestampMillisecondType>(values, nulls, &self.data_type)
                }
                DataType::Timestamp(TimeUnit::Microsecond, _) => {
                    primitive::<TimestampMicrosecondType>(values, nulls, &self.data_type)
                }
                DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                    primitive::<TimestampNanosecondType>(values, nulls, &self.data_type)
                }
                _ => primitive::<Int64Type>(values, nulls, &self.data_type),
            },
            Values::UInt8(values) => primitive::<UInt8Type>(values, nulls, &self.data_type),
            Values::UInt16(values) => primitive::<UInt16Type>(values, nulls, &self.data_type),
            Values::UInt32(values) => primitive::<UInt32Type>(values, nulls, &self.data_type),
            Values::UInt64(values) => primitive::<UInt64Type>(values, nulls, &self.data_type),
            Values::Float32(values) => primitive::<Float32Type>(values, nulls, &self.data_type),
            Values::Float64(values) => primitive::<Float64Type>(values, nulls, &self.data_type),
            Values::Decimal(values) => Arc::new(
                Decimal128Array::new(ScalarBuffer::from(std::mem::take(values)), nulls)
                    .with_data_type(self.data_type.clone()),
            ),
            Values::Bytes { ends, data } => {
                let offsets = offsets(ends);
                let data = Buffer::from(std::mem::take(data));
                let array: ArrayRef = if self.meaning == Meaning::Text {
                    Arc::new(GenericByteArray::<Utf8Type>::new(offsets, data, nulls))
                } else {
                    Arc::new(GenericByteArray::<BinaryType>::new(offsets, data, nulls))
                };
                if *array.data_type() == self.data_type {
                    return array;
                }
                cast(&array, &self.data_type).expect("texts of one size cast to texts of another")
            }
            Values::List { ends, item } => {
                let DataType::List(field) = &self.data_type else {
                    unreachable!("made from a list type")
                };
                Arc::new(ListArray::new(
                    field.clone(),
                    offsets(ends),
                    item.finish(),
                    nulls,
                ))
            }
            Values::Row(fields) => {
                let DataType::Struct(names) = &self.data_type else {
                    unreachable!("made from a row type")
                };
                let arrays = fields.iter_mut().map(Column::finish).collect();
                Arc::new(StructArray::new(names.clone(), arrays, nulls))
            }
            Values::Map { ends, key, value } => {
                let DataType::Map(entries, sorted) = &self.data_type else {
                    unreachable!("made from a map type")
                };
                let DataType::Struct(names) = entries.data_type() else {
                    unreachable!("made from a map type")
                };
                let pairs =
                    StructArray::new(names.clone(), vec![key.finish(), value.finish()], None);
                Arc::new(MapArray::new(
                    entries.clone(),
                    offsets(ends),
                    pairs,
                    nulls,
                    *sorted,
                ))
            }
        }
    }
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> ArrayRef {
    let values = ScalarBuffer::from(std::mem::take(values));
    Arc::new(PrimitiveArray::<T>::new(values, nulls).with_data_type(data_type.clone()))
}

fn offsets(ends: &mut Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(ends, vec![0])))
}
