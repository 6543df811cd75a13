//! The trait a connector implements.

use async_trait::async_trait;

use crate::{Context, Description, Error, Finding, Kind, Object, Options, Positions, Sink, Source};

/// The greatest number of tasks a connector may be divided into; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskCount(usize);

impl TaskCount {
    /// Zero becomes one.
    pub fn new(count: usize) -> Self {
        Self(count.max(1))
    }

    /// The number.
    pub fn get(self) -> usize {
        self.0
    }
}

/// One part of a connector's work. Two that are equal do the same work: a running task with
/// unchanged options is left alone when its connector is configured anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskOptions {
    /// The connector's options.
    pub options: Options,
    /// What this part is, in the connector's own words. Shown to users.
    pub part: String,
}

/// One way into or out of the house.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Name, version, options, guarantee. Pure and instant.
    fn describe(&self) -> Description;

    /// What is wrong with options that are each valid by themselves. Looks at nothing else.
    fn check(&self, options: &Options) -> Vec<Finding> {
        let _ = options;
        Vec::new()
    }

    /// Looks at the outside system and reports everything that is wrong, at once. Changes
    /// nothing. Comes after [`Connector::check`] whatever that found, and need not repeat it.
    async fn probe(&self, options: &Options, context: &Context) -> Vec<Finding> {
        let _ = (options, context);
        Vec::new()
    }

    /// Whether this connector goes on from a position that somebody sets by hand, or with `None`
    /// from the start of the partition: if not, one sentence says why. Looks at nothing outside.
    ///
    /// A sink whose target keeps the position refuses: the group's would not count.
    fn check_position(
        &self,
        options: &Options,
        partition: &Object,
        offset: Option<&Object>,
    ) -> Result<(), String> {
        let _ = (options, partition);
        let description = self.describe();
        match (description.kind, offset) {
            (Kind::Source, Some(_)) => Err(format!(
                "connector {} cannot tell whether it understands this offset",
                description.name
            )),
            _ => Ok(()),
        }
    }

    /// Divides the work by table, partition, shard or file; never more parts than `limit`. The
    /// work of a sink is divided by queues before it gets here, so equal parts are right for it.
    async fn divide(
        &self,
        options: &Options,
        limit: TaskCount,
        context: &Context,
    ) -> Result<Vec<TaskOptions>, Error> {
        let _ = context;
        let count = match self.describe().kind {
            Kind::Source => 1,
            Kind::Sink => limit.get(),
        };
        Ok(vec![
            TaskOptions {
                options: options.clone(),
                part: String::new(),
            };
            count
        ])
    }

    /// Opens one part for reading.
    async fn source(
        &self,
        task: TaskOptions,
        from: Positions,
        context: Context,
    ) -> Result<Box<dyn Source>, Error> {
        let _ = (task, from, context);
        Err(refusal(&self.describe(), "a source"))
    }

    /// Opens one part for writing.
    async fn sink(&self, task: TaskOptions, context: Context) -> Result<Box<dyn Sink>, Error> {
        let _ = (task, context);
        Err(refusal(&self.describe(), "a sink"))
    }
}

fn refusal(description: &Description, asked: &str) -> Error {
    let (name, kind) = (description.name, description.kind);
    Error::config(
        format!("connector {name} is a {kind}, not {asked}"),
        "choose another connector",
    )
}
