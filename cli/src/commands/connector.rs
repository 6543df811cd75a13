//! `millstream connector`: connectors of a running house, through Kafka Connect's REST API.

use anyhow::{Context, Result, bail};
use connect_runtime::ConnectorFile;
use connect_sdk::{Finding, join_list, split_list};
use serde_json::{Value, json};

use crate::arguments::{Connector, Global, Output};
use crate::commands::job::text;
use crate::commands::{confirm, searched};
use crate::failure::{Exit, Failure, counted};
use crate::output;
use crate::rest::Rest;

pub fn run(global: &Global, command: &Connector) -> Result<()> {
    let rest = Rest::connect(&global.connect);
    match command {
        Connector::Apply { file, dry_run } => apply(&rest, file, *dry_run),
        Connector::List => list(global, &rest),
        Connector::Describe { connector } => describe(global, &rest, connector),
        Connector::Pause { connector } => {
            rest.put(&format!("/connectors/{connector}/pause"), &Value::Null)?;
            eprintln!("connector {connector} pauses");
            Ok(())
        }
        Connector::Resume { connector } => {
            rest.put(&format!("/connectors/{connector}/resume"), &Value::Null)?;
            eprintln!("connector {connector} goes on");
            Ok(())
        }
        Connector::Delete { connector, yes } => {
            confirm(*yes, &format!("connector {connector}"))?;
            rest.delete(&format!("/connectors/{connector}"))?;
            eprintln!(
                "connector {connector} is deleted; its offsets stay, and one of the same name goes on from them"
            );
            Ok(())
        }
    }
}

/// The flat configuration of a connector file, with its name. Relative paths are below the file.
pub fn read(file: &std::path::Path) -> Result<(String, serde_json::Map<String, Value>)> {
    let shown = file.display();
    let content = std::fs::read_to_string(file).map_err(|why| {
        Failure::new(
            Exit::NotFound,
            "connector.file",
            format!("{shown} cannot be read"),
        )
        .why(why)
        .fix("name a TOML file that describes a connector")
    })?;
    let parsed = ConnectorFile::parse(&content).map_err(|findings| {
        let lines: Vec<_> = findings
            .iter()
            .map(|finding| format!("{shown}: {finding}"))
            .collect();
        Failure::new(
            Exit::Usage,
            "connector.invalid",
            format!("{shown} has {}", counted(lines.len(), "mistake")),
        )
        .why(lines.join("\n"))
        .fix("mend these lines; what each connector takes stands in docs/connectors.md")
    })?;
    let mut flat: serde_json::Map<String, Value> = parsed
        .flat
        .iter()
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    // The server runs elsewhere: a path means what it means beside the file.
    let whole = file
        .canonicalize()
        .with_context(|| format!("cannot resolve {shown}"))?;
    let folder = whole.parent().context("a file lies in a folder")?;
    let is = |key: &str, end: &str| {
        let value = parsed.flat.get(key);
        value.is_some_and(|value| value.ends_with(end))
    };
    let is_sink = is("type", "sink") || is("connector.class", "-sink");
    for key in ["path", "file"] {
        let Some(path) = flat.get(key).and_then(Value::as_str) else {
            continue;
        };
        if is_sink {
            let path = folder.join(path);
            flat.insert(key.to_owned(), json!(path));
            continue;
        }
        let paths = split_list(path);
        let beside = |path: &String| folder.join(path).display().to_string();
        let paths: Vec<_> = paths.iter().map(beside).collect();
        let paths = join_list(paths.iter().map(String::as_str));
        flat.insert(key.to_owned(), json!(paths));
    }
    let name = parsed.flat.get("name").cloned().ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            "connector.invalid",
            format!("{shown} gives the connector no name"),
        )
        .why("it is known by its name: to commands, and to the broker that keeps its position")
        .fix("add a line:  name = \"my-connector\"")
    })?;
    Ok((name, flat))
}

fn apply(rest: &Rest, file: &std::path::Path, dry_run: bool) -> Result<()> {
    let (name, flat) = read(file)?;
    let class = text(flat.get("connector.class").unwrap_or(&Value::Null));
    let checked = rest.put(
        &format!("/connector-plugins/{class}/config/validate"),
        &Value::Object(flat.clone()),
    );
    let checked = match checked {
        Err(failure) if failure.exit == Exit::NotFound => bail!(unknown(rest, &class)?),
        checked => checked?,
    };
    for warning in warnings(&checked) {
        eprintln!("warning: {warning}");
    }
    let mistakes = mistakes(&checked);
    if !mistakes.is_empty() {
        bail!(
            Failure::new(
                Exit::Usage,
                "connector.invalid",
                format!(
                    "connector {name:?} has {}",
                    counted(mistakes.len(), "mistake")
                )
            )
            .why(mistakes.join("\n"))
            .fix(format!(
                "options of this connector:  GET /connector-plugins/{class}/config"
            ))
        );
    }
    if dry_run {
        eprintln!("connector {name} is valid; nothing was changed");
        return Ok(());
    }
    rest.put(&format!("/connectors/{name}/config"), &Value::Object(flat))?;
    eprintln!("connector {name} is applied; follow it with  millstream connector describe {name}");
    Ok(())
}

/// There is no such connector; which one was meant?
fn unknown(rest: &Rest, class: &str) -> Result<Failure> {
    let plugins = rest.get("/connector-plugins")?;
    let classes = plugins.as_array().into_iter().flatten();
    let classes: Vec<_> = classes
        .filter_map(|plugin| plugin["class"].as_str())
        .collect();
    Ok(Failure::new(
        Exit::NotFound,
        "connector.unknown",
        format!("there is no connector {class:?}"),
    )
    .why(searched(class, "connectors", classes.clone()))
    .fix(format!(
        "set connector.class to one of {}",
        classes.join(", ")
    )))
}

fn mistakes(checked: &Value) -> Vec<String> {
    let configs = checked["configs"].as_array().into_iter().flatten();
    configs
        .flat_map(|config| {
            let name = text(&config["value"]["name"]);
            let errors = config["value"]["errors"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            errors
                .into_iter()
                .map(move |why| format!("{name}: {}", text(&why)))
        })
        .collect()
}

/// What will run, perhaps not as intended.
fn warnings(checked: &Value) -> Vec<String> {
    let findings = checked["findings"].as_array().into_iter().flatten();
    findings
        .filter_map(|finding| serde_json::from_value::<Finding>(finding.clone()).ok())
        .filter(|finding| !finding.is_error())
        .map(|finding| finding.to_string())
        .collect()
}

fn list(global: &Global, rest: &Rest) -> Result<()> {
    let all = rest.get("/connectors?expand=status&expand=info")?;
    let rows: Vec<Value> = all
        .as_object()
        .into_iter()
        .flatten()
        .map(|(_, connector)| connector["status"].clone())
        .collect();
    output::rows(
        global.output,
        &rows,
        &["CONNECTOR", "TYPE", "STATE", "TASKS", "WHY"],
        |status| {
            let tasks = status["tasks"].as_array().cloned().unwrap_or_default();
            let states: Vec<_> = tasks.iter().map(|task| text(&task["state"])).collect();
            let why = tasks
                .iter()
                .map(|task| &task["trace"])
                .chain([&status["connector"]["trace"]])
                .find(|trace| !trace.is_null());
            let first = why
                .map(text)
                .unwrap_or_default()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned();
            vec![
                text(&status["name"]),
                text(&status["type"]),
                text(&status["connector"]["state"]),
                states.join(" "),
                first,
            ]
        },
    );
    Ok(())
}

fn describe(global: &Global, rest: &Rest, connector: &str) -> Result<()> {
    let status = rest.get(&format!("/connectors/{connector}/status"))?;
    let config = rest.get(&format!("/connectors/{connector}/config"))?;
    let offsets = rest.get(&format!("/connectors/{connector}/offsets"))?;
    let whole = json!({ "status": status, "config": config, "offsets": offsets["offsets"] });
    if global.output == Output::Json {
        output::one(global.output, &whole, &[]);
        return Ok(());
    }
    let mut lines = vec![("state".to_owned(), text(&status["connector"]["state"]))];
    for task in status["tasks"].as_array().into_iter().flatten() {
        let why = text(&task["trace"]);
        lines.push((
            format!("task {}", task["id"]),
            format!("{} {why}", text(&task["state"]))
                .trim_end()
                .to_owned(),
        ));
    }
    lines.extend(
        config
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), text(value))),
    );
    for offset in offsets["offsets"].as_array().into_iter().flatten() {
        lines.push((
            format!("offset {}", offset["partition"]),
            offset["offset"].to_string(),
        ));
    }
    let borrowed: Vec<_> = lines
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    output::one(global.output, &whole, &borrowed);
    Ok(())
}
