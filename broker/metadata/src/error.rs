//! What can go wrong when something is to be remembered.

use std::path::PathBuf;

/// Why metadata could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("metadata in {} cannot be opened: {why}", path.display())]
    Open { path: PathBuf, why: String },
    #[error("metadata in {} is damaged: {why}", path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("metadata could not be written while {doing}: {why}")]
    Write { doing: &'static str, why: String },
    #[error(
        "metadata in {} is not written: {available} bytes are free, {needed} are needed; \
         it goes on by itself when there is room",
        path.display()
    )]
    NoRoom {
        path: PathBuf,
        available: u64,
        needed: u64,
    },
    #[error("metadata could not be read while {doing}: {why}")]
    Read { doing: &'static str, why: String },
    #[error("{what} {name:?} is not valid: {why}")]
    Invalid {
        what: &'static str,
        name: String,
        why: String,
    },
}
