//! Which connector a configuration means.

use connect_sdk::{Finding, Kind, Means};

use super::Flat;
use crate::catalogue::{Catalogue, NotFound, Plugin};

/// The kind a configuration says beside the family, if it does; else what it says instead.
pub(crate) fn kind_of(flat: &Flat) -> Result<Option<Kind>, &str> {
    match flat.get("type").map(String::as_str) {
        None => Ok(None),
        Some("source") => Ok(Some(Kind::Source)),
        Some("sink") => Ok(Some(Kind::Sink)),
        Some(other) => Err(other),
    }
}

/// The connector of a configuration, or why there is none.
pub(super) fn choose<'a>(catalogue: &'a Catalogue, flat: &Flat) -> Result<&'a Plugin, Finding> {
    let kind = kind_of(flat).map_err(|other| {
        let message = format!("\"{other}\" is not one of source, sink");
        Finding::error("connector.option.value", "type", message)
    })?;
    let Some(class) = flat.get("connector.class") else {
        let known: Vec<&str> = catalogue
            .plugins()
            .iter()
            .map(|plugin| plugin.description.name)
            .collect();
        let finding = Finding::error(
            "connector.option.missing",
            "connector.class",
            "no connector is chosen",
        );
        return Err(finding.with_hint(format!("the connectors are {}", known.join(", "))));
    };
    let plugin = catalogue.find(class, kind).map_err(|not_found| {
        let (message, hint) = match not_found {
            NotFound::Unknown {
                near: Some(near), ..
            } => (
                format!("there is no connector \"{class}\""),
                format!("did you mean \"{near}\"?"),
            ),
            NotFound::Unknown { known, .. } => (
                format!("there is no connector \"{class}\""),
                format!("the connectors are {known}"),
            ),
            NotFound::Ambiguous => (
                format!("connector \"{class}\" is a source and a sink"),
                "set type to source or sink".to_owned(),
            ),
        };
        Finding::error("connector.class.unknown", "connector.class", message).with_hint(hint)
    })?;
    match plugin.description.alias(class).map(|alias| alias.means) {
        Some(Means::Other { why, instead }) => {
            let finding = Finding::error("connector.class.other", "connector.class", why);
            Err(finding.with_hint(instead))
        }
        _ => Ok(plugin),
    }
}
