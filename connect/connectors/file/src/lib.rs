//! CSV, JSON-lines and text files: read to their end or followed as they grow, and written in parts
//! whose names say which records they hold.

mod locate;
mod options;
mod part;
mod position;
mod reader;
mod sink;
mod source;
mod splitter;

pub use sink::FileSink;
pub use source::FileSource;
