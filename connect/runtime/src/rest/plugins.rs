//! `/connector-plugins`: what could be run, and whether a configuration would.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use connect_sdk::{Finding, OptionKind, OptionSpec};
use format::Format;
use serde_json::{Value, json};

use super::connectors::{texts, values};
use super::reply::{failure, json_reply, read};
use crate::catalogue::Plugin;
use crate::config::{Flat, common_options, kind_of, named, preset, shown};
use crate::{Checked, Error, Worker};

pub(super) async fn list(State(worker): State<Worker>, RawQuery(query): RawQuery) -> Response {
    let only = values(query.as_deref(), "connectorsOnly");
    let mut all: Vec<Value> = worker
        .catalogue()
        .plugins()
        .iter()
        .map(|plugin| {
            let description = &plugin.description;
            json!({ "class": description.name, "type": description.kind.name(), "version": description.version })
        })
        .collect();
    if only
        .last()
        .is_some_and(|value| value.eq_ignore_ascii_case("false"))
    {
        let version = &worker.settings().version;
        let formats = [Format::Csv, Format::Json, Format::Raw];
        all.extend(formats.map(
            |format| json!({ "class": format.name(), "type": "converter", "version": version }),
        ));
    }
    json_reply(StatusCode::OK, &all.into())
}

pub(super) async fn definitions(
    State(worker): State<Worker>,
    Path(class): Path<String>,
) -> Response {
    match worker.catalogue().find(&class, None) {
        Ok(plugin) => json_reply(
            StatusCode::OK,
            &with_orders(&all_options(plugin))
                .into_iter()
                .map(|(_, body)| body)
                .collect(),
        ),
        Err(_) => unknown(&class),
    }
}

pub(super) async fn validate(
    State(worker): State<Worker>,
    Path(class): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Error> {
    let config: BTreeMap<String, Value> = match read(&headers, &body) {
        Ok(config) => config,
        Err(response) => return Ok(*response),
    };
    let (mut given, twice) = named(worker.catalogue(), &texts(config)?);
    let Some(included) = given.get("connector.class") else {
        let message = format!(
            "Connector config {:?} contains no connector type",
            given.keys().collect::<Vec<_>>()
        );
        return Ok(failure(StatusCode::BAD_REQUEST, &message));
    };
    // A family is one connector only together with the type beside it.
    let kind = kind_of(&given).unwrap_or_default();
    let found = worker.catalogue().find(&class, kind);
    let Ok(plugin) = found.or_else(|_| worker.catalogue().find(included, kind)) else {
        return Ok(unknown(&class));
    };
    let description = &plugin.description;
    let names_it = |name: &str| {
        name == description.name || name == description.family || description.alias(name).is_some()
    };
    if !names_it(included) {
        let message =
            format!("Included connector type {included} does not match request type {class}");
        return Ok(failure(StatusCode::BAD_REQUEST, &message));
    }
    let name = description.name;
    let mut chosen = given.clone();
    if included == description.family {
        chosen.insert("connector.class".into(), name.to_owned());
    }
    preset(description, &mut given);
    let mut checked = worker.validate(&chosen).await;
    checked.add(twice);
    Ok(json_reply(
        StatusCode::OK,
        &validation(name, &given, &all_options(plugin), &checked),
    ))
}

fn unknown(class: &str) -> Response {
    failure(StatusCode::NOT_FOUND, &format!("Unknown plugin {class}."))
}

/// Common options first, the connector's own behind, its word counting where both have one.
fn all_options(plugin: &Plugin) -> Vec<OptionSpec> {
    let mut all = common_options(Some(plugin.description.kind));
    for spec in &plugin.description.options {
        all.retain(|other| other.name != spec.name);
        all.push(spec.clone());
    }
    all
}

/// Each option with its definition, counted within its group.
fn with_orders(options: &[OptionSpec]) -> Vec<(&OptionSpec, Value)> {
    let mut orders: BTreeMap<&str, usize> = BTreeMap::new();
    let definition = |option| {
        let option: &OptionSpec = option;
        let order = orders.entry(option.group).or_default();
        *order += 1;
        (option, option.config_definition(*order))
    };
    options.iter().map(definition).collect()
}

/// The answer to a validation. What is about no known option gets an entry of its own, so that
/// nothing found goes unseen.
fn validation(class: &str, given: &Flat, options: &[OptionSpec], checked: &Checked) -> Value {
    let shown = shown(given, options);
    let errors_of = |key: &str| -> Vec<String> {
        checked
            .findings
            .iter()
            .filter(|finding| finding.path == key && finding.is_error())
            .map(words)
            .collect()
    };
    let entry = |name: &str, default: Option<&str>, definition: Value| {
        json!({
            "definition": definition,
            "value": {
                "name": name,
                "value": shown.get(name).map(String::as_str).or(default),
                "recommended_values": [],
                "errors": errors_of(name),
                "visible": true,
            },
        })
    };
    let mut configs: Vec<Value> = with_orders(options)
        .into_iter()
        .map(|(option, definition)| entry(option.name, option.default, definition))
        .collect();
    let known: BTreeSet<&str> = options.iter().map(|option| option.name).collect();
    let strangers: BTreeSet<&str> = checked
        .findings
        .iter()
        .filter(|finding| finding.is_error() && !known.contains(finding.path.as_str()))
        .map(|finding| finding.path.as_str())
        .collect();
    for name in strangers {
        let stranger = OptionSpec::new("", OptionKind::Text, "");
        let mut definition = stranger.config_definition(0);
        definition["name"] = name.into();
        definition["display_name"] = name.into();
        configs.push(entry(name, None, definition));
    }
    let mut groups: Vec<&str> = Vec::new();
    for option in options {
        if !groups.contains(&option.group) {
            groups.push(option.group);
        }
    }
    json!({
        "name": class,
        "error_count": checked.findings.iter().filter(|finding| finding.is_error()).count(),
        "groups": groups,
        "configs": configs,
        // Ours, beside Kafka's fields: warnings too, and hints as such.
        "findings": checked.findings,
    })
}

fn words(finding: &Finding) -> String {
    match &finding.hint {
        Some(hint) => format!("{} ({hint})", finding.message),
        None => finding.message.clone(),
    }
}
