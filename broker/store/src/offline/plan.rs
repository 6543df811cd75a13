//! What a repair does, step by step.

use std::fmt;

use crate::guard::Guard;
use crate::losses::Told;

/// In the order of [`Step`]: whatever a kill leaves behind is found again by the next check,
/// and no reader is ever shown what stands in place of a lost record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub steps: Vec<Step>,
    pub guard: Guard,
    /// Time of the newest record.
    pub last_stored: i64,
    /// Number of the newest checkpoint.
    pub generation: u64,
    pub hopeless: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// A file of the log's directory goes to `lost+found`.
    SetAside {
        name: String,
        why: &'static str,
    },
    Rename {
        from: String,
        to: String,
    },
    /// A file that its name puts into the log goes to `lost+found`. Until the others have their
    /// names, it may be all that shows that one of them is no mere copy.
    TakeOut {
        name: String,
        why: &'static str,
    },
    /// A file is made, or made longer; what is missing reads as zeros.
    Extend {
        name: String,
        len: u64,
    },
    /// What a file has behind `len` goes to `lost+found`.
    Shorten {
        name: String,
        start: u64,
        len: u64,
    },
    /// What lies behind the log's end goes to `lost+found`.
    Cut {
        at: u64,
        until: u64,
    },
    /// The log's end moves to where a record begins that tells of losses.
    Tell {
        told: Told,
        end: u64,
    },
    /// Checkpoints, queue index and files of keys are built anew, from a log that has changed.
    Forget {
        end: u64,
    },
    /// A file of keys goes: it is made anew from the log.
    DropKeys {
        name: String,
    },
    /// Queues and index of a RocketMQ, which still point at what is taken out, go to
    /// `lost+found`.
    SetAsideOld {
        folder: &'static str,
    },
    /// What lies there goes to `lost+found`, and a filler takes its place.
    Fill {
        from: u64,
        to: u64,
        /// When the record in front of it was stored.
        stored: i64,
    },
    /// A repair that was killed is complete with this one.
    Complete,
}

impl Plan {
    pub(super) fn add(&mut self, step: Step) {
        if !self.steps.contains(&step) {
            self.steps.push(step);
        }
    }

    /// Puts the steps in their order, but a file whose name another one gets goes first.
    pub(super) fn arrange(&mut self) {
        let given = |step: &Step| match step {
            Step::Rename { to, .. } => Some(to.clone()),
            _ => None,
        };
        let given: Vec<String> = self.steps.iter().filter_map(given).collect();
        let is_in_the_way =
            |step: &Step| matches!(step, Step::TakeOut { name, .. } if given.contains(name));
        self.steps.sort();
        self.steps.sort_by_key(|step| !is_in_the_way(step));
    }

    /// What has to be told.
    pub(super) fn told(&self) -> Option<&Told> {
        self.steps.iter().find_map(|step| match step {
            Step::Tell { told, .. } => Some(told),
            _ => None,
        })
    }

    /// True if a new checkpoint takes the place of the old ones, if there were any.
    pub(super) fn forgets(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| matches!(step, Step::Forget { .. }))
    }
}

impl Step {
    /// True if it makes a file of the log what it should be under this name.
    pub(super) fn mends(&self, file: &str) -> bool {
        match self {
            Self::Rename { to: name, .. }
            | Self::Extend { name, .. }
            | Self::Shorten { name, .. } => name == file,
            _ => false,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetAside { name, .. } | Self::TakeOut { name, .. } => {
                write!(f, "move commitlog/{name} to lost+found")
            }
            Self::Rename { from, to } => write!(f, "rename commitlog/{from} to {to}"),
            Self::Extend { name, len } => write!(f, "make commitlog/{name} {len} bytes long"),
            Self::Shorten { name, len, .. } => write!(
                f,
                "move what commitlog/{name} has behind its first {len} bytes to lost+found"
            ),
            Self::Cut { at, until } => write!(
                f,
                "move the {} bytes of the log from {at} on to lost+found, and end the log there",
                until - at
            ),
            Self::Tell { told, .. } => write!(f, "append a record that names {}", named_by(told)),
            Self::Forget { .. } => write!(
                f,
                "drop checkpoints, queue index and files of keys: the next start builds them from \
                 the log"
            ),
            Self::DropKeys { name } => write!(f, "delete millstream/keys/{name}"),
            Self::SetAsideOld { folder } => write!(
                f,
                "move RocketMQ's {folder} to lost+found: it would build it anew from the log"
            ),
            Self::Fill { from, to, .. } => write!(
                f,
                "move the {} bytes of the log from {from} on to lost+found, and put a filler there",
                to - from
            ),
            Self::Complete => write!(f, "note that the repair that was not completed is complete"),
        }
    }
}

/// What a record names that tells of losses: queues and the log may each have lost nothing.
fn named_by(told: &Told) -> String {
    let offsets: u64 = told.losses.iter().map(|loss| loss.to - loss.from).sum();
    let bytes: u64 = told.stretches.iter().map(|(from, to)| to - from).sum();
    match (offsets, bytes) {
        (0, 0) => format!("where {} queues go on", told.losses.len()),
        (0, _) => format!("the {bytes} bytes of the log that are lost"),
        _ => format!("the {offsets} offsets that are lost"),
    }
}
