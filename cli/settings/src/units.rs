//! Sizes and spans as people write them.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::{Serialize, Serializer};

/// A number of bytes: `512`, `64KiB`, `10MiB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

/// A length of time: `500ms`, `5s`, `2m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

/// A length of time in whole hours: `72h`, `3d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours(pub u64);

/// A share of the disk, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Percent(pub u8);

const HOUR_MS: u64 = 3_600_000;
const SIZES: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("", 1),
];
const SPANS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", HOUR_MS),
    ("d", 86_400_000),
];

impl Bytes {
    /// Reads a size; `None` for anything else, too large a number included.
    pub fn parse(text: &str) -> Option<Bytes> {
        measure(text, SIZES).map(Bytes)
    }
}

impl Span {
    /// Reads a span; `None` for anything else. A unit is required.
    pub fn parse(text: &str) -> Option<Span> {
        measure(text, SPANS).map(|millis| Span(Duration::from_millis(millis)))
    }
}

impl Hours {
    /// Reads a span that has no minutes; `None` for anything else.
    pub fn parse(text: &str) -> Option<Hours> {
        let millis = measure(text, SPANS)?;
        millis
            .is_multiple_of(HOUR_MS)
            .then_some(Hours(millis / HOUR_MS))
    }
}

fn measure(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    let factor = units
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))?
        .1;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) = SIZES
            .iter()
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor))
            .unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis() as u64;
        let (unit, factor) = SPANS
            .iter()
            .rev()
            .find(|(_, factor)| millis >= *factor && millis.is_multiple_of(*factor))
            .unwrap_or(&("ms", 1));
        write!(f, "{}{unit}", millis / factor)
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Span(Duration::from_millis(self.0 * HOUR_MS)).fmt(f)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Percent, D::Error> {
        let share = i64::deserialize(deserializer)?;
        match u8::try_from(share) {
            Ok(percent @ 0..=100) => Ok(Percent(percent)),
            _ => Err(D::Error::invalid_value(
                Unexpected::Signed(share),
                &"a share from 0 to 100",
            )),
        }
    }
}

macro_rules! written_as_text {
    ($type:ty, $expects:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expects)
                    }
                    fn visit_str<E: Error>(self, text: &str) -> Result<$type, E> {
                        <$type>::parse(text)
                            .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}
pub(super) use written_as_text;

written_as_text!(Bytes, "a size such as \"64KiB\", \"10MiB\" or \"1GiB\"");
written_as_text!(Span, "a span such as \"500ms\", \"5s\" or \"2m\"");
written_as_text!(Hours, "whole hours such as \"72h\" or \"3d\"");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_read_as_written() {
        assert_eq!(Bytes::parse("10MiB"), Some(Bytes(10 << 20)));
        assert_eq!(Bytes::parse("512"), Some(Bytes(512)));
        assert_eq!(Span::parse("500ms"), Some(Span(Duration::from_millis(500))));
        assert_eq!(Span::parse("2 m"), Some(Span(Duration::from_secs(120))));
    }

    #[test]
    fn nonsense_and_overflow_are_refused() {
        for text in [
            "",
            "MiB",
            "-1MiB",
            "1.5GiB",
            "20000000000000GiB",
            "5 parsecs",
        ] {
            assert_eq!(Bytes::parse(text), None, "{text}");
        }
        assert_eq!(Span::parse("5"), None, "a span without a unit is ambiguous");
    }

    #[test]
    fn hours_are_whole() {
        assert_eq!(Hours::parse("3d"), Some(Hours(72)));
        assert_eq!(Hours::parse("120m"), Some(Hours(2)));
        assert_eq!(Hours::parse("30m"), None, "it would be cut to nothing");
        assert_eq!(Hours(72).to_string(), "3d");
    }

    #[test]
    fn display_reads_back() {
        for bytes in [0, 1, 1023, 1024, 3 << 20, 1 << 30] {
            assert_eq!(Bytes::parse(&Bytes(bytes).to_string()), Some(Bytes(bytes)));
        }
        for millis in [0, 1, 999, 1000, 60_000, 5_400_000] {
            let span = Span(Duration::from_millis(millis));
            assert_eq!(Span::parse(&span.to_string()), Some(span));
        }
    }
}
