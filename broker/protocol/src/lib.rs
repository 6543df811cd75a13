//! RocketMQ's remoting protocol without sockets: frames, headers, codes and bodies, bytes in and bytes out.

pub mod body;
mod digits;
mod encode;
mod epoch;
mod error;
mod ext_fields;
mod fields;
mod frame;
mod header;
mod header_binary;
mod header_json;
pub mod headers;
mod job_state;
mod json;
mod json_text;
mod language;
mod numbered;
mod reply;
mod request_code;
mod response_code;
mod version;

pub use encode::{Head, encode_head};
pub use epoch::{
    CommitEpoch, EPOCH_LIMIT, EPOCH_MESSAGES_LIMIT, EPOCH_METADATA_LIMIT, EPOCH_OFFSETS_LIMIT,
    EpochCommitted, JOB_NAME_LIMIT, check_job_name,
};
pub use error::Error;
pub use ext_fields::{ExtFields, FIELDS_BYTES_LIMIT, FIELDS_LIMIT, FieldSink, WriteFields};
pub use fields::ReadFields;
pub use frame::{FRAME_LIMIT, Frame, HEADER_LIMIT};
pub use header::{Flag, Header, Serialization};
pub use job_state::JobState;
pub use language::Language;
pub use reply::{Caller, Reply};
pub use request_code::RequestCode;
pub use response_code::ResponseCode;
pub use version::Version;
