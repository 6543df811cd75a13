//! One frame of the remoting protocol, and how it is cut out of a stream of bytes.
//!
//! ```text
//! u32 length of all that follows │ u8 serialization, u24 header length │ header │ body
//! ```

use bytes::{Buf, Bytes, BytesMut};

use crate::encode::{Head, encode_head};
use crate::{
    Error, ExtFields, Flag, Header, Language, RequestCode, Serialization, Version, header_binary,
    header_json,
};

/// Longest frame, its length field included, as in RocketMQ.
pub const FRAME_LIMIT: usize = 16 * 1024 * 1024;
/// Longest header. Its fields hold at most 64 KiB of text; JSON may need six bytes to
/// escape one, of which 32 KiB of properties are the most there can be.
pub const HEADER_LIMIT: usize = 256 * 1024;

/// A header with its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub header: Header,
    pub body: Bytes,
    pub serialization: Serialization,
}

impl Frame {
    /// How long the frame that starts the buffer is, length field included.
    ///
    /// `None` while that cannot be told yet. Fails before anything is allocated when it is over the limit.
    pub fn length(buffer: &[u8]) -> Result<Option<usize>, Error> {
        let Some(length) = buffer.first_chunk() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length))
            .unwrap_or(usize::MAX)
            .saturating_add(4);
        if length > FRAME_LIMIT {
            return Err(Error::TooLarge {
                what: "the frame",
                length,
                limit: FRAME_LIMIT,
            });
        }
        if length < 8 {
            return Err(Error::Frame {
                why: "the frame is too short for a header",
            });
        }
        let Some(mark) = buffer.get(4..8) else {
            return Ok(None);
        };
        let header = usize::from(mark[1]) << 16 | usize::from(mark[2]) << 8 | usize::from(mark[3]);
        if header > HEADER_LIMIT {
            return Err(Error::TooLarge {
                what: "the header",
                length: header,
                limit: HEADER_LIMIT,
            });
        }
        if header > length - 8 {
            return Err(Error::Frame {
                why: "the header is longer than its frame",
            });
        }
        Ok(Some(length))
    }

    /// Takes the next whole frame from the front of the buffer; `None` leaves the buffer for more bytes.
    ///
    /// Header fields and body stay slices of the buffer. After an error the stream cannot be followed any further.
    pub fn decode(buffer: &mut BytesMut) -> Result<Option<Frame>, Error> {
        let Some(length) = Frame::length(buffer)? else {
            return Ok(None);
        };
        if buffer.len() < length {
            return Ok(None);
        }
        buffer.advance(4);
        let mark = buffer.get_u32();
        let header_length = (mark & 0xff_ffff) as usize;
        let header = buffer.split_to(header_length);
        let body_length = length - 8 - header_length;
        let body = if body_length == 0 {
            Bytes::new()
        } else {
            buffer.split_to(body_length).freeze()
        };
        let serialization = match mark >> 24 {
            0 => Serialization::Json,
            1 => Serialization::Binary,
            _ => {
                return Err(Error::Frame {
                    why: "the header has an unknown serialization",
                });
            }
        };
        // Filled in place: a header is too large to be handed around for nothing.
        let mut frame = Frame {
            header: Header::blank(),
            body,
            serialization,
        };
        match serialization {
            Serialization::Json => header_json::decode(header, &mut frame.header)?,
            Serialization::Binary => header_binary::decode(header, &mut frame.header)?,
        }
        Ok(Some(frame))
    }

    /// A request in our own name. The sender of it sets `opaque`.
    pub fn request(code: RequestCode, ext: ExtFields, body: Bytes) -> Frame {
        let header = Header {
            code: code.0,
            language: Language::Rust,
            version: Version::CURRENT,
            opaque: 0,
            flag: Flag::REQUEST,
            remark: None,
            ext,
        };
        Frame {
            header,
            body,
            serialization: Serialization::Json,
        }
    }

    /// The same request with its header in RocketMQ's own binary form, which every broker reads
    /// with less work than JSON. The form has no empty values: they arrive as none.
    pub fn binary(mut self) -> Frame {
        self.serialization = Serialization::Binary;
        self
    }

    /// The same request, to be sent without waiting for a reply.
    pub fn oneway(mut self) -> Frame {
        self.header.flag = Flag::ONEWAY;
        self
    }

    /// Appends the whole frame.
    pub fn encode(&self, out: &mut BytesMut) {
        self.encode_head(out);
        out.extend_from_slice(&self.body);
    }

    /// Appends everything up to the body, for senders that pass the body on without copying it.
    pub fn encode_head(&self, out: &mut BytesMut) {
        let header = &self.header;
        let head = Head {
            code: header.code,
            language: header.language,
            version: header.version,
            opaque: header.opaque,
            flag: header.flag,
            remark: header.remark.as_deref(),
        };
        encode_head(out, self.serialization, &head, &header.ext, self.body.len());
    }
}
