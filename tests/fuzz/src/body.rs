//! Bodies in RocketMQ's dialect of JSON, and the few that are written otherwise.

use bytes::Bytes;
use protocol::body::{self, *};
use protocol::{CommitEpoch, EpochCommitted};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The first byte chooses what the rest is read as.
pub(crate) fn run(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else {
        return;
    };
    let body = Bytes::copy_from_slice(body);
    READERS[usize::from(*kind) % READERS.len()](&body);
}

/// How many kinds there are.
pub const KINDS: usize = READERS.len();

const READERS: &[fn(&Bytes)] = &[
    json::<HeartbeatData>,
    json::<LockRequest>,
    json::<LockReply>,
    json::<CheckClientRequest>,
    json::<SubscriptionGroup>,
    json::<TopicRoute>,
    json::<ResetOffsets>,
    json::<ResetOffsetsList>,
    json::<TopicTable>,
    json::<KvTable>,
    json::<ConsumerIds>,
    json::<ClusterInfo>,
    json::<GroupTable>,
    json::<TopicStats>,
    json::<ConsumerConnection>,
    json::<ProducerConnection>,
    json::<TopicList>,
    json::<ConsumeStats>,
    json::<ConsumerStatus>,
    json::<GroupList>,
    json::<ConsumeTimeSpans>,
    json::<ConsumerRunningInfo>,
    json::<DirectlyConsumed>,
    json::<BrokerStats>,
    json::<ConsumeStatsList>,
    json::<QueryConsumeQueueReply>,
    json::<ProducerTable>,
    json::<SubscriptionOfGroup>,
    json::<SubscriptionGroupList>,
    json::<TopicConfig>,
    json::<TopicConfigList>,
    json::<GroupForbidden>,
    json::<BrokerMemberGroupReply>,
    json::<body::RegisterBroker>,
    registration,
    compressed_registration,
    any_json,
    epoch,
    epoch_committed,
];

/// What is understood is understood again in both ways in which it is written.
fn json<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &Bytes) {
    let Ok(read) = body::decode::<T>(bytes) else {
        return;
    };
    for written in [body::encode(&read), body::encode_standard(&read)] {
        let again = body::decode::<T>(&written).expect("what we write we can read");
        assert_eq!(again, read);
    }
}

/// The files of RocketMQ's `config` folder are read as this. Members that are null are not
/// written, so it is the texts that are compared.
fn any_json(bytes: &Bytes) {
    if let Ok(read) = body::decode::<Value>(bytes) {
        let written = body::encode_standard(&read);
        let again = body::decode::<Value>(&written).expect("what we write we can read");
        assert_eq!(body::encode_standard(&again), written);
    }
}

fn registration(bytes: &Bytes) {
    let _ = body::RegisterBroker::decode(bytes, false);
}

fn compressed_registration(bytes: &Bytes) {
    let _ = body::RegisterBroker::decode(bytes, true);
}

fn epoch(bytes: &Bytes) {
    if let Ok(epoch) = CommitEpoch::decode(bytes) {
        let written = epoch.encode().expect("what was read can be written");
        assert_eq!(CommitEpoch::decode(&written).expect("it is read"), epoch);
    }
}

fn epoch_committed(bytes: &Bytes) {
    if let Ok(committed) = EpochCommitted::decode(bytes) {
        let again = EpochCommitted::decode(&committed.encode());
        assert_eq!(again.expect("what we write we can read"), committed);
    }
}
