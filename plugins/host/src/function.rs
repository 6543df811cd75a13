//! A function as its caller sees it: columns in, a column out.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, ArrayRef, BooleanArray, UInt32Array, new_empty_array, new_null_array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{concat, filter, take};
use parking_lot::Mutex;

use crate::argument::Argument;
use crate::deadlines::Deadline;
use crate::instance::Instance;
use crate::module::{Compiled, ModuleHash};
use crate::offenders::offenders;
use crate::{CallError, Signature};

/// Instances kept warm between calls, about as many as there are calls at one time.
const IDLE_INSTANCES: usize = 16;
/// Rows that a function is given at a time: its deadline and its memory are those of a batch, and
/// must not depend on how many rows an epoch has.
const BATCH_ROWS: usize = 8_192;

/// A scalar function of one job. Cheap to clone; clones share warm instances.
#[derive(Clone)]
pub struct ScalarFunction {
    shared: Arc<Shared>,
}

struct Shared {
    module: Arc<Compiled>,
    number: u32,
    signature: Signature,
    epoch_micros: Arc<AtomicU64>,
    /// Started and healthy; taken out for the length of a call.
    idle: Mutex<Vec<Instance>>,
}

impl ScalarFunction {
    pub(crate) fn new(module: Arc<Compiled>, number: u32, signature: Signature) -> Self {
        Self {
            shared: Arc::new(Shared {
                module,
                number,
                signature,
                epoch_micros: Arc::default(),
                idle: Mutex::default(),
            }),
        }
    }

    pub fn signature(&self) -> &Signature {
        &self.shared.signature
    }

    /// The version of the function.
    pub fn module(&self) -> ModuleHash {
        self.shared.module.hash
    }

    /// The time a function sees until the next call of this, microseconds since 1970.
    pub fn set_epoch_time(&self, micros: u64) {
        self.shared.epoch_micros.store(micros, Ordering::Relaxed);
    }

    /// One result per row. `arguments` are of the signature's types, each of `rows` rows.
    ///
    /// Blocks this thread for up to the deadline of every 8,192 rows, which the search for rows
    /// that trap has to keep too; a first call may have to start the module before that.
    pub fn call(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef, CallError> {
        self.check(arguments, rows)?;
        let returns = &self.shared.signature.returns;
        if rows == 0 {
            return Ok(new_empty_array(returns));
        }
        match self.callable_rows(arguments, rows) {
            None => self.evaluate(arguments, rows),
            Some(callable) if callable.count_set_bits() == 0 => Ok(new_null_array(returns, rows)),
            Some(callable) => self.evaluate_some(arguments, callable),
        }
    }

    fn check(&self, arguments: &[ArrayRef], rows: usize) -> Result<(), CallError> {
        let signature = &self.shared.signature;
        let types = arguments.iter().map(|argument| argument.data_type());
        if !types.eq(signature.arguments.iter()) {
            let given: Vec<_> = arguments
                .iter()
                .map(|a| a.data_type().to_string())
                .collect();
            let given = given.join(", ");
            return Err(CallError::Batch(format!(
                "{signature} was called with ({given})"
            )));
        }
        if u32::try_from(rows).is_err() || arguments.iter().any(|a| a.len() != rows) {
            return Err(CallError::Batch(format!(
                "{signature} was called with columns that are not all {rows} rows long"
            )));
        }
        Ok(())
    }

    /// The rows the function wants to see, if those are not all.
    fn callable_rows(&self, arguments: &[ArrayRef], rows: usize) -> Option<BooleanBuffer> {
        if !self.shared.signature.null_on_null {
            return None;
        }
        let nulls = arguments.iter().fold(None, |nulls, argument| {
            NullBuffer::union(nulls.as_ref(), argument.nulls())
        })?;
        debug_assert_eq!(nulls.len(), rows);
        (nulls.null_count() > 0).then(|| nulls.into_inner())
    }

    /// Evaluates the rows of `callable` alone and puts nulls between their results.
    fn evaluate_some(
        &self,
        arguments: &[ArrayRef],
        callable: BooleanBuffer,
    ) -> Result<ArrayRef, CallError> {
        let rows: Vec<usize> = callable.set_indices().collect();
        let mask = BooleanArray::new(callable.clone(), None);
        let some: Vec<ArrayRef> = arguments
            .iter()
            .map(|argument| filter(argument, &mask).expect("mask and argument are as long"))
            .collect();
        let results = self
            .evaluate(&some, rows.len())
            .map_err(|error| renumbered(error, &rows))?;
        let mut next = 0u32..;
        let places: UInt32Array = callable
            .iter()
            .map(|called| called.then(|| next.next()).flatten())
            .collect();
        Ok(take(&results, &places, None).expect("every place is a result's"))
    }

    /// All rows, in batches. Rows that the function refuses are found in every batch; whatever
    /// else goes wrong ends the call.
    fn evaluate(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef, CallError> {
        if rows <= BATCH_ROWS {
            return self.evaluate_batch(arguments, rows);
        }
        let (mut results, mut refused) = (Vec::new(), Vec::new());
        for from in (0..rows).step_by(BATCH_ROWS) {
            let own: Vec<usize> = (from..rows.min(from + BATCH_ROWS)).collect();
            let batch: Vec<ArrayRef> = arguments
                .iter()
                .map(|argument| argument.slice(from, own.len()))
                .collect();
            let result = self.evaluate_batch(&batch, own.len());
            match result.map_err(|error| renumbered(error, &own)) {
                Ok(result) => results.push(result),
                Err(CallError::Rows(errors)) => refused.extend(errors),
                Err(error) => return Err(error),
            }
        }
        if !refused.is_empty() {
            return Err(CallError::Rows(refused));
        }
        let results: Vec<&dyn Array> = results.iter().map(|result| &**result).collect();
        concat(&results).map_err(|error| CallError::BadOutput(error.to_string()))
    }

    /// One batch in one call; after a trap, also which rows are to blame.
    fn evaluate_batch(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef, CallError> {
        let warm = self.shared.idle.lock().pop();
        let mut instance = match warm {
            Some(instance) => instance,
            None => {
                let limit = self.shared.module.settings.start_deadline();
                self.start(Deadline::after(limit))?
            }
        };
        let deadline = Deadline::after(self.shared.module.settings.deadline());
        let result = self.eval_on(&mut instance, arguments, rows, deadline);
        match result {
            Ok(_) | Err(CallError::Rows(_) | CallError::Batch(_)) => {
                let mut idle = self.shared.idle.lock();
                if idle.len() < IDLE_INSTANCES {
                    idle.push(instance);
                }
                result
            }
            Err(CallError::Trap { why, .. }) => {
                drop(instance);
                let rows = offenders(
                    rows,
                    || self.start(deadline),
                    |instance, range| {
                        let part: Vec<ArrayRef> = arguments
                            .iter()
                            .map(|argument| argument.slice(range.start, range.len()))
                            .collect();
                        self.eval_on(instance, &part, range.len(), deadline)
                            .map(drop)
                    },
                );
                Err(CallError::Trap { why, rows })
            }
            Err(_) => result,
        }
    }

    fn start(&self, deadline: Deadline) -> Result<Instance, CallError> {
        Instance::start(
            &self.shared.module,
            self.shared.epoch_micros.clone(),
            deadline,
        )
    }

    fn eval_on(
        &self,
        instance: &mut Instance,
        arguments: &[ArrayRef],
        rows: usize,
        deadline: Deadline,
    ) -> Result<ArrayRef, CallError> {
        let passed: Vec<Argument> = arguments
            .iter()
            .map(|argument| Argument::of(argument).expect("the signature's types can be passed"))
            .collect();
        let Shared {
            module,
            number,
            signature,
            ..
        } = &*self.shared;
        instance.eval(
            module,
            *number,
            &passed,
            rows as u32,
            &signature.returns,
            deadline,
        )
    }
}

/// Row numbers of a part of the batch as row numbers of the batch.
fn renumbered(error: CallError, rows: &[usize]) -> CallError {
    match error {
        CallError::Rows(mut errors) => {
            errors
                .iter_mut()
                .for_each(|error| error.row = rows[error.row]);
            CallError::Rows(errors)
        }
        CallError::Trap { why, rows: mut bad } => {
            bad.iter_mut().for_each(|row| *row = rows[*row]);
            CallError::Trap { why, rows: bad }
        }
        other => other,
    }
}

impl fmt::Debug for ScalarFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScalarFunction")
            .field("signature", &self.shared.signature)
            .field("module", &self.shared.module.hash)
            .finish_non_exhaustive()
    }
}
