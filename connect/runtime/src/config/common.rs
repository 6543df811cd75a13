//! The options every connector has.

use connect_sdk::{Importance, Kind, OptionKind, OptionSpec};

/// The options of every source, every sink, or of everything while the kind is not known.
pub(crate) fn common_options(kind: Option<Kind>) -> Vec<OptionSpec> {
    let mut options = vec![
        OptionSpec::new("name", OptionKind::Text, "The connector's name, unlike any other's.").required(),
        OptionSpec::new(
            "connector.class",
            OptionKind::Text,
            "The connector: its class, as in file-source, or its family with type.",
        )
        .required(),
        OptionSpec::new(
            "type",
            OptionKind::Choice(&["source", "sink"]),
            "Which way records flow, where the connector can do both.",
        ),
        OptionSpec::new("tasks.max", OptionKind::Integer { min: 1, max: 1_000 }, "The most tasks the work is divided into.")
            .default("1"),
        OptionSpec::new("topics", OptionKind::List, "The topic a source writes to, or the topics a sink reads.").required(),
        OptionSpec::new("format", OptionKind::Choice(&["json", "csv", "raw"]), "How records are written in the topic.")
            .default("json")
            .importance(Importance::High),
        OptionSpec::new(
            "schema",
            OptionKind::Columns,
            "The columns of a record, as in id BIGINT, name STRING. Without it records pass as they are, where the connector can take them so.",
        )
        .importance(Importance::High),
    ];
    if kind != Some(Kind::Sink) {
        options.extend([
            OptionSpec::new(
                "topic.queues",
                OptionKind::Integer { min: 1, max: 1_024 },
                "The queues of the topic if it has to be made.",
            )
            .default("8"),
            OptionSpec::new(
                "key",
                OptionKind::List,
                "The columns whose values are a record's key. Records of one key keep their order.",
            ),
        ]);
    }
    if kind != Some(Kind::Source) {
        options.extend([
            OptionSpec::new(
                "start",
                OptionKind::Choice(&["earliest", "latest"]),
                "Where to begin in a queue that was never read.",
            )
            .default("earliest"),
            OptionSpec::new(
                "flush.interval",
                OptionKind::Duration,
                "The longest a record waits before it is made durable outside.",
            )
            .default("1s"),
            OptionSpec::new(
                "flush.rows",
                OptionKind::Integer {
                    min: 1,
                    max: 10_000_000,
                },
                "The most records that wait for that.",
            )
            .default("10000"),
        ]);
    }
    let errors = [
        OptionSpec::new(
            "errors.tolerance",
            OptionKind::Choice(&["none", "all"]),
            "Whether a record that cannot be handled and has no dead-letter topic stops the task or is counted, logged and passed over.",
        )
        .default("none"),
        OptionSpec::new(
            super::DEAD_LETTERS,
            OptionKind::Text,
            "The topic for records that cannot be handled, with their original bytes.",
        ),
        OptionSpec::new(
            "errors.deadletterqueue.context.headers.enable",
            OptionKind::Boolean,
            "Whether a dead letter says where it comes from and what was wrong.",
        )
        .default("true"),
        OptionSpec::new(
            "errors.retry.delay.max.ms",
            OptionKind::Integer { min: 1, max: 86_400_000 },
            "The longest wait between two attempts after a failure.",
        )
        .default("60000"),
        OptionSpec::new(
            "errors.retry.timeout",
            OptionKind::Limit,
            "How long to go on while a target, a source or the broker is away, before the task counts as failed; -1 has no end.",
        )
        .default("-1"),
        OptionSpec::new("errors.log.enable", OptionKind::Boolean, "Whether each record that cannot be handled is logged.")
            .default("false"),
        OptionSpec::new("errors.log.include.messages", OptionKind::Boolean, "Whether the log shows the record itself.")
            .default("false"),
    ];
    options.extend(errors.map(|option| option.group("Errors")));
    for option in &mut options {
        if option.group == "Connector" {
            option.group = "Common";
        }
    }
    options
}
