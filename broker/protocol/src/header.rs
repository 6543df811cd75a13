//! What stands before the body of every frame.

use std::borrow::Cow;

use crate::{ExtFields, Language, RequestCode, ResponseCode, Version};

/// Kind of a frame, as a bit set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flag(pub i32);

impl Flag {
    pub const REQUEST: Flag = Flag(0);
    pub const RESPONSE: Flag = Flag(1);
    pub const ONEWAY: Flag = Flag(2);

    pub fn is_response(self) -> bool {
        self.0 & 1 != 0
    }

    /// Whether the sender wants no reply.
    pub fn is_oneway(self) -> bool {
        self.0 & 2 != 0
    }
}

/// How a header is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Serialization {
    #[default]
    Json,
    /// RocketMQ's own binary form, named ROCKETMQ there.
    Binary,
}

/// Header of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// A request code or, when the flag says response, a response code.
    pub code: i32,
    pub language: Language,
    pub version: Version,
    /// Joins a reply to its request.
    pub opaque: i32,
    pub flag: Flag,
    pub remark: Option<Cow<'static, str>>,
    pub ext: ExtFields,
}

impl Header {
    /// What a decoder fills in.
    pub(crate) fn blank() -> Header {
        Header {
            code: 0,
            language: Language::Other,
            version: Version(0),
            opaque: 0,
            flag: Flag::REQUEST,
            remark: None,
            ext: ExtFields::new(),
        }
    }

    pub fn request_code(&self) -> RequestCode {
        RequestCode(self.code)
    }

    pub fn response_code(&self) -> ResponseCode {
        ResponseCode(self.code)
    }

    /// The remark, empty when there is none.
    pub fn remark(&self) -> &str {
        self.remark.as_deref().unwrap_or_default()
    }
}
