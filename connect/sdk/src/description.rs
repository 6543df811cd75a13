//! What a connector says about itself, and the two shapes others read it in: JSON Schema and
//! Kafka Connect's list of definitions.

use std::fmt;

use serde_json::{Value, json};

use crate::{Object, OptionSpec};

/// Which way records flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Into the broker.
    Source,
    /// Out of the broker.
    Sink,
}

impl Kind {
    /// `source` or `sink`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How often a record arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guarantee {
    /// Never lost, perhaps repeated after a failure.
    AtLeastOnce,
    /// Repeated attempts leave one effect, because the target recognises them.
    EffectivelyOnce,
    /// Never lost, never repeated.
    ExactlyOnce,
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtLeastOnce => "at least once",
            Self::EffectivelyOnce => "effectively once",
            Self::ExactlyOnce => "exactly once",
        })
    }
}

/// A class name of another house, and what becomes of it here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The name, with its package if it has one.
    pub class: &'static str,
    /// What it stands for.
    pub means: Means,
}

/// What a class name of another house stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// This connector, with these options where they are not given.
    This(&'static [(&'static str, &'static str)]),
    /// Something that this connector does differently: why it is refused, and what to write.
    Other {
        /// One sentence.
        why: &'static str,
        /// What to write instead.
        instead: &'static str,
    },
}

impl Alias {
    /// Another name of the connector.
    pub const fn of(class: &'static str) -> Self {
        Self::with(class, &[])
    }

    /// Another name of the connector, under which these options are set unless they are given.
    pub const fn with(
        class: &'static str,
        options: &'static [(&'static str, &'static str)],
    ) -> Self {
        let means = Means::This(options);
        Self { class, means }
    }

    /// A name that is understood and refused.
    pub const fn refused(class: &'static str, why: &'static str, instead: &'static str) -> Self {
        let means = Means::Other { why, instead };
        Self { class, means }
    }

    /// Whether somebody wrote this name, with or without its package.
    pub fn is(&self, class: &str) -> bool {
        self.class == class || self.class.rsplit('.').next() == Some(class)
    }
}

/// What a connector says about itself.
#[derive(Clone, Debug)]
pub struct Description {
    /// Its class, `file-source`: the family and the kind.
    pub name: &'static str,
    /// What users write beside `type`, `file`.
    pub family: &'static str,
    /// Class names of other houses that mean this connector, or nearly.
    pub aliases: &'static [Alias],
    /// Which way records flow.
    pub kind: Kind,
    /// The connector's version.
    pub version: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// What is promised between the outside and the broker.
    pub guarantee: Guarantee,
    /// Its own options; the ones every connector has are not among them.
    pub options: Vec<OptionSpec>,
}

impl Description {
    /// What is meant by a class name of another house.
    pub fn alias(&self, class: &str) -> Option<&'static Alias> {
        self.aliases.iter().find(|alias| alias.is(class))
    }

    /// The options as JSON Schema 2020-12 of the flat map, values as their natural types.
    pub fn json_schema(&self) -> Value {
        json_schema(self.name, self.summary, &self.options)
    }

    /// The options as Kafka Connect lists them.
    pub fn config_definitions(&self) -> Vec<Value> {
        config_definitions(&self.options)
    }
}

fn json_schema(title: &str, description: &str, options: &[OptionSpec]) -> Value {
    let mut properties = Object::new();
    let mut required = Vec::new();
    for option in options {
        let mut schema = option.kind.json_schema();
        schema.insert("description".into(), option.documentation.into());
        if let Some(default) = option.default {
            schema.insert("default".into(), option.kind.json_value(default));
        }
        properties.insert(option.name.into(), Value::Object(schema));
        if option.required {
            required.push(option.name);
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "description": description,
        "type": "object",
        "properties": properties,
        "required": required,
    })
}

fn config_definitions(options: &[OptionSpec]) -> Vec<Value> {
    let mut orders = std::collections::BTreeMap::new();
    let definition = |option: &OptionSpec| {
        let order = orders.entry(option.group).or_insert(0);
        *order += 1;
        option.config_definition(*order)
    };
    options.iter().map(definition).collect()
}
