//! What a job does with a row it cannot use. Every such row is counted, whatever the policy.

use serde::{Deserialize, Serialize};

/// What happens to one row that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowPolicy {
    /// The job stops before the row's epoch commits.
    Fail,
    /// The row is counted and left out.
    Skip,
    /// The row is counted, and its original bytes or columns are kept in this topic.
    DeadLetter(String),
}

/// A job's policy for each kind of row it cannot use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Policies {
    /// Records of a source that do not decode.
    pub undecodable: RowPolicy,
    /// Rows whose window has closed already.
    pub late: RowPolicy,
    /// Rows for which a function or a cast reports an error.
    pub function: RowPolicy,
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            undecodable: RowPolicy::Fail,
            late: RowPolicy::Skip,
            function: RowPolicy::Fail,
        }
    }
}
