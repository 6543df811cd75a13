//! Dead letters: rows and records that a job could not use, kept in a topic with their story.

use crate::{Error, OutputRecord};
use arrow::array::RecordBatch;
use bytes::Bytes;
use format::{Encoder, Format, Options};

/// Why something became a dead letter, and where it came from.
#[derive(Clone, Copy)]
pub(crate) struct Story<'a> {
    pub(crate) job: &'a str,
    /// `undecodable`, `late` or `function`.
    pub(crate) kind: &'static str,
    /// Table or operator.
    pub(crate) at: &'a str,
    pub(crate) why: &'a str,
    /// Queue and record number, of records of a source.
    pub(crate) origin: Option<(&'a str, i64)>,
}

/// Characters of a reason that are kept: properties have a limit of their own.
const REASON: usize = 2_000;

/// The original bytes of a record.
pub(crate) fn record(topic: &str, bytes: &Bytes, story: &Story<'_>) -> OutputRecord {
    OutputRecord {
        destination: topic.to_owned(),
        key: Bytes::new(),
        body: Some(bytes.clone()),
        properties: story.properties(),
    }
}

/// Rows of an operator as JSON, one letter each.
pub(crate) fn rows(
    topic: &str,
    rows: &RecordBatch,
    story: &Story<'_>,
) -> Result<Vec<OutputRecord>, Error> {
    Ok(json(rows)?
        .iter()
        .map(|bytes| record(topic, bytes, story))
        .collect())
}

/// The only row of a batch as JSON, cut where a reason is.
pub(crate) fn text(row: &RecordBatch) -> Result<String, Error> {
    let text = json(row)?.concat();
    let text = String::from_utf8_lossy(&text);
    Ok(text.chars().take(REASON).collect())
}

fn json(rows: &RecordBatch) -> Result<Vec<Bytes>, Error> {
    let encoder = Encoder::new(Format::Json, rows.schema(), Options::default())?;
    Ok(encoder.encode(rows)?)
}

impl Story<'_> {
    fn properties(&self) -> Vec<(String, String)> {
        let mut properties = vec![
            ("MILLSTREAM_JOB", self.job.to_owned()),
            ("MILLSTREAM_ERROR", self.kind.to_owned()),
            ("MILLSTREAM_ERROR_AT", self.at.to_owned()),
            (
                "MILLSTREAM_ERROR_WHY",
                self.why.chars().take(REASON).collect(),
            ),
        ];
        if let Some((queue, offset)) = self.origin {
            properties.push(("MILLSTREAM_ORIGIN_QUEUE", queue.to_owned()));
            properties.push(("MILLSTREAM_ORIGIN_OFFSET", offset.to_string()));
        }
        properties
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}
