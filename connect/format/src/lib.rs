//! Bytes to Arrow and back: one record per message, JSON or CSV, Flink's conventions.
//!
//! A row that cannot be read never takes its neighbours with it: it comes back with its
//! original bytes and the reason, and the batch holds all the others.

mod column;
mod csv;
mod decoder;
mod encoder;
mod error;
mod options;
mod temporal;
mod writer;

pub use csv::{CsvRecord, CsvRecords};
pub use decoder::{Decoder, Undecodable};
pub use encoder::Encoder;
pub use error::Error;
pub use options::{CsvOptions, Format, JsonOptions, Options, TimestampText};
