//! A connector as a TOML file: the same configuration, with a line and a column for every key.

use std::collections::BTreeMap;
use std::ops::Range;

use connect_sdk::{Finding, join_list};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Flat;
use super::tree::canonical_key;

/// A connector file, read.
#[derive(Clone, Debug, Default)]
pub struct ConnectorFile {
    /// The configuration, keys canonical.
    pub flat: Flat,
    places: BTreeMap<String, (u32, u32)>,
}

impl ConnectorFile {
    /// Reads a TOML file. What cannot be read is reported with its place, all of it at once
    /// unless the file is no TOML at all.
    pub fn parse(text: &str) -> Result<Self, Vec<Finding>> {
        let root = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let (line, column) = place(text, at);
            vec![Finding::error("connector.file.syntax", "", error.message()).at(line, column)]
        })?;
        let mut reading = Reading {
            text,
            file: Self::default(),
            findings: Vec::new(),
        };
        reading.table("", root.get_ref());
        if reading.findings.is_empty() {
            Ok(reading.file)
        } else {
            Err(reading.findings)
        }
    }

    /// Adds to each finding the place of the key it is about.
    pub fn locate(&self, findings: &mut [Finding]) {
        for finding in findings {
            if finding.line.is_none()
                && let Some(&(line, column)) = self.places.get(&finding.path)
            {
                *finding = finding.clone().at(line, column);
            }
        }
    }
}

struct Reading<'a> {
    text: &'a str,
    file: ConnectorFile,
    findings: Vec<Finding>,
}

impl Reading<'_> {
    fn table(&mut self, path: &str, table: &DeTable<'_>) {
        for (word, value) in table {
            let name = word.get_ref();
            let path = if path.is_empty() {
                name.to_string()
            } else {
                format!("{path}.{name}")
            };
            self.value(&path, word.span(), value);
        }
    }

    fn value(&mut self, path: &str, span: Range<usize>, value: &Spanned<DeValue<'_>>) {
        if let DeValue::Table(table) = value.get_ref() {
            return self.table(path, table);
        }
        let key = super::names::alias(canonical_key(path)).to_owned();
        let (line, column) = place(self.text, span.start);
        let Some(text) = scalar(value.get_ref()) else {
            let finding = Finding::error(
                "connector.option.value",
                &key,
                "this is a list of lists or tables",
            )
            .with_hint("an option is a text, a number, a boolean or a list of those");
            return self.findings.push(finding.at(line, column));
        };
        if self.file.flat.insert(key.clone(), text).is_some() {
            let finding = Finding::error(
                "connector.option.twice",
                &key,
                format!("\"{key}\" is set twice"),
            );
            self.findings.push(finding.at(line, column));
        }
        self.file.places.insert(key, (line, column));
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    Some(match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(boolean) => boolean.to_string(),
        DeValue::Datetime(datetime) => datetime.to_string(),
        DeValue::Array(items) => {
            let texts = items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::Array(_) => None,
                    scalar_item => scalar(scalar_item),
                })
                .collect::<Option<Vec<_>>>()?;
            join_list(texts.iter().map(String::as_str))
        }
        DeValue::Table(_) => return None,
    })
}

/// Line and column, in characters, both from 1.
fn place(text: &str, at: usize) -> (u32, u32) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    (number(line), number(column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_lists_and_aliases_become_flat_keys() {
        let file = ConnectorFile::parse(
            "name = \"in\"\nconnector = \"file\"\ntype = \"source\"\ntasks-max = 2\n\n[options]\npath = [\"a\", \"b,c\"]\n[options.csv]\nheader = false\n[format]\ntype = \"json\"\n",
        )
        .expect("it is TOML");
        let pairs: Vec<String> = file
            .flat
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        assert_eq!(
            pairs,
            [
                "connector.class=file",
                "csv.header=false",
                "format=json",
                "name=in",
                r"path=a,b\,c",
                "tasks.max=2",
                "type=source"
            ]
        );
    }

    #[test]
    fn findings_get_the_place_of_their_key() {
        let file = ConnectorFile::parse("name = \"in\"\n[options]\n  pahts = \"a\"\n")
            .expect("it is TOML");
        let mut findings = vec![
            Finding::error("c", "pahts", "unknown"),
            Finding::error("c", "path", "missing"),
        ];
        file.locate(&mut findings);
        assert_eq!((findings[0].line, findings[0].column), (Some(3), Some(3)));
        assert_eq!(findings[1].line, None);
    }

    #[test]
    fn what_is_no_toml_says_where() {
        let findings =
            ConnectorFile::parse("name = \"in\"\npath = \n").expect_err("a value is missing");
        assert_eq!((findings[0].line, findings.len()), (Some(2), 1));
    }

    #[test]
    fn every_value_without_a_text_is_reported() {
        let findings = ConnectorFile::parse("a = [[1]]\n[[transforms]]\nname = \"t\"\n")
            .expect_err("two are no texts");
        assert_eq!(
            findings
                .iter()
                .map(|finding| finding.path.as_str())
                .collect::<Vec<_>>(),
            ["a", "transforms"]
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = ConnectorFile::parse(&text);
        }
    }
}
