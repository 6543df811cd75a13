//! Where reading stopped, as the broker keeps it and people set it.

use connect_sdk::Object;
use runtime::FileId;
use serde_json::{Value, json};

/// Where reading stopped: in which file, and how far in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// `None` for whatever file has the name, as in positions of Kafka's own file source.
    pub(crate) id: Option<FileId>,
    /// Bytes before the next record.
    pub(crate) position: u64,
    /// Lines before it, if they were counted.
    pub(crate) line: Option<u64>,
    /// It is in the middle of something too long for a record, which goes on to the line's end.
    pub(crate) inside: bool,
}

impl Stored {
    /// Whether it is about this file. The device is left out: its number may change when the
    /// machine starts again.
    pub(crate) fn is_in(self, id: FileId) -> bool {
        self.id.is_none_or(|own| own.inode == id.inode)
    }

    /// Reads an offset. The error says what it must hold.
    pub(crate) fn read(offset: &Object) -> Result<Self, String> {
        let number = |name: &str| match offset.get(name) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) => Ok(Some(number)),
                None => Err(format!("{name} is {value}, it must be a number from 0 on")),
            },
        };
        let known = ["position", "inode", "device", "line", "inside"];
        if let Some(stranger) = offset.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(format!(
                "an offset holds {}, not {stranger}",
                known.join(", ")
            ));
        }
        let Some(position) = number("position")? else {
            return Err(
                "an offset must hold position, the bytes before the next record".to_owned(),
            );
        };
        let device = number("device")?.unwrap_or_default();
        Ok(Self {
            id: number("inode")?.map(|inode| FileId { device, inode }),
            position,
            line: number("line")?,
            inside: offset.get("inside").is_some_and(|inside| inside == true),
        })
    }

    pub(crate) fn write(self) -> Object {
        let mut offset = Object::new();
        if let Some(id) = self.id {
            offset.insert("device".into(), id.device.into());
            offset.insert("inode".into(), id.inode.into());
        }
        offset.insert("position".into(), self.position.into());
        if let Some(line) = self.line {
            offset.insert("line".into(), line.into());
        }
        if self.inside {
            offset.insert("inside".into(), true.into());
        }
        offset
    }
}

/// The partition of a path, under the name Kafka's own file source gives it.
pub(crate) fn partition(path: &str) -> Object {
    match json!({ "filename": path }) {
        Value::Object(object) => object,
        _ => Object::new(),
    }
}

/// The path of a partition, if it is one.
pub(crate) fn path_of(partition: &Object) -> Option<&str> {
    match partition.len() {
        1 => partition.get("filename")?.as_str(),
        _ => None,
    }
}
