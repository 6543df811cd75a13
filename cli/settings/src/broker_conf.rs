//! Translates RocketMQ's `broker.conf`: each line is mapped, without effect, or refused.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use super::properties::{
    Fate, NO_SUCH_PATH, NO_THREAD_POOLS, Properties, Translated, not_known, sizes_a_thread_pool,
};
use super::{BROKER_PORT, LOOPBACK};

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

const OTHERS_MAPPED: &[&str] = &[
    "listenPort",
    "bindAddress",
    "brokerIP1",
    "flushDiskType",
    "fileReservedTime",
    "storePathCommitLog",
];

const NO_LOGIN: &str =
    "access control is not built yet, and starting without it would open the broker";
const NO_REPLICATION: &str = "replication is not built yet";
const NO_CONTROLLER: &str = "a controller is not built yet";

/// Keys of which one value is honoured, the one RocketMQ starts with, and why no other is.
const ONE_VALUE: &[(&str, &str, &str)] = &[
    (
        "messageDelayLevel",
        "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h",
        "the 18 delay levels are fixed, and messages would come at other times than these",
    ),
    (
        "brokerPermission",
        "6",
        "a broker that only reads or only writes is not built yet",
    ),
    (
        "defaultTopicQueueNums",
        "8",
        "a topic that is made when used has up to 8 queues",
    ),
    ("brokerRole", "ASYNC_MASTER", NO_REPLICATION),
    ("totalReplicas", "1", NO_REPLICATION),
    ("inSyncReplicas", "1", NO_REPLICATION),
    ("minInSyncReplicas", "1", NO_REPLICATION),
    ("enableDLegerCommitLog", "false", NO_REPLICATION),
    ("enableSlaveActingMaster", "false", NO_REPLICATION),
    ("enableControllerMode", "false", NO_CONTROLLER),
    ("authenticationEnabled", "false", NO_LOGIN),
    ("authorizationEnabled", "false", NO_LOGIN),
    ("aclEnable", "false", NO_LOGIN),
];

const BELOW_ROOT: &str = "the index lies below the store's root";
const ONE_INDEX: &str = "queues share one index log";
const NO_REPLICAS: &str = "there are no replicas yet";
const NO_TRANSACTIONS: &str = "transactions are refused by name until they are built";
const NO_TIMERS: &str = "timers of any length are refused by name until they are built";
const NO_JAVA: &str = "there is no Java heap and no memory map to warm up or to spare";

/// Keys that are accepted and change nothing, with the reason.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("enableLmq", "always on"),
    ("enableMultiDispatch", "always on"),
    ("enablePropertyFilter", "always on"),
    ("longPollingEnable", "always on"),
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
    ("brokerIP2", NO_REPLICAS),
    ("haListenPort", NO_REPLICAS),
    ("haMasterAddress", NO_REPLICAS),
    ("haSendHeartbeatInterval", NO_REPLICAS),
    ("slaveReadEnable", NO_REPLICAS),
    ("slaveTimeout", NO_REPLICAS),
    ("rejectTransactionMessage", NO_TRANSACTIONS),
    ("transactionCheckInterval", NO_TRANSACTIONS),
    ("transactionCheckMax", NO_TRANSACTIONS),
    ("transactionTimeOut", NO_TRANSACTIONS),
    ("recallMessageEnable", NO_TIMERS),
    ("timerMaxDelaySec", NO_TIMERS),
    ("timerPrecisionMs", NO_TIMERS),
    ("timerWheelEnable", NO_TIMERS),
    ("transferMsgByHeap", NO_JAVA),
    ("transientStorePoolSize", NO_JAVA),
    ("warmMapedFileEnable", NO_JAVA),
    ("mapedFileSizeConsumeQueue", ONE_INDEX),
    ("mappedFileSizeConsumeQueue", ONE_INDEX),
    ("storePathConsumeQueue", BELOW_ROOT),
    ("storePathIndex", BELOW_ROOT),
    ("storeCheckpoint", BELOW_ROOT),
    ("abortFile", "the marker lies below the store's root"),
    (
        "useReentrantLockWhenPutMessage",
        "appends are not ordered by a lock",
    ),
];

/// Translates the text of a `broker.conf` (Java properties: `key=value`, `#` comments).
pub fn translate(text: &str) -> Translated {
    let file = Properties::read(text);
    // RocketMQ listens on every address. Without a login that has to be asked for.
    let host: IpAddr = file.last("bindAddress").unwrap_or(LOOPBACK);
    let number: u16 = file.last("listenPort").unwrap_or(BROKER_PORT);
    let root: Option<String> = file.last("storePathRootDir");
    let address = |key, ip, port| Fate::Mapped(format!("{key}={}", SocketAddr::new(ip, port)));
    file.translated(|key, value| match key {
        "listenPort" => {
            port(value).map_or_else(Fate::Refused, |port| address("broker.listen", host, port))
        }
        "bindAddress" => {
            ip(value).map_or_else(Fate::Refused, |ip| address("broker.listen", ip, number))
        }
        "brokerIP1" => {
            ip(value).map_or_else(Fate::Refused, |ip| address("broker.advertise", ip, number))
        }
        "storePathCommitLog" => commit_log(value, root.as_deref()),
        _ => one(key, value),
    })
}

/// What becomes of a line that needs no other.
fn one(key: &str, value: &str) -> Fate {
    if let Some((_, ours)) = SAME_VALUE.iter().find(|(theirs, _)| *theirs == key) {
        return Fate::Mapped(format!("{ours}={value}"));
    }
    if let Some((_, honoured, why)) = ONE_VALUE.iter().find(|(theirs, ..)| *theirs == key) {
        return match value.split_whitespace().eq(honoured.split_whitespace()) {
            true => Fate::WithoutEffect("this is how it always is".to_owned()),
            false => Fate::Refused(format!(
                "{value} cannot be honoured: {why}; remove the line, or write {honoured}"
            )),
        };
    }
    if let Some((_, why)) = WITHOUT_EFFECT.iter().find(|(theirs, _)| *theirs == key) {
        return Fate::WithoutEffect((*why).to_owned());
    }
    match key {
        "flushDiskType" => match value {
            "ASYNC_FLUSH" => Fate::Mapped("store.flush=async".to_owned()),
            "SYNC_FLUSH" => Fate::Mapped("store.flush=sync".to_owned()),
            _ => Fate::Refused(format!("{value:?} is neither ASYNC_FLUSH nor SYNC_FLUSH")),
        },
        "fileReservedTime" => match value.parse::<u32>() {
            Ok(hours) => Fate::Mapped(format!("store.retention={hours}h")),
            Err(_) => Fate::Refused(format!("{value:?} is not a number of hours")),
        },
        "rocketmqHome" | "configBlackList" => Fate::Refused(NO_SUCH_PATH.to_owned()),
        _ if sizes_a_thread_pool(key) => Fate::WithoutEffect(NO_THREAD_POOLS.to_owned()),
        _ => not_known(key, known()),
    }
}

/// Every key that something is known of.
fn known() -> impl Iterator<Item = &'static str> {
    let same = SAME_VALUE.iter().map(|(key, _)| *key);
    let one = ONE_VALUE.iter().map(|(key, ..)| *key);
    let without = WITHOUT_EFFECT.iter().map(|(key, _)| *key);
    let others = OTHERS_MAPPED.iter().copied();
    same.chain(one).chain(without).chain(others)
}

/// The log lies below the root, and nowhere else: messages elsewhere would seem to be gone.
fn commit_log(path: &str, root: Option<&str>) -> Fate {
    match root {
        Some(root) if Path::new(path) == Path::new(root).join("commitlog") => {
            Fate::WithoutEffect("that is where it lies".to_owned())
        }
        _ => Fate::Refused(format!(
            "the log lies in commitlog below storePathRootDir, and {path} is another place; \
             move it there, or name the folder around it as storePathRootDir"
        )),
    }
}

pub(super) fn port(value: &str) -> Result<u16, String> {
    value
        .parse()
        .map_err(|_| format!("{value:?} is not a port"))
}

/// Routes, messages and sockets carry addresses, so a name is not resolved.
pub(super) fn ip(value: &str) -> Result<IpAddr, String> {
    value
        .parse()
        .map_err(|_| format!("{value:?} is not an IP address"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::properties::Line;
    use crate::{Bytes, Flush, Layers, Settings, load};

    fn settings(text: &str) -> Settings {
        let translated = translate(text);
        assert_eq!(translated.refusals(), Vec::<String>::new());
        let flags = translated.flags().map(str::to_owned).collect();
        load(&Layers {
            flags,
            ..Layers::default()
        })
        .expect("every mapped line is valid")
    }

    fn without_effect(text: &str) -> Vec<String> {
        let translated = translate(text);
        assert_eq!(translated.refusals(), Vec::<String>::new());
        let lines = translated.lines.iter();
        let without = lines.filter(|line| matches!(line.fate, Fate::WithoutEffect(_)));
        without.map(Line::to_string).collect()
    }

    #[test]
    fn the_quickstart_file_of_rocketmq_becomes_settings() {
        let text = "# a comment\nbrokerClusterName = C\nbrokerName=b\nbrokerId=0\nlistenPort=20911\n\
                    flushDiskType=SYNC_FLUSH\nbrokerRole=ASYNC_MASTER\nmappedFileSizeCommitLog=1048576\n\
                    deleteWhen=04\nfileReservedTime=48\n";
        let settings = settings(text);
        assert_eq!(settings.broker.cluster, "C");
        assert_eq!(settings.broker.listen.to_string(), "127.0.0.1:20911");
        assert_eq!(settings.broker.advertised(), settings.broker.listen.0);
        assert_eq!(settings.store.flush, Flush::Sync);
        assert_eq!(settings.store.segment_bytes, Bytes(1 << 20));
        assert_eq!(settings.store.retention.to_string(), "2d");
        assert_eq!(
            without_effect(text),
            [
                "line 7: brokerRole has no effect: this is how it always is",
                "line 9: deleteWhen has no effect: old segments go at four in the morning",
            ]
        );
    }

    #[test]
    fn broker_ip_is_advertised_and_the_bind_address_is_listened_on() {
        let told = settings("brokerIP1=192.0.2.7\nlistenPort=20911\n").broker;
        assert_eq!(told.advertise.to_string(), "192.0.2.7:20911");
        assert_eq!(told.listen.to_string(), "127.0.0.1:20911");

        let both = settings("bindAddress=0.0.0.0\nbrokerIP1=192.0.2.7\n").broker;
        assert_eq!(both.advertise.to_string(), "192.0.2.7:10911");
        assert_eq!(both.listen.to_string(), "0.0.0.0:10911");
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_with_its_line() {
        let refusals = translate(
            "brokerRole=SYNC_MASTER\n\nauthenticationEnabled=true\nnonsense\nrocketmqHome=/x\n\
             flushDiskType=MAYBE\nlistenPort=x\nbrokerIP1=broker.example\nfileReservedTime=long\n\
             messageDelayLevel=1s 5s\n",
        );
        assert_eq!(
            refusals.refusals(),
            [
                "line 1: brokerRole: SYNC_MASTER cannot be honoured: replication is not built yet; remove the line, or write ASYNC_MASTER",
                "line 3: authenticationEnabled: true cannot be honoured: access control is not built yet, and starting without it would open the broker; remove the line, or write false",
                "line 4: nonsense: is not key=value",
                "line 5: rocketmqHome: is not a setting here: nothing is run or read from such a path; remove the line",
                "line 6: flushDiskType: \"MAYBE\" is neither ASYNC_FLUSH nor SYNC_FLUSH",
                "line 7: listenPort: \"x\" is not a port",
                "line 8: brokerIP1: \"broker.example\" is not an IP address",
                "line 9: fileReservedTime: \"long\" is not a number of hours",
                "line 10: messageDelayLevel: 1s 5s cannot be honoured: the 18 delay levels are fixed, and messages would come at other times than these; remove the line, or write 1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h",
            ]
        );
    }

    #[test]
    fn a_value_that_our_settings_refuse_is_refused_at_its_line() {
        assert_eq!(
            translate(
                "brokerName=b\nmaxMessageSize=lots\nbrokerId=-1\nnamesrvAddr=nobody\n\
                 diskSpaceWarningLevelRatio=200\n"
            )
            .refusals(),
            [
                "line 2: maxMessageSize: limits.body: invalid value: string \"lots\", expected a size such as \"64KiB\", \"10MiB\" or \"1GiB\"",
                "line 3: brokerId: broker.id: invalid value: integer `-1`, expected u64",
                "line 4: namesrvAddr: broker.nameservers: invalid value: string \"nobody\", expected host:port, several separated by `;`, such as \"127.0.0.1:9876\"",
                "line 5: diskSpaceWarningLevelRatio: store.refuse-percent: invalid value: integer `200`, expected a share from 0 to 100",
            ]
        );
    }

    #[test]
    fn a_commit_log_elsewhere_is_refused() {
        let refused = |text: &str| translate(text).refusals().len();
        assert_eq!(
            refused("storePathRootDir=/s\nstorePathCommitLog=/s/commitlog/\n"),
            0
        );
        assert_eq!(
            refused("storePathCommitLog=/fast/commitlog\nstorePathRootDir=/s\n"),
            1
        );
        assert_eq!(refused("storePathCommitLog=/s/commitlog\n"), 1);
    }

    #[test]
    fn a_key_that_is_not_known_is_not_called_a_missing_part() {
        assert_eq!(
            without_effect("brokerNmae=b\nsendMessageThreadPoolNums=4\nflushIntervalCommitLog=1\n"),
            [
                "line 1: brokerNmae has no effect: it is not known here; the nearest name that is: brokerName",
                "line 2: sendMessageThreadPoolNums has no effect: no request waits for a thread of a pool",
                "line 3: flushIntervalCommitLog has no effect: it is not known here",
            ]
        );
    }

    /// Lines that a person or a fuzzer writes: keys that are known and that are not, values of
    /// every kind, comments, and what is no pair at all.
    fn any_line() -> impl Strategy<Value = String> {
        let known: Vec<_> = known().collect();
        let key = prop_oneof![
            4 => prop::sample::select(known).prop_map(str::to_owned),
            1 => "[a-zA-Z#!]{0,12}",
            1 => "\\PC{0,8}",
        ];
        let value = prop_oneof![
            "-?[0-9]{1,21}",
            "[0-9]{1,3}(\\.[0-9]{1,3}){0,4}(:[0-9]{0,6})?",
            "(true|false|ASYNC_FLUSH|SYNC_MASTER|[0-9]+[KMGsmhd]i?B?)",
            "(/[a-z.]{0,8}){0,3}",
            "\\PC{0,16}",
        ];
        (key, "[ \t]{0,2}[=:]?[ \t]{0,2}", value)
            .prop_map(|(key, between, value)| key + &between + &value)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn every_line_of_any_file_has_one_fate_and_what_is_mapped_is_valid(
            lines in prop::collection::vec(any_line(), 0..12)
        ) {
            let text = lines.join("\n");
            let translated = translate(&text);
            let meant = |line: &str| {
                let line = line.trim();
                !line.is_empty() && !line.starts_with(['#', '!'])
            };
            let expected: Vec<usize> = text.lines().enumerate()
                .filter(|(_, line)| meant(line))
                .map(|(index, _)| index + 1)
                .collect();
            let numbers: Vec<usize> = translated.lines.iter().map(|line| line.number).collect();
            prop_assert_eq!(numbers, expected);
            for flag in translated.flags() {
                let alone = Layers { flags: vec![flag.to_owned()], ..Layers::default() };
                prop_assert!(load(&alone).is_ok(), "{}", flag);
            }
            let flags = translated.flags().map(str::to_owned).collect();
            // Two lines that are valid alone may exclude each other; then both are told.
            if let Err(findings) = load(&Layers { flags, ..Layers::default() }) {
                prop_assert!(!findings.is_empty());
            }
        }
    }
}
