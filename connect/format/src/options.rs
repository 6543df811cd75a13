//! The formats and their options, under the names Flink gives them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::Error;

/// How one record is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// One JSON object per record.
    Json,
    /// One line of separated values per record.
    Csv,
    /// The record is the value of the only column.
    Raw,
}

impl Format {
    /// The name used in options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Raw => "raw",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            "raw" => Ok(Self::Raw),
            other => Err(Error::UnknownFormat {
                name: other.to_owned(),
            }),
        }
    }
}

/// How timestamps are written: `timestamp-format.standard`. Both are always read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampText {
    /// `2001-01-31 09:05:00.25`
    #[default]
    Sql,
    /// `2001-01-31T09:05:00.25`
    Iso8601,
}

/// Options of [`Format::Json`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonOptions {
    /// `fail-on-missing-field`: a column without its field makes the row undecodable instead of NULL.
    pub fail_on_missing_field: bool,
    /// `timestamp-format.standard`: `SQL` or `ISO-8601`.
    pub timestamps: TimestampText,
    /// `encode.ignore-null-fields`: leave NULL columns out instead of writing `null`.
    pub ignore_null_fields: bool,
}

/// Options of [`Format::Csv`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// `field-delimiter`, one byte.
    pub delimiter: u8,
    /// `quote-character`, one byte; `None` after `disable-quote-character`.
    pub quote: Option<u8>,
    /// `escape-character`, one byte.
    pub escape: Option<u8>,
    /// `null-literal`: this text is NULL in every column. An empty field is always NULL except
    /// in text columns, where it is the empty string unless this literal is empty too.
    pub null_literal: Option<String>,
    /// `allow-missing-columns`: a short row is filled up with NULL instead of being undecodable.
    pub allow_missing_columns: bool,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            delimiter: b',',
            quote: Some(b'"'),
            escape: None,
            null_literal: None,
            allow_missing_columns: false,
        }
    }
}

/// Everything a decoder or encoder can be told, whichever format it is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Used by [`Format::Json`].
    pub json: JsonOptions,
    /// Used by [`Format::Csv`].
    pub csv: CsvOptions,
    /// `ignore-parse-errors`: the caller's promise to drop undecodable rows. A decoder reports
    /// them all the same; whoever owns the policy looks here.
    pub ignore_parse_errors: bool,
}

const JSON_KEYS: &[&str] = &[
    "encode.decimal-as-plain-number",
    "encode.ignore-null-fields",
    "fail-on-missing-field",
    "ignore-parse-errors",
    "timestamp-format.standard",
];
const CSV_KEYS: &[&str] = &[
    "allow-missing-columns",
    "disable-quote-character",
    "escape-character",
    "field-delimiter",
    "ignore-parse-errors",
    "null-literal",
    "quote-character",
];

impl Options {
    /// Every option key of `format`, without the format's prefix.
    pub fn keys(format: Format) -> &'static [&'static str] {
        match format {
            Format::Json => JSON_KEYS,
            Format::Csv => CSV_KEYS,
            Format::Raw => &[],
        }
    }

    /// Reads options written as in a `WITH` clause, without the format's prefix:
    /// `timestamp-format.standard`, not `json.timestamp-format.standard`.
    pub fn parse(format: Format, given: &BTreeMap<String, String>) -> Result<Self, Error> {
        let mut options = Self::default();
        for (key, value) in given {
            if !Self::keys(format).contains(&key.as_str()) {
                return Err(Error::UnknownOption {
                    format: format.name(),
                    key: key.clone(),
                    known: Self::keys(format).join(", "),
                });
            }
            options.set(key, value)?;
        }
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        match key {
            "fail-on-missing-field" => self.json.fail_on_missing_field = boolean(key, value)?,
            "encode.ignore-null-fields" => self.json.ignore_null_fields = boolean(key, value)?,
            "encode.decimal-as-plain-number" => {
                boolean(key, value)?; // Decimals are always written plainly here.
            }
            "timestamp-format.standard" => {
                self.json.timestamps = match value {
                    "SQL" => TimestampText::Sql,
                    "ISO-8601" => TimestampText::Iso8601,
                    _ => return Err(bad(key, value, "SQL or ISO-8601")),
                }
            }
            "ignore-parse-errors" => self.ignore_parse_errors = boolean(key, value)?,
            "field-delimiter" => self.csv.delimiter = byte(key, value)?,
            "quote-character" => self.csv.quote = Some(byte(key, value)?),
            "disable-quote-character" => {
                if boolean(key, value)? {
                    self.csv.quote = None;
                }
            }
            "escape-character" => self.csv.escape = Some(byte(key, value)?),
            "null-literal" => self.csv.null_literal = Some(value.to_owned()),
            "allow-missing-columns" => self.csv.allow_missing_columns = boolean(key, value)?,
            _ => unreachable!("the caller looked the key up in the list of this format"),
        }
        Ok(())
    }
}

fn boolean(key: &str, value: &str) -> Result<bool, Error> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(bad(key, value, "true or false")),
    }
}

fn byte(key: &str, value: &str) -> Result<u8, Error> {
    match value.as_bytes() {
        b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Ok(*byte),
        _ => Err(bad(key, value, "one ASCII character, or \\t")),
    }
}

fn bad(key: &str, value: &str, expected: &'static str) -> Error {
    Error::BadOption {
        key: key.to_owned(),
        value: value.to_owned(),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(format: Format, pairs: &[(&str, &str)]) -> Result<Options, String> {
        let given = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Options::parse(format, &given).map_err(|error| error.to_string())
    }

    #[test]
    fn options_have_flinks_names() {
        let options = parse(
            Format::Csv,
            &[("field-delimiter", ";"), ("null-literal", "n/a")],
        )
        .expect("both exist");
        assert_eq!(options.csv.delimiter, b';');
        assert_eq!(options.csv.null_literal.as_deref(), Some("n/a"));
    }

    #[test]
    fn an_option_of_another_format_is_refused_with_the_ones_there_are() {
        assert_eq!(
            parse(Format::Raw, &[("null-literal", "")]).unwrap_err(),
            "format raw has no option \"null-literal\"; it has "
        );
        assert!(
            parse(Format::Json, &[("null-literal", "")])
                .unwrap_err()
                .contains("fail-on-missing-field")
        );
    }

    #[test]
    fn a_value_out_of_range_says_what_is_accepted() {
        assert_eq!(
            parse(Format::Csv, &[("field-delimiter", "::")]).unwrap_err(),
            "option \"field-delimiter\" is \"::\", it must be one ASCII character, or \\t"
        );
        assert!(parse(Format::Json, &[("timestamp-format.standard", "sql")]).is_err());
    }
}
