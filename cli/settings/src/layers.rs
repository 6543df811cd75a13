//! Merges the file, the environment and flags over the default.

use std::path::PathBuf;

use toml::{Table, Value};

use super::check::{self, Finding};
use super::{DEFAULT, Settings};

/// Where settings come from, weakest first.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The text of `millstream.toml`, with its path for messages.
    pub file: Option<(PathBuf, String)>,
    /// Variables named `MILLSTREAM__PART__KEY`, with their values.
    pub environment: Vec<(String, String)>,
    /// `--set part.key=value`, in order.
    pub flags: Vec<String>,
}

/// The settings of all layers together, or everything that is wrong with them.
pub fn load(layers: &Layers) -> Result<Settings, Vec<Finding>> {
    let mut merged: Table = DEFAULT.parse().expect("the embedded default is valid TOML");
    let mut findings = Vec::new();
    if let Some((path, text)) = &layers.file {
        findings.extend(
            check::check(text)
                .into_iter()
                .map(|finding| finding.inside(path)),
        );
        if let Ok(table) = text.parse::<Table>() {
            overlay(&mut merged, table);
        }
    }
    for (name, value) in &layers.environment {
        let Some(path) = name.strip_prefix("MILLSTREAM__") else {
            continue;
        };
        let path = path.to_lowercase().replace("__", ".").replace('_', "-");
        set(&mut merged, &path, value, name, &mut findings);
    }
    for flag in &layers.flags {
        match flag.split_once('=') {
            Some((path, value)) => set(
                &mut merged,
                path.trim(),
                value.trim(),
                "--set",
                &mut findings,
            ),
            None => findings.push(Finding::new(
                "--set",
                format!("{flag:?} is not part.key=value"),
            )),
        }
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    merged
        .try_into()
        .map_err(|why: toml::de::Error| vec![Finding::new("settings", why.message().to_owned())])
}

fn overlay(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => overlay(below, above),
            (_, value) => drop(below.insert(key, value)),
        }
    }
}

/// Sets one value from text, in the type that the default has at that place.
fn set(merged: &mut Table, path: &str, text: &str, origin: &str, findings: &mut Vec<Finding>) {
    let Some((part, key)) = path.split_once('.') else {
        findings.push(Finding::new(origin, format!("{path:?} is not part.key")));
        return;
    };
    let known = merged
        .get(part)
        .and_then(Value::as_table)
        .and_then(|part| part.get(key));
    let Some(known) = known else {
        findings.push(check::unknown_key(origin, path));
        return;
    };
    let value = match known {
        Value::Boolean(_) => text.parse().map(Value::Boolean).ok(),
        Value::Integer(_) => text.parse().map(Value::Integer).ok(),
        _ => Some(Value::String(text.to_owned())),
    };
    let Some(value) = value else {
        findings.push(Finding::new(
            origin,
            format!("{path} = {text:?} is not of type {}", known.type_str()),
        ));
        return;
    };
    let mut table = Table::new();
    table.insert(
        part.to_owned(),
        Value::Table(Table::from_iter([(key.to_owned(), value)])),
    );
    findings.extend(check::values(&table, origin));
    overlay(merged, table);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(file: &str, environment: &[(&str, &str)], flags: &[&str]) -> Layers {
        Layers {
            file: Some(("millstream.toml".into(), file.to_owned())),
            environment: environment
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            flags: flags.iter().map(|flag| flag.to_string()).collect(),
        }
    }

    #[test]
    fn a_flag_beats_the_environment_and_both_beat_the_file() {
        let file = "[broker]\nname = \"from-file\"\ncluster = \"from-file\"\nid = 1\n";
        let environment = [
            ("MILLSTREAM__BROKER__NAME", "from-env"),
            ("MILLSTREAM__BROKER__CLUSTER", "from-env"),
        ];
        let settings = load(&layers(file, &environment, &["broker.name=from-flag"]))
            .expect("all three are valid");
        assert_eq!(settings.broker.name, "from-flag");
        assert_eq!(settings.broker.cluster, "from-env");
        assert_eq!(settings.broker.id, 1);
    }

    #[test]
    fn every_layers_mistakes_come_at_once() {
        let findings = load(&layers(
            "[broker]\nnmae = \"x\"\n",
            &[("MILLSTREAM__STORE__FLUHS", "sync")],
            &["store.flush=never", "nonsense"],
        ))
        .expect_err("four mistakes");
        let text: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            [
                "millstream.toml:2:1: unknown key broker.nmae; did you mean broker.name?",
                "MILLSTREAM__STORE__FLUHS: unknown key store.fluhs; did you mean store.flush?",
                "--set: store.flush: unknown variant `never`, expected `async` or `sync`",
                "--set: \"nonsense\" is not part.key=value",
            ]
        );
    }
}
