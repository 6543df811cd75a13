//! One started module, of either kind, with its memory.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use wasmtime::Store;

use crate::argument::Argument;
use crate::block::Reply;
use crate::component::{ScalarComponent, ScalarInstance};
use crate::contract::{ReturnedColumn, WitError, WitRowError, WitSignature};
use crate::core_module::{CoreInstance, CoreModule};
use crate::deadlines::Deadline;
use crate::guest::{Guest, within};
use crate::guest_log::{Level, printable};
use crate::module::Compiled;
use crate::{CallError, RowError};

/// Code that can be started any number of times.
pub(crate) enum Code {
    Component(ScalarComponent),
    Core(CoreModule),
}

/// Holds one instance's memory. After an error of a call, other than `Rows` and `Batch`,
/// it is not to be trusted and not to be entered again.
pub(crate) struct Instance {
    store: Store<Guest>,
    started: Started,
}

enum Started {
    Component(ScalarInstance),
    Core(CoreInstance),
}

impl Instance {
    /// Runs the module's start-up code.
    pub(crate) fn start(
        module: &Compiled,
        epoch_micros: Arc<AtomicU64>,
        deadline: Deadline,
    ) -> Result<Self, CallError> {
        let mut store = Guest::store(module, epoch_micros, deadline);
        let started = within(deadline, module, &mut store, |store| {
            Ok(match &module.code {
                Code::Component(component) => Started::Component(component.start(store)?),
                Code::Core(core) => Started::Core(core.start(store)?),
            })
        })?;
        store.data_mut().log.line(Level::Debug, "started");
        Ok(Self { store, started })
    }

    /// What the module says it offers; nothing if it cannot say.
    pub(crate) fn describe(
        &mut self,
        module: &Compiled,
        deadline: Deadline,
    ) -> Result<Vec<WitSignature>, CallError> {
        let Started::Component(component) = &self.started else {
            return Ok(Vec::new());
        };
        within(deadline, module, &mut self.store, |store| {
            component.describe(store)
        })
    }

    /// A column of `rows` rows of type `returns`, from arguments of as many rows.
    pub(crate) fn eval(
        &mut self,
        module: &Compiled,
        function: u32,
        arguments: &[Argument],
        rows: u32,
        returns: &DataType,
        deadline: Deadline,
    ) -> Result<ArrayRef, CallError> {
        let result_bytes = module.settings.result_bytes;
        let started = &self.started;
        let column = within(deadline, module, &mut self.store, |store| {
            Ok(match started {
                Started::Component(component) => {
                    match component.eval(store, function, arguments, rows)? {
                        Ok(column) => Ok(column),
                        Err(error) => Err(refusal(error, rows)),
                    }
                }
                Started::Core(core) => {
                    match core.eval(store, function, arguments, rows, result_bytes)? {
                        Reply::Column(column) => Ok(column),
                        Reply::Failed(why) => Err(CallError::Batch(printable(&why))),
                    }
                }
            })
        })??;
        checked(column, rows, returns)
    }
}

fn checked(column: ReturnedColumn, rows: u32, returns: &DataType) -> Result<ArrayRef, CallError> {
    column
        .into_array(returns, rows as usize)
        .map_err(CallError::BadOutput)
}

/// The function's own error, if it makes sense.
fn refusal(error: WitError, rows: u32) -> CallError {
    match error {
        WitError::Batch(why) => CallError::Batch(printable(&why)),
        WitError::Rows(errors) if errors.is_empty() => {
            CallError::BadOutput("an error of no row".to_owned())
        }
        WitError::Rows(errors) if errors.len() > rows as usize => CallError::BadOutput(format!(
            "errors of {} rows in a batch of {rows}",
            errors.len()
        )),
        WitError::Rows(errors) => match errors.iter().find(|error| error.row >= rows) {
            Some(WitRowError { row, .. }) => {
                CallError::BadOutput(format!("an error of row {row} in a batch of {rows}"))
            }
            None => {
                let mut errors: Vec<_> = errors.into_iter().map(row_error).collect();
                errors.sort_by_key(|error| error.row);
                errors.dedup_by_key(|error| error.row);
                CallError::Rows(errors)
            }
        },
    }
}

fn row_error(error: WitRowError) -> RowError {
    RowError {
        row: error.row as usize,
        why: printable(&error.why),
    }
}
