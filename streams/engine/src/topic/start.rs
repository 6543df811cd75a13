//! Where a source that has no position yet begins.

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;

use crate::BoxError;

/// Where to begin in every queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Earliest,
    /// Where the consumer group is; at the earliest message of a queue that it never read.
    Committed,
    Latest,
    /// Messages stored at or after this, ms since 1970.
    Timestamp(i64),
    /// This message, or the nearest one that is there.
    Offset(u64),
}

impl Start {
    /// Reads the options of a table.
    pub(super) fn of<'a>(option: impl Fn(&str) -> Option<&'a str>) -> Result<Start, BoxError> {
        let mode = option("scanStartupMode");
        let has_group = option("consumerGroup").is_some();
        let Some((key, point)) = point(&option)? else {
            return match mode.map(normal).as_deref() {
                None | Some("earliest" | "earliest-offset") => Ok(Start::Earliest),
                Some("latest" | "latest-offset") => Ok(Start::Latest),
                Some("group-offsets") if has_group => Ok(Start::Committed),
                Some("group-offsets") => {
                    Err("'scanStartupMode' = 'group-offsets' needs 'consumerGroup'".into())
                }
                Some("timestamp") => {
                    Err("'scanStartupMode' = 'timestamp' needs 'offsetFromTimestamp'".into())
                }
                Some(other) => Err(format!(
                    "'scanStartupMode' = '{other}' is none of earliest, latest, timestamp, group-offsets"
                )
                .into()),
            };
        };
        match (mode.map(normal).as_deref(), point) {
            (None, _) | (Some("timestamp"), Start::Timestamp(_)) => Ok(point),
            (Some(mode), _) => Err(format!(
                "'scanStartupMode' = '{mode}' and '{key}' both say where to begin: leave one out"
            )
            .into()),
        }
    }
}

fn normal(mode: &str) -> String {
    mode.to_ascii_lowercase().replace('_', "-")
}

/// The point that a table names, and the option that names it.
fn point<'a>(
    option: &impl Fn(&str) -> Option<&'a str>,
) -> Result<Option<(&'static str, Start)>, BoxError> {
    let mut found: Option<(&str, Start)> = None;
    for key in [
        "startMessageOffset",
        "offsetFromTimestamp",
        "startTimeMs",
        "startTime",
    ] {
        let Some(text) = option(key) else { continue };
        let whole = || format!("'{key}' = '{text}' is not a whole number from 0 on");
        let start = match key {
            "startMessageOffset" => Start::Offset(text.parse().map_err(|_| whole())?),
            "startTime" => Start::Timestamp(moment(text, option("timeZone"))?),
            _ => Start::Timestamp(text.parse().map_err(|_| whole())?),
        };
        if let Some((other, _)) = found.replace((key, start)) {
            return Err(
                format!("'{other}' and '{key}' both say where to begin: leave one out").into(),
            );
        }
    }
    Ok(found)
}

/// A date and a time of day in some zone, as ms since 1970.
fn moment(text: &str, zone: Option<&str>) -> Result<i64, BoxError> {
    let nanos = string_to_timestamp_nanos(text)
        .map_err(|_| format!("'startTime' = '{text}' is not written as 2024-01-31 09:05:00"))?;
    let east = zone.map_or(Some(0), minutes_east).ok_or_else(|| {
        format!(
            "'timeZone' = '{}' is not known: zones are written as UTC or GMT+08:00",
            zone.unwrap_or_default()
        )
    })?;
    Ok(nanos.div_euclid(1_000_000) - east * 60_000)
}

/// How far a zone is ahead of UTC, if it is written as a distance to it.
fn minutes_east(zone: &str) -> Option<i64> {
    let named = zone.strip_prefix("GMT").or(zone.strip_prefix("UTC"));
    let distance = named.unwrap_or(zone);
    if distance.is_empty() || distance == "Z" {
        return Some(0);
    }
    let (sign, distance) = match distance.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match distance.split_once(':') {
        Some(parts) => parts,
        None if distance.len() == 4 => distance.split_at_checked(2)?,
        None => (distance, "0"),
    };
    let number = |text: &str, below: i64| {
        let digits = matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit());
        let number: i64 = text.parse().ok().filter(|_| digits)?;
        (number < below).then_some(number)
    };
    Some(sign * (number(hours, 24)? * 60 + number(minutes, 60)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(options: &[(&str, &'static str)], expected: Option<Start>) {
        let option = |key: &str| {
            let mut found = options.iter().filter(|(known, _)| *known == key);
            found.next().map(|(_, value)| *value)
        };
        let start = Start::of(option);
        assert_eq!(start.as_ref().ok(), expected.as_ref(), "{start:?}");
    }

    #[test]
    fn a_source_starts_where_its_options_say() {
        check(&[("consumerGroup", "g")], Some(Start::Earliest));
        check(&[("scanStartupMode", "LATEST")], Some(Start::Latest));
        let at = Some(Start::Timestamp(17));
        check(
            &[
                ("scanStartupMode", "timestamp"),
                ("offsetFromTimestamp", "17"),
            ],
            at,
        );
        check(&[("startTimeMs", "17")], at);
        check(&[("startMessageOffset", "17")], Some(Start::Offset(17)));
        check(&[("scanStartupMode", "timestamp")], None);
        check(&[("scanStartupMode", "yesterday")], None);
        check(&[("startTimeMs", "noon")], None);
        check(&[("startMessageOffset", "-1")], None);
    }

    #[test]
    fn only_one_option_may_say_where_to_begin() {
        check(&[("startTimeMs", "17"), ("startMessageOffset", "17")], None);
        check(
            &[("scanStartupMode", "earliest"), ("startTimeMs", "17")],
            None,
        );
        check(
            &[
                ("scanStartupMode", "timestamp"),
                ("startMessageOffset", "17"),
            ],
            None,
        );
    }

    #[test]
    fn only_a_table_with_a_group_starts_where_its_group_is() {
        let mode = ("scanStartupMode", "group-offsets");
        check(&[mode, ("consumerGroup", "g")], Some(Start::Committed));
        check(&[mode], None);
    }

    #[test]
    fn a_start_time_is_one_of_its_zone() {
        let noon = 1_704_110_400_000;
        for (zone, hours) in [
            ("UTC", 0),
            ("GMT", 0),
            ("Z", 0),
            ("GMT+8", 8),
            ("GMT+08:00", 8),
            ("+0800", 8),
            ("UTC-3", -3),
        ] {
            let options = [("startTime", "2024-01-01 12:00:00"), ("timeZone", zone)];
            check(&options, Some(Start::Timestamp(noon - hours * 3_600_000)));
        }
        check(
            &[("startTime", "2024-01-01 12:00:00")],
            Some(Start::Timestamp(noon)),
        );
        check(&[("startTime", "noon")], None);
        for zone in ["Asia/Shanghai", "GMT+25", "+8:61", "GMT+é"] {
            check(
                &[("startTime", "2024-01-01 12:00:00"), ("timeZone", zone)],
                None,
            );
        }
    }
}
