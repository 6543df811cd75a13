//! Splits off the rows whose window is complete already.

use crate::{Error, RowError, Watermark, window::milliseconds};
use arrow::{
    array::{Array, BooleanArray, RecordBatch},
    compute::{filter_record_batch, not},
    error::ArrowError,
};
use dataflow::Delta;

/// Rows of an operator's input that came too late to count.
#[derive(Clone, Debug)]
pub struct LateRows {
    pub(crate) rows: RecordBatch,
    /// Their numbers in the input.
    pub(crate) numbers: Vec<u32>,
}

impl LateRows {
    /// The rows of an input that the mask does not keep.
    pub(crate) fn beside(kept: &BooleanArray, input: &RecordBatch) -> Result<Self, ArrowError> {
        let late = not(kept)?;
        Ok(Self {
            rows: filter_record_batch(input, &late)?,
            numbers: late.values().set_indices_u32().collect(),
        })
    }
}

/// An input without its late rows.
pub(crate) struct Punctual {
    pub(crate) delta: Delta,
    pub(crate) late: Option<LateRows>,
    /// Which rows of the input are left; `None` if all are.
    mask: Option<BooleanArray>,
}

impl Punctual {
    /// Rows are late if `before` had passed the window that ends in this column.
    pub(crate) fn split(
        input: &Delta,
        window_end: Option<usize>,
        before: Watermark,
    ) -> Result<Self, Error> {
        let all = Self {
            delta: input.clone(),
            late: None,
            mask: None,
        };
        let (Some(column), Some(_)) = (window_end, before.at) else {
            return Ok(all);
        };
        let ends = milliseconds(input.batch().column(column))?;
        if ends.null_count() == 0 && !ends.values().iter().any(|end| before.closes(*end)) {
            return Ok(all);
        }
        let punctual: BooleanArray = ends
            .iter()
            .map(|end| Some(end.is_some_and(|end| !before.closes(end))))
            .collect();
        Ok(Self {
            delta: input.filter(&punctual)?,
            late: Some(LateRows::beside(&punctual, input.batch())?),
            mask: Some(punctual),
        })
    }

    /// Makes an error about rows of `delta` one about rows of the input.
    pub(crate) fn of_input(&self, error: Error) -> Error {
        let Some(mask) = &self.mask else { return error };
        let Error::Rows {
            operator,
            rows,
            sources,
            input,
        } = error
        else {
            return error;
        };
        let kept: Vec<u32> = mask.values().set_indices_u32().collect();
        let rows = rows
            .into_iter()
            .map(|error| RowError {
                row: kept[error.row as usize],
                ..error
            })
            .collect();
        Error::Rows {
            operator,
            rows,
            sources,
            input,
        }
    }
}
