//! Bodies that prove their own content: a number, padding that follows from it, a checksum.

/// The body of message `number`: 64 bytes to 2 KiB, as in the Java program.
pub fn body(number: u64) -> Vec<u8> {
    let length = 64 + (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 53) as usize;
    let mut body = format!("{number} ").into_bytes();
    body.resize(length - 8, b'a' + (number % 26) as u8);
    let sum = format!("{:08x}", crc32fast::hash(&body));
    body.extend(sum.bytes());
    body
}

/// The number of a whole body; `None` for bytes that nobody sent.
pub fn number_of(bytes: &[u8]) -> Option<u64> {
    let end = bytes.iter().position(|byte| *byte == b' ')?;
    let number = std::str::from_utf8(&bytes[..end]).ok()?.parse().ok()?;
    (body(number) == bytes).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_known_again_and_a_damaged_one_is_not() {
        for number in [0, 1, 77, u64::from(u32::MAX), u64::MAX] {
            let mut whole = body(number);
            assert_eq!(number_of(&whole), Some(number));
            assert!((64..=64 + 0x7ff).contains(&whole.len()));
            let middle = whole.len() / 2;
            whole[middle] ^= 1;
            assert_eq!(number_of(&whole), None);
        }
        assert_eq!(number_of(b""), None);
    }
}
