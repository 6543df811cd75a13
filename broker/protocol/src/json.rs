//! The JSON that RocketMQ's bodies are written in: JSON, except where it is not.
//!
//! The dialect allows numbers and whole objects as keys of a map (`{0:"a"}`, `{{"topic":"t"}:1}`),
//! bare and single-quoted names, enums by name or by position, and numbers as text. The reader takes
//! all of it, from every client; the writer makes what RocketMQ's own makes.

mod read;
mod scan;
mod table;
mod write;

pub(crate) use read::from_slice;
pub use table::Table;
pub(crate) use write::{Keys, to_vec};

/// Why text could not be read or a value not be written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct JsonError(String);

impl serde::de::Error for JsonError {
    fn custom<T: std::fmt::Display>(why: T) -> Self {
        JsonError(why.to_string())
    }
}

impl serde::ser::Error for JsonError {
    fn custom<T: std::fmt::Display>(why: T) -> Self {
        JsonError(why.to_string())
    }
}
