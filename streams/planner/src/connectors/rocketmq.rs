//! What a table of connector `rocketmq` can be told: every option of both generations of the
//! official Flink connector is known here, if only to say what to use instead.

use arrow::datatypes::DataType;

use super::{ConnectorSpec, MetadataSpec, OptionSpec, RefusedOptions};
use crate::types::TIMESTAMP;

/// Ours is the first name of each option.
pub(super) fn spec() -> ConnectorSpec {
    let optional = OptionSpec::optional;
    ConnectorSpec {
        options: vec![
            OptionSpec::required("topic", &["rocketmq.source.topic", "rocketmq.sink.topic"]),
            optional("nameServerAddress", &["rocketmq.client.endpoints"]),
            optional("consumerGroup", &["rocketmq.source.group"]),
            optional("produceGroup", &["producerGroup", "rocketmq.sink.group"]),
            optional("tag", &["rocketmq.source.filter.tag", "rocketmq.sink.tag"]),
            optional("sql", &["rocketmq.source.filter.sql"]),
            optional("scanStartupMode", &["rocketmq.source.startup.scan.mode"]),
            optional(
                "offsetFromTimestamp",
                &["rocketmq.source.startup.offset.timestamp"],
            ),
            optional("startTimeMs", &[]),
            optional("startTime", &["rocketmq.source.startup.offset.date"]),
            optional("timeZone", &["rocketmq.client.timeZone"]),
            optional(
                "startMessageOffset",
                &["rocketmq.source.startup.offset.specific"],
            ),
            optional("encoding", &["rocketmq.client.message.encoding"]),
            optional(
                "csv.field-delimiter",
                &["fieldDelimiter", "rocketmq.client.message.field.delimiter"],
            ),
            optional("isDynamicTag", &[]),
            optional("dynamicTagColumn", &[]),
            optional("dynamicTagColumnWriteIncluded", &[]),
            optional("keyColumns", &[]),
            optional("writeKeysToBody", &[]),
        ],
        refused: REFUSED,
        has_format: true,
        metadata: vec![
            MetadataSpec::new("topic", DataType::Utf8, false),
            MetadataSpec::new("queue", DataType::Int32, false),
            MetadataSpec::new("offset", DataType::Int64, false),
            MetadataSpec::new("timestamp", TIMESTAMP, false),
            MetadataSpec::new("tags", DataType::Utf8, true),
            MetadataSpec::new("keys", DataType::Utf8, true),
        ],
        place: Some("topic"),
        upserts: true,
        source: true,
        sink: true,
        ..ConnectorSpec::default()
    }
}

const LEAVE_OUT: &str = "leave it out";

/// Flink's options without a meaning here.
const REFUSED: &[RefusedOptions] = &[
    RefusedOptions {
        names: &["endTime", "rocketmq.source.stop.offset.timestamp"],
        why: "a job reads on until it is stopped",
        instead: "WHERE bounds the rows, and job stop --drain ends the job",
    },
    RefusedOptions {
        names: &[
            "partitionDiscoveryIntervalMs",
            "rocketmq.client.partition.discovery.interval.ms",
        ],
        why: "new queues of a topic are always found within 30 seconds",
        instead: LEAVE_OUT,
    },
    RefusedOptions {
        names: &["useNewApi", "rocketmq.source.api.new.enable"],
        why: "there is one way to read a topic here",
        instead: LEAVE_OUT,
    },
    RefusedOptions {
        names: &["lineDelimiter", "rocketmq.client.message.line.delimiter"],
        why: "every message is one row",
        instead: "send a message per row",
    },
    RefusedOptions {
        names: &["columnErrorDebug", "rocketmq.source.column.error.debug"],
        why: "a job always says of a record it cannot use why",
        instead: "SET 'errors.undecodable' = 'dead-letter' keeps each such record with its reason",
    },
    RefusedOptions {
        names: &["lengthCheck", "rocketmq.client.message.length.check"],
        why: "a record with too few or too many fields does not decode",
        instead: "'csv.allow-missing-columns' = 'true' fills short ones up, SET 'errors.undecodable' = 'skip' leaves the others out",
    },
    RefusedOptions {
        names: &[
            "accessKey",
            "secretKey",
            "rocketmq.client.accessKey",
            "rocketmq.client.secretKey",
        ],
        why: "there are no access keys: a job reads and writes at the broker beside it",
        instead: LEAVE_OUT,
    },
    RefusedOptions {
        names: &[
            "retryTimes",
            "sleepTimeMs",
            "rocketmq.sink.send.retry.times",
            "rocketmq.sink.send.pending.max",
            "rocketmq.sink.send.timeout",
            "rocketmq.sink.executor.num",
        ],
        why: "results are published again until the broker has them",
        instead: LEAVE_OUT,
    },
    RefusedOptions {
        names: &[
            "rocketmq.sink.delivery.guarantee",
            "rocketmq.sink.transaction.timeout",
        ],
        why: "every result is written once, together with the positions it was computed from",
        instead: LEAVE_OUT,
    },
    RefusedOptions {
        names: &[
            "commit.offsets.on.checkpoint",
            "rocketmq.source.offset.commit.auto",
            "rocketmq.source.offset.commit.checkpoint",
            "rocketmq.source.offset.commit.interval",
        ],
        why: "a group's offsets are committed with every epoch",
        instead: LEAVE_OUT,
    },
    RefusedOptions {
        names: &["rocketmq.sink.key"],
        why: "records of one table would all have the same key",
        instead: "'keyColumns' names the columns that the keys are taken from",
    },
    RefusedOptions {
        names: &["rocketmq.sink.serialize.format"],
        why: "a table has one format, read and written",
        instead: "'format'",
    },
    RefusedOptions {
        names: &["rocketmq.client.namespace"],
        why: "a topic has one name",
        instead: "write the namespace into it, as in 'topic' = 'NAMESPACE%TOPIC'",
    },
    RefusedOptions {
        names: &[
            "consumer.timeout",
            "poll.timeout",
            "rocketmq.client.callback.threads",
            "rocketmq.client.channel",
            "rocketmq.client.channel.vip.enable",
            "rocketmq.client.debug",
            "rocketmq.client.heartbeat.interval.ms",
            "rocketmq.client.language",
            "rocketmq.client.network.timeout.ms",
            "rocketmq.client.tls.enable",
            "rocketmq.client.unitMode",
            "rocketmq.client.unitName",
            "rocketmq.source.allocate.strategy",
            "rocketmq.source.pull.batch.size",
            "rocketmq.source.pull.rpc.exception.delay",
            "rocketmq.source.pull.rpc.timeout",
            "rocketmq.source.pull.suspend.timeout",
            "rocketmq.source.pull.threads.num",
            "rocketmq.source.pull.threshold.all",
            "rocketmq.source.pull.threshold.queue",
            "rocketmq.source.trace.enable",
            "rocketmq.source.trace.topic",
        ],
        why: "it sets up the Java client, which is not used here",
        instead: LEAVE_OUT,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The table options of both generations, as their factories list them.
    const FLINKS: [&[&str]; 2] = [
        &[
            "topic",
            "consumerGroup",
            "producerGroup",
            "nameServerAddress",
            "tag",
            "sql",
            "startMessageOffset",
            "startTimeMs",
            "startTime",
            "endTime",
            "timeZone",
            "partitionDiscoveryIntervalMs",
            "consumer.timeout",
            "useNewApi",
            "encoding",
            "fieldDelimiter",
            "lineDelimiter",
            "columnErrorDebug",
            "lengthCheck",
            "retryTimes",
            "sleepTimeMs",
            "isDynamicTag",
            "dynamicTagColumn",
            "dynamicTagColumnWriteIncluded",
            "keyColumns",
            "writeKeysToBody",
            "accessKey",
            "secretKey",
            "scanStartupMode",
            "offsetFromTimestamp",
        ],
        &[
            "rocketmq.source.topic",
            "rocketmq.source.group",
            "rocketmq.source.filter.tag",
            "rocketmq.source.filter.sql",
            "rocketmq.source.startup.scan.mode",
            "rocketmq.source.startup.offset.specific",
            "rocketmq.source.startup.offset.timestamp",
            "rocketmq.source.startup.offset.date",
            "rocketmq.source.stop.offset.timestamp",
            "rocketmq.source.pull.rpc.timeout",
            "rocketmq.source.pull.suspend.timeout",
            "rocketmq.source.column.error.debug",
            "rocketmq.source.api.new.enable",
            "rocketmq.client.timeZone",
            "rocketmq.client.endpoints",
            "rocketmq.client.accessKey",
            "rocketmq.client.secretKey",
            "rocketmq.client.message.encoding",
            "rocketmq.client.message.field.delimiter",
            "rocketmq.client.message.line.delimiter",
            "rocketmq.client.message.length.check",
            "rocketmq.client.partition.discovery.interval.ms",
            "rocketmq.sink.topic",
            "rocketmq.sink.group",
            "rocketmq.sink.tag",
        ],
    ];

    #[test]
    fn every_option_of_flinks_connector_is_known_once() {
        let spec = spec();
        for name in FLINKS.concat() {
            let taken = spec.options.iter();
            let taken = taken.filter(|option| option.names().any(|known| known == name));
            let refused = spec.refused.iter().flat_map(|options| options.names);
            let refused = refused.filter(|known| **known == name);
            assert_eq!(taken.count() + refused.count(), 1, "{name}");
        }
    }
}
