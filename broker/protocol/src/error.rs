//! Why bytes were refused.

/// Everything this crate can refuse.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream cannot be followed any further: close the connection.
    #[error("malformed frame: {why}")]
    Frame { why: &'static str },
    /// A frame above a limit, noticed before anything was allocated for it: close the connection.
    #[error("{what} has {length} bytes, the limit is {limit}")]
    TooLarge {
        what: &'static str,
        length: usize,
        limit: usize,
    },
    /// A request without a field it cannot do without: answer code 1.
    #[error("the custom field <{field}> is null")]
    MissingField { field: &'static str },
    /// A field whose text does not mean what it must: answer code 1.
    #[error("the custom field <{field}> is not {expected}: {found:?}")]
    BadField {
        field: &'static str,
        expected: &'static str,
        found: String,
    },
    /// A body that does not say what it must: answer code 1.
    #[error("malformed {what} body: {why}")]
    Body { what: &'static str, why: String },
}

impl Error {
    /// Whether the connection is lost with this error; otherwise only this one request is refused.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Error::Frame { .. } | Error::TooLarge { .. })
    }
}
