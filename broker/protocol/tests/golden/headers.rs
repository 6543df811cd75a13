//! Typed headers.

use std::collections::HashMap;

use protocol::headers::*;
use protocol::{ExtFields, Frame, ReadFields, WriteFields};

use crate::captured::{Captured, all};

/// Fields that stand on requests of any kind and mean nothing to a broker without access control.
const ANYWHERE: [&str; 6] = [
    "AccessKey",
    "OnsChannel",
    "ReqT",
    "Signature",
    "bname",
    "unknownField",
];

/// Reads a header, and writes it again: every field of it has the text it came with.
fn again<'a, T: ReadFields<'a> + WriteFields>(
    fields: &'a ExtFields,
    strict: bool,
) -> Result<(), String> {
    let header = T::read_fields(fields).map_err(|error| error.to_string())?;
    let written = ExtFields::of(&header);
    for (name, value) in fields
        .iter()
        .filter(|(name, _)| strict && !ANYWHERE.contains(name))
    {
        // The boundary of a search is sent in either case.
        if !written
            .get(name)
            .is_some_and(|written| written.eq_ignore_ascii_case(value))
        {
            panic!(
                "{name} was {value:?} and is written {:?}",
                written.get(name)
            );
        }
    }
    Ok(())
}

/// `None` for a code without a typed header.
fn request(frame: &Frame, strict: bool) -> Option<Result<(), String>> {
    let fields = &frame.header.ext;
    Some(match frame.header.code {
        10 => again::<SendMessage>(fields, false),
        310 | 320 => again::<SendMessage>(fields, strict),
        11 | 361 => again::<PullMessage>(fields, strict),
        12 => again::<QueryMessage>(fields, strict),
        14 => again::<QueryConsumerOffset>(fields, strict),
        15 => again::<UpdateConsumerOffset>(fields, strict),
        17 => again::<CreateTopic>(fields, strict),
        21 => again::<GetAllTopicConfig>(fields, strict),
        29 => again::<SearchOffset>(fields, strict),
        30 => again::<GetMaxOffset>(fields, strict),
        31 | 32 => again::<QueueOfTopic>(fields, strict),
        33 => again::<ViewMessage>(fields, strict),
        35 => again::<UnregisterClient>(fields, strict),
        36 => again::<SendBack>(fields, strict),
        38 | 40 | 203 => again::<ConsumerGroupNamed>(fields, strict),
        100 => again::<PutKvConfig>(fields, strict),
        101 | 102 => again::<KvConfigKey>(fields, strict),
        103 => again::<RegisterBroker>(fields, strict),
        104 | 322 => again::<BrokerNamed>(fields, strict),
        105 => again::<GetRoute>(fields, strict),
        201 => again::<GetAllGroups>(fields, strict),
        202 | 215 | 217 | 300 => again::<TopicNamed>(fields, strict),
        204 => again::<ProducerGroupNamed>(fields, strict),
        205 | 327 => again::<BrokerPermission>(fields, strict),
        207 => again::<DeleteGroup>(fields, strict),
        208 => again::<GetConsumeStats>(fields, strict),
        216 => again::<DeleteTopicFromNames>(fields, strict),
        219 => again::<KvNamespace>(fields, strict),
        220 | 222 => again::<ResetOffset>(fields, strict),
        221 | 223 | 303 | 345 => again::<GroupAndTopic>(fields, strict),
        224 => again::<GetTopicsByCluster>(fields, strict),
        307 => again::<GetConsumerRunningInfo>(fields, strict),
        309 => again::<ConsumeMessageDirectly>(fields, strict),
        315 => again::<ViewBrokerStats>(fields, strict),
        317 => again::<GetBrokerConsumeStats>(fields, strict),
        321 => again::<QueryConsumeQueue>(fields, strict),
        343 | 352 => again::<GroupNamed>(fields, strict),
        351 => again::<GetTopicConfig>(fields, strict),
        901 => again::<GetBrokerMemberGroup>(fields, strict),
        904 => again::<BrokerHeartbeat>(fields, strict),
        _ => return None,
    })
}

/// `None` for a reply without a typed header.
fn reply(request: i64, frame: &Frame) -> Option<Result<(), String>> {
    let fields = &frame.header.ext;
    Some(match (request, frame.header.code) {
        (10 | 310 | 320, 0) => again::<SendReply>(fields, true),
        (10 | 310 | 320, _) => again::<SendRefused>(fields, true),
        (11 | 361, 0 | 19 | 20 | 21) => again::<PullReply>(fields, true),
        (11 | 361, 16) => again::<PullForbidden>(fields, true),
        (12, 0) => again::<QueryMessageReply>(fields, true),
        (14 | 29 | 30 | 31, 0) => again::<OffsetReply>(fields, true),
        (21, 0) => again::<AllTopicConfigReply>(fields, true),
        (26, 0) => again::<BrokerConfigReply>(fields, true),
        (32, 0) => again::<StoreTimeReply>(fields, true),
        (34, 0) => again::<HeartbeatReply>(fields, true),
        (101, 0) => again::<KvConfigReply>(fields, true),
        (103, 0) => again::<RegisterBrokerReply>(fields, true),
        (201, 0) => again::<AllGroupsReply>(fields, true),
        (205, 0) => again::<WipeWritePermissionReply>(fields, true),
        (322, 0) => again::<DataVersionReply>(fields, true),
        (327, 0) => again::<AddWritePermissionReply>(fields, true),
        _ => return None,
    })
}

fn key(captured: &Captured, frame: &Frame) -> (String, i64, i32) {
    let file = captured.place.split(':').next().unwrap().to_owned();
    (file, captured.number("conn").unwrap(), frame.header.opaque)
}

#[test]
fn every_captured_reply_header_is_understood_and_written_as_it_was() {
    let mut checked = 0;
    for captured in all() {
        let Some(request) = captured.number("replyTo") else {
            continue;
        };
        match reply(request, &captured.frame()) {
            Some(Ok(())) => checked += 1,
            Some(Err(why)) => panic!("{}: {why}", captured.place),
            None => {}
        }
    }
    assert!(checked > 600, "only {checked} headers were checked");
}

#[test]
fn a_captured_request_header_is_refused_only_where_rocketmq_failed_on_it_too() {
    let captures = all();
    let mut answers = HashMap::new();
    for captured in captures
        .iter()
        .filter(|captured| captured.number("replyTo").is_some())
    {
        let frame = captured.frame();
        answers.insert(key(captured, &frame), frame.header.code);
    }
    let (mut understood, mut refused) = (0, 0);
    for captured in captures
        .iter()
        .filter(|captured| captured.number("replyTo").is_none())
    {
        let frame = captured.frame();
        // Raw calls spell some values in ways that mean the same but are written differently.
        let strict =
            captured.described["language"] == "JAVA" && !captured.place.starts_with("raw-");
        match request(&frame, strict) {
            Some(Ok(())) => understood += 1,
            // RocketMQ looks up the offset of a group named null; we would rather say what is missing.
            Some(Err(why)) if frame.header.code == 14 && why.contains("<consumerGroup>") => {}
            Some(Err(why)) => {
                let answer = answers.get(&key(captured, &frame));
                assert_eq!(answer, Some(&1), "{}: {why}", captured.place);
                refused += 1;
            }
            None => {}
        }
    }
    assert!(
        understood > 1300 && refused > 20,
        "{understood} understood, {refused} refused"
    );
}
