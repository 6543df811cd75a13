//! Compressed bodies, in the three ways RocketMQ's clients know.

use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use model::Compression;

/// Most bytes one body may grow to. RocketMQ's brokers take 4 MiB unless told otherwise.
const BODY_LIMIT: u64 = 64 << 20;
/// Zstandard's usual level for messages.
const ZSTD_LEVEL: i32 = 3;

/// The compressed form of a body.
pub(crate) fn compress(body: &[u8], how: Compression) -> io::Result<Bytes> {
    let compressed = match how {
        Compression::Zlib => {
            let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(body)?;
            encoder.finish()?
        }
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(body)?;
            encoder.finish().map_err(io::Error::other)?
        }
        Compression::Zstd => zstd::encode_all(body, ZSTD_LEVEL)?,
    };
    Ok(compressed.into())
}

/// The body as it was before it was compressed. Fails on bytes that are not that, and on bodies
/// above 64 MiB, before more than that is taken into memory.
pub(crate) fn expand(body: &[u8], how: Compression) -> io::Result<Bytes> {
    expand_within(body, how, BODY_LIMIT)
}

fn expand_within(body: &[u8], how: Compression, limit: u64) -> io::Result<Bytes> {
    match how {
        Compression::Zlib => read_all(ZlibDecoder::new(body), limit),
        Compression::Lz4 => read_all(lz4_flex::frame::FrameDecoder::new(body), limit),
        Compression::Zstd => read_all(zstd::Decoder::with_buffer(body)?, limit),
    }
}

fn read_all(compressed: impl Read, limit: u64) -> io::Result<Bytes> {
    let mut body = Vec::new();
    compressed.take(limit + 1).read_to_end(&mut body)?;
    if body.len() as u64 > limit {
        let why = format!("the body has more than {limit} bytes when expanded");
        return Err(io::Error::other(why));
    }
    Ok(body.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Compression; 3] = [Compression::Zlib, Compression::Lz4, Compression::Zstd];

    #[test]
    fn what_is_compressed_comes_back() {
        let body: Vec<u8> = (0..100_000u32)
            .flat_map(|n| (n / 7).to_le_bytes())
            .collect();
        for how in ALL {
            let compressed = compress(&body, how).expect("memory takes everything");
            assert!(compressed.len() < body.len(), "{how:?}");
            assert_eq!(
                expand(&compressed, how).expect("our own bytes"),
                body,
                "{how:?}"
            );
        }
    }

    #[test]
    fn a_body_that_grows_beyond_its_limit_is_refused() {
        let zeros = vec![0; 1_000_001];
        for how in ALL {
            let compressed = compress(&zeros, how).expect("memory takes everything");
            assert!(
                expand_within(&compressed, how, 1_000_000).is_err(),
                "{how:?}"
            );
            assert!(
                expand_within(&compressed, how, 1_000_001).is_ok(),
                "{how:?}"
            );
        }
    }

    #[test]
    fn bytes_that_were_never_compressed_are_an_error() {
        for how in ALL {
            assert!(expand(b"plain text", how).is_err(), "{how:?}");
            let cut = compress(&[7; 5_000], how).expect("memory takes everything");
            assert!(expand(&cut[..cut.len() / 2], how).is_err(), "{how:?}");
        }
    }
}
