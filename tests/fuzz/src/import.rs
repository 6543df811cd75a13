//! The files of a RocketMQ's `config` folder, taken over.

use std::sync::Arc;

use metadata::{Import, Imported, MemoryTables, Metadata};
use serde_json::Value;

/// The three texts, separated by 0x00: topics, groups, offsets.
pub(crate) fn run(bytes: &[u8]) {
    let mut texts = bytes.splitn(3, |byte| *byte == 0);
    let mut next = || -> Option<Value> { protocol::body::decode(texts.next()?).ok() };
    let import = Import {
        topics: next(),
        groups: next(),
        offsets: next(),
    };
    let tables = Arc::new(MemoryTables::default());
    let metadata = Metadata::over(tables.clone()).expect("tables in memory");
    let first = import
        .into_metadata(&metadata)
        .expect("any content is taken or named");
    let second = import
        .into_metadata(&metadata)
        .expect("any content is taken or named");
    let nothing_new = Imported {
        set_aside: first.set_aside.clone(),
        ..Imported::default()
    };
    assert_eq!(second, nothing_new, "what is known already stays as it is");
    let again = Metadata::over(tables).expect("what was taken over can be read at the next start");
    assert_eq!(again.topics.all().len(), metadata.topics.all().len());
}
