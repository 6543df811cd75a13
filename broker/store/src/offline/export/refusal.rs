//! Why a store could not be handed to a RocketMQ.

use std::path::PathBuf;

use crate::Error;

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A broker was killed over it: the end of its log has to be looked at first.
    #[error("the store at {} was not closed in order", path.display())]
    NotClosed { path: PathBuf },
    #[error("the store at {} is damaged: {why}", path.display())]
    Damaged { path: PathBuf, why: String },
    /// RocketMQ finds a record by dividing its offset by the size of all segments.
    #[error("the segments of {} are none that RocketMQ can use: {why}", path.display())]
    Segments { path: PathBuf, why: String },
    #[error("{} is there already", path.display())]
    Taken { path: PathBuf },
    /// Not begun by an export, so not thrown away by one.
    #[error("{} is in the way", path.display())]
    InTheWay { path: PathBuf },
    #[error("{} and the store lie within each other", path.display())]
    Within { path: PathBuf },
    #[error(transparent)]
    Store(#[from] Error),
}
