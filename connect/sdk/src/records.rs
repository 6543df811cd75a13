//! What flows: columns, or bytes where nobody has to look inside.

use arrow::array::RecordBatch;
use bytes::Bytes;

/// A record as the broker holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawRecord {
    /// What the record is about; records of one key keep their order.
    pub key: Option<String>,
    /// The body.
    pub body: Bytes,
    /// Names and values that travel beside the body.
    pub properties: Vec<(String, String)>,
}

impl RawRecord {
    /// A record with nothing but a body.
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            ..Self::default()
        }
    }
}

/// A batch of records in one of the two shapes.
#[derive(Clone, Debug, PartialEq)]
pub enum Records {
    /// Rows of a known schema.
    Columns(RecordBatch),
    /// Bodies nobody looked into.
    Bytes(Vec<RawRecord>),
}

impl Records {
    /// How many records there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Columns(batch) => batch.num_rows(),
            Self::Bytes(records) => records.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
