//! A value's text into a column: what a JSON string or a CSV field holds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::number::{self, Rounding};
use super::{Column, Meaning, Values};
use crate::temporal::{Zone, parse_date, parse_time, parse_timestamp};

impl Column {
    /// Appends a value from its text. The error names the column, the text and what was expected.
    pub(crate) fn append_text(&mut self, text: &str) -> Result<(), String> {
        if self.store_text(text) {
            self.append_valid();
            return Ok(());
        }
        Err(self.refusal(text))
    }

    /// The error for a value that this column cannot hold.
    pub(crate) fn refusal(&self, text: &str) -> String {
        const SHOWN: usize = 60;
        let shown: String = text.chars().take(SHOWN).collect();
        let more = if shown.len() < text.len() { "…" } else { "" };
        format!(
            "field \"{}\": \"{shown}{more}\" is not {}",
            self.name,
            self.expected()
        )
    }

    fn expected(&self) -> String {
        match (&self.meaning, &self.values) {
            (Meaning::Date, _) => "a date yyyy-MM-dd".into(),
            (Meaning::Time(_), _) => "a time HH:mm:ss".into(),
            (Meaning::Timestamp { zoned: false, .. }, _) => {
                "a timestamp yyyy-MM-dd HH:mm:ss without a zone".into()
            }
            (Meaning::Timestamp { zoned: true, .. }, _) => {
                "a timestamp yyyy-MM-dd HH:mm:ss with a zone, as Z or +hh:mm".into()
            }
            (Meaning::Decimal { precision, scale }, _) => {
                format!("a DECIMAL({precision}, {scale})")
            }
            (Meaning::Binary, _) => "base64".into(),
            (Meaning::Text, _) => "a text that fits the batch".into(),
            (Meaning::Plain, values) => match values {
                Values::Boolean(_) => "true or false",
                Values::Int8(_) => "a TINYINT",
                Values::Int16(_) => "a SMALLINT",
                Values::Int32(_) => "an INT",
                Values::Int64(_) => "a BIGINT",
                Values::UInt8(_) | Values::UInt16(_) | Values::UInt32(_) | Values::UInt64(_) => {
                    "a whole number in range"
                }
                Values::Float32(_) | Values::Float64(_) => "a number",
                Values::List { .. } => "an array",
                Values::Map { .. } | Values::Row(_) => "an object",
                Values::Decimal(_) | Values::Bytes { .. } => "a value of the column's type",
            }
            .into(),
        }
    }

    /// Appends the bytes of a text or binary value.
    pub(crate) fn store_bytes(&mut self, bytes: &[u8]) -> bool {
        let Values::Bytes { ends, data } = &mut self.values else {
            return false;
        };
        let Ok(end) = i32::try_from(data.len() + bytes.len()) else {
            return false;
        };
        data.extend_from_slice(bytes);
        ends.push(end);
        true
    }

    /// Like [`Column::append_text`] for bytes that need no reading: a binary value as it is.
    pub(crate) fn append_bytes(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.store_bytes(bytes) {
            self.append_valid();
            return Ok(());
        }
        Err(format!(
            "field \"{}\": the batch holds no more than 2 GiB of it",
            self.name
        ))
    }

    fn store_text(&mut self, text: &str) -> bool {
        match self.meaning {
            Meaning::Text => return self.store_bytes(text.as_bytes()),
            Meaning::Binary => {
                return STANDARD
                    .decode(text)
                    .is_ok_and(|bytes| self.store_bytes(&bytes));
            }
            _ => {}
        }
        let text = text.trim();
        match (self.meaning, &mut self.values) {
            (Meaning::Date, Values::Int32(values)) => push(values, parse_date(text)),
            (Meaning::Time(ticks), Values::Int32(values)) => push(
                values,
                time(text, ticks).and_then(|value| i32::try_from(value).ok()),
            ),
            (Meaning::Time(ticks), Values::Int64(values)) => push(values, time(text, ticks)),
            (Meaning::Timestamp { ticks, zoned }, Values::Int64(values)) => {
                push(values, timestamp(text, ticks, zoned))
            }
            (Meaning::Decimal { precision, scale }, Values::Decimal(values)) => push(
                values,
                number::decimal(text, precision, scale, Rounding::HalfUp),
            ),
            (_, Values::Boolean(values)) => {
                let value = if text.eq_ignore_ascii_case("true") {
                    true
                } else if text.eq_ignore_ascii_case("false") {
                    false
                } else {
                    return false;
                };
                values.append(value);
                true
            }
            (_, Values::Int8(values)) => push(values, integer(text)),
            (_, Values::Int16(values)) => push(values, integer(text)),
            (_, Values::Int32(values)) => push(values, integer(text)),
            (_, Values::Int64(values)) => push(values, integer(text)),
            (_, Values::UInt8(values)) => push(values, integer(text)),
            (_, Values::UInt16(values)) => push(values, integer(text)),
            (_, Values::UInt32(values)) => push(values, integer(text)),
            (_, Values::UInt64(values)) => push(values, integer(text)),
            (_, Values::Float32(values)) => push(values, text.parse().ok()),
            (_, Values::Float64(values)) => push(values, text.parse().ok()),
            _ => false,
        }
    }
}

fn push<T>(values: &mut Vec<T>, value: Option<T>) -> bool {
    value.map(|value| values.push(value)).is_some()
}

fn integer<T: TryFrom<i128> + std::str::FromStr>(text: &str) -> Option<T> {
    match text.parse() {
        Ok(value) => Some(value),
        Err(_) => number::integer(text).and_then(|value| T::try_from(value).ok()),
    }
}

fn time(text: &str, ticks: i64) -> Option<i64> {
    parse_time(text).map(|nanos| nanos / (1_000_000_000 / ticks))
}

fn timestamp(text: &str, ticks: i64, zoned: bool) -> Option<i64> {
    let (seconds, nanos, zone) = parse_timestamp(text)?;
    let seconds = match (zone, zoned) {
        (Zone::Absent, false) => seconds,
        (Zone::Offset(east), true) => seconds - east,
        _ => return None,
    };
    seconds
        .checked_mul(ticks)?
        .checked_add(nanos / (1_000_000_000 / ticks))
}
