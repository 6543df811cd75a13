//! What a user's function could not compute, as operators see it.

/// A call of a user's function failed, for some rows of a batch or for all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("function {function} failed: {why}")]
pub struct FunctionError {
    /// Name of the function.
    pub function: String,
    /// What happened, for the whole call.
    pub why: String,
    /// The rows at fault, by position in the batch of the call, ascending, with the reason for
    /// each. Without them the batch can be tried again; empty if no single row is at fault.
    pub rows: Vec<(usize, String)>,
}
