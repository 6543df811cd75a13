//! Event time: what each row says about it, and how far it has come on an edge.

use crate::{
    Error, Functions, Operator, Output, RowTimes, SourceRows, Step,
    expressions::{Evaluator, evaluate_all},
    window::milliseconds,
};
use arrow::{
    array::{Array, ArrayRef, Int64Array},
    datatypes::{DataType, Schema, TimeUnit},
};
use dataflow::{Delta, NodeId};

/// How far event time has come: no row at or below it is expected any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// Milliseconds since 1970; none before the first row.
    pub at: Option<i64>,
    /// Nothing comes at the moment, so that others need not wait.
    pub idle: bool,
}

impl Watermark {
    /// Nothing is known yet.
    pub const NONE: Self = Self {
        at: None,
        idle: false,
    };
    /// All rows have come.
    pub const END: Self = Self {
        at: Some(i64::MAX),
        idle: false,
    };

    pub fn at(at: i64) -> Self {
        Self {
            at: Some(at),
            idle: false,
        }
    }

    /// The watermark of rows from several inputs: the smallest of those that are not idle.
    pub fn of_inputs(inputs: &[Self]) -> Self {
        let active = inputs.iter().filter(|input| !input.idle);
        match active.map(|input| input.at).min() {
            Some(at) => Self { at, idle: false },
            None => Self {
                at: inputs.iter().map(|input| input.at).min().flatten(),
                idle: true,
            },
        }
    }

    /// The same, but never earlier than before.
    pub fn not_before(self, before: Self) -> Self {
        Self {
            at: self.at.max(before.at),
            idle: self.idle,
        }
    }

    /// Whether a window is complete that ends (exclusively) at this time.
    pub fn closes(self, window_end: i64) -> bool {
        self.at.is_some_and(|at| at >= window_end.saturating_sub(1))
    }

    /// The first window end that is not complete, if any window is.
    pub fn open_from(self) -> Option<Option<i64>> {
        self.at.map(|at| at.checked_add(2))
    }
}

/// Decides the watermark of a job's event time, knowing which queue each row came from.
pub trait EventTimes {
    /// Hears per row of `node` the watermark it calls for (ms since 1970, null if none) and where
    /// the rows came from, also when there are none. Returns the watermark behind these rows.
    fn observe(&mut self, node: NodeId, rows: &SourceRows, watermarks: &Int64Array) -> Watermark;
}

/// Passes rows on unchanged and says when each happened and what watermark it calls for.
pub(crate) struct DeclareEventTime {
    column: usize,
    expression: Evaluator,
}

impl DeclareEventTime {
    pub(crate) fn new(
        watermark: &dataflow::Watermark,
        input: &Schema,
        functions: &Functions,
    ) -> Result<Self, Error> {
        let plain = DataType::Timestamp(TimeUnit::Millisecond, None);
        Ok(Self {
            column: watermark.column,
            expression: functions.compile(&watermark.expression, input, Some(&plain))?,
        })
    }
}

impl Operator for DeclareEventTime {
    fn step(&mut self, inputs: &[&Delta], _: &mut Step<'_>) -> Result<Output, Error> {
        let input = inputs[0];
        let times = if input.is_empty() {
            let none = Int64Array::from(Vec::<i64>::new());
            RowTimes {
                events: none.clone(),
                watermarks: none,
            }
        } else {
            let values = evaluate_all("watermark", [&self.expression], input.batch())?;
            RowTimes {
                events: integers(input.batch().column(self.column))?,
                watermarks: integers(&values[0])?,
            }
        };
        Ok(Output {
            times: Some(times),
            ..Output::same(input.clone())
        })
    }
}

/// A column of any time type as ms since 1970.
fn integers(column: &ArrayRef) -> Result<Int64Array, Error> {
    let times = milliseconds(column)?;
    Ok(Int64Array::new(
        times.values().clone(),
        times.nulls().cloned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_complete_at_the_last_millisecond_it_holds() {
        assert!(!Watermark::at(998).closes(1000));
        assert!(Watermark::at(999).closes(1000));
        assert!(!Watermark::NONE.closes(i64::MIN));
    }

    #[test]
    fn the_first_open_window_end_is_the_first_one_not_closed() {
        let end = Watermark::at(999)
            .open_from()
            .expect("a watermark")
            .expect("not the last");
        assert!(Watermark::at(999).closes(end - 1) && !Watermark::at(999).closes(end));
        assert_eq!(Watermark::END.open_from(), Some(None));
    }

    #[test]
    fn an_idle_input_does_not_hold_back_the_others() {
        let idle = Watermark {
            at: Some(1),
            idle: true,
        };
        assert_eq!(
            Watermark::of_inputs(&[idle, Watermark::at(7), Watermark::at(9)]),
            Watermark::at(7)
        );
        assert_eq!(
            Watermark::of_inputs(&[Watermark::at(7), Watermark::NONE]),
            Watermark::NONE
        );
        assert_eq!(Watermark::of_inputs(&[idle]), idle);
    }
}
