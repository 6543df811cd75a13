//! The user's functions, from WebAssembly modules, as the SQL planner sees them.

use arrow::{array::ArrayRef, datatypes::DataType};
use datafusion::{
    common::{DataFusionError, Result},
    logical_expr::{self, ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Volatility},
};
use plugin_host::{CallError, PluginHost, ScalarFunction, Signature};
use std::{
    hash::{Hash, Hasher},
    io,
    sync::Arc,
};

use super::EpochTime;

/// The body of a scalar function: columns in, one column out.
pub trait ScalarBody: Send + Sync {
    /// One value per row, or which rows have none and why.
    fn call(&self, arguments: &[ArrayRef], rows: usize)
    -> std::result::Result<ArrayRef, CallError>;

    /// Whether equal arguments always give equal results.
    fn is_deterministic(&self) -> bool;

    /// Which build of the body this is, in a word, if there may be several.
    fn version(&self) -> Option<String> {
        None
    }

    /// What the body's clock says until this is called again, ms since 1970. One that has no
    /// clock need not listen.
    fn set_time(&self, _milliseconds: i64) {}
}

impl ScalarBody for ScalarFunction {
    fn call(
        &self,
        arguments: &[ArrayRef],
        rows: usize,
    ) -> std::result::Result<ArrayRef, CallError> {
        ScalarFunction::call(self, arguments, rows)
    }

    fn is_deterministic(&self) -> bool {
        self.signature().deterministic
    }

    fn version(&self) -> Option<String> {
        Some(self.module().short())
    }

    fn set_time(&self, milliseconds: i64) {
        let micros = u64::try_from(milliseconds)
            .unwrap_or(0)
            .saturating_mul(1_000);
        self.set_epoch_time(micros);
    }
}

/// Finds the body of a function that `CREATE FUNCTION` declares.
pub trait FunctionLoader: Send + Sync {
    /// `location` is the text behind `AS`. The error says why there is no such function.
    fn load(
        &self,
        signature: &Signature,
        location: &str,
    ) -> std::result::Result<Arc<dyn ScalarBody>, String>;
}

/// Refuses every function, for scripts that may have none.
#[derive(Clone, Copy, Debug)]
pub struct NoFunctions;

impl FunctionLoader for NoFunctions {
    fn load(&self, _: &Signature, _: &str) -> std::result::Result<Arc<dyn ScalarBody>, String> {
        Err("functions cannot be loaded here".to_owned())
    }
}

/// Loads functions from WebAssembly modules that `read` fetches by location.
pub struct WasmFunctions<R> {
    host: Arc<PluginHost>,
    read: R,
}

impl<R: Fn(&str) -> io::Result<Vec<u8>> + Send + Sync> WasmFunctions<R> {
    pub fn new(host: Arc<PluginHost>, read: R) -> Self {
        Self { host, read }
    }
}

impl<R: Fn(&str) -> io::Result<Vec<u8>> + Send + Sync> FunctionLoader for WasmFunctions<R> {
    fn load(
        &self,
        signature: &Signature,
        location: &str,
    ) -> std::result::Result<Arc<dyn ScalarBody>, String> {
        let bytes = (self.read)(location).map_err(|error| error.to_string())?;
        let module = self
            .host
            .compile(&bytes)
            .map_err(|error| error.to_string())?;
        let function = module
            .scalar(&signature.name, signature)
            .map_err(|error| error.to_string())?;
        Ok(Arc::new(function))
    }
}

/// A user's function under its lower-case name, as functions are found in any case.
/// Its clock says the time of the epoch.
pub(crate) fn user_function(
    signature: Signature,
    body: Arc<dyn ScalarBody>,
    time: EpochTime,
) -> ScalarUDF {
    let volatility = if body.is_deterministic() {
        Volatility::Immutable
    } else {
        Volatility::Volatile
    };
    let accepts = match signature.arguments.as_slice() {
        [] => logical_expr::Signature::nullary(volatility),
        arguments => logical_expr::Signature::exact(arguments.to_vec(), volatility),
    };
    ScalarUDF::from(User {
        name: signature.name.to_lowercase(),
        accepts,
        returns: signature.returns,
        body,
        time,
    })
}

struct User {
    name: String,
    accepts: logical_expr::Signature,
    returns: DataType,
    body: Arc<dyn ScalarBody>,
    time: EpochTime,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl PartialEq for User {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.body, &other.body)
    }
}

impl Eq for User {}

impl Hash for User {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for User {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &logical_expr::Signature {
        &self.accepts
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    /// A failed call arrives as `DataFusionError::External` around [`dataflow::FunctionError`].
    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = call
            .args
            .into_iter()
            .map(|argument| argument.into_array(call.number_rows));
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        self.body.set_time(self.time.get());
        let result = self
            .body
            .call(&arrays, call.number_rows)
            .map_err(|error| self.failure(error))?;
        Ok(ColumnarValue::Array(result))
    }
}

impl User {
    fn failure(&self, error: CallError) -> DataFusionError {
        let function = self.name.clone();
        let why = error.to_string();
        let rows = match error {
            CallError::Rows(rows) => rows.into_iter().map(|row| (row.row, row.why)).collect(),
            CallError::Trap { rows, why } => {
                rows.into_iter().map(|row| (row, why.clone())).collect()
            }
            _ => Vec::new(),
        };
        DataFusionError::External(Box::new(dataflow::FunctionError {
            function,
            module: self.body.version(),
            why,
            rows,
        }))
    }
}
