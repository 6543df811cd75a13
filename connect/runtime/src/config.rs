//! A connector's configuration: written down, checked, and ready to run.

mod choice;
mod common;
mod file;
mod names;
pub(crate) mod secrets;
mod tree;

use std::sync::Arc;

use connect_sdk::{Connector, Description, Finding, Kind, MASK, OptionKind, OptionSpec, Options};
use format::Format;
use model::{ConsumerGroup, Topic};
use runtime::Disk;

use crate::catalogue::Catalogue;
use choice::choose;
pub(crate) use choice::kind_of;
pub(crate) use common::common_options;
pub use file::ConnectorFile;
pub use names::canonical;
pub(crate) use names::{named, preset, spelling};
pub use tree::{Flat, Tree, TreeError};

/// The longest name of a connector: its consumer group is `connect-<name>`.
const NAME_LIMIT: usize = 100;

/// A configuration in which nothing is wrong.
#[derive(Clone)]
pub struct Config {
    /// The connector's name.
    pub name: String,
    /// What the connector says about itself.
    pub description: Arc<Description>,
    /// The connector.
    pub connector: Arc<dyn Connector>,
    /// The options every connector has.
    pub common: Options,
    /// The connector's own options.
    pub own: Options,
    /// A source's topic, or the topics of a sink.
    pub topics: Vec<Topic>,
    /// How records are written in the topic.
    pub format: Format,
    /// The format's options.
    pub format_options: format::Options,
    /// Where records go that cannot be handled.
    pub dead_letters: Option<Topic>,
}

impl Config {
    /// Which way records flow.
    pub fn kind(&self) -> Kind {
        self.description.kind
    }

    /// The job whose epochs the tasks commit.
    pub(crate) fn job(&self) -> String {
        job_name(&self.name)
    }

    /// The group of a sink.
    pub(crate) fn group(&self) -> ConsumerGroup {
        ConsumerGroup::parse(&job_name(&self.name))
            .expect("the name was checked when the configuration was")
    }

    pub(crate) fn task_limit(&self) -> usize {
        self.common
            .integer("tasks.max")
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(1)
    }
}

/// The job of a connector, which is the group of a sink too.
pub(crate) fn job_name(connector: &str) -> String {
    format!("connect-{connector}")
}

/// What a check of a configuration found, and the configuration if nothing was wrong.
pub struct Checked {
    /// Everything found, in the order of the keys.
    pub findings: Vec<Finding>,
    /// Ready to run; `None` if a finding is an error.
    pub config: Option<Config>,
    /// Every option the chosen connector has, the common ones first. Only the common ones if no
    /// connector could be chosen.
    pub options: Vec<OptionSpec>,
    /// What may look at the outside, whatever is wrong elsewhere.
    pub(crate) prober: Option<Prober>,
}

/// A connector whose own options are each valid: enough to look at the outside with.
#[derive(Clone)]
pub(crate) struct Prober {
    pub(crate) name: String,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) own: Options,
}

impl Checked {
    fn new(findings: Vec<Finding>, config: Option<Config>, options: Vec<OptionSpec>) -> Self {
        let mut checked = Self {
            findings: Vec::new(),
            config,
            options,
            prober: None,
        };
        checked.add(findings);
        checked
    }

    /// Takes in what was found besides.
    pub(crate) fn add(&mut self, findings: Vec<Finding>) {
        self.findings.extend(findings);
        self.findings
            .sort_by(|a, b| (&a.path, &a.message).cmp(&(&b.path, &b.message)));
        self.findings.dedup();
        if self.has_errors() {
            self.config = None;
        }
    }

    /// Whether something keeps it from running.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(Finding::is_error)
    }
}

/// Checks a flat configuration against the catalogue, as far as that can be done without
/// looking at the outside. Every finding comes at once.
pub fn check(catalogue: &Catalogue, flat: &Flat, disk: &dyn Disk) -> Checked {
    let (flat, mut findings) = named(catalogue, flat);
    let (mut resolved, missing) = secrets::resolve(&flat, disk);
    findings.extend(missing);
    let plugin = match choose(catalogue, &resolved) {
        Ok(plugin) => plugin.clone(),
        Err(finding) => {
            findings.push(finding);
            let known = common_options(None);
            let common = resolved
                .into_iter()
                .filter(|(key, _)| known.iter().any(|spec| spec.name == key))
                .collect();
            let (_, more) = Options::check(known.clone(), &common);
            findings.extend(
                more.into_iter()
                    .filter(|finding| finding.path != "connector.class"),
            );
            return Checked::new(findings, None, known);
        }
    };
    preset(&plugin.description, &mut resolved);
    let common = common_options(Some(plugin.description.kind));
    let mut all = common.clone();
    for spec in &plugin.description.options {
        all.retain(|other| other.name != spec.name);
        all.push(spec.clone());
    }
    let mut given = resolved.clone();
    given.retain(|key, _| {
        let converter = ["key.converter", "value.converter"]
            .iter()
            .any(|name| key.starts_with(name));
        if converter {
            let message =
                format!("\"{key}\" means nothing here: records are written as format says");
            findings.push(Finding::warning("connector.option.ignored", key, message));
        }
        !converter
    });
    let format = format_of(&mut given, &mut findings);
    let (_, wrong) = Options::check(all.clone(), &given);
    findings.extend(wrong);
    let of = |specs: &[OptionSpec]| -> Flat {
        let known = |key: &String| specs.iter().any(|spec| spec.name == key);
        given
            .iter()
            .filter(|(key, _)| known(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    let (common_given, own_given) = (of(&common), of(&plugin.description.options));
    let (common, _) = Options::check(common, &common_given);
    let (own, _) = Options::check(plugin.description.options.clone(), &own_given);
    let (name, topics, dead_letters) = names(&common, plugin.description.kind, &mut findings);
    check_key(&common, &mut findings);
    // Nonsense elsewhere is no reason to keep quiet about these.
    let own_is_valid = !findings.iter().any(|finding| {
        let of_own = |spec: &OptionSpec| spec.name == finding.path;
        finding.is_error() && plugin.description.options.iter().any(of_own)
    });
    let prober = own_is_valid.then(|| Prober {
        name: name.clone(),
        connector: plugin.connector.clone(),
        own: own.clone(),
    });
    if own_is_valid {
        findings.extend(plugin.connector.check(&own));
    }
    let config = format.map(|(format, format_options)| Config {
        name,
        description: plugin.description.clone(),
        connector: plugin.connector.clone(),
        common,
        own,
        topics,
        format,
        format_options,
        dead_letters,
    });
    Checked {
        prober,
        ..Checked::new(findings, config, all)
    }
}

/// Takes the format's own options out of the map and reads them.
fn format_of(given: &mut Flat, findings: &mut Vec<Finding>) -> Option<(Format, format::Options)> {
    let name = given.get("format").map_or("json", String::as_str);
    let format = name.parse::<Format>().ok(); // Options::check says so if it is none.
    let keys: Vec<String> = given
        .keys()
        .filter(|key| key.starts_with("format."))
        .cloned()
        .collect();
    let mut own = Flat::new();
    for key in keys {
        if let Some(value) = given.remove(&key) {
            own.insert(key["format.".len()..].to_owned(), value);
        }
    }
    let format = format?;
    match format::Options::parse(format, &own) {
        Ok(options) => Some((format, options)),
        Err(error) => {
            findings.push(Finding::error(
                "connector.format.option",
                "format",
                error.to_string(),
            ));
            None
        }
    }
}

/// The names in a configuration that have rules of their own.
fn names(
    common: &Options,
    kind: Kind,
    findings: &mut Vec<Finding>,
) -> (String, Vec<Topic>, Option<Topic>) {
    let name = common.text("name").unwrap_or_default().to_owned();
    if common.is_given("name") {
        let problem = match ConsumerGroup::parse(&job_name(&name)) {
            _ if name.is_empty() => Some("the name is empty".to_owned()),
            _ if name.len() > NAME_LIMIT => Some(format!(
                "the name has {} characters, at most {NAME_LIMIT} are allowed",
                name.len()
            )),
            Ok(_) => None,
            Err(_) => Some(format!(
                "the name \"{name}\" contains other characters than a-z A-Z 0-9 % | - _"
            )),
        };
        if let Some(problem) = problem {
            findings.push(Finding::error("connector.name", "name", problem));
        }
    }
    let mut parse = |path: &str, text: &str| match Topic::parse(text) {
        Ok(topic) => Some(topic),
        Err(error) => {
            findings.push(Finding::error("connector.topic", path, error.to_string()));
            None
        }
    };
    let topics: Vec<Topic> = common
        .list("topics")
        .iter()
        .filter_map(|text| parse("topics", text))
        .collect();
    let dead_letters = common
        .text(DEAD_LETTERS)
        .filter(|text| !text.is_empty())
        .and_then(|text| parse(DEAD_LETTERS, text));
    if kind == Kind::Source && topics.len() > 1 {
        findings.push(Finding::error(
            "connector.topic",
            "topics",
            "a source writes to one topic",
        ));
    }
    if common.is_given("topics") && common.list("topics").is_empty() {
        findings.push(Finding::error(
            "connector.topic",
            "topics",
            "no topic is named",
        ));
    }
    (name, topics, dead_letters)
}

pub(crate) const DEAD_LETTERS: &str = "errors.deadletterqueue.topic.name";

fn check_key(common: &Options, findings: &mut Vec<Finding>) {
    let Some(schema) = common.columns("schema") else {
        return;
    };
    for column in common.list("key") {
        if schema.field_with_name(&column).is_err() {
            let names = schema.fields().iter().map(|field| field.name().as_str());
            let finding = Finding::error(
                "connector.key",
                "key",
                format!("schema has no column \"{column}\""),
            );
            findings.push(match connect_sdk::nearest(&column, names) {
                Some(near) => finding.with_hint(format!("did you mean \"{near}\"?")),
                None => finding,
            });
        }
    }
}

/// A configuration as it may be shown: secrets are masked, references are not.
pub(crate) fn shown(flat: &Flat, options: &[OptionSpec]) -> Flat {
    let show = |(key, value): (&String, &String)| {
        let kind = options
            .iter()
            .find(|spec| spec.name == key)
            .map_or(OptionKind::Text, |spec| spec.kind);
        let text = if secrets::is_reference(value) {
            value.clone()
        } else {
            kind.mask(value)
        };
        (key.clone(), text)
    };
    flat.iter().map(show).collect()
}

/// Puts the kept secrets back where somebody sent the mask they were shown.
pub(crate) fn unmask(sent: &mut Flat, kept: &Flat, options: &[OptionSpec]) {
    let masked = shown(kept, options);
    for (key, value) in sent.iter_mut() {
        if value.contains(MASK) && masked.get(key) == Some(value) {
            value.clone_from(&kept[key]);
        }
    }
}
