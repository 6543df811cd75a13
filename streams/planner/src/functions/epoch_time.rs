//! Clock functions: they return the time of the epoch, so that a replay computes the same.

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::{
    common::{Result, ScalarValue},
    logical_expr::{
        ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
        Volatility,
    },
};
use std::{
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use crate::types::UTC;

/// The epoch's time, shared between the engine, which sets it, and the functions.
#[derive(Clone, Debug, Default)]
pub struct EpochTime(Arc<AtomicI64>);

impl EpochTime {
    /// Sets the time in milliseconds since 1970. Called before an epoch is stepped.
    pub fn set(&self, milliseconds: i64) {
        self.0.store(milliseconds, Ordering::Release);
    }

    /// Milliseconds since 1970.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Name of the function whose column a lookup join names after `AS OF`.
pub(crate) const PROCTIME: &str = "proctime";

/// The clock functions of Flink that read this time.
pub(super) fn functions(time: &EpochTime) -> impl Iterator<Item = ScalarUDF> + use<> {
    let time = time.clone();
    let instant = [PROCTIME, "now", "current_timestamp"].map(|name| (name, Some(UTC.into())));
    let all = instant.into_iter().chain([("localtimestamp", None)]);
    all.map(move |(name, zone)| {
        let returns = DataType::Timestamp(TimeUnit::Millisecond, zone);
        ScalarUDF::from(Now {
            name,
            returns,
            signature: Signature::nullary(Volatility::Volatile),
            time: time.clone(),
        })
    })
}

/// One clock function. Declared volatile, so that no optimizer folds it into the plan.
#[derive(Debug)]
struct Now {
    name: &'static str,
    returns: DataType,
    signature: Signature,
    time: EpochTime,
}

impl PartialEq for Now {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Now {}

impl Hash for Now {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn return_field_from_args(&self, _arguments: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name, self.returns.clone(), false)))
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let zone = match &self.returns {
            DataType::Timestamp(_, zone) => zone.clone(),
            _ => None,
        };
        Ok(ColumnarValue::Scalar(ScalarValue::TimestampMillisecond(
            Some(self.time.get()),
            zone,
        )))
    }
}
