//! The file that tells RocketMQ how far its parts have come.

/// RocketMQ maps one page of it.
const BYTES: usize = 4096;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Checkpoint {
    /// When the newest record of log and queues was stored.
    pub stored: i64,
    /// When the newest record of the index was.
    pub indexed: i64,
    /// Where the newest record begins that a queue shows.
    pub last_in_queue: u64,
}

impl Checkpoint {
    /// ```text
    /// log 8 | queues 8 | index 8 | what a slave has 8 | what slaves have 8 | in queues up to 8
    /// ```
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BYTES);
        for time in [self.stored, self.stored, self.indexed, 0, 0] {
            bytes.extend_from_slice(&time.to_be_bytes());
        }
        bytes.extend_from_slice(&self.last_in_queue.to_be_bytes());
        bytes.resize(BYTES, 0);
        bytes
    }
}
