//! What a broker keeps of one shard of a job, and tells to whoever takes the job over.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Error, body};

/// The last epoch of a shard with the metadata it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobState {
    /// 0 while none has been committed.
    pub epoch: u64,
    /// By key, each with the value of the last epoch that named it.
    pub positions: BTreeMap<String, String>,
}

impl JobState {
    /// The reply's body.
    pub fn encode(&self) -> Bytes {
        body::encode_standard(self)
    }

    /// Reads a reply's body.
    pub fn decode(body: &[u8]) -> Result<JobState, Error> {
        body::decode(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_as_it_was() {
        let positions = [("part \"a\"", "7"), ("b", "{\"offset\":1}")];
        let positions = positions.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let state = JobState {
            epoch: 1 << 40,
            positions: positions.into(),
        };
        assert_eq!(
            JobState::decode(&state.encode()).expect("our own bytes"),
            state
        );
    }

    #[test]
    fn what_is_not_a_state_is_an_error() {
        assert!(JobState::decode(b"{\"epoch\":").is_err());
        assert!(JobState::decode(b"").is_err());
    }
}
