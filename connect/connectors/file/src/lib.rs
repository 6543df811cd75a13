//! CSV and JSON-lines files: read to their end or followed as they grow, and written in parts
//! whose names say which records they hold.

mod options;
mod part;
mod reader;
mod sink;
mod source;
mod splitter;

pub use sink::FileSink;
pub use source::FileSource;
