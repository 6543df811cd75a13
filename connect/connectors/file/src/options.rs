//! The options of both sides, and what they mean together.

use std::path::Path;

use connect_sdk::{Error, Finding, Importance, OptionKind, OptionSpec, Options};
use format::CsvOptions;

/// How the records of a file are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileFormat {
    Csv,
    JsonLines,
    /// Each line is a record as it stands, whatever it says.
    Lines,
}

const FORMAT: OptionSpec = OptionSpec::new(
    "file.format",
    OptionKind::Choice(&["auto", "csv", "jsonl", "lines"]),
    "How records are written in the file. With auto the file's name tells: .csv, .jsonl, .ndjson or .json. With lines each line is a record as it stands, an empty one too.",
)
.default("auto");
const HEADER: OptionSpec = OptionSpec::new(
    "csv.header",
    OptionKind::Boolean,
    "Whether the first line of a CSV file names the columns.",
)
.default("true")
.group("CSV");
const DELIMITER: OptionSpec = OptionSpec::new(
    "csv.delimiter",
    OptionKind::Text,
    "The character between two fields, one ASCII character or \\t.",
)
.default(",")
.group("CSV");
const QUOTE: OptionSpec = OptionSpec::new(
    "csv.quote",
    OptionKind::Text,
    "The character around fields that hold a delimiter, a quote or a line end.",
)
.default("\"")
.group("CSV");
const NULL: OptionSpec = OptionSpec::new(
    "csv.null",
    OptionKind::Text,
    "The text that stands for NULL; an empty field by default.",
)
.default("")
.group("CSV");

pub(crate) fn source_options() -> Vec<OptionSpec> {
    vec![
        OptionSpec::new("path", OptionKind::List, "The file to read, or several.")
            .alias("file")
            .required(),
        FORMAT,
        OptionSpec::new(
            "mode",
            OptionKind::Choice(&["follow", "bounded"]),
            "Whether to wait for more at the end of a file or to end there.",
        )
        .default("follow")
        .importance(Importance::High),
        OptionSpec::new(
            "schema",
            OptionKind::Columns,
            "The columns to read, as in id BIGINT, name STRING. Without it a CSV file has the columns of its header, all STRING, and JSON lines pass as they are.",
        )
        .importance(Importance::High),
        HEADER,
        DELIMITER,
        QUOTE,
        NULL,
        OptionSpec::new("batch.rows", OptionKind::Integer { min: 1, max: 100_000 }, "The most records of one batch.")
            .default("2000")
            .importance(Importance::Low)
            .group("Tuning"),
        OptionSpec::new("record.max", OptionKind::Bytes, "The longest record. A longer one is taken for a broken one.")
            .default("4MiB")
            .importance(Importance::Low)
            .group("Tuning"),
        OptionSpec::new("poll.interval", OptionKind::Duration, "How often to look for more at the end of a followed file.")
            .default("200ms")
            .importance(Importance::Low)
            .group("Tuning"),
    ]
}

pub(crate) fn sink_options() -> Vec<OptionSpec> {
    vec![
        OptionSpec::new(
            "path",
            OptionKind::Text,
            "The directory to write into; it is made if it is missing. One connector, one directory.",
        )
        .alias("file")
        .required(),
        OptionSpec::new(
            "file.format",
            OptionKind::Choice(&["csv", "jsonl"]),
            "How records are written in the files.",
        )
        .default("jsonl"),
        HEADER,
        DELIMITER,
        QUOTE,
        NULL,
    ]
}

/// The format of one file, by option or by name.
pub(crate) fn file_format(options: &Options, path: &str) -> Result<FileFormat, Error> {
    match options.text("file.format") {
        Some("csv") => return Ok(FileFormat::Csv),
        Some("jsonl") => return Ok(FileFormat::JsonLines),
        Some("lines") => return Ok(FileFormat::Lines),
        _ => {}
    }
    match Path::new(path)
        .extension()
        .and_then(|extension| extension.to_str())
    {
        Some("csv") => Ok(FileFormat::Csv),
        Some("jsonl" | "ndjson" | "json") => Ok(FileFormat::JsonLines),
        _ => Err(Error::config(
            format!("the name of {path} does not tell its format"),
            "set file.format to csv, jsonl or lines",
        )),
    }
}

/// The CSV options as the format crate takes them.
pub(crate) fn csv_options(options: &Options) -> Result<CsvOptions, Error> {
    let byte = |name: &str| match options.text(name).unwrap_or_default().as_bytes() {
        b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'\r' | b'\n') => Ok(*byte),
        other => Err(Error::config(
            format!("option {name} is \"{}\"", String::from_utf8_lossy(other)),
            "it must be one ASCII character, or \\t",
        )),
    };
    Ok(CsvOptions {
        delimiter: byte("csv.delimiter")?,
        quote: Some(byte("csv.quote")?),
        null_literal: options.text("csv.null").map(str::to_owned),
        ..CsvOptions::default()
    })
}

/// What is wrong with options that are each valid by themselves.
pub(crate) fn check(options: &Options, paths: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in paths {
        if let Err(error) = file_format(options, path) {
            findings.push(finding("file.format", &error));
        }
    }
    if options.text("file.format") == Some("lines") && options.is_given("schema") {
        let message = "with file.format lines a record is a line as it stands, without columns";
        findings.push(
            Finding::error("connector.option.value", "schema", message)
                .with_hint("set file.format to csv or jsonl, or leave schema out"),
        );
    }
    for name in ["csv.delimiter", "csv.quote"] {
        let alone = options.with("csv.delimiter", ",").with("csv.quote", "\"");
        let value = options.text(name).unwrap_or_default();
        if let Err(error) = csv_options(&alone.with(name, value)) {
            findings.push(finding(name, &error));
        }
    }
    findings
}

fn finding(path: &str, error: &Error) -> Finding {
    let finding = Finding::error("connector.option.value", path, error.to_string());
    match error.hint() {
        Some(hint) => finding.with_hint(hint),
        None => finding,
    }
}
