//! The JSON dialect, as bodies see it: what clients send, what must be refused, what is written.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use protocol::Language;
use protocol::body::{self, *};

fn queue(number: i32) -> MessageQueue {
    MessageQueue {
        broker_name: "b".into(),
        queue_id: number,
        topic: "t".into(),
    }
}

#[track_caller]
fn read<T: serde::de::DeserializeOwned>(text: &str) -> T {
    body::decode(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn check_refused<T: serde::de::DeserializeOwned + std::fmt::Debug>(text: &str, why: &str) {
    let error = body::decode::<T>(text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn numbers_are_keys_with_and_without_quotes() {
    for text in [
        r#"{"brokerAddrs":{0:"a",1:"b"}}"#,
        r#"{"brokerAddrs":{"0":"a","1":"b"}}"#,
    ] {
        let broker: BrokerData = read(text);
        assert_eq!(broker.broker_addrs.get(&1).map(String::as_str), Some("b"));
    }
}

#[test]
fn number_keys_are_written_bare_or_quoted_as_the_reader_needs() {
    let broker_addrs = [(0, "a:1".to_owned())].into_iter().collect();
    let group = BrokerMemberGroup {
        broker_addrs,
        ..BrokerMemberGroup::default()
    };
    let rest = r#","brokerName":"","cluster":""}"#;
    assert_eq!(
        body::encode(&group),
        format!(r#"{{"brokerAddrs":{{0:"a:1"}}{rest}"#)
    );
    assert_eq!(
        body::encode_standard(&group),
        format!(r#"{{"brokerAddrs":{{"0":"a:1"}}{rest}"#)
    );
}

#[test]
fn objects_are_keys_on_both_ways() {
    let offsets = ResetOffsets {
        offset_table: [(queue(0), 5), (queue(1), 7)].into_iter().collect(),
    };
    let text = r#"{"offsetTable":{{"brokerName":"b","queueId":0,"topic":"t"}:5,{"brokerName":"b","queueId":1,"topic":"t"}:7}}"#;
    assert_eq!(body::encode(&offsets), text);
    assert_eq!(body::encode_standard(&offsets), text);
    assert_eq!(read::<ResetOffsets>(text), offsets);
}

#[test]
fn the_heartbeat_of_the_cpp_client_is_understood() {
    let heartbeat: HeartbeatData = read(
        "{\"clientID\":\"c\",\"consumerDataSet\":[{\"consumeFromWhere\":4,\"consumeType\":1,\"groupName\":\"g\",\
         \"messageModel\":0,\"subscriptionDataSet\":[{\"codeSet\":[0,0],\"subString\":\"TagA || TagB\",\
         \"subVersion\":\"1795362076504\",\"tagsSet\":[\"TagA\",\"TagB\"],\"topic\":\"T\"}]}],\"producerDataSet\":[]}\n",
    );
    let consumer = &heartbeat.consumer_data_set[0];
    assert_eq!(consumer.consume_from_where, ConsumeFromWhere::FirstOffset);
    assert_eq!(consumer.consume_type, ConsumeType::Passively);
    assert_eq!(consumer.message_model, MessageModel::Broadcasting);
    assert_eq!(
        consumer.subscription_data_set[0].sub_version,
        1_795_362_076_504
    );
    assert!(consumer.subscription_data_set[0].expression_type.is_tag());
}

#[test]
fn the_heartbeat_of_the_go_client_is_understood() {
    let heartbeat: HeartbeatData = read(
        r#"{"clientID":"c","producerDataSet":null,"consumerDataSet":[{"groupName":"g","consumeType":"CONSUME_POP",
        "subscriptionDataSet":[{"topic":"T","tagsSet":null,"codeSet":["2598919"],"subVersion":1795361863181621898}]}]}"#,
    );
    let subscription = &heartbeat.consumer_data_set[0].subscription_data_set[0];
    assert_eq!(
        heartbeat.consumer_data_set[0].consume_type,
        ConsumeType::Pop
    );
    assert_eq!(subscription.code_set, [2_598_919]);
    assert_eq!(subscription.sub_version, 1_795_361_863_181_621_898);
    assert!(subscription.tags_set.is_empty() && heartbeat.producer_data_set.is_empty());
}

#[test]
fn what_is_missing_null_or_unknown_leaves_the_default() {
    let group: SubscriptionGroup = read(
        r#"{ "groupName" : "g", "retryMaxTimes" : null, "later": {"a":[1,{"b":null}]}, "consumeEnable":"false" }"#,
    );
    assert_eq!(
        group,
        SubscriptionGroup {
            group_name: "g".into(),
            consume_enable: false,
            ..Default::default()
        }
    );
    assert_eq!(group.retry_max_times, 16);
}

#[test]
fn names_may_be_bare_or_in_single_quotes() {
    let topics: TopicList = read(r"{topicList:['a\'b',c],'brokerAddr':null}");
    assert_eq!(topics.topic_list, ["a'b", "c"]);
}

#[test]
fn text_survives_escaping() {
    for text in [
        "",
        "plain",
        "\"\\/\u{8}\u{c}\n\r\t\u{1}\u{1f}",
        "Straße 東京 🦀",
    ] {
        let topics = TopicList {
            broker_addr: Some(text.into()),
            topic_list: vec![],
        };
        assert_eq!(
            body::decode::<TopicList>(&body::encode(&topics)).unwrap(),
            topics
        );
    }
    assert_eq!(
        read::<TopicList>(r#"{"brokerAddr":"\u00e9\ud83e\udd80\ud83e"}"#)
            .broker_addr
            .unwrap(),
        "é🦀?"
    );
}

#[test]
fn languages_nobody_knows_are_other() {
    for text in [r#"{"language":"COBOL"}"#, r#"{"language":99}"#] {
        assert_eq!(read::<Connection>(text).language, Language::Other);
    }
    assert_eq!(
        read::<Connection>(r#"{"language":"NODE_JS"}"#).language,
        Language::NodeJs
    );
    assert_eq!(
        read::<Connection>(r#"{"language":9}"#).language,
        Language::Go
    );
}

#[test]
fn numbers_with_a_point_keep_it() {
    let stats = ConsumeStats {
        consume_tps: 3.0,
        ..ConsumeStats::default()
    };
    assert_eq!(
        body::encode(&stats),
        r#"{"consumeTps":3.0,"offsetTable":{}}"#
    );
    let unknown = ConsumeStats {
        consume_tps: f64::NAN,
        ..ConsumeStats::default()
    };
    assert_eq!(body::encode(&unknown), r#"{"offsetTable":{}}"#);
}

#[test]
fn what_is_no_body_is_refused_with_its_reason() {
    check_refused::<TopicList>("", "malformed TopicList body: '{' was expected at byte 0");
    check_refused::<TopicList>(
        "{\"topicList\":[",
        "a comma or an end was expected at byte 14",
    );
    check_refused::<TopicList>("{\"topicList\":[\"a", "a string does not end");
    check_refused::<TopicList>("{\"topicList\":[\"a\\x\"]}", "an unknown escape");
    check_refused::<TopicList>("{} {}", "nothing more was expected");
    check_refused::<TopicList>("{\"topicList\":{}}", "'[' was expected");
    check_refused::<TopicConfig>("{\"perm\":\"six\"}", "a number was expected");
    check_refused::<TopicConfig>("{\"perm\":4294967296}", "invalid value");
    check_refused::<TopicConfig>("{\"order\":7}", "true or false was expected");
    check_refused::<ConsumerData>("{\"messageModel\":\"TELEPATHY\"}", "unknown variant");
    check_refused::<ConsumerData>("{\"messageModel\":7}", "invalid value");
}

#[test]
fn nesting_is_followed_to_a_limit_and_no_further() {
    let nested = |depth: usize| format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(read::<TopicList>(&nested(31)), TopicList::default());
    check_refused::<TopicList>(&nested(32), "nested deeper");
    check_refused::<TopicList>(&"[{".repeat(1_000_000), "'{' was expected");
    check_refused::<ResetOffsets>(
        &format!("{{\"offsetTable\":{}", "{".repeat(1_000_000)),
        "expected",
    );
    check_refused::<TopicList>(
        &format!("{{\"x\":{}", "{".repeat(1_000_000)),
        "nested deeper",
    );
}

#[test]
fn a_body_made_to_fill_memory_is_refused() {
    let many = format!(
        "{{\"groupConfigList\":[{}]}}",
        vec!["{}"; 1_000_000].join(",")
    );
    check_refused::<SubscriptionGroupList>(&many, "too many values");
}

#[test]
fn a_registration_of_a_hundred_thousand_topics_is_within_the_limits() {
    let topic = |number: usize| TopicConfig {
        topic_name: format!("topic-{number}"),
        ..TopicConfig::default()
    };
    let table = (0..100_000)
        .map(|number| (format!("topic-{number}"), topic(number)))
        .collect();
    let topics = TopicTable {
        topic_config_table: table,
        ..TopicTable::default()
    };
    let registration = RegisterBroker {
        filter_server_list: vec![],
        topic_config_serialize_wrapper: topics,
    };
    let text = body::encode(&registration);
    assert_eq!(RegisterBroker::decode(&text, false).unwrap(), registration);
}
