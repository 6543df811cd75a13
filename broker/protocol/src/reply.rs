//! Replies: what is said, and to whom.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use crate::encode::{Head, encode_head};
use crate::ext_fields::WriteFields;
use crate::{ExtFields, Flag, Frame, Header, Language, ResponseCode, Serialization, Version};

/// What a reply needs to know of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    opaque: i32,
    serialization: Serialization,
    oneway: bool,
}

/// Replies speak as Java: clients older than a language do not know its name.
const SPEAKER: Language = Language::Java;

impl Caller {
    pub fn of(request: &Frame) -> Caller {
        // The C++ client reads the serialization mark as part of the length: zero is all it can bear.
        let serialization = match request.header.language {
            Language::Cpp => Serialization::Json,
            _ => request.serialization,
        };
        Caller {
            opaque: request.header.opaque,
            serialization,
            oneway: request.header.flag.is_oneway(),
        }
    }

    /// Whether the caller waits for a reply. When not, none may be written.
    pub fn waits(&self) -> bool {
        !self.oneway
    }

    /// Appends a reply without a body straight from a typed header, if the caller waits for one.
    pub fn encode_success(&self, out: &mut BytesMut, fields: &impl WriteFields) {
        if self.waits() {
            self.encode_reply(out, ResponseCode::SUCCESS, None, fields, 0);
        }
    }

    /// Appends the head of a reply straight from a typed header; its body of `body_length` bytes follows.
    pub fn encode_reply(
        &self,
        out: &mut BytesMut,
        code: ResponseCode,
        remark: Option<&str>,
        fields: &impl WriteFields,
        body_length: usize,
    ) {
        let head = Head {
            code: code.0,
            language: SPEAKER,
            version: Version::CURRENT,
            opaque: self.opaque,
            flag: Flag::RESPONSE,
            remark,
        };
        encode_head(out, self.serialization, &head, fields, body_length);
    }
}

/// What to answer, before it is addressed to a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub code: ResponseCode,
    pub remark: Option<Cow<'static, str>>,
    pub ext: ExtFields,
    pub body: Bytes,
    /// What follows the body, as a part of it: pieces that lie elsewhere and are copied only once.
    pub pieces: Vec<Bytes>,
}

impl Reply {
    pub fn new(code: ResponseCode) -> Reply {
        Reply {
            code,
            remark: None,
            ext: ExtFields::new(),
            body: Bytes::new(),
            pieces: Vec::new(),
        }
    }

    pub fn success() -> Reply {
        Reply::new(ResponseCode::SUCCESS)
    }

    pub fn remark(mut self, remark: impl Into<Cow<'static, str>>) -> Reply {
        self.remark = Some(remark.into());
        self
    }

    /// Adds the fields of a typed header.
    pub fn header(mut self, header: &impl WriteFields) -> Reply {
        header.write_fields(&mut self.ext);
        self
    }

    /// Adds one field.
    pub fn field(mut self, name: &str, value: &str) -> Reply {
        self.ext.push(name, value);
        self
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Reply {
        self.body = body.into();
        self
    }

    /// Adds a body that lies in several pieces.
    pub fn pieces(mut self, pieces: Vec<Bytes>) -> Reply {
        self.pieces = pieces;
        self
    }

    fn body_bytes(&self) -> usize {
        self.body.len() + self.pieces.iter().map(Bytes::len).sum::<usize>()
    }

    /// Appends the whole frame, if the caller waits for one.
    pub fn encode_for(&self, caller: &Caller, out: &mut BytesMut) {
        if caller.waits() {
            self.encode(caller, out);
        }
    }

    /// Appends the frame as far as the pieces of its body, which have to follow.
    pub fn encode_front(&self, caller: &Caller, out: &mut BytesMut) {
        let remark = self.remark.as_deref();
        caller.encode_reply(out, self.code, remark, &self.ext, self.body_bytes());
        out.extend_from_slice(&self.body);
    }

    /// Appends the whole frame.
    pub fn encode(&self, caller: &Caller, out: &mut BytesMut) {
        self.encode_front(caller, out);
        out.reserve(self.body_bytes() - self.body.len());
        for piece in &self.pieces {
            out.extend_from_slice(piece);
        }
    }

    /// The reply as a frame, for peers in the same process.
    pub fn into_frame(self, caller: &Caller) -> Frame {
        let body = match self.pieces[..] {
            [] => self.body,
            _ => [&[self.body][..], &self.pieces].concat().concat().into(),
        };
        let header = Header {
            code: self.code.0,
            language: SPEAKER,
            version: Version::CURRENT,
            opaque: caller.opaque,
            flag: Flag::RESPONSE,
            remark: self.remark,
            ext: self.ext,
        };
        Frame {
            header,
            body,
            serialization: caller.serialization,
        }
    }
}
