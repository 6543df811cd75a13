//! Requests of real clients, sent again: what RocketMQ 5.5.0 answered, this broker answers.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod background;
mod compare;
mod deviations;
mod dialect;
mod player;
mod transcript;
mod world;

use compare::Closeness;
use player::{Scenario, play};

/// Scenarios of clients in the order they were recorded against one broker, with the time of
/// the first line: what one leaves behind, the next one finds.
const CLIENTS: [(&str, i64); 20] = [
    ("java550-send-sync", 1_795_361_269_254),
    ("java550-send-async", 1_795_361_295_881),
    ("java550-send-oneway", 1_795_361_302_671),
    ("java550-send-batch", 1_795_361_310_691),
    ("java550-push-tag", 1_795_361_314_079),
    ("java550-push-sql", 1_795_361_333_763),
    ("java550-push-sql-bad", 1_795_361_349_033),
    ("java550-push-orderly", 1_795_361_367_400),
    ("java550-push-broadcast", 1_795_361_389_617),
    ("java550-litepull-subscribe", 1_795_361_420_046),
    ("java550-litepull-assign", 1_795_361_440_046),
    ("java550-retry", 1_795_361_525_916),
    ("java550-trace", 1_795_361_657_640),
    ("java550-rocketmq-serialize", 1_795_361_672_081),
    ("java493-send", 1_795_361_825_922),
    ("java493-push", 1_795_361_832_455),
    ("go-send", 1_795_361_842_105),
    ("go-push", 1_795_361_863_121),
    ("go-orderly", 1_795_361_900_000),
    ("python044-send", 1_795_361_920_226),
];

/// Requests that no client sends, and a client that met a broker with more of a past.
const WITH_A_PAST: [(&str, i64); 7] = [
    ("python044-push", 1_795_362_900_000),
    ("raw-send", 1_795_363_170_000),
    ("raw-consume", 1_795_363_200_000),
    ("raw-admin", 1_795_363_262_000),
    ("raw-unknowngroup", 1_795_363_414_165),
    ("java550-rebalance", 1_795_363_726_076),
    ("raw-namesrv", 1_795_364_500_000),
];

/// The tools' commands, with their consumer group and its messages in the background.
const TOOLS: [&str; 31] = [
    "mqadmin-statsAll",
    "mqadmin-clusterList",
    "mqadmin-brokerStatus",
    "mqadmin-getBrokerConfig",
    "mqadmin-topicList",
    "mqadmin-topicList-c",
    "mqadmin-topicRoute",
    "mqadmin-topicRoute-missing",
    "mqadmin-topicStatus",
    "mqadmin-updateTopic",
    "mqadmin-updateTopic-attributes",
    "mqadmin-updateTopic-bad",
    "mqadmin-updateTopic-cluster",
    "mqadmin-deleteTopic",
    "mqadmin-updateSubGroup",
    "mqadmin-updateSubGroup-cluster",
    "mqadmin-deleteSubGroup",
    "mqadmin-consumerProgress",
    "mqadmin-consumerProgress-g",
    "mqadmin-consumerProgress-g-s",
    "mqadmin-consumerConnection",
    "mqadmin-producerConnection",
    "mqadmin-consumerStatus",
    "mqadmin-brokerConsumeStats",
    "mqadmin-queryMsgByKey",
    "mqadmin-queryMsgByUniqueKey",
    "mqadmin-queryMsgByUniqueKey-missing",
    "mqadmin-queryCq",
    "mqadmin-queryMsgById",
    "mqadmin-resetOffsetByTime-offline",
    "mqadmin-resetOffsetByTime",
];

#[tokio::test]
async fn real_clients_and_tools_get_the_answers_that_rocketmq_gave_them() {
    let clients = CLIENTS.map(|scenario| Scenario::new(scenario, Closeness::Values));
    let tools = TOOLS.map(|name| Scenario::new((name, 1_795_362_600_000), Closeness::Shapes));
    let others = WITH_A_PAST.map(|scenario| Scenario::new(scenario, Closeness::Shapes));
    let scenarios: Vec<_> = clients.into_iter().chain(tools).chain(others).collect();
    play(&scenarios).await;
}
