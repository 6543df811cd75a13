//! Assigns each row to the tumbling window of its event time.

use crate::{Error, Operator, Output, RowMap, Step, late::LateRows};
use arrow::{
    array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, RecordBatch, TimestampMillisecondArray},
    compute::{cast, is_not_null},
    datatypes::{DataType, SchemaRef, TimeUnit, TimestampMillisecondType},
};
use dataflow::{Delta, Tumble};
use std::sync::Arc;

pub(crate) struct TumbleWindow {
    tumble: Tumble,
    schema: SchemaRef,
}

impl TumbleWindow {
    pub(crate) fn new(tumble: &Tumble, schema: &SchemaRef) -> Self {
        Self {
            tumble: tumble.clone(),
            schema: schema.clone(),
        }
    }

    fn assign(&self, batch: &RecordBatch) -> Result<RecordBatch, Error> {
        let times = milliseconds(batch.column(self.tumble.time_column))?;
        let Tumble {
            size_ms, offset_ms, ..
        } = self.tumble;
        let start = |time: i64| time.wrapping_sub(time.wrapping_sub(offset_ms).rem_euclid(size_ms));
        let starts: TimestampMillisecondArray = times.unary(start);
        let ends: TimestampMillisecondArray = starts.unary(|start| start.wrapping_add(size_ms));
        let last: TimestampMillisecondArray = ends.unary(|end| end.wrapping_sub(1));
        let mut columns = batch.columns().to_vec();
        columns.extend([starts, ends, last].map(|column| Arc::new(column) as ArrayRef));
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }
}

impl Operator for TumbleWindow {
    fn step(&mut self, inputs: &[&Delta], _: &mut Step<'_>) -> Result<Output, Error> {
        let input = inputs[0];
        let times = input.batch().column(self.tumble.time_column);
        if times.null_count() == 0 {
            return Ok(Output::same(input.with_batch(self.assign(input.batch())?)?));
        }
        let timed = is_not_null(times)?;
        let kept = input.filter(&timed)?;
        let untimed = LateRows::beside(&timed, input.batch())?;
        let delta = kept.with_batch(self.assign(kept.batch())?)?;
        Ok(Output {
            late: Some(untimed),
            ..Output::mapped(delta, RowMap::Kept(timed))
        })
    }
}

/// A column of any time type as milliseconds since 1970.
pub(crate) fn milliseconds(column: &ArrayRef) -> Result<TimestampMillisecondArray, Error> {
    let plain = DataType::Timestamp(TimeUnit::Millisecond, None);
    debug_assert_eq!(TimestampMillisecondType::DATA_TYPE, plain);
    let column = if column.data_type() == &plain {
        Arc::clone(column)
    } else {
        cast(column, &plain)?
    };
    Ok(column.as_primitive::<TimestampMillisecondType>().clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{Field, Schema};

    fn starts(offset_ms: i64, times: &[i64]) -> Vec<i64> {
        let time = || Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, None), true);
        let input = Arc::new(Schema::new(vec![time()]));
        let output =
            ["ts", "window_start", "window_end", "window_time"].map(|name| time().with_name(name));
        let window = TumbleWindow::new(
            &Tumble {
                time_column: 0,
                size_ms: 1000,
                offset_ms,
            },
            &Arc::new(Schema::new(output.to_vec())),
        );
        let times: ArrayRef = Arc::new(TimestampMillisecondArray::from(times.to_vec()));
        let batch = RecordBatch::try_new(input, vec![times]).expect("a batch of times");
        let assigned = window.assign(&batch).expect("windows for all of them");
        assigned
            .column(1)
            .as_primitive::<TimestampMillisecondType>()
            .values()
            .to_vec()
    }

    #[test]
    fn a_window_holds_its_start_and_not_its_end() {
        assert_eq!(starts(0, &[0, 999, 1000]), [0, 0, 1000]);
    }

    #[test]
    fn times_before_1970_fall_into_windows_below_zero() {
        assert_eq!(starts(0, &[-1, -1000, -1001]), [-1000, -1000, -2000]);
    }

    #[test]
    fn an_offset_moves_every_window() {
        assert_eq!(starts(300, &[299, 300, 1299, 1300]), [-700, 300, 300, 1300]);
    }
}
