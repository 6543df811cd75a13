//! One option of a connector: its name, what its text means, and what it is for.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{Object, parse_columns};

/// How a limit without end is written.
const ENDLESS: &str = "-1";

/// What the text of an option means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// Any text.
    Text,
    /// A text that is never shown again.
    Secret,
    /// A text whose password part (`scheme://user:password@host`) is never shown again.
    Url,
    /// A whole number in this range.
    Integer {
        /// The least accepted.
        min: i64,
        /// The greatest accepted.
        max: i64,
    },
    /// `true` or `false`.
    Boolean,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Comma-separated texts; `\,` is a comma inside one.
    List,
    /// `250ms`, `5s`, `10m`, `1h`, `7d`; a bare number is milliseconds, as in Kafka.
    Duration,
    /// A duration, or `-1` for no end, as in Kafka.
    Limit,
    /// `512`, `64KiB`, `10MiB`, `1GiB`.
    Bytes,
    /// Columns as in a table: `id BIGINT NOT NULL, name STRING`.
    Columns,
}

/// How often somebody will want to set an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    /// Nearly always.
    High,
    /// Now and then.
    Medium,
    /// Hardly ever.
    Low,
}

/// One option: everything a form, a validator or a page of documentation needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionSpec {
    /// The flat key.
    pub name: &'static str,
    /// What another house calls it.
    pub alias: Option<&'static str>,
    /// What its text means.
    pub kind: OptionKind,
    /// What is used when it is not given.
    pub default: Option<&'static str>,
    /// Whether it must be given.
    pub required: bool,
    /// How often somebody will want to set it.
    pub importance: Importance,
    /// One or two sentences.
    pub documentation: &'static str,
    /// The heading it stands under.
    pub group: &'static str,
}

impl OptionSpec {
    /// An option nobody has to set.
    pub const fn new(name: &'static str, kind: OptionKind, documentation: &'static str) -> Self {
        Self {
            name,
            alias: None,
            kind,
            default: None,
            required: false,
            importance: Importance::Medium,
            documentation,
            group: "Connector",
        }
    }

    /// The same, but it must be given.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self.importance = Importance::High;
        self
    }

    /// The same under a second name, as another house calls it.
    pub const fn alias(mut self, name: &'static str) -> Self {
        self.alias = Some(name);
        self
    }

    /// The same with what is used when it is not given.
    pub const fn default(mut self, text: &'static str) -> Self {
        self.default = Some(text);
        self
    }

    /// The same with how often somebody will want to set it.
    pub const fn importance(mut self, importance: Importance) -> Self {
        self.importance = importance;
        self
    }

    /// The same under another heading.
    pub const fn group(mut self, group: &'static str) -> Self {
        self.group = group;
        self
    }

    /// Whether its value must never be shown.
    pub fn is_secret(&self) -> bool {
        self.kind == OptionKind::Secret
    }

    /// The option as Kafka Connect describes it; `order` counts within the group, from 1.
    pub fn config_definition(&self, order: usize) -> Value {
        json!({
            "name": self.name,
            "type": self.kind.kafka_type(),
            "required": self.required,
            "default_value": self.default,
            "importance": match self.importance {
                Importance::High => "HIGH",
                Importance::Medium => "MEDIUM",
                Importance::Low => "LOW",
            },
            "documentation": self.documentation,
            "group": self.group,
            "order": order,
            "width": match self.kind {
                OptionKind::Integer { .. } | OptionKind::Boolean | OptionKind::Duration | OptionKind::Limit | OptionKind::Bytes => "SHORT",
                OptionKind::Columns | OptionKind::List => "LONG",
                _ => "MEDIUM",
            },
            "display_name": self.name,
            "dependents": [],
        })
    }
}

impl OptionKind {
    /// Why this text is no value of this kind; `None` if it is one.
    pub fn complaint(&self, text: &str) -> Option<String> {
        match self {
            Self::Text | Self::Secret | Self::Url | Self::List => None,
            Self::Integer { min, max } => match text.parse::<i64>() {
                Ok(number) if (*min..=*max).contains(&number) => None,
                _ if *max == i64::MAX => {
                    Some(format!("\"{text}\" is not a whole number from {min} on"))
                }
                _ => Some(format!(
                    "\"{text}\" is not a whole number from {min} to {max}"
                )),
            },
            Self::Boolean => match text {
                "true" | "false" => None,
                _ => Some(format!("\"{text}\" is neither true nor false")),
            },
            Self::Choice(words) => (!words.contains(&text))
                .then(|| format!("\"{text}\" is not one of {}", words.join(", "))),
            Self::Duration => parse_duration(text)
                .is_none()
                .then(|| format!("\"{text}\" is not a duration such as 500ms, 5s or 10m")),
            Self::Limit => (text != ENDLESS && parse_duration(text).is_none()).then(|| {
                format!(
                    "\"{text}\" is neither a duration such as 30s or 5m nor {ENDLESS} for no end"
                )
            }),
            Self::Bytes => parse_bytes(text)
                .is_none()
                .then(|| format!("\"{text}\" is not a size such as 64KiB or 10MiB")),
            Self::Columns => parse_columns(text).err().map(|error| error.to_string()),
        }
    }

    fn kafka_type(&self) -> &'static str {
        match self {
            Self::Text | Self::Url | Self::Choice(_) | Self::Columns => "STRING",
            Self::Duration | Self::Limit | Self::Bytes => "STRING",
            Self::Secret => "PASSWORD",
            Self::Integer { .. } => "LONG",
            Self::Boolean => "BOOLEAN",
            Self::List => "LIST",
        }
    }

    pub(crate) fn json_schema(&self) -> Object {
        let schema = match self {
            Self::Text | Self::Url => json!({ "type": "string" }),
            Self::Columns => json!({ "type": "string", "format": "columns" }),
            Self::Secret => json!({ "type": "string", "writeOnly": true }),
            Self::Integer { min, max } => {
                json!({ "type": "integer", "minimum": min, "maximum": max })
            }
            Self::Boolean => json!({ "type": "boolean" }),
            Self::Choice(words) => json!({ "type": "string", "enum": words }),
            Self::List => json!({ "type": "array", "items": { "type": "string" } }),
            Self::Duration => json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)?$" }),
            Self::Limit => json!({ "type": "string", "pattern": "^(-1|[0-9]+(ms|s|m|h|d)?)$" }),
            Self::Bytes => json!({ "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)?$" }),
        };
        match schema {
            Value::Object(object) => object,
            _ => Object::new(),
        }
    }

    /// A text of this kind as the JSON value a form would hold.
    pub(crate) fn json_value(&self, text: &str) -> Value {
        match self {
            Self::Integer { .. } => text.parse::<i64>().map_or(Value::Null, Value::from),
            Self::Boolean => Value::from(text == "true"),
            Self::List => text.split(',').filter(|item| !item.is_empty()).collect(),
            _ => text.into(),
        }
    }
}

/// Reads `250ms`, `5s`, `10m`, `1h`, `7d`, or a bare number of milliseconds.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let ms = match unit {
        "" | "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(ms).map(Duration::from_millis)
}

/// Reads `512`, `64KiB`, `10MiB`, `1GiB` as bytes.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let bytes = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(bytes)
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    Some((text[..digits].parse().ok()?, text[digits..].trim_start()))
}
