//! Why something could not be done with a job.

use planner::Errors;
use runtime::TaskError;

/// What callers tell apart.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error("{0}")]
    Script(#[from] Errors),
    #[error("the script has no INSERT: there is nothing to run")]
    NothingToRun,
    #[error("{name:?} cannot be the name of a job: {why}")]
    Name { name: String, why: String },
    #[error("there is a job {name:?} already")]
    Exists { name: String },
    #[error("there is no job {name:?}")]
    NotFound { name: String, known: Vec<String> },
    #[error("job {name:?} is running: stop it first")]
    Running { name: String },
    #[error("job {name:?} is not running: it cannot be drained")]
    Stopped { name: String },
    #[error(
        "job {name:?} was drained: its windows are closed for good, and every further row would be late"
    )]
    Drained { name: String },
    #[error("job {name:?} cannot be opened: {why}")]
    Open { name: String, why: String },
    #[error("the broker did not answer as needed: {0}")]
    Client(#[from] client::Error),
    #[error("the job could not be kept: {0}")]
    Disk(#[from] std::io::Error),
    #[error(transparent)]
    Task(#[from] TaskError),
}

impl JobError {
    pub(crate) fn not_found<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> JobError {
        JobError::NotFound {
            name: name.to_owned(),
            known: known.cloned().collect(),
        }
    }
}

/// An error with its causes, as one line.
pub fn chain(why: &dyn std::error::Error) -> String {
    let mut text = why.to_string();
    let mut cause = why.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
