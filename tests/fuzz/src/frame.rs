//! A connection's bytes, cut anywhere, as a stream of frames.

use bytes::BytesMut;
use protocol::{Caller, FRAME_LIMIT, Frame, Reply, Serialization};

/// The first byte decides where the stream is cut, the rest is the stream.
pub(crate) fn run(bytes: &[u8]) {
    let Some((cuts, stream)) = bytes.split_first() else {
        return;
    };
    let whole = read(stream, stream.len().max(1), 0);
    let cut = read(stream, usize::from(cuts >> 4) + 1, usize::from(cuts & 15));
    assert_eq!(whole, cut, "where the stream is cut changes nothing");
    let mut answers = BytesMut::new();
    for frame in &whole.frames {
        is_understood_again(frame);
        Reply::success()
            .remark("é")
            .encode_for(&Caller::of(frame), &mut answers);
    }
    while let Some(answer) = Frame::decode(&mut answers).expect("our replies are frames") {
        assert!(answer.header.flag.is_response());
    }
    assert!(answers.is_empty());
}

/// What a stream was understood as.
#[derive(Debug, PartialEq)]
struct Understood {
    frames: Vec<Frame>,
    /// Why it could not be followed any further.
    error: Option<String>,
    /// Bytes of a frame that has not come whole.
    left: Option<usize>,
}

fn read(stream: &[u8], step: usize, more: usize) -> Understood {
    let mut understood = Understood {
        frames: Vec::new(),
        error: None,
        left: None,
    };
    let mut buffer = BytesMut::new();
    let mut rest = stream;
    let mut step = step;
    loop {
        loop {
            let length = Frame::length(&buffer);
            match Frame::decode(&mut buffer) {
                Ok(Some(frame)) => {
                    let length = length.expect("it was read").expect("it is whole");
                    assert!(length <= FRAME_LIMIT);
                    understood.frames.push(frame);
                }
                Ok(None) => break,
                Err(why) => {
                    understood.error = Some(why.to_string());
                    return understood;
                }
            }
        }
        if rest.is_empty() {
            understood.left = Some(buffer.len());
            return understood;
        }
        let (now, later) = rest.split_at(step.min(rest.len()));
        buffer.extend_from_slice(now);
        rest = later;
        step += more;
    }
}

fn is_understood_again(frame: &Frame) {
    let mut written = BytesMut::new();
    frame.encode(&mut written);
    let again = Frame::decode(&mut written).expect("what we write we can read");
    assert!(written.is_empty());
    assert_eq!(again.as_ref(), Some(frame));
    // A request's code may be one that the binary form has no room for.
    let other = Frame {
        serialization: match frame.serialization {
            Serialization::Json => Serialization::Binary,
            Serialization::Binary => Serialization::Json,
        },
        ..frame.clone()
    };
    let mut written = BytesMut::new();
    other.encode(&mut written);
    let again = Frame::decode(&mut written).expect("what we write we can read");
    let again = again.expect("it is whole");
    assert_eq!(again.header.opaque, frame.header.opaque);
    assert_eq!(again.body, frame.body);
}
