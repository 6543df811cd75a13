//! What can be wrong with the files of a log.

use std::fmt;

/// Something no crash of ours leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not a segment by its name, nor by what it holds.
    Foreign {
        name: String,
    },
    /// The file holds a part of the log that another name stands for; `free` if that part is
    /// missing: no file that holds anything of it has the name.
    Misnamed {
        name: String,
        holds: u64,
        free: bool,
    },
    /// A segment by its name, where there is no place for one, without a record of this log.
    Extra {
        name: String,
    },
    Empty {
        name: String,
    },
    /// No file holds this part of the log.
    Missing {
        from: u64,
        to: u64,
    },
    /// The file goes on where the next one begins.
    Overlong {
        name: String,
        until: u64,
        next: String,
    },
    /// The log began at `from` when it was last open.
    FrontMissing {
        from: u64,
        to: u64,
    },
    /// The log was durable up to `to` when it was last open.
    EndMissing {
        from: u64,
        to: u64,
    },
}

impl Fault {
    /// The file it is about.
    pub(crate) fn file(&self) -> Option<&str> {
        match self {
            Self::Foreign { name }
            | Self::Misnamed { name, .. }
            | Self::Extra { name }
            | Self::Empty { name }
            | Self::Overlong { name, .. } => Some(name),
            Self::Missing { .. } | Self::FrontMissing { .. } | Self::EndMissing { .. } => None,
        }
    }

    pub(crate) fn position(&self) -> Option<u64> {
        match self {
            Self::Misnamed { holds, .. } => Some(*holds),
            Self::Overlong { until, .. } => Some(*until),
            Self::Missing { from, .. }
            | Self::FrontMissing { from, .. }
            | Self::EndMissing { from, .. } => Some(*from),
            Self::Foreign { .. } | Self::Extra { .. } | Self::Empty { .. } => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign { name } => {
                write!(f, "{name:?} in the log's directory is not a segment")
            }
            Self::Misnamed { name, holds, .. } => write!(
                f,
                "the file {name} holds the log from {holds} on: it has been renamed or copied"
            ),
            Self::Extra { name } => write!(
                f,
                "the segment {name} has no place in the log and holds no record of it"
            ),
            Self::Empty { name } => write!(f, "the segment {name} is empty"),
            Self::Missing { from, to } => {
                write!(
                    f,
                    "the log from {from} to {to} is missing: no file holds it"
                )
            }
            Self::Overlong { name, until, next } => write!(
                f,
                "the segment {name} goes on behind {until}, where {next} begins"
            ),
            Self::FrontMissing { from, to } => write!(
                f,
                "the log began at {from}, but its files begin at {to}: the first are missing"
            ),
            Self::EndMissing { from, to } => write!(
                f,
                "the log reached {to} durably, but its files end at {from}"
            ),
        }
    }
}
