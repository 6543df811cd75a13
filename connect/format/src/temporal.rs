//! Dates, times and timestamps as text, both ways.
//!
//! Read here are `2001-01-31`, `09:05:00[.f…]` and the two joined by a blank or a `T`. A zone
//! (`Z`, `+hh:mm`) is required to be absent where the column has none, because dropping it
//! would move the instant in silence.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Timelike};

const NANOS: i64 = 1_000_000_000;

/// Whether a text carries a zone, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    Absent,
    /// Seconds east of UTC.
    Offset(i64),
}

/// Days since 1970-01-01 of `yyyy-MM-dd`.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let (year, month, day) = (
        digits(&bytes[..4])?,
        digits(&bytes[5..7])?,
        digits(&bytes[8..])?,
    );
    let date = NaiveDate::from_ymd_opt(year as i32, month, day)?;
    Some(date.to_epoch_days())
}

/// Nanoseconds since midnight of `HH:mm:ss[.f…]`; digits beyond the ninth are dropped.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || bytes[2] != b':' || bytes[5] != b':' {
        return None;
    }
    let (hour, minute, second) = (
        digits(&bytes[..2])?,
        digits(&bytes[3..5])?,
        digits(&bytes[6..8])?,
    );
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let nanos = match &bytes[8..] {
        [] => 0,
        [b'.', fraction @ ..]
            if !fraction.is_empty() && fraction.iter().all(u8::is_ascii_digit) =>
        {
            let mut nanos = 0;
            for place in 0..9 {
                nanos = nanos * 10
                    + fraction
                        .get(place)
                        .map_or(0, |digit| i64::from(digit - b'0'));
            }
            nanos
        }
        _ => return None,
    };
    Some((i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second)) * NANOS + nanos)
}

/// Seconds since 1970 as written, nanoseconds of that second, and the zone that was written.
pub(crate) fn parse_timestamp(text: &str) -> Option<(i64, i64, Zone)> {
    let bytes = text.as_bytes();
    if bytes.len() < 19 || !(bytes[10] == b' ' || bytes[10] == b'T') || !text.is_ascii() {
        return None;
    }
    let days = i64::from(parse_date(&text[..10])?);
    let (time, zone) = split_zone(&text[11..])?;
    let nanos = parse_time(time)?;
    Some((days * 86_400 + nanos / NANOS, nanos % NANOS, zone))
}

fn split_zone(text: &str) -> Option<(&str, Zone)> {
    if let Some(time) = text.strip_suffix('Z') {
        return Some((time, Zone::Offset(0)));
    }
    let Some(sign) = text.find(['+', '-']) else {
        return Some((text, Zone::Absent));
    };
    let (time, zone) = text.split_at(sign);
    let bytes = zone.as_bytes();
    if bytes.len() != 6 || bytes[3] != b':' {
        return None;
    }
    let (hours, minutes) = (
        i64::from(digits(&bytes[1..3])?),
        i64::from(digits(&bytes[4..])?),
    );
    if hours > 18 || minutes > 59 {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60;
    Some((
        time,
        Zone::Offset(if bytes[0] == b'-' { -seconds } else { seconds }),
    ))
}

fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + u32::from(byte - b'0'))
    })
}

/// Appends `yyyy-MM-dd`. Years outside 0000–9999 are written with their sign, as in ISO 8601.
pub(crate) fn write_date(out: &mut Vec<u8>, days: i32) {
    let Some(date) = NaiveDate::from_epoch_days(days) else {
        return out.extend_from_slice(days.to_string().as_bytes());
    };
    match date.year() {
        year @ 0..=9999 => {
            two(out, year as u32 / 100);
            two(out, year as u32 % 100);
        }
        year => out.extend_from_slice(format!("{year:+05}").as_bytes()),
    }
    out.push(b'-');
    two(out, date.month());
    out.push(b'-');
    two(out, date.day());
}

/// Appends `HH:mm:ss[.f…]` with as few fraction digits as the value needs.
pub(crate) fn write_time(out: &mut Vec<u8>, nanos: i64) {
    let seconds = (nanos / NANOS) as u32;
    let time =
        NaiveTime::from_num_seconds_from_midnight_opt(seconds % 86_400, 0).unwrap_or_default();
    two(out, time.hour());
    out.push(b':');
    two(out, time.minute());
    out.push(b':');
    two(out, time.second());
    let fraction = nanos % NANOS;
    if fraction != 0 {
        let text = format!(".{fraction:09}");
        out.extend_from_slice(text.trim_end_matches('0').as_bytes());
    }
}

/// Appends a date, `separator` and a time; `seconds` since 1970 and the nanoseconds of that second.
pub(crate) fn write_timestamp(out: &mut Vec<u8>, seconds: i64, nanos: i64, separator: u8) {
    let days = seconds.div_euclid(86_400);
    match i32::try_from(days)
        .ok()
        .filter(|_| DateTime::from_timestamp(seconds, 0).is_some())
    {
        Some(days) => write_date(out, days),
        None => out.extend_from_slice(days.to_string().as_bytes()),
    }
    out.push(separator);
    write_time(out, seconds.rem_euclid(86_400) * NANOS + nanos);
}

fn two(out: &mut Vec<u8>, number: u32) {
    out.push(b'0' + (number / 10) as u8);
    out.push(b'0' + (number % 10) as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_timestamp(text: &str, expected: Option<(i64, i64, Zone)>) {
        assert_eq!(parse_timestamp(text), expected, "{text}");
    }

    #[test]
    fn a_timestamp_is_read_with_a_blank_or_a_t() {
        let expected = Some((978_310_020, 250_000_000, Zone::Absent));
        check_timestamp("2001-01-01 00:47:00.25", expected);
        check_timestamp("2001-01-01T00:47:00.25", expected);
    }

    #[test]
    fn a_zone_is_reported_and_not_applied() {
        check_timestamp("1970-01-01 00:00:00Z", Some((0, 0, Zone::Offset(0))));
        check_timestamp(
            "1970-01-01T02:00:00+02:00",
            Some((7200, 0, Zone::Offset(7200))),
        );
    }

    #[test]
    fn what_is_no_timestamp_is_refused() {
        for text in [
            "",
            "2001-01-01",
            "2001-02-29 00:00:00",
            "2001-01-01 24:00:00",
            "2001-01-01 00:60:00",
            "2001-01-01 00:00:00.",
            "2001-01-01 00:00:00.1x",
            "2001-01-01_00:00:00",
            "2001-1-1 00:00:00",
            "2001-01-01 00:00:00+2",
            "2001-01-01 00:00:0é",
        ] {
            check_timestamp(text, None);
        }
    }

    #[test]
    fn a_fraction_is_written_as_short_as_it_is() {
        let mut out = Vec::new();
        write_timestamp(&mut out, 978_310_020, 250_000_000, b' ');
        assert_eq!(out, b"2001-01-01 00:47:00.25");
    }

    #[test]
    fn moments_before_1970_count_forward_within_their_day() {
        let mut out = Vec::new();
        write_timestamp(&mut out, -1, 999_000_000, b'T');
        assert_eq!(out, b"1969-12-31T23:59:59.999");
        check_timestamp(
            "1969-12-31T23:59:59.999",
            Some((-1, 999_000_000, Zone::Absent)),
        );
    }

    proptest::proptest! {
        #[test]
        fn every_second_of_four_digit_years_survives_the_text(seconds in -62_135_596_800_i64..253_402_300_799, nanos in 0_i64..NANOS) {
            let mut out = Vec::new();
            write_timestamp(&mut out, seconds, nanos, b' ');
            let text = String::from_utf8(out).expect("digits");
            proptest::prop_assert_eq!(parse_timestamp(&text), Some((seconds, nanos, Zone::Absent)));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            parse_timestamp(&text);
            parse_time(&text);
            parse_date(&text);
        }
    }
}
