//! The hash of Java's strings, on which tags codes and key indexes are built.

/// Java's `String.hashCode`: `31 * h + unit` over the UTF-16 units, wrapping at 32 bits.
pub fn java_hash(text: &str) -> i32 {
    continue_hash(0, text)
}

/// The hash of a longer text whose first part hashed to `hash`.
pub(crate) fn continue_hash(hash: i32, text: &str) -> i32 {
    let step = |hash: i32, unit: u16| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    if !text.is_ascii() {
        return text.encode_utf16().fold(hash, step);
    }
    // Four steps at once, so that one multiplication does not wait for the other.
    let (fours, rest) = text.as_bytes().as_chunks::<4>();
    let hash = fours.iter().fold(hash, |hash, four| {
        let [a, b, c, d] = four.map(i32::from);
        hash.wrapping_mul(31 * 31 * 31 * 31)
            .wrapping_add(a * (31 * 31 * 31) + b * (31 * 31) + c * 31 + d)
    });
    rest.iter()
        .fold(hash, |hash, byte| step(hash, u16::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_java() {
        for (text, expected) in [
            ("", 0),
            ("TagA", 2_598_919),
            ("TagB", 2_598_920),
            ("TopicTest#k1", 2_746_024),
            ("order-1", -1_207_111_310),
            ("polygenelubricants", i32::MIN),
            ("ä", 228),
            ("😀", 1_772_899),
        ] {
            assert_eq!(java_hash(text), expected, "{text}");
        }
    }

    #[test]
    fn a_text_may_be_hashed_in_parts() {
        assert_eq!(
            continue_hash(java_hash("TopicTest#"), "k1"),
            java_hash("TopicTest#k1")
        );
    }
}
