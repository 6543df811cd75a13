//! Results on standard output: a table for people, JSON for programs.

use std::io::Write;

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::arguments::Output;

/// Prints rows of one kind. JSON is the rows as they serialise, in one array.
pub fn rows<R: Serialize>(
    output: Output,
    rows: &[R],
    headings: &[&str],
    cells: impl Fn(&R) -> Vec<String>,
) {
    match output {
        Output::Json => json(&rows),
        Output::Table => line(&table(headings, rows.iter().map(cells))),
    }
}

/// Prints one thing: JSON as it serialises, or `name: value` lines.
pub fn one<T: Serialize>(output: Output, thing: &T, lines: &[(&str, String)]) {
    match output {
        Output::Json => json(thing),
        Output::Table => {
            let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
            for (name, value) in lines {
                line(&format!("{name:width$}  {value}"));
            }
        }
    }
}

/// A plain table without lines, so that it can be cut and sorted.
pub fn table(headings: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(headings)
        .add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

fn json<T: Serialize + ?Sized>(thing: &T) {
    let text = serde_json::to_string_pretty(thing).expect("what a command prints is plain JSON");
    line(&text);
}

/// Prints one piece of data. A reader that has seen enough, such as `head`, is no failure.
pub fn line(text: &str) {
    if writeln!(std::io::stdout().lock(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// A moment as RFC 3339 in UTC; nothing for a time before 1970, which stands for "never".
pub fn time(milliseconds: i64) -> String {
    match chrono::DateTime::from_timestamp_millis(milliseconds) {
        Some(time) if milliseconds > 0 => time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        _ => String::new(),
    }
}
