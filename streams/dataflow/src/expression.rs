//! An expression as two texts: one that people and hashes read, one that operators decode.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An expression over the columns of a node's input.
///
/// Equality and operator ids look at `sql` alone: it is our own canonical text, so a new
/// version of the planner's library may encode the same expression differently without
/// orphaning state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Expression {
    /// Canonical text, column names as in the input's schema.
    pub sql: String,
    /// The planner's encoding, decoded by the operator that evaluates it.
    #[serde(serialize_with = "as_base64", deserialize_with = "from_base64")]
    pub encoded: Vec<u8>,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.sql == other.sql
    }
}

impl Eq for Expression {}

pub(crate) fn as_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
}

pub(crate) fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    BASE64_STANDARD.decode(text).map_err(de::Error::custom)
}
