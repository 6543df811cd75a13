//! What every operator is: something that turns the changes of its inputs into the change of
//! its output, once per epoch.

use crate::{Error, LateRows, Watermark};
use arrow::array::{BooleanArray, Int64Array, UInt32Array};
use dataflow::Delta;
use state::State;

/// One node of a running job.
///
/// An operator keeps nothing between epochs that it could not rebuild from state: after an
/// error the epoch is rolled back and may be stepped again with other rows.
pub trait Operator: Send {
    /// Takes the changes of all inputs in one epoch, in the order of the node's inputs, and
    /// returns the change of the output.
    fn step(&mut self, inputs: &[&Delta], step: &mut Step<'_>) -> Result<Output, Error>;
}

/// What an operator may use besides its inputs.
pub struct Step<'a> {
    pub state: &'a mut State,
    /// The input's watermark before this epoch: rows behind it are late.
    pub before: Watermark,
    /// The input's watermark at the end of this epoch: what it passed is complete.
    pub now: Watermark,
}

/// What an operator made of one epoch.
#[derive(Debug)]
pub struct Output {
    pub delta: Delta,
    /// Where the rows of `delta` come from.
    pub rows: RowMap,
    /// Rows of the input that came too late to count.
    pub late: Option<LateRows>,
    /// What each row says of time. Only the watermark operator knows.
    pub times: Option<RowTimes>,
}

/// Per row its event time and the watermark it calls for, ms since 1970, null if none.
#[derive(Clone, Debug)]
pub struct RowTimes {
    pub events: Int64Array,
    pub watermarks: Int64Array,
}

/// How the rows of an output belong to the rows of the inputs.
#[derive(Clone, Debug)]
pub enum RowMap {
    /// One to one; with several inputs, one input's rows after the other's.
    Same,
    /// The input's rows where this is true.
    Kept(BooleanArray),
    /// The input's rows at these positions.
    Taken(UInt32Array),
    /// Rows of many inputs and epochs made them.
    Unknown,
}

impl Output {
    pub(crate) fn same(delta: Delta) -> Self {
        Self::mapped(delta, RowMap::Same)
    }

    pub(crate) fn mapped(delta: Delta, rows: RowMap) -> Self {
        Self {
            delta,
            rows,
            late: None,
            times: None,
        }
    }
}
