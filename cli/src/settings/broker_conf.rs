//! Translates RocketMQ's `broker.conf`: each line is mapped, without effect, or refused.

/// What became of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// `key` sets one of ours: `part.key=value`, ready for `--set`.
    Mapped { key: String, flag: String },
    /// `key` is accepted and changes nothing here, because of `why`.
    WithoutEffect { key: String, why: &'static str },
    /// The line can't be honoured; starting anyway would break what its author expects.
    Refused {
        line: usize,
        key: String,
        why: String,
    },
}

/// A whole file, line by line, comments and blank lines left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Translated {
    pub lines: Vec<Line>,
}

impl Translated {
    /// The `--set` flags of all mapped lines, in order.
    pub fn flags(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(|line| match line {
            Line::Mapped { flag, .. } => Some(flag.as_str()),
            _ => None,
        })
    }

    /// The refused lines as sentences.
    pub fn refusals(&self) -> Vec<String> {
        self.lines
            .iter()
            .filter_map(|line| match line {
                Line::Refused { line, key, why } => Some(format!("line {line}: {key}: {why}")),
                _ => None,
            })
            .collect()
    }
}

/// RocketMQ's key and ours, where the value keeps its form.
const SAME_VALUE: &[(&str, &str)] = &[
    ("brokerClusterName", "broker.cluster"),
    ("brokerName", "broker.name"),
    ("brokerId", "broker.id"),
    ("namesrvAddr", "broker.nameservers"),
    ("storePathRootDir", "store.path"),
    ("mappedFileSizeCommitLog", "store.segment-bytes"),
    ("maxMessageSize", "limits.body"),
    ("diskSpaceCleanForciblyRatio", "store.clean-percent"),
    ("diskSpaceWarningLevelRatio", "store.refuse-percent"),
    ("autoCreateTopicEnable", "topics.auto-create"),
    ("autoCreateSubscriptionGroup", "groups.auto-create"),
];

const NO_SUCH_PART: &str = "Millstream has no such part";
const ALWAYS_ON: &str = "always on";

/// Keys that are accepted and change nothing, with the reason.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("enablePropertyFilter", ALWAYS_ON),
    ("deleteWhen", "old segments go at four in the morning"),
    (
        "diskMaxUsedSpaceRatio",
        "old segments go early from three quarters of the disk on",
    ),
    (
        "transientStorePoolEnable",
        "an acknowledged message is never only in user space",
    ),
    (
        "syncFlushTimeout",
        "a send is answered once the disk has it, or has refused it; FLUSH_DISK_TIMEOUT is never sent",
    ),
    ("warmMapedFileEnable", NO_SUCH_PART),
    ("mapedFileSizeConsumeQueue", "queues share one index log"),
    ("mappedFileSizeConsumeQueue", "queues share one index log"),
    ("sendMessageThreadPoolNums", NO_SUCH_PART),
    ("pullMessageThreadPoolNums", NO_SUCH_PART),
    ("useReentrantLockWhenPutMessage", NO_SUCH_PART),
    (
        "storePathConsumeQueue",
        "the index lies below the store's root",
    ),
    ("storePathIndex", "the index lies below the store's root"),
    (
        "storeCheckpoint",
        "the checkpoint lies below the store's root",
    ),
    ("abortFile", "the marker lies below the store's root"),
];

/// Translates the text of a `broker.conf` (Java properties: `key=value`, `#` comments).
pub fn translate(text: &str) -> Translated {
    let mut translated = Translated::default();
    let mut address: Option<String> = None;
    let mut port: Option<(usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        let line_number = number + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let Some((key, value)) = line.split_once(['=', ':']) else {
            translated
                .lines
                .push(refused(line_number, line, "is not key=value".to_owned()));
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        match key {
            "brokerIP1" => address = Some(value.to_owned()),
            "listenPort" => port = Some((line_number, value.to_owned())),
            _ => translated.lines.push(one(line_number, key, value)),
        }
    }
    // RocketMQ listens on every address; so does a translated file, unless it names one.
    let host = address.as_deref().unwrap_or("127.0.0.1");
    if let Some((line, port)) = &port {
        match port.parse::<u16>() {
            Ok(port) => translated.lines.push(mapped(
                "listenPort",
                "broker.listen",
                &format!("{host}:{port}"),
            )),
            Err(_) => translated.lines.push(refused(
                *line,
                "listenPort",
                format!("{port:?} is not a port"),
            )),
        }
    } else if address.is_some() {
        translated.lines.push(mapped(
            "brokerIP1",
            "broker.listen",
            &format!("{host}:10911"),
        ));
    }
    translated
}

fn one(line: usize, key: &str, value: &str) -> Line {
    if let Some((_, ours)) = SAME_VALUE.iter().find(|(theirs, _)| *theirs == key) {
        return mapped(key, ours, value);
    }
    if let Some((_, why)) = WITHOUT_EFFECT.iter().find(|(theirs, _)| *theirs == key) {
        return Line::WithoutEffect {
            key: key.to_owned(),
            why,
        };
    }
    match key {
        "flushDiskType" => match value {
            "ASYNC_FLUSH" => mapped(key, "store.flush", "async"),
            "SYNC_FLUSH" => mapped(key, "store.flush", "sync"),
            _ => refused(
                line,
                key,
                format!("{value:?} is neither ASYNC_FLUSH nor SYNC_FLUSH"),
            ),
        },
        "fileReservedTime" => mapped(key, "store.retention", &format!("{value}h")),
        "brokerRole" => match value {
            "ASYNC_MASTER" => Line::WithoutEffect {
                key: key.to_owned(),
                why: "a broker without replicas is a master",
            },
            _ => refused(
                line,
                key,
                format!("{value} needs replication, which Millstream does not have yet"),
            ),
        },
        "authenticationEnabled" | "authorizationEnabled" | "aclEnable" if value == "true" => {
            refused(
                line,
                key,
                "access control is not built yet; starting without it would open the broker"
                    .to_owned(),
            )
        }
        "rocketmqHome" | "configBlackList" => refused(
            line,
            key,
            "is not a setting here: nothing is run or read from such a path".to_owned(),
        ),
        _ => Line::WithoutEffect {
            key: key.to_owned(),
            why: NO_SUCH_PART,
        },
    }
}

fn mapped(key: &str, ours: &str, value: &str) -> Line {
    Line::Mapped {
        key: key.to_owned(),
        flag: format!("{ours}={value}"),
    }
}

fn refused(line: usize, key: &str, why: String) -> Line {
    Line::Refused {
        line,
        key: key.to_owned(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Bytes, Flush, Layers, load};

    #[test]
    fn the_quickstart_file_of_rocketmq_becomes_settings() {
        let text = "# a comment\nbrokerClusterName = C\nbrokerName=b\nbrokerId=0\nlistenPort=20911\nbrokerIP1=127.0.0.1\n\
                    flushDiskType=SYNC_FLUSH\nbrokerRole=ASYNC_MASTER\nmappedFileSizeCommitLog=1048576\ndeleteWhen=04\n";
        let translated = translate(text);
        assert_eq!(translated.refusals(), Vec::<String>::new());
        let flags = translated.flags().map(str::to_owned).collect();
        let settings = load(&Layers {
            flags,
            ..Layers::default()
        })
        .expect("every mapped line is valid");
        assert_eq!(settings.broker.cluster, "C");
        assert_eq!(settings.broker.listen, "127.0.0.1:20911");
        assert_eq!(settings.store.flush, Flush::Sync);
        assert_eq!(settings.store.segment_bytes, Bytes(1 << 20));
        assert!(translated.lines.contains(&Line::WithoutEffect {
            key: "deleteWhen".into(),
            why: "old segments go at four in the morning"
        }));
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_with_its_line() {
        let refusals = translate("brokerRole=SYNC_MASTER\n\nauthenticationEnabled=true\nnonsense\nrocketmqHome=/x\nflushDiskType=MAYBE\nlistenPort=x\n").refusals();
        assert_eq!(
            refusals,
            [
                "line 1: brokerRole: SYNC_MASTER needs replication, which Millstream does not have yet",
                "line 3: authenticationEnabled: access control is not built yet; starting without it would open the broker",
                "line 4: nonsense: is not key=value",
                "line 5: rocketmqHome: is not a setting here: nothing is run or read from such a path",
                "line 6: flushDiskType: \"MAYBE\" is neither ASYNC_FLUSH nor SYNC_FLUSH",
                "line 7: listenPort: \"x\" is not a port",
            ]
        );
    }
}
