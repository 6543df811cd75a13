//! Why a module cannot be used at all.

use crate::CallError;

/// A reason to refuse `CREATE FUNCTION`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the WASM sandbox could not be set up: {0}")]
    Sandbox(String),
    #[error("the module has {bytes} bytes; the limit is {limit}")]
    TooLarge { bytes: usize, limit: usize },
    #[error("this is not a WASM module that can run here: {0}")]
    Malformed(String),
    #[error("the module imports {name}; a function may import only {allowed}")]
    Import { name: String, allowed: String },
    #[error("the module is no function: {0}")]
    Contract(String),
    #[error("the module failed while it started: {0}")]
    Start(CallError),
    #[error("the module has no function {name}; it has {offered}")]
    NoSuchFunction { name: String, offered: String },
    #[error("the declaration is {declared}, but the module has {described}")]
    Signature { declared: String, described: String },
    #[error("{0} cannot be an argument or result of a function")]
    Type(String),
}
