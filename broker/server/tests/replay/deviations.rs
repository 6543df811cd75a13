//! Where this broker answers otherwise than RocketMQ 5.5.0 did, on purpose, and why.

/// One known difference.
#[derive(Debug)]
pub struct Deviation {
    /// Beginning of the scenario's name.
    pub scenario: &'static str,
    /// Codes of the requests; empty for every one.
    pub requests: &'static [i32],
    /// Part of the difference as the comparison words it.
    pub difference: &'static str,
    pub why: &'static str,
}

impl Deviation {
    pub fn concerns(&self, scenario: &str) -> bool {
        scenario.starts_with(self.scenario)
    }

    pub fn matches(&self, scenario: &str, request: i32, difference: &str) -> bool {
        self.concerns(scenario)
            && (self.requests.is_empty() || self.requests.contains(&request))
            && difference.contains(self.difference)
    }
}

const fn known(
    scenario: &'static str,
    requests: &'static [i32],
    difference: &'static str,
    why: &'static str,
) -> Deviation {
    Deviation {
        scenario,
        requests,
        difference,
        why,
    }
}

/// What later work brings; until then these codes are refused by their number.
const NOT_YET: &str = "no machine for transactions, timers, POP, auth and live settings yet";
/// Scenarios of what this broker has no machine for were not played, so their topics, groups
/// and offsets are missing here.
const NOT_PLAYED: &str = "left behind by a scenario that was not played";
const STAYED: &str = "the clients beside the tools had left there, and are still here";
const AN_INSTANT: &str = "RocketMQ wakes a held pull some 40 ms later, and so finds more";
const NO_SETTINGS: &str = "auto-creation of groups cannot be switched off while running";
const FILTERS: &str = "a filter that cannot be read is refused, not taken for everything";
const ROUTES: &[i32] = &[105, 208, 351];

pub const DEVIATIONS: &[Deviation] = &[
    known(
        "java550-rocketmq-serialize",
        &[],
        "header as Json there, Binary here",
        "a client is answered in its own header encoding",
    ),
    known(
        "java550-push-tag",
        &[11],
        "field maxOffset is 3",
        AN_INSTANT,
    ),
    known(
        "java550-push-tag",
        &[11],
        "nextBeginOffset is 3",
        AN_INSTANT,
    ),
    known("java550-push-tag", &[11], "held-TagC", AN_INSTANT),
    known(
        "java550-push-tag",
        &[11],
        "no answer",
        "a message with another tag wakes no held pull; RocketMQ answers 20",
    ),
    known(
        "java550-litepull-subscribe",
        &[38],
        "GID_wire_lite",
        "a closed connection leaves its group at once; RocketMQ noticed later",
    ),
    known(
        "mqadmin-",
        &[28],
        "brokerVersion: #",
        "the number that RocketMQ's exporter needs and 5.5.0 no longer tells",
    ),
    known(
        "mqadmin-topicList-c",
        &[105],
        "ROCKSDB",
        "transactions are never kept in RocksDB here",
    ),
    known("mqadmin-topicList-c", &[300], "groupList: []", NOT_PLAYED),
    known("mqadmin-consumerProgress", ROUTES, "GID_wire_", NOT_PLAYED),
    known(
        "mqadmin-consumerProgress",
        ROUTES,
        "offsetTable: {}} here",
        NOT_PLAYED,
    ),
    known(
        "mqadmin-queryMsgBy",
        &[203],
        "code 206 there, 0 here",
        STAYED,
    ),
    known("mqadmin-queryCq", &[321], "subscriptionData", STAYED),
    known("raw-admin", &[328], "data: {}} there", STAYED),
    known(
        "python044-push",
        &[36],
        "look message by offset",
        NOT_PLAYED,
    ),
    known("python044-push", &[11], "21 here", NOT_PLAYED),
    known(
        "raw-send",
        &[310],
        "the message has no body",
        "RocketMQ's own check trips over it and answers 1",
    ),
    known(
        "raw-send",
        &[310, 320],
        "only here (code 1, \"java.lang.",
        "RocketMQ trips before it has filled the fields",
    ),
    known("raw-send", &[37, 370], "not supported", NOT_YET),
    known("raw-consume", &[11], "code 0 there, 23 here", FILTERS),
    known(
        "raw-consume",
        &[11],
        "0 here (FOUND)",
        "a send to no queue in particular took another queue there",
    ),
    known("raw-consume", &[400], "not supported", NOT_YET),
    known(
        "raw-admin",
        &[43],
        "groupTopicMap",
        "only RocketMQ's own replicas read this table",
    ),
    known(
        "raw-admin",
        &[222],
        "Group GID_raw_none does not exist",
        "RocketMQ's POP service makes a deleted group again",
    ),
    known("raw-admin", &[], "not supported", NOT_YET),
    known("raw-unknowngroup", &[], "not supported", NOT_YET),
    known(
        "raw-unknowngroup",
        &[11, 36, 310, 352],
        "26 there",
        NO_SETTINGS,
    ),
    known("raw-unknowngroup", &[38], "code 1 there", NO_SETTINGS),
    known(
        "raw-unknowngroup",
        &[11],
        "code 16 there, 0 here",
        "code 353, which forbids a topic to a group, is not there yet",
    ),
    known(
        "raw-namesrv",
        &[217, 311, 318],
        "not supported",
        "units, live settings and single-topic registration are not there yet",
    ),
];
