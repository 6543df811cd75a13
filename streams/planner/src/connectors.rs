//! Which `WITH` options each connector knows, and where a table's rows live.

mod rocketmq;

use arrow::datatypes::DataType;
use std::collections::BTreeMap;

use crate::{
    error::{Error, Place},
    nearest::nearest,
    statements::OptionTexts,
};

/// The connectors that `CREATE TABLE` may name.
#[derive(Clone, Debug)]
pub struct Connectors(BTreeMap<String, ConnectorSpec>);

/// What a connector accepts and which changes its sink can write.
#[derive(Clone, Debug, Default)]
pub struct ConnectorSpec {
    /// Every known option key, `connector` and `format` aside.
    pub options: Vec<OptionSpec>,
    /// Options that are known from elsewhere and that this connector cannot have.
    pub refused: &'static [RefusedOptions],
    /// Whether `format` and the options of formats belong here.
    pub has_format: bool,
    /// The option whose value says where the rows live.
    pub place: Option<&'static str>,
    /// Whether a sink can replace and delete rows by primary key.
    pub upserts: bool,
    /// Whether a sink takes withdrawals as they are.
    pub retracts: bool,
    /// Whether rows can be looked up by key.
    pub lookup: bool,
    /// What a record's envelope offers to `METADATA` columns.
    pub metadata: Vec<MetadataSpec>,
    /// Whether the connector can be read as a stream.
    pub source: bool,
    /// Whether it can be written to.
    pub sink: bool,
}

/// One thing that a record's envelope says.
#[derive(Clone, Debug)]
pub struct MetadataSpec {
    pub key: String,
    pub data_type: DataType,
    /// Whether a sink can set it.
    pub is_writable: bool,
}

impl MetadataSpec {
    fn new(key: &str, data_type: DataType, is_writable: bool) -> Self {
        Self {
            key: key.to_owned(),
            data_type,
            is_writable,
        }
    }
}

/// One option and its other names.
#[derive(Clone, Debug)]
pub struct OptionSpec {
    pub key: String,
    /// Other spellings of the same option; giving two of them is an error.
    pub aliases: Vec<String>,
    pub required: bool,
}

/// Options that are refused for one reason.
#[derive(Clone, Copy, Debug)]
pub struct RefusedOptions {
    pub names: &'static [&'static str],
    pub why: &'static str,
    /// What to write instead.
    pub instead: &'static str,
}

impl ConnectorSpec {
    fn abilities(&self) -> String {
        let abilities = [
            (self.source, "be read"),
            (self.sink, "be written"),
            (self.lookup, "be looked up in a join"),
        ];
        let can: Vec<&str> = abilities
            .into_iter()
            .filter(|(can, _)| *can)
            .map(|(_, what)| what)
            .collect();
        can.join(" and ")
    }
}

impl OptionSpec {
    pub fn optional(key: &str, aliases: &[&str]) -> Self {
        Self {
            key: key.to_owned(),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            required: false,
        }
    }

    pub fn required(key: &str, aliases: &[&str]) -> Self {
        Self {
            required: true,
            ..Self::optional(key, aliases)
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.key.as_str()).chain(self.aliases.iter().map(String::as_str))
    }
}

impl Default for Connectors {
    fn default() -> Self {
        let mut connectors = Self(BTreeMap::new());
        connectors.add("rocketmq", rocketmq::spec());
        let file = ConnectorSpec {
            options: vec![
                OptionSpec::required("path", &[]),
                OptionSpec::optional("header", &["csv.header"]),
            ],
            has_format: true,
            place: Some("path"),
            lookup: true,
            ..ConnectorSpec::default()
        };
        connectors.add("file", file.clone());
        connectors.add("filesystem", file);
        let discard = ConnectorSpec {
            upserts: true,
            retracts: true,
            sink: true,
            ..ConnectorSpec::default()
        };
        connectors.add("blackhole", discard);
        connectors
    }
}

/// Options of a table after the check: keys as its connector calls them first.
pub(crate) struct Checked {
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) place: String,
}

impl Connectors {
    /// Makes a connector known under a name.
    pub fn add(&mut self, name: &str, spec: ConnectorSpec) {
        self.0.insert(name.to_owned(), spec);
    }

    pub(crate) fn get(&self, name: &str) -> Option<&ConnectorSpec> {
        self.0.get(name)
    }

    /// Checks a table's options against its connector and its format, and gives every option
    /// its first name.
    pub(crate) fn check(&self, table: Place, texts: &OptionTexts) -> Result<Checked, Vec<Error>> {
        let Some((_, name)) = texts.get("connector") else {
            return Err(vec![
                Error::new(
                    "sql.option.missing",
                    table,
                    "the table does not say where its rows live",
                )
                .why("option 'connector' is missing")
                .hint(format!(
                    "WITH ('connector' = '…'), one of {}",
                    self.listed()
                )),
            ]);
        };
        let Some(spec) = self.0.get(&name.text) else {
            let known = self.0.keys().map(String::as_str);
            return Err(vec![
                Error::new(
                    "sql.connector.unknown",
                    name.place,
                    format!("there is no connector '{}'", name.text),
                )
                .why(format!("the connectors are {}", self.listed()))
                .nearest(nearest(&name.text, known).map(|word| format!("'{word}'"))),
            ]);
        };
        let mut errors = Vec::new();
        let mut options = BTreeMap::from([("connector".to_owned(), name.text.clone())]);
        let mut given: BTreeMap<&str, &str> = BTreeMap::new();
        for (key, (written, value)) in texts.iter().filter(|(key, _)| *key != "connector") {
            let known = spec
                .options
                .iter()
                .find(|option| option.names().any(|name| name == key));
            if let Some(option) = known {
                if let Some(other) = given.insert(&option.key, key) {
                    errors.push(Error::new(
                        "sql.option.repeated",
                        written.place,
                        format!("option '{key}' repeats '{other}'"),
                    ));
                }
                options.insert(option.key.clone(), value.text.clone());
            } else if spec.has_format && (key == "format" || key == "value.format") {
                options.insert("format".to_owned(), value.text.clone());
            } else if spec.has_format && key.contains('.') && is_format_key(key) {
                options.insert(key.clone(), value.text.clone());
            } else {
                errors.push(unknown_option(&name.text, spec, key, written.place));
            }
        }
        for option in spec
            .options
            .iter()
            .filter(|option| option.required && !options.contains_key(&option.key))
        {
            let names: Vec<String> = option.names().map(|name| format!("'{name}'")).collect();
            errors.push(
                Error::new(
                    "sql.option.missing",
                    name.place,
                    format!("connector '{}' needs option '{}'", name.text, option.key),
                )
                .hint(format!("add {}", names.join(" or "))),
            );
        }
        if spec.has_format {
            errors.extend(check_format(name.place, texts, &options, &given).err());
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let value = spec
            .place
            .and_then(|key| options.get(key).map(|value| format!(" {key} {value}")));
        let place = format!("{}{}", name.text, value.unwrap_or_default());
        Ok(Checked { options, place })
    }

    /// What tables of a connector can do, for whoever asked for something else.
    pub(crate) fn abilities(&self, name: &str) -> String {
        let spec = self
            .0
            .get(name)
            .map(ConnectorSpec::abilities)
            .unwrap_or_default();
        format!("a table of connector '{name}' can {spec}")
    }

    fn listed(&self) -> String {
        self.0.keys().cloned().collect::<Vec<_>>().join(", ")
    }
}

const FORMATS: &[format::Format] = &[
    format::Format::Json,
    format::Format::Csv,
    format::Format::Raw,
];

fn is_format_key(key: &str) -> bool {
    FORMATS.iter().any(|format| {
        key.strip_prefix(format.name())
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

fn unknown_option(connector: &str, spec: &ConnectorSpec, key: &str, place: Place) -> Error {
    if let Some(refused) = spec
        .refused
        .iter()
        .find(|refused| refused.names.contains(&key))
    {
        return Error::unsupported(place, format!("option '{key}'"))
            .why(refused.why)
            .hint(refused.instead);
    }
    let mut known: Vec<String> = spec
        .options
        .iter()
        .flat_map(|option| option.names().map(str::to_owned))
        .collect();
    if spec.has_format {
        known.push("format".to_owned());
        let keys = |format: &format::Format| {
            let name = format.name();
            format::Options::keys(*format)
                .iter()
                .map(move |key| format!("{name}.{key}"))
        };
        known.extend(FORMATS.iter().flat_map(keys));
    }
    Error::new(
        "sql.option.unknown",
        place,
        format!("connector '{connector}' has no option '{key}'"),
    )
    .nearest(nearest(key, known.iter().map(String::as_str)).map(|word| format!("'{word}'")))
}

/// Checks `format` and the options that carry its name before a dot. `given` says under which
/// other name an option was written.
fn check_format(
    connector: Place,
    texts: &OptionTexts,
    options: &BTreeMap<String, String>,
    given: &BTreeMap<&str, &str>,
) -> Result<(), Error> {
    let Some(name) = options.get("format") else {
        return Err(Error::new(
            "sql.option.missing",
            connector,
            "the table does not say how its records are written",
        )
        .hint("add 'format' = 'json' or 'format' = 'csv'"));
    };
    let written = texts.get("format").or(texts.get("value.format"));
    let place = written.map_or(connector, |(_, value)| value.place);
    let format: format::Format = name.parse().map_err(|_| {
        let known = FORMATS.iter().map(|format| format.name());
        Error::new(
            "sql.option.value",
            place,
            format!("there is no format '{name}'"),
        )
        .nearest(nearest(name, known).map(|word| format!("'{word}'")))
    })?;
    let prefix = format!("{}.", format.name());
    for (key, value) in options.iter().filter(|(key, _)| is_format_key(key)) {
        let written = given.get(key.as_str()).copied().unwrap_or(key);
        let place = texts.get(written).map_or(connector, |(key, _)| key.place);
        let Some(own) = key.strip_prefix(&prefix) else {
            return Err(Error::new(
                "sql.option.unknown",
                place,
                format!("option '{written}' does not belong to format '{name}'"),
            ));
        };
        let keys = format::Options::keys(format);
        if !keys.contains(&own) {
            let near = nearest(own, keys.iter().copied()).map(|word| format!("'{prefix}{word}'"));
            return Err(Error::new(
                "sql.option.unknown",
                place,
                format!("format '{name}' has no option '{own}'"),
            )
            .nearest(near));
        }
        let alone = BTreeMap::from([(own.to_owned(), value.clone())]);
        let value_place = texts.get(written).map_or(place, |(_, value)| value.place);
        format::Options::parse(format, &alone)
            .map_err(|error| Error::new("sql.option.value", value_place, error.to_string()))?;
    }
    Ok(())
}
