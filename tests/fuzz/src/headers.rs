//! A frame's header in both forms, as every typed header there is.

use bytes::BytesMut;
use protocol::headers::*;
use protocol::{ExtFields, Frame, ReadFields};

/// The first byte chooses the form, the rest is the header.
pub(crate) fn run(bytes: &[u8]) {
    let Some((form, header)) = bytes.split_first() else {
        return;
    };
    let mark = u32::from(form & 1) << 24 | (header.len() as u32 & 0xff_ffff);
    let length = 4 + header.len() as u32;
    let bytes = [&length.to_be_bytes()[..], &mark.to_be_bytes(), header].concat();
    let mut stream = BytesMut::from(&bytes[..]);
    let Ok(Some(frame)) = Frame::decode(&mut stream) else {
        return;
    };
    let fields = &frame.header.ext;
    let mut known = 0;
    for (name, value) in fields.iter() {
        known += 1;
        assert!(fields.get(name).is_some(), "{name} is there with {value:?}");
    }
    assert_eq!(known, fields.len());
    typed(fields);
}

/// Whatever can be read says the same when it is written and read again.
macro_rules! typed {
    ($($header:ident)*) => {
        fn typed(fields: &ExtFields) {
            $(if let Ok(read) = $header::read_fields(fields) {
                let written = ExtFields::of(&read);
                let again = $header::read_fields(&written).expect("what we write we can read");
                assert_eq!(again, read);
            })*
        }
    };
}

typed! {
    BrokerConfigReply GetBrokerConsumeStats QueryConsumeQueue ViewBrokerStats
    ConsumeMessageDirectly ConsumerGroupNamed GetConsumerRunningInfo HeartbeatReply
    ProducerGroupNamed UnregisterClient AllGroupsReply DeleteGroup
    GetAllGroups GetConsumeStats GroupAndTopic GroupNamed
    ResetOffset FenceJob FenceJobReply ForgetJob
    GetJobState AddWritePermissionReply BrokerHeartbeat BrokerNamed
    BrokerPermission DataVersionReply DeleteTopicFromNames GetBrokerMemberGroup
    GetRoute GetTopicsByCluster KvConfigKey KvConfigReply
    KvNamespace PutKvConfig RegisterBroker RegisterBrokerReply
    WipeWritePermissionReply GetMaxOffset OffsetReply QueryConsumerOffset
    QueueOfTopic SearchOffset StoreTimeReply UpdateConsumerOffset
    PullForbidden PullMessage PullReply QueryMessage
    QueryMessageReply ViewMessage SendBack SendMessage
    SendRefused SendReply AllTopicConfigReply CreateTopic
    GetAllTopicConfig GetTopicConfig TopicNamed
}
