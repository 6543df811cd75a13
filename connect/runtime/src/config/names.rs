//! The names of options: each has one, in whatever spelling or other house's words it is given.

use std::collections::btree_map::Entry;

use connect_sdk::{Description, Finding, Means};

use super::choice::kind_of;
use super::{Flat, tree};
use crate::catalogue::Catalogue;

/// The flat key that stands for another spelling of it.
pub(super) fn alias(key: &str) -> &str {
    let key = key.strip_prefix("options.").unwrap_or(key);
    match key {
        "connector" => "connector.class",
        "tasks-max" => "tasks.max",
        "topic" => "topics",
        other => other,
    }
}

/// Brings every key into its one spelling. Of a key that is set twice the first value is kept,
/// and the finding says so.
pub fn canonical(flat: &Flat) -> (Flat, Vec<Finding>) {
    rename(flat, |key| alias(tree::canonical_key(key)).to_owned())
}

/// The same, and the names that the chosen connector's options have elsewhere become theirs.
pub(crate) fn named(catalogue: &Catalogue, flat: &Flat) -> (Flat, Vec<Finding>) {
    let (flat, mut findings) = canonical(flat);
    let (named, twice) = rename(&flat, spelling(catalogue, &flat));
    findings.extend(twice);
    (named, findings)
}

/// How the connector of this configuration spells a key.
pub(crate) fn spelling(catalogue: &Catalogue, flat: &Flat) -> impl Fn(&str) -> String + use<> {
    let kind = kind_of(flat).unwrap_or_default();
    let class = flat.get("connector.class");
    let plugin = class.and_then(|class| catalogue.find(class, kind).ok());
    let description = plugin.map(|plugin| plugin.description.clone());
    move |key| {
        let key = alias(tree::canonical_key(key));
        let options = description.iter().flat_map(|known| &known.options);
        let mut own = options.filter(|option| option.alias == Some(key));
        own.next().map_or(key, |option| option.name).to_owned()
    }
}

/// Sets what the class name implies and the configuration does not say.
pub(crate) fn preset(description: &Description, flat: &mut Flat) {
    let class = flat.get("connector.class");
    let alias = class.and_then(|class| description.alias(class));
    if let Some(Means::This(options)) = alias.map(|alias| alias.means) {
        for (key, value) in options {
            flat.entry((*key).to_owned())
                .or_insert_with(|| (*value).to_owned());
        }
    }
}

/// A key that has its name already comes before one that gets it.
fn rename(flat: &Flat, name: impl Fn(&str) -> String) -> (Flat, Vec<Finding>) {
    let (mut renamed, mut findings) = (Flat::new(), Vec::new());
    let names = flat.iter().map(|(key, value)| (name(key), key, value));
    let (own, others): (Vec<_>, Vec<_>) = names.partition(|(name, key, _)| name == *key);
    for (name, key, value) in own.into_iter().chain(others) {
        match renamed.entry(name) {
            Entry::Vacant(free) => drop(free.insert(value.clone())),
            Entry::Occupied(taken) => {
                let name = taken.key().as_str();
                let message = format!("\"{name}\" is set twice, once as \"{key}\"");
                findings.push(Finding::error("connector.option.twice", name, message));
            }
        }
    }
    (renamed, findings)
}
