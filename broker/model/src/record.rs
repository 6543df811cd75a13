//! RocketMQ's commit-log record: the bytes on disk, on the replication link and in pull replies.
//!
//! [`Unplaced`] is a record that lacks its place in the log, [`Placed`] one that has it,
//! [`Run`] several on their way to it, [`RecordView`] one that is read where it lies. [`Frame::peek`] tells what the log holds at a
//! position, [`check`] whether it may be believed.

mod checksum;
mod decode;
mod encode;
mod error;
mod frame;
mod group;
mod layout;
mod run;
mod view;

pub use checksum::Checksum;
pub use decode::{Records, decode};
pub use encode::{Placed, Unplaced};
pub use error::RecordError;
pub use frame::{Frame, write_blank};
pub use group::{GroupRecord, GroupSeal};
pub use layout::{
    BLANK_BYTES, BLANK_MAGIC, LARGEST_RECORD_OVERHEAD, QUEUE_OFFSET_AT, SMALLEST_RECORD, Version,
};
pub use run::{Piece, Run};
pub use view::{RecordView, check, view};
