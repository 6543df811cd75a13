//! Hides in a tool's output what differs from run to run.

/// A line that only one side prints, on purpose.
pub struct Known {
    /// Beginning of the command.
    pub command: &'static str,
    /// Part of the line.
    pub line: &'static str,
    pub why: &'static str,
}

/// Commands whose numbers are measurements.
const MEASUREMENTS: [&str; 2] = ["clusterList", "brokerStatus"];
/// Commands that print sets, in any order.
const SETS: [&str; 4] = [
    "topicList",
    "consumerProgress",
    "resetOffsetByTime",
    "brokerStatus",
];

/// The lines of what `command` printed, without what is volatile.
pub fn masked(command: &str, printed: &str, known: &[Known]) -> Vec<String> {
    let is = |commands: &[&str]| commands.iter().any(|name| command.starts_with(name));
    let mut lines: Vec<String> = printed
        .lines()
        .filter(|line| {
            let explained = |known: &Known| {
                debug_assert!(!known.why.is_empty());
                command.starts_with(known.command) && line.contains(known.line)
            };
            !known.iter().any(explained)
        })
        .map(|line| match command.split(' ').next() {
            Some("brokerStatus") => figure(line),
            _ => masked_line(line, is(&MEASUREMENTS) || line.contains("TPS")),
        })
        .filter(|line| !line.is_empty())
        .collect();
    if is(&SETS) {
        lines.sort();
    }
    lines
}

/// The name of a figure: its value is a measurement or a setting.
fn figure(line: &str) -> String {
    let name = line.rsplit_once(": ").map_or(line, |(name, _)| name);
    let name = name.split_once("Capacity").map_or(name, |_| name);
    masked_line(name.split(" : ").next().unwrap_or(name), false)
}

/// One line without times, ids and ports, and without numbers if they are measurements.
pub fn masked_line(line: &str, measurements: bool) -> String {
    let line = without_checksum(line);
    let line = match line.trim_start().strip_prefix("CommitLog Offset:") {
        // Records have other sizes here: each carries its own checksum.
        Some(_) => "CommitLog Offset: #".to_owned(),
        None => line,
    };
    let words = line.split_whitespace().map(|word| {
        let word = match word.rsplit_once('@') {
            Some((key, at)) if word.contains("@K@") && at.parse::<u64>().is_ok() => key,
            _ => word,
        };
        masked_word(word, measurements)
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Every stored record has a property with its own checksum, which RocketMQ writes only when
/// it is told to.
fn without_checksum(line: &str) -> String {
    let Some((before, rest)) = line.split_once("__CRC32#=") else {
        return line.to_owned();
    };
    let after = rest.split_once(", ").map_or("", |(_, after)| after);
    format!("{before}{after}")
}

/// Digits that are a time, a date, an id or a port become `#`; all digits of a measurement do.
fn masked_word(word: &str, measurements: bool) -> String {
    let volatile = measurements || is_time(word) || word.contains("127.0.0.1:");
    let mut masked = String::new();
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let hex = rest
            .find(|c: char| !c.is_ascii_digit() && !('A'..='F').contains(&c))
            .unwrap_or(rest.len());
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let taken = if hex >= 24 {
            hex
        } else if digits >= 13 || digits > 0 && volatile {
            digits
        } else {
            masked.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        if !masked.ends_with('#') {
            masked.push('#');
        }
        rest = &rest[taken..];
        // A decimal point belongs to the measurement.
        if volatile && rest.starts_with('.') && !word.contains("127.0.0.1") {
            rest = &rest[1..];
        }
    }
    masked
}

/// `2026-11-22`, `15:47:24,796`, `15:47:49`.
fn is_time(word: &str) -> bool {
    let shape: String = word
        .chars()
        .map(|c| if c.is_ascii_digit() { '9' } else { c })
        .collect();
    ["9999-99-99", "99:99:99,999", "99:99:99"].contains(&shape.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        assert_eq!(masked_line(line, false), expected);
    }

    #[test]
    fn times_ids_and_ports_are_hidden_and_offsets_are_not() {
        check(
            "broker-a  0  0  14  2026-11-22 15:49:43,679",
            "broker-a 0 0 14 #-#-# #:#:#,#",
        );
        check("OffsetID:  7F000001000078BF000000000000B2DF", "OffsetID: #");
        check("Born Host:  127.0.0.1:36998", "Born Host: #.#.#.#:#");
        check("{__CRC32#=5274742571, TAGS=TagA}", "{TAGS=TagA}");
        check(
            "1795374000000@T@K@k@FD00000000000000000000000000000230DC@885",
            "#@T@K@k@#",
        );
        assert_eq!(masked_line("Consume TPS: 0.20", true), "Consume TPS: #");
    }
}
